package env

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"sort"
)

// Law is the distribution of an arm's clean rewards.
type Law interface {
	Mean() float64
	Draw(rng *rand.Rand) float64
	// Rank returns, for every number y, F(y-) + v (F(y) - F(y-)) for the
	// distribution function F: uniform on [0, 1] if y follows the law and v is
	// uniform, so that "the lowest eps-tail" is exact for laws with atoms too.
	Rank(y, v float64) float64
}

// Gaussian is N(Mu, Sigma²).
type Gaussian struct{ Mu, Sigma float64 }

// Mean implements Law.
func (l Gaussian) Mean() float64 { return l.Mu }

// Draw implements Law.
func (l Gaussian) Draw(rng *rand.Rand) float64 { return l.Mu + l.Sigma*rng.NormFloat64() }

// Rank implements Law.
func (l Gaussian) Rank(y, _ float64) float64 {
	return math.Erfc((l.Mu-y)/(l.Sigma*math.Sqrt2)) / 2
}

// TwoPoint is Hi with probability P and Lo otherwise, Lo < Hi.
type TwoPoint struct{ Lo, Hi, P float64 }

// Mean implements Law.
func (l TwoPoint) Mean() float64 { return l.P*l.Hi + (1-l.P)*l.Lo }

// Draw implements Law.
func (l TwoPoint) Draw(rng *rand.Rand) float64 {
	if rng.Float64() < l.P {
		return l.Hi
	}
	return l.Lo
}

// Rank implements Law.
func (l TwoPoint) Rank(y, v float64) float64 {
	switch {
	case y < l.Lo:
		return 0
	case y == l.Lo:
		return v * (1 - l.P)
	case y < l.Hi:
		return 1 - l.P
	case y == l.Hi:
		return 1 - l.P + v*l.P
	}
	return 1
}

// Centered returns the two-point law of mean 0 with spread x: x(1-p) with
// probability p and -x p otherwise.
func Centered(x, p float64) TwoPoint { return TwoPoint{Lo: -x * p, Hi: x * (1 - p), P: p} }

// Bernoulli is 1 with probability P and 0 otherwise.
type Bernoulli struct{ P float64 }

// Mean implements Law.
func (l Bernoulli) Mean() float64 { return l.P }

// Draw implements Law.
func (l Bernoulli) Draw(rng *rand.Rand) float64 { return TwoPoint{0, 1, l.P}.Draw(rng) }

// Rank implements Law.
func (l Bernoulli) Rank(y, v float64) float64 { return TwoPoint{0, 1, l.P}.Rank(y, v) }

// Mixture is Parts[k] with probability Weights[k].
type Mixture struct {
	Weights []float64 // add up to 1
	Parts   []Law     // as many as Weights
}

// Mean implements Law.
func (l Mixture) Mean() float64 {
	sum := 0.0
	for k, w := range l.Weights {
		sum += w * l.Parts[k].Mean()
	}
	return sum
}

// Draw implements Law.
func (l Mixture) Draw(rng *rand.Rand) float64 {
	u := rng.Float64()
	for k, w := range l.Weights {
		if u -= w; u < 0 || k == len(l.Weights)-1 {
			return l.Parts[k].Draw(rng)
		}
	}
	return math.NaN()
}

// Rank implements Law.
func (l Mixture) Rank(y, v float64) float64 {
	sum := 0.0
	for k, w := range l.Weights {
		sum += w * l.Parts[k].Rank(y, v)
	}
	return sum
}

// Table is an empirical law: each of its values with its share of the counts.
type Table struct {
	values []float64 // increasing
	upTo   []float64 // share of the values up to here; the last is 1
	mean   float64
}

// NewTable returns the law of the given counts of the given finite values, which
// must increase.
func NewTable(values []float64, counts []int) (*Table, error) {
	t, err := newTable(values, counts)
	if err != nil {
		return nil, fmt.Errorf("bandit/env: %w", err)
	}
	return t, nil
}

func newTable(values []float64, counts []int) (*Table, error) {
	if len(values) == 0 || len(values) != len(counts) {
		return nil, fmt.Errorf("table of %d values with %d counts, want as many, and at least 1", len(values), len(counts))
	}
	total := 0
	for k, c := range counts {
		if c < 0 || c > math.MaxInt/2-total {
			return nil, fmt.Errorf("table has count %d for value %v, want a count that adds up", c, values[k])
		}
		if math.IsNaN(values[k]) || math.IsInf(values[k], 0) || k > 0 && values[k] <= values[k-1] {
			return nil, fmt.Errorf("table has value %v at place %d, want increasing numbers", values[k], k)
		}
		total += c
	}
	if total == 0 {
		return nil, fmt.Errorf("table of %d values has no counts", len(values))
	}
	t := &Table{values: slices.Clone(values), upTo: make([]float64, len(values))}
	sum := 0
	for k, c := range counts {
		sum += c
		t.upTo[k] = float64(sum) / float64(total)
		t.mean += values[k] * (float64(c) / float64(total))
	}
	return t, nil
}

// Mean implements Law.
func (t *Table) Mean() float64 { return t.mean }

// Draw implements Law.
func (t *Table) Draw(rng *rand.Rand) float64 {
	u := rng.Float64()
	if len(t.values) <= 8 {
		for k, p := range t.upTo {
			if u < p {
				return t.values[k]
			}
		}
	}
	return t.values[sort.Search(len(t.upTo)-1, func(k int) bool { return u < t.upTo[k] })]
}

// Rank implements Law.
func (t *Table) Rank(y, v float64) float64 {
	k, _ := slices.BinarySearch(t.values, y)
	if k == len(t.values) {
		return 1
	}
	below := 0.0
	if k > 0 {
		below = t.upTo[k-1]
	}
	if y != t.values[k] {
		return below
	}
	return below + v*(t.upTo[k]-below)
}
