package fedleak

import (
	"context"
	"fmt"
	"math"

	"gonum.org/v1/gonum/mat"
)

// Published is CAFE with the iterations of its paper: stochastic gradient descent over
// the rounds for Step I, and Adam on the rows of tables for Steps II and III. It is
// here for comparison; CAFE gets further with fewer rounds.
//
// Jin, Chen, Hsu, Yu and Chen, NeurIPS 2021, Algorithms 1 to 4. Zero fields are the
// settings of the code that they released.
type Published struct {
	// Nested runs each step to its end before the next begins, Algorithm 3, with
	// Iterations of each; otherwise every round serves all three, Algorithm 4.
	Nested bool
	// Iterations over the rounds, which begin again when they are used up; 0 means
	// 20000.
	Iterations int
	// Repeat is the number of updates for each observed round; 0 means 1. The
	// attack on a model in training uses 10.
	Repeat int
	// LR1, LR2 and LR3 are the learning rates of Steps I, II and III; 0 means
	// 0.005, 0.01 and 0.01. Step I moves by 2 LR1 times the difference of sums and
	// diverges from LR1 = 1/K on; LR1 = 1/(2K) is best.
	LR1, LR2, LR3 float64
	// Alpha weighs the gradients' squared distance, Beta the total variation and
	// Gamma the features' squared distance. All 0 means 1e-2, 1e-4 and 1e-3.
	Alpha, Beta, Gamma float64
	// Xi is the mean total variation of a slice below which it costs nothing; 0
	// means 25, which suits 14x14 slices of MNIST, -1 none.
	Xi float64
	// Released keeps to quirks of the released code: biases of Adam are corrected
	// twice. Its other quirk belongs to the model, Model.DoubleSoftmax.
	Released bool
	Seed     uint64 // of the tables' first values
	// OnIteration is told after each iteration over a round, with the tables as they
	// are; nil for none.
	OnIteration func(iteration int, t *Tables)
}

var _ Attack = Published{}

// Name implements Attack.
func (Published) Name() string { return "CAFE as published" }

// withDefaults fills in the settings for zero fields.
func (a Published) withDefaults() Published {
	a.Iterations, a.Repeat = defaultInt(a.Iterations, 20000), defaultInt(a.Repeat, 1)
	a.LR1, a.LR2, a.LR3 = defaultFloat(a.LR1, 5e-3), defaultFloat(a.LR2, 1e-2), defaultFloat(a.LR3, 1e-2)
	if a.Alpha == 0 && a.Beta == 0 && a.Gamma == 0 {
		a.Alpha, a.Beta, a.Gamma = 1e-2, 1e-4, 1e-3
	}
	if a.Xi = defaultFloat(a.Xi, 25); a.Xi == -1 {
		a.Xi = 0
	}
	return a
}

// check says what is wrong with settings that have their defaults, for batches of k.
func (a Published) check(k int) error {
	switch {
	case a.Iterations < 1 || a.Repeat < 1:
		return fmt.Errorf("fedleak: Published: %d iterations of %d updates, want at least 1", a.Iterations, a.Repeat)
	case !(a.LR1 > 0 && a.LR2 > 0 && a.LR3 > 0):
		return fmt.Errorf("fedleak: Published: learning rates %v, %v and %v, want above 0", a.LR1, a.LR2, a.LR3)
	case 2*a.LR1 >= 2/float64(k):
		return fmt.Errorf("fedleak: Published: Step I diverges with LR1 = %v for batches of %d, want below %v", a.LR1, k, 1/float64(k))
	case !(a.Alpha >= 0 && a.Beta >= 0 && a.Gamma >= 0):
		return fmt.Errorf("fedleak: Published: weights %v, %v and %v, want at least 0", a.Alpha, a.Beta, a.Gamma)
	case !(a.Xi >= 0):
		return fmt.Errorf("fedleak: Published: Xi is %v, want at least 0, or -1 for none", a.Xi)
	}
	return nil
}

// StepOneDecay returns the expected squared error of Step I after t iterations, as a
// share of that at the start, for batches of k out of n samples and learning rate lr:
// (1 - λ (2 η - η² K))^t with η = 2 lr and λ = K (N-K)/(N (N-1)), exact for errors
// that sum to zero over the samples and an upper bound otherwise. n is at least 1 and k in
// [1, n]; for a single sample λ is 1.
func StepOneDecay(n, k int, lr float64, t int) float64 {
	eta := 2 * lr
	return math.Pow(1-leastEigenvalue(n, k)*(2*eta-eta*eta*float64(k)), float64(t))
}

// leastEigenvalue is the smallest eigenvalue of E[s s^T] for the indicator s of a
// uniform batch of k out of n samples, that of vectors of sum 0; that of the all-ones
// vector, the largest, is K²/N, and the only one for N = 1.
func leastEigenvalue(n, k int) float64 {
	if n == 1 {
		return 1
	}
	return float64(k) * float64(n-k) / (float64(n) * float64(n-1))
}

// Run implements Attack. Rounds that leave samples unidentified give the identifiable
// part and a *NotIdentifiableError. A slice whose gradient has not grown out of the error
// that Step I still has counts as dead, and one that Step III did not come to as unseen.
func (a Published) Run(ctx context.Context, m *Model, o Observations) (*Recovery, error) {
	if err := m.Check(); err != nil {
		return nil, err
	}
	list, err := batches(o)
	if err != nil {
		return nil, err
	}
	t, err := a.Start(m, o.Setting(), len(list[0]))
	if err != nil {
		return nil, err
	}
	if err := checkFrozen(m, o); err != nil {
		return nil, err
	}
	list = list[:min(len(list), t.a.Iterations)]
	answer := func(used int, err error) (*Recovery, error) {
		r := newRecovery(t.a.Name(), m, t.n)
		if used > 0 {
			r.Identifiability = newSystem(list[:used], t.n, blocks(list[:used], t.n, o.Setting().Clients), nil).report
			t.fill(r, r.Identifiability.Determined, len(list[0]))
		}
		r.Rounds = used
		if err == nil && !all(r.Identifiability.Determined) {
			err = &NotIdentifiableError{r.Identifiability}
		}
		return r, err
	}
	used := 0
	phases := []step{all3}
	if a.Nested {
		phases = []step{one, two, three}
	}
	refs := m.Refs()
	for _, phase := range phases {
		for i := range t.a.Iterations {
			round := i % len(list)
			gs, err := fetch(ctx, m, o, round, t.needs(phase, refs)...)
			if err != nil {
				return answer(used, err)
			}
			t.update(phase, list[round], gs)
			used = max(used, round+1)
			if a.OnIteration != nil {
				a.OnIteration(i, t)
			}
		}
	}
	return answer(used, nil)
}

// Released returns the setting of the code released for CAFE: the single loop with
// its weights, learning rates and quirks. It belongs to a model with DoubleSoftmax
// and to 20000 rounds of Uniform batches.
func Released() Published { return Published{Released: true} }

// StepOneErrors runs Step I of a alone, for one party, and returns the norms of the
// difference to the true gradients v [N, d2] before and after, to be compared with
// StepOneDecay.
func StepOneErrors(ctx context.Context, a Published, m *Model, o Observations, party int, v *mat.Dense) (before, after float64, err error) {
	list, err := batches(o)
	if err != nil {
		return 0, 0, err
	}
	t, err := a.Start(m, o.Setting(), len(list[0]))
	if err != nil {
		return 0, 0, err
	}
	n, d2 := v.Dims()
	gap := func() float64 {
		var d mat.Dense
		d.Sub(mat.NewDense(n, d2, t.V[party]), v)
		return mat.Norm(&d, 2)
	}
	before = gap()
	for i := range t.a.Iterations {
		round := i % len(list)
		gs, err := fetch(ctx, m, o, round, t.layers[party].bias)
		if err != nil {
			return before, gap(), err
		}
		t.stepOne(party, list[round], gs[0].Values())
	}
	return before, gap(), nil
}
