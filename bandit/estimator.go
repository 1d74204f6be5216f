package bandit

import (
	"encoding"
	"encoding/json"
	"fmt"
	"math"
	"strconv"
)

// Adversary is what is known of whoever replaces rewards. The j-th pull of arm i
// shows X = (1-D) Y + D Z with clean Y, a flag D that is 1 with probability Eps,
// and Z chosen by the adversary.
//
// The three kinds are those of Altschuler, Brunel and Malek, JMLR 2019.
type Adversary int

const (
	// Oblivious: the triples (Y, D, Z) are independent over pulls, Z independent
	// of Y and D.
	Oblivious Adversary = iota
	// Prescient: D is independent of Y, and Z may depend on everything, the
	// future included. The intervals are those of Oblivious.
	Prescient
	// Malicious: D may depend on Y, so the adversary picks which rewards to
	// destroy; the pairs (Y, D) are independent over pulls.
	Malicious
)

var adversaryNames = []string{"oblivious", "prescient", "malicious"}

// String returns the name in lower case.
func (a Adversary) String() string {
	if a < 0 || int(a) >= len(adversaryNames) {
		return fmt.Sprintf("Adversary(%d)", int(a))
	}
	return adversaryNames[a]
}

// MarshalText writes the name in lower case.
func (a Adversary) MarshalText() ([]byte, error) { return nameOf("Adversary", adversaryNames, int(a)) }

// UnmarshalText reads what MarshalText writes.
func (a *Adversary) UnmarshalText(text []byte) error {
	k, err := byName("Adversary", adversaryNames, text)
	if err == nil {
		*a = Adversary(k)
	}
	return err
}

// Setting is what an Estimator is told about an experiment.
type Setting struct {
	Arms      int       // K
	Delta     float64   // error probability of the whole experiment
	Eps       float64   // contamination probability, in [0, 1/2)
	Adversary Adversary // who replaces rewards
	Grid      *Grid     // the sizes at which samples are evaluated
}

// level returns L_j for c failure events for each arm and grid point.
func (s Setting) level(j, c int) float64 { return Level(j, c, s.Arms, s.Delta) }

// clean returns an error unless Eps is 0, for what ignores contamination: no confidence
// would be kept.
func (s Setting) clean(name string) error {
	if s.Eps > 0 {
		return fmt.Errorf("bandit: %s ignores contamination: Eps is %v, want 0", name, s.Eps)
	}
	return nil
}

// Estimator is a way to turn contaminated rewards into confidence intervals for
// the mean of an arm. It is a plain value; Prepare fixes it to an experiment.
type Estimator interface {
	// Name is short, as in "HM".
	Name() string
	// Prepare checks the estimator's own parameters against the setting.
	Prepare(Setting) (Family, error)
}

// Family is an Estimator fixed to one experiment, with its tables of radii. With
// probability at least 1-Delta the interval [Lo, Hi] of every arm holds its mean
// at every grid point, if the rewards are as the estimator assumes. It may be
// used by several goroutines.
type Family interface {
	// NewSample returns an arm's empty sample.
	NewSample() Sample
	// Spread returns the means that an arm can have if its statistic tends to p
	// as the sample grows: [p-b, p+b] for a bias of at most b. It is what no
	// amount of data removes. NaN stands for unknown.
	Spread(p float64) (lo, hi float64)
	// Radius returns the half-width at grid index j if it is the same for all
	// data, otherwise NaN.
	Radius(j int) float64
}

// Sample holds one arm's rewards, as much of them as its estimator needs.
type Sample interface {
	// Add takes rewards that are not NaN. On an error the sample is unchanged.
	// Whether rewards are refused does not depend on how they are split into calls.
	Add(rewards []float64) error
	// Len returns the number of rewards added.
	Len() int
	// Interval evaluates the sample, which holds Grid.Size(j) rewards, j >= 1.
	Interval(j int) Interval
	// A saved sample goes on exactly as the original would have.
	encoding.BinaryMarshaler
	encoding.BinaryUnmarshaler
}

// ranked is a Sample of an estimator that takes a setting from Delta: rank is its
// estimate with one that it does not, for a rule that ranks arms and promises no
// confidence. It is the median, cut to the finite numbers, where that is not defined.
type ranked interface{ rank(j int) float64 }

// rankDelta takes the place of Delta in the settings of estimates that rank.
const rankDelta = 0.05

// rankLevel is level at rankDelta.
func (s Setting) rankLevel(j, c int) float64 { return Level(j, c, s.Arms, rankDelta) }

// Interval is what is known of an arm's mean.
//
// The core interval [CoreLo, CoreHi] is for the limit of the statistic and shrinks
// to a point; [Lo, Hi] is for the mean itself and adds the unavoidable bias, so
// that its width has a floor.
type Interval struct {
	Est            float64 // the statistic, also where the interval says nothing; the median where it is not defined
	Lo, Hi         float64
	CoreLo, CoreHi float64
	Radius         float64 // half-width of [Lo, Hi]; +Inf before the interval says anything
	Core           float64 // half-width of [CoreLo, CoreHi]
}

// symmetric returns est ± r, and est ± (r-b) as the core, est cut to the finite
// numbers.
func symmetric(est, r, b float64) Interval {
	if math.IsInf(r, 1) {
		return unknown(est)
	}
	est = cut(est)
	s := max(r-b, 0)
	return Interval{Est: est, Lo: est - r, Hi: est + r, CoreLo: est - s, CoreHi: est + s, Radius: r, Core: s}
}

// unknown is the interval of all means around a statistic, which is cut to the
// finite numbers.
func unknown(est float64) Interval {
	inf := math.Inf(1)
	est = cut(est)
	return Interval{Est: est, Lo: -inf, Hi: inf, CoreLo: -inf, CoreHi: inf, Radius: inf, Core: inf}
}

// cut returns the finite number nearest to an estimate.
func cut(est float64) float64 { return max(-math.MaxFloat64, min(est, math.MaxFloat64)) }

// ends returns the interval that a mode compares, and its half-width.
func (iv Interval) ends(m Mode) (lo, hi, radius float64) {
	if m == AssumeIdentifiable {
		return iv.CoreLo, iv.CoreHi, iv.Core
	}
	return iv.Lo, iv.Hi, iv.Radius
}

// intervalKeys are the names of an interval's numbers in JSON.
var intervalKeys = [7]string{"est", "lo", "hi", "core_lo", "core_hi", "radius", "core"}

func (iv *Interval) numbers() [7]*float64 {
	return [7]*float64{&iv.Est, &iv.Lo, &iv.Hi, &iv.CoreLo, &iv.CoreHi, &iv.Radius, &iv.Core}
}

// MarshalJSON writes the fields in lower case, with null for an infinite one.
func (iv Interval) MarshalJSON() ([]byte, error) {
	text := []byte("{")
	for k, v := range iv.numbers() {
		if k > 0 {
			text = append(text, ',')
		}
		text = append(strconv.AppendQuote(text, intervalKeys[k]), ':')
		if math.IsInf(*v, 0) || math.IsNaN(*v) {
			text = append(text, "null"...)
		} else {
			text = strconv.AppendFloat(text, *v, 'g', -1, 64)
		}
	}
	return append(text, '}'), nil
}

// UnmarshalJSON reads what MarshalJSON writes, every key of it: null is -Inf for a lower
// end, NaN for Est and +Inf for the others. The error names the key that is missing, or
// the ends if they are in the wrong order.
func (iv *Interval) UnmarshalJSON(text []byte) error {
	var values map[string]*float64
	if err := json.Unmarshal(text, &values); err != nil {
		return fmt.Errorf("bandit: Interval: %w", err)
	}
	inf := math.Inf(1)
	got := Interval{Est: math.NaN(), Lo: -inf, Hi: inf, CoreLo: -inf, CoreHi: inf, Radius: inf, Core: inf}
	for k, to := range got.numbers() {
		v, ok := values[intervalKeys[k]]
		if !ok {
			return fmt.Errorf("bandit: Interval: no %q in %.80s, want a number or null", intervalKeys[k], text)
		}
		if v != nil {
			*to = *v
		}
	}
	if got.Lo > got.Hi || got.CoreLo > got.CoreHi {
		return fmt.Errorf("bandit: Interval: [%v, %v] around [%v, %v], want rising ends", got.Lo, got.Hi, got.CoreLo, got.CoreHi)
	}
	*iv = got
	return nil
}

// checkSigma is the check that all estimators with a scale share.
func checkSigma(name string, sigma float64) error {
	if !(sigma > 0) || math.IsInf(sigma, 1) {
		return fmt.Errorf("bandit: %s: Sigma is %v, want a positive number", name, sigma)
	}
	return nil
}

// shared is the part that families with a symmetric interval have in common.
type shared struct {
	bias   float64
	radius func(j int) float64
}

func (f *shared) Spread(p float64) (lo, hi float64) { return p - f.bias, p + f.bias }
func (f *shared) Radius(j int) float64              { return f.radius(j) }
func (f *shared) constantBias() float64             { return f.bias }
