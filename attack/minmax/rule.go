package minmax

import (
	"fmt"
	"math"
	"slices"
)

// Rule chooses the weights of the domains of one input, or group, from their
// losses. Rules are values without state.
type Rule interface {
	// String names the rule, for tables.
	String() string
	// Start returns the weights of k domains to begin with, or an error that names
	// what is wrong with the rule for them.
	Start(k int) ([]float64, error)
	// Update changes weights w for the losses f at iteration step, from 0. At
	// step 0 no perturbation has been made yet; rules that remember their weights
	// keep them then.
	Update(w, f []float64, step int)
	// Value is the objective that the perturbation makes small under the rule, at
	// losses f.
	Value(f []float64) float64
}

var (
	_ Rule = Average{}
	_ Rule = MinMax{}
	_ Rule = Worst{}
	_ Rule = Fixed{}
	_ Rule = Subset{}
	_ Rule = Clip{}
)

// player is a rule whose weights maximise sum_i w_i F_i - gamma/2 ‖w - 1/K‖², by
// steps of the size beta.
type player interface {
	plays() (beta, gamma float64)
}

var (
	_ player = MinMax{}
	_ player = Worst{}
)

func (m MinMax) plays() (beta, gamma float64) { return m.Beta, m.Gamma }

func (Worst) plays() (beta, gamma float64) { return 0, 0 }

// Average weighs all domains alike: ensemble PGD and expectation over
// transformation.
type Average struct{}

// String returns "average".
func (Average) String() string { return "average" }

// Start implements Rule.
func (Average) Start(k int) ([]float64, error) { return uniform(k), atLeast(1, k, "average") }

// Update leaves the weights as they are.
func (Average) Update([]float64, []float64, int) {}

// Value is the mean loss.
func (Average) Value(f []float64) float64 { return dot(uniform(len(f)), f) }

// MinMax is the projected ascent step of APGDA,
//
//	w <- proj_P( w + Beta (F - Gamma (w - 1/K)) ).
//
// Algorithm 1 of Wang et al., NeurIPS 2021. Every step changes the distance to the
// best weights inside the simplex by the factor |1 - Beta Gamma|: below 1/Gamma a Beta
// does not overshoot them, and from 2/Gamma on it never reaches them. APGDA warns of
// both.
type MinMax struct {
	// Beta is the step size of the weights, in units of weight per unit of loss,
	// from 0 on; 0 keeps the weights.
	Beta float64
	// Gamma pulls the weights towards 1/K, from 0 on. 0 is the worst case, a large
	// one the average.
	Gamma float64
	// Initial holds the first weights, on the simplex; nil means 1/K.
	Initial []float64
}

// PaperMinMax has the step size and regulariser of the paper's published script for
// MNIST ensembles under L∞.
var PaperMinMax = MinMax{Beta: 1. / 50, Gamma: 3}

// String returns "min-max".
func (MinMax) String() string { return "min-max" }

// Start implements Rule.
func (m MinMax) Start(k int) ([]float64, error) {
	switch {
	case !(m.Beta >= 0) || math.IsInf(m.Beta, 0):
		return nil, fmt.Errorf("minmax: beta is %v, want a finite number from 0 on", m.Beta)
	case !(m.Gamma >= 0) || math.IsInf(m.Gamma, 0):
		return nil, fmt.Errorf("minmax: gamma is %v, want a finite number from 0 on", m.Gamma)
	}
	if err := atLeast(2, k, "min-max"); err != nil {
		return nil, err
	}
	if m.Initial == nil {
		return uniform(k), nil
	}
	if err := checkWeights(m.Initial, k); err != nil {
		return nil, err
	}
	return slices.Clone(m.Initial), nil
}

// Update makes one step, from iteration 1 on.
func (m MinMax) Update(w, f []float64, step int) {
	if step > 0 {
		ascend(w, f, m.Beta, m.Gamma)
	}
}

func ascend(w, f []float64, beta, gamma float64) {
	share := 1 / float64(len(w))
	for i := range w {
		w[i] += beta * (f[i] - gamma*(w[i]-share))
	}
	ProjectSimplex(w)
}

// Best returns the weights that maximise sum_i w_i f_i - Gamma/2 ‖w - 1/K‖²:
// proj_P( 1/K + f/Gamma ), or, for Gamma 0, all weight on the first largest loss.
func (m MinMax) Best(f []float64) []float64 {
	w := make([]float64, len(f))
	if m.Gamma == 0 {
		w[largest(f)] = 1
		return w
	}
	// A shift of f moves no weight and keeps a small Gamma from losing digits.
	top := f[largest(f)]
	for i, v := range f {
		w[i] = 1/float64(len(f)) + (v-top)/m.Gamma
	}
	ProjectSimplex(w)
	return w
}

// Value is the inner maximum over the weights.
func (m MinMax) Value(f []float64) float64 {
	w := m.Best(f)
	pull := 0.0
	for _, v := range w {
		d := v - 1/float64(len(f))
		pull += d * d
	}
	return dot(w, f) - m.Gamma/2*pull
}

// Worst puts all weight on the domain of the largest loss, the first of equals: the
// maximum without a player of its own.
type Worst struct{}

// String returns "one-hot worst".
func (Worst) String() string { return "one-hot worst" }

// Start implements Rule.
func (Worst) Start(k int) ([]float64, error) { return uniform(k), atLeast(2, k, "one-hot worst") }

// Update implements Rule.
func (Worst) Update(w, f []float64, _ int) {
	clear(w)
	w[largest(f)] = 1
}

// Value is the largest loss.
func (Worst) Value(f []float64) float64 { return f[largest(f)] }

// Fixed keeps weights that the caller gives: a guess of which domains are hard (a
// prior), or those that a min-max attack has ended with (static weights).
type Fixed struct {
	Weights []float64 // on the simplex, one for each domain
	Label   string    // for tables; "" means "static weights"
}

// String returns the label.
func (r Fixed) String() string {
	if r.Label == "" {
		return "static weights"
	}
	return r.Label
}

// Start implements Rule.
func (r Fixed) Start(k int) ([]float64, error) {
	if err := checkWeights(r.Weights, k); err != nil {
		return nil, err
	}
	return slices.Clone(r.Weights), nil
}

// Update leaves the weights as they are.
func (Fixed) Update([]float64, []float64, int) {}

// Value is the weighted loss.
func (r Fixed) Value(f []float64) float64 { return dot(r.Weights, f) }

// Subset weighs some domains alike and ignores the others.
type Subset struct{ Domains []int } // at least one, each once

// String returns "subset [0 2]".
func (r Subset) String() string { return fmt.Sprintf("subset %v", r.Domains) }

// Start implements Rule.
func (r Subset) Start(k int) ([]float64, error) {
	if len(r.Domains) == 0 {
		return nil, fmt.Errorf("minmax: subset of no domains, want at least one of %d", k)
	}
	w := make([]float64, k)
	for _, d := range r.Domains {
		if d < 0 || d >= k || w[d] != 0 {
			return nil, fmt.Errorf("minmax: subset %v, want different domains from 0 to %d", r.Domains, k-1)
		}
		w[d] = 1 / float64(len(r.Domains))
	}
	return w, nil
}

// Update leaves the weights as they are.
func (Subset) Update([]float64, []float64, int) {}

// Value is the mean loss of the subset.
func (r Subset) Value(f []float64) float64 {
	s := 0.0
	for _, d := range r.Domains {
		s += f[d] / float64(len(r.Domains))
	}
	return s
}

// Clip averages the losses but takes none below a level for less than that:
// (1/K) sum_i max(F_i, Level). A domain at or below the level has no gradient, so
// its weight is 0 and the weights of an input sum to less than 1. A Level of the
// margin's Kappa drops models that are fooled.
type Clip struct{ Level float64 }

// String returns "loss clipping".
func (Clip) String() string { return "loss clipping" }

// Start implements Rule.
func (r Clip) Start(k int) ([]float64, error) {
	if math.IsNaN(r.Level) {
		return nil, fmt.Errorf("minmax: clipping level is %v, want a number", r.Level)
	}
	return uniform(k), atLeast(1, k, "loss clipping")
}

// Update implements Rule.
func (r Clip) Update(w, f []float64, _ int) {
	for i, v := range f {
		w[i] = 0
		if v > r.Level {
			w[i] = 1 / float64(len(f))
		}
	}
}

// Value is the mean of the clipped losses.
func (r Clip) Value(f []float64) float64 {
	s := 0.0
	for _, v := range f {
		s += max(v, r.Level) / float64(len(f))
	}
	return s
}

func atLeast(want, k int, rule string) error {
	if k < want {
		return fmt.Errorf("minmax: %d domains for the rule %q, want at least %d", k, rule, want)
	}
	return nil
}

// largest is the position of the first largest value.
func largest(f []float64) int {
	best := 0
	for i, v := range f {
		if v > f[best] {
			best = i
		}
	}
	return best
}

func dot(a, b []float64) float64 {
	s := 0.0
	for i, v := range a {
		s += v * b[i]
	}
	return s
}
