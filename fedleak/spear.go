package fedleak

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"

	"gonum.org/v1/gonum/mat"
)

// SPEAR takes a single batch apart, knowing nothing of other rounds: where batches are
// fixed, or a batch is the whole data set, it stands in for Steps I and II of CAFE. The
// gradient of the weights is G = H^T V of rank K. Behind ReLU each row of V has zeros,
// and a vector orthogonal to K-1 columns of G's row space at which v_n vanishes is v_n
// in disguise: random sets of columns are tried until K such vectors have been found
// that leave more zeros than chance would. Their scales follow from the gradient of
// the bias. The number of trials grows like 2^K, and the layer has to be some times
// as wide as K.
//
// Dimitrov, Baader, Müller and Vechev, NeurIPS 2024 (arXiv 2403.03945).
type SPEAR struct {
	// Trials is the largest number of sets of columns for each party; 0 means
	// 200000.
	Trials int
	// Round is the round that is attacked.
	Round     int
	Inversion Inversion // Step III
	Seed      uint64    // of the sets of columns
}

var _ Attack = SPEAR{}

// Name implements Attack.
func (SPEAR) Name() string { return "SPEAR" }

// Run implements Attack. Which sample of the batch is which stays open: see Match. A
// party whose rows are not all found has them marked as undetermined.
func (a SPEAR) Run(ctx context.Context, m *Model, o Observations) (*Recovery, error) {
	if err := m.Check(); err != nil {
		return nil, err
	}
	list, err := batches(o)
	if err != nil {
		return nil, err
	}
	if a.Round < 0 || a.Round >= len(list) || a.Trials < 0 {
		return nil, fmt.Errorf("fedleak: SPEAR: round %d of %d, %d trials", a.Round, len(list), a.Trials)
	}
	if err := checkModel(m, o, a.Round, a.Round+1); err != nil {
		return nil, err
	}
	if err := a.Inversion.Check(); err != nil {
		return nil, err
	}
	ids := list[a.Round]
	n := o.Setting().Samples
	r := newRecovery(a.Name(), m, n)
	r.Rounds = 1
	for p := range m.Bottoms {
		l, err := m.firstDense(p)
		if err != nil {
			return nil, err
		}
		if err := checkSingle(a.Name(), m, o, p, l); err != nil {
			return nil, err
		}
		gs, err := fetch(ctx, m, o, a.Round, l.bias, l.weight)
		if err != nil {
			return r, err
		}
		out := &r.Parties[p]
		v, h, err := a.split(ctx, gs[0].Values(), toDense(gs[1]), stream(a.Seed, uint64(p)))
		if err != nil {
			return r, err
		}
		for _, id := range ids {
			out.Status[id] = Undetermined
		}
		if v == nil {
			continue
		}
		k, d2 := v.Dims()
		_, d1 := h.Dims()
		out.V, out.H = mat.NewDense(n, d2, nil), mat.NewDense(n, d1, nil)
		out.HError = make([]float64, n)
		for i := range min(k, len(ids)) {
			out.V.SetRow(ids[i], v.RawRowView(i))
			out.H.SetRow(ids[i], h.RawRowView(i))
			out.Status[ids[i]] = Recovered
		}
		a.Inversion.stepThree(ctx, m, p, l, out, out.HError, func(int) bool { return true }, nil)
		if err := ctx.Err(); err != nil {
			return r, fmt.Errorf("fedleak: stopped: %w", err)
		}
	}
	return r, nil
}

// split returns V [K, d2] and H [K, d1] with G = H^T V and b the sum of V's rows, in an
// unknown order; nil if it does not find them.
func (a SPEAR) split(ctx context.Context, b []float64, g *mat.Dense, rng *rand.Rand) (v, h *mat.Dense, err error) {
	var svd mat.SVD
	if !svd.Factorize(g, mat.SVDThin) {
		return nil, nil, nil
	}
	rank := svd.Rank(3e-6)
	if rank == 0 {
		return nil, nil, nil
	}
	var left, right mat.Dense
	svd.UTo(&left)
	svd.VTo(&right) // [d2, min]
	values := svd.Values(nil)
	d1, d2 := g.Dims()
	// Rows of G's row space; columns keep their sizes, for errors have theirs.
	base := mat.NewDense(rank, d2, nil)
	for i := range rank {
		for j := range d2 {
			base.Set(i, j, values[i]*right.At(j, i))
		}
	}
	found := a.directions(ctx, base, rng)
	if err := ctx.Err(); err != nil {
		return nil, nil, fmt.Errorf("fedleak: stopped: %w", err)
	}
	if found == nil {
		return nil, nil, nil
	}
	// V = Q base up to the scale of rows, which their sum b tells.
	v = mat.NewDense(rank, d2, nil)
	v.Mul(found, base)
	var scale mat.Dense
	if err := scale.Solve(v.T(), mat.NewDense(d2, 1, b)); err != nil {
		return nil, nil, nil
	}
	var inverse mat.Dense
	if err := inverse.Inverse(found); err != nil {
		return nil, nil, nil
	}
	h = mat.NewDense(rank, d1, nil)
	for i := range rank {
		c := scale.At(i, 0)
		if c == 0 {
			return nil, nil, nil
		}
		for j := range d2 {
			v.Set(i, j, c*v.At(i, j))
		}
		for x := range d1 {
			s := 0.0
			for q := range rank {
				s += left.At(x, q) * inverse.At(q, i)
			}
			h.Set(i, x, s/c)
		}
	}
	return v, h, nil
}

// directions looks for a basis q [rank, rank] whose products with base have zeros; nil
// if the trials do not suffice.
func (a SPEAR) directions(ctx context.Context, base *mat.Dense, rng *rand.Rand) *mat.Dense {
	rank, d2 := base.Dims()
	var live []int
	size := make([]float64, d2)
	for j := range d2 {
		if size[j] = mat.Norm(base.ColView(j), 2); size[j] > 0 {
			live = append(live, j)
		}
	}
	top := slices.Max(size)
	live = slices.DeleteFunc(live, func(j int) bool { return size[j] < 1e-4*top })
	if len(live) < 2*rank {
		return nil
	}
	var kept [][]float64
	independent := mat.NewDense(rank, rank, nil)
	for range defaultInt(a.Trials, 200000) {
		if ctx.Err() != nil {
			return nil
		}
		for i := range rank - 1 {
			j := i + rng.IntN(len(live)-i)
			live[i], live[j] = live[j], live[i]
		}
		q := orthogonal(base, live[:rank-1])
		if q == nil {
			continue
		}
		// It is orthogonal to rank-1 columns by construction. What a sum of two rows
		// of V does as well, but only a single row vanishes at others that would
		// give the same vector.
		var zeros []float64
		for _, j := range live[rank-1:] {
			s := 0.0
			for i, u := range q {
				s += u * base.At(i, j)
			}
			if math.Abs(s) < 1e-4*size[j] {
				for i := range q {
					zeros = append(zeros, base.At(i, j)/size[j])
				}
			}
		}
		if len(zeros) < (rank-1)*rank || rankOf(zeros, rank) < rank-1 || !extends(kept, q) {
			continue
		}
		independent.SetRow(len(kept), q)
		kept = append(kept, q)
		if len(kept) == rank {
			return independent
		}
	}
	return nil
}

// orthogonal returns the unit vector orthogonal to the given columns, one fewer than
// there are rows, by elimination; nil if there are several.
func orthogonal(base *mat.Dense, columns []int) []float64 {
	n := len(columns) + 1
	m := make([][]float64, n-1)
	for i, j := range columns {
		m[i] = mat.Col(nil, j, base)
		largest := 0.0
		for _, v := range m[i] {
			largest = math.Max(largest, math.Abs(v))
		}
		for k := range m[i] {
			m[i][k] /= largest
		}
	}
	order := make([]int, n) // order[i] is the unknown of pivot i
	for i := range order {
		order[i] = i
	}
	for i := range m {
		row, col, best := i, i, 0.0
		for r := i; r < n-1; r++ {
			for c := i; c < n; c++ {
				if v := math.Abs(m[r][order[c]]); v > best {
					row, col, best = r, c, v
				}
			}
		}
		if best < 1e-9 {
			return nil
		}
		m[i], m[row] = m[row], m[i]
		order[i], order[col] = order[col], order[i]
		for r := i + 1; r < n-1; r++ {
			f := m[r][order[i]] / m[i][order[i]]
			for c := i; c < n; c++ {
				m[r][order[c]] -= f * m[i][order[c]]
			}
		}
	}
	q := make([]float64, n)
	q[order[n-1]] = 1
	for i := n - 2; i >= 0; i-- {
		s := 0.0
		for c := i + 1; c < n; c++ {
			s += m[i][order[c]] * q[order[c]]
		}
		q[order[i]] = -s / m[i][order[i]]
	}
	length := 0.0
	for _, v := range q {
		length += v * v
	}
	for i := range q {
		q[i] /= math.Sqrt(length)
	}
	return q
}

// rankOf returns the rank of rows of the given width.
func rankOf(rows []float64, width int) int {
	if len(rows) == 0 {
		return 0
	}
	var svd mat.SVD
	if !svd.Factorize(mat.NewDense(len(rows)/width, width, rows), mat.SVDNone) {
		return 0
	}
	return svd.Rank(1e-3)
}

// extends says whether q is not among, or spanned by, the kept vectors.
func extends(kept [][]float64, q []float64) bool {
	var rows []float64
	for _, r := range append(slices.Clone(kept), q) {
		rows = append(rows, r...)
	}
	return rankOf(rows, len(q)) == len(kept)+1
}
