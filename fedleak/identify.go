package fedleak

import (
	"fmt"
	"math"

	"gonum.org/v1/gonum/mat"
)

// Identifiability says what a sequence of batches lets Step I of CAFE find out of a model
// that stands still. With S the matrix of T rounds by N samples that is 1 where a sample is
// in a batch, the gradients of Step I fulfil S V = B: the gradient v_n of sample n is
// determined if and only if the n-th unit vector lies in the row space of S. A rank that is
// too low stops CAFE, but no attack that looks at one round, as SPEAR and Matching do.
type Identifiability struct {
	Samples int `json:"samples"`
	Batch   int `json:"batch"`
	Rounds  int `json:"rounds"`
	// Rank is that of S; all samples are determined when it equals Samples.
	Rank int `json:"rank"`
	// Cond is the condition number of S, with columns of unit length, on its row
	// space: errors of the observed gradients grow by up to this factor. As rounds of
	// uniform batches are added it falls to sqrt(K (N-1)/(N-K)).
	Cond float64 `json:"cond"`
	// Determined says for each sample whether its gradient is.
	Determined []bool `json:"-"`
	// Missing lists the samples that are in no batch.
	Missing []int `json:"missing,omitempty"`
	// Fixed says that the same batches come again and again; Epochal that the
	// rounds go through all samples before any comes again.
	Fixed   bool `json:"fixed"`
	Epochal bool `json:"epochal"`
	// Reachable is the largest rank that more rounds of the same kind can give:
	// N/K for fixed batches, 1 for K = N, N less one for each client but the first
	// for a horizontal federation, and N otherwise.
	Reachable int `json:"reachable"`
	// Needed is the least number of rounds of the same kind after which the rank
	// can be Reachable.
	Needed int `json:"needed"`
	// Hint says in words what keeps samples from being determined; "" if all are.
	Hint string `json:"hint,omitempty"`
}

// Share returns the share of samples that are determined.
func (d Identifiability) Share() float64 {
	k := 0
	for _, ok := range d.Determined {
		if ok {
			k++
		}
	}
	return float64(k) / float64(d.Samples)
}

// NotIdentifiableError is returned beside the identifiable part of a result.
type NotIdentifiableError struct{ Identifiability }

// Error implements error.
func (e *NotIdentifiableError) Error() string {
	return fmt.Sprintf("fedleak: %d rounds of %d out of %d samples have rank %d: Step I identifies %.0f %% of the samples (%s)",
		e.Rounds, e.Batch, e.Samples, e.Rank, 100*e.Share(), e.Hint)
}

// Identify reports on batches of ids out of n samples, without any gradient: what Step I,
// and so CAFE, could find out, and what a schedule keeps from it. It is for a vertical
// federation, in which all parties have part in each sample; see IdentifyClients for a
// horizontal one.
// Errors: no batches, empty ones, batches of different sizes, an id out of range or twice
// in a batch.
func Identify(batches [][]int, n int) (Identifiability, error) {
	if err := checkBatches(batches, n); err != nil {
		return Identifiability{}, err
	}
	return newSystem(batches, n, 1, nil).report, nil
}

// IdentifyClients is Identify for a horizontal federation with n samples in equal blocks of
// ids, one for each client, of whose gradients only the mean is seen. Batches that take
// the same share of every client leave a constant for each but one of them open; CAFE
// finds these, behind ReLU, all the same. clients below 1, or that n is no multiple of,
// are an error.
func IdentifyClients(batches [][]int, n, clients int) (Identifiability, error) {
	if err := checkBatches(batches, n); err != nil {
		return Identifiability{}, err
	}
	if clients < 1 || n%clients != 0 {
		return Identifiability{}, fmt.Errorf("fedleak: %d samples for %d clients, want equal shares", n, clients)
	}
	return newSystem(batches, n, blocks(batches, n, clients), nil).report, nil
}

// blocks returns the number of equal blocks of ids from which every batch takes the same
// share: clients, or 1 for a vertical federation, of 0 clients, and for unequal shares.
func blocks(batches [][]int, n, clients int) int {
	if clients > 1 && balanced(batches, n, clients) {
		return clients
	}
	return 1
}

// EpochsNeeded returns the least number of epochs of n/k freshly shuffled batches
// after which n samples can be identifiable: every epoch's batches add up to the
// same, so that each epoch but the first adds at most n/k - 1 to the rank. It is 0 if
// no number of epochs is enough (k = n > 1), and if k is not in [1, n].
func EpochsNeeded(n, k int) int {
	if k < 1 || k > n {
		return 0
	}
	per := n / k
	if per < 2 {
		if n == 1 {
			return 1
		}
		return 0
	}
	if n%k != 0 {
		return (n + per - 1) / per
	}
	return (n - 1 + per - 2) / (per - 1)
}

// system is the linear system of Step I.
type system struct {
	batches [][]int
	n       int
	weights []float64 // of the rounds; nil means all 1
	ridge   float64   // on the diagonal of S^T W S
	normal  *semidefinite
	report  Identifiability
}

// newSystem prepares S^T W S for solving. blocks is the number of equal blocks of ids
// from which every batch takes the same share, 1 for a vertical federation.
func newSystem(batches [][]int, n, blocks int, weights []float64) *system {
	s := &system{batches: batches, n: n, weights: weights}
	a := s.products()
	d := Identifiability{Samples: n, Batch: len(batches[0]), Rounds: len(batches)}
	for i := range n {
		if a.At(i, i) == 0 {
			d.Missing = append(d.Missing, i)
		}
	}
	s.normal = factor(a)
	d.Rank, d.Cond, d.Determined = s.normal.rank, math.Sqrt(s.normal.cond), s.normal.determined()
	d.kind(batches, blocks)
	s.report = d
	return s
}

// products returns S^T W S.
func (s *system) products() *mat.SymDense {
	a := mat.NewSymDense(s.n, nil)
	for t, b := range s.batches {
		w := s.weight(t)
		for i, x := range b {
			for _, y := range b[i:] {
				a.SetSym(x, y, a.At(x, y)+w)
			}
		}
	}
	return a
}

// withRidge returns the system with a ridge, in the units of CAFE.Ridge, added to
// S^T W S. What is determined stays what it is without one: a ridge gives an answer for
// everything.
func (s *system) withRidge(ridge float64) *system {
	k := len(s.batches[0])
	if ridge == 0 || s.n < 2 {
		return s
	}
	ridge *= float64(len(s.batches)) * leastEigenvalue(s.n, k)
	a := s.products()
	for i := range s.n {
		a.SetSym(i, i, a.At(i, i)+ridge)
	}
	out := *s
	out.ridge, out.normal = ridge, factor(a)
	return &out
}

// weight is that of a round.
func (s *system) weight(t int) float64 {
	if s.weights == nil {
		return 1
	}
	return s.weights[t]
}

// kind recognises the schedule and says what it can reach.
func (d *Identifiability) kind(batches [][]int, blocks int) {
	n, k := d.Samples, d.Batch
	sets := make(map[string]bool)
	fresh := true // no id has come twice in an epoch so far
	seen := make([]int, n)
	per := n / k
	for t, b := range batches {
		member := make([]byte, (n+7)/8)
		for _, id := range b {
			member[id/8] |= 1 << (id % 8)
			fresh = fresh && seen[id] != t/per+1
			seen[id] = t/per + 1
		}
		sets[string(member)] = true
	}
	d.Epochal = fresh && len(batches) >= per && per > 1
	d.Fixed = k < n && len(batches) > per && len(sets) <= per
	switch {
	case k == n:
		d.Reachable, d.Needed = 1, 1
		d.Hint = "the batch is the whole data set, of whose bias gradients only the sum is seen"
	case d.Fixed:
		d.Reachable, d.Needed = len(sets), len(sets)
		d.Hint = "the same batches come in every epoch, of whose bias gradients only the sums are seen"
	case blocks > 1:
		d.Reachable = n - blocks + 1
		d.Needed = d.Reachable
		d.Hint = "every batch has the same number of ids of each client, so that a constant can move from one client to another"
	case d.Epochal:
		d.Reachable = n
		d.Needed = EpochsNeeded(n, k) * per
		d.Hint = fmt.Sprintf("epochs of shuffled batches need at least %d epochs, %d rounds", EpochsNeeded(n, k), d.Needed)
	default:
		d.Reachable, d.Needed = n, n
		d.Hint = fmt.Sprintf("random batches need at least %d rounds", n)
	}
	if len(d.Missing) > 0 && k < n {
		d.Hint += fmt.Sprintf("; %d samples are in no batch", len(d.Missing))
	}
	if d.Rank < d.Reachable && d.Rounds >= d.Needed {
		d.Hint += ", which is reached; these repeat what others tell, as they do when every batch takes equal shares of fixed groups"
	}
	if d.Rank == n {
		d.Hint = ""
	}
}

// solve returns the V [N, c] with the least |S V - B|² + ridge |V|², rounds counted by
// their weights, for B [T, c], with one step of refinement.
func (s *system) solve(b *mat.Dense) *mat.Dense {
	v := s.normal.solve(s.adjoint(b))
	var r, pull mat.Dense
	r.Sub(b, s.apply(v))
	left := s.adjoint(&r)
	if s.ridge > 0 {
		pull.Scale(s.ridge, v)
		left.Sub(left, &pull)
	}
	v.Add(v, s.normal.solve(left))
	return v
}

// adjoint returns S^T W b.
func (s *system) adjoint(b *mat.Dense) *mat.Dense {
	_, c := b.Dims()
	out := mat.NewDense(s.n, c, nil)
	for t, ids := range s.batches {
		w := s.weight(t)
		row := b.RawRowView(t)
		for _, id := range ids {
			to := out.RawRowView(id)
			for j, x := range row {
				to[j] += w * x
			}
		}
	}
	return out
}

// apply returns S v.
func (s *system) apply(v *mat.Dense) *mat.Dense {
	_, c := v.Dims()
	out := mat.NewDense(len(s.batches), c, nil)
	for t, ids := range s.batches {
		to := out.RawRowView(t)
		for _, id := range ids {
			for j, x := range v.RawRowView(id) {
				to[j] += x
			}
		}
	}
	return out
}

// noise estimates the standard deviation of an entry of b from what v leaves of it.
// With no more rounds than the rank nothing is left, and the rounding of float32
// stands in for it.
func (s *system) noise(b, v *mat.Dense) float64 {
	var r mat.Dense
	r.Sub(b, s.apply(v))
	t, c := b.Dims()
	rounding := 0x1p-24 * mat.Norm(b, 2) / math.Sqrt(float64(t*c))
	free := t - s.report.Rank
	if free <= 0 {
		return rounding
	}
	return math.Max(rounding, mat.Norm(&r, 2)/math.Sqrt(float64(free*c)))
}
