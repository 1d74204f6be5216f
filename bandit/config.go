package bandit

import (
	"errors"
	"fmt"
	"math"
	"strings"
)

// Mode says what the compared intervals cover.
type Mode int

const (
	// Certified compares intervals for the means. If it answers, the answer is
	// right with probability at least 1-Delta, whatever the gaps; it is sure to
	// answer if the best mean leads by more than 4 b, b being the bias.
	Certified Mode = iota
	// AssumeIdentifiable leaves the unavoidable bias out of the intervals. It is
	// right with probability at least 1-Delta provided the best mean leads by at
	// least 2 b, and sure to answer if by more than 2 b. If the proviso fails, the
	// gap-based rule still returns an arm within 2 b of the best; with elimination
	// the loss can chain, 2 b for each elimination.
	//
	// With arm 1 the best and s the core half-widths, est_j - est_1 <=
	// -gap_j + 2 b + s_j + s_1 <= s_j + s_1: arm 1 is never beaten.
	AssumeIdentifiable
)

var modeNames = []string{"certified", "assume-identifiable"}

// String returns the name in lower case.
func (m Mode) String() string {
	if m < 0 || int(m) >= len(modeNames) {
		return fmt.Sprintf("Mode(%d)", int(m))
	}
	return modeNames[m]
}

// MarshalText writes the name in lower case.
func (m Mode) MarshalText() ([]byte, error) { return nameOf("Mode", modeNames, int(m)) }

// UnmarshalText reads what MarshalText writes.
func (m *Mode) UnmarshalText(text []byte) error {
	k, err := byName("Mode", modeNames, text)
	if err == nil {
		*m = Mode(k)
	}
	return err
}

// Config describes a search for the best arm.
//
// The configuration shaped like the method of Mukherjee et al. is TrimmedMean,
// GapBased or Elimination, Eta = 1, N0 = 1, AssumeIdentifiable. The grid, the radii,
// Huber and its kin, the two modes, futility and Tol are this package's.
type Config struct {
	Arms  int     // number of arms K, at least 2: with one arm there is nothing to find
	Delta float64 // probability of a wrong answer, in (0, 1)

	// Eps is the probability with which a reward is replaced, in [0, 1/2); an
	// upper bound will do. One that is too low cannot be detected and voids the
	// guarantee. So does a burst: pulls are contaminated independently of each other,
	// and Eps is no quota of bad rewards that can come at once.
	Eps       float64
	Adversary Adversary // zero: Oblivious

	// Estimator makes the intervals that the rule compares. Rules with bounds of
	// their own take none, and with those and the estimators that are not robust Eps is
	// 0. Such a rule has no bias and no grid: Mode, Eta, N0 and NoFutility make no
	// difference to it.
	Estimator Estimator
	Rule      Rule // nil: GapBased{}
	Mode      Mode // zero: Certified

	Tol float64 // an answer within Tol of the best will do, in units of the reward; zero: the best. Not for LilUCB and SuccessiveHalving
	Top int     // number of best arms to find; zero: 1. More than 1 for GapBased only

	Eta      float64 // ratio of the grid, in [1, 4]; zero: 1.1. 1 evaluates after every pull
	N0       int     // first size of the grid; zero: 10, or 1 if Eta is 1
	MaxPulls int     // pulls after which to stop without an answer; zero: no limit. Resume takes another

	NoFutility bool // go on although no more data can separate the leaders
	CountNaN   bool // take a NaN reward for a contaminated one, +Inf, instead of rejecting it
	Offline    bool // accept rewards for arms that were not asked for, and keep them until they are
	NoLog      bool // keep no event log
}

// Design is a checked Config with its tables of radii. All searches made from
// one Design share the tables. It may be used by several goroutines.
type Design struct {
	cfg     Config
	setting Setting
	family  Family
	bias    float64

	mix          []component // of Likelihood
	evidenceBias float64     // the bias down to which it works
}

// NewDesign checks a configuration. The error names the field, what was found and
// what was expected.
func NewDesign(cfg Config) (*Design, error) {
	if cfg.Rule == nil {
		cfg.Rule = GapBased{}
	}
	if cfg.Top == 0 {
		cfg.Top = 1
	}
	if cfg.N0 == 0 {
		cfg.N0 = 10
		if cfg.Eta == 1 {
			cfg.N0 = 1
		}
	}
	if cfg.Eta == 0 {
		cfg.Eta = 1.1
	}
	if err := cfg.check(); err != nil {
		return nil, err
	}
	d := &Design{cfg: cfg, setting: Setting{
		Arms: cfg.Arms, Delta: cfg.Delta, Eps: cfg.Eps, Adversary: cfg.Adversary,
		Grid: &Grid{Eta: cfg.Eta, N0: cfg.N0},
	}}
	if own, ok := cfg.Rule.(ownBounds); ok {
		if cfg.Estimator != nil {
			return nil, fmt.Errorf("bandit: rule %s has bounds of its own, found Estimator %s, want none", cfg.Rule.Name(), cfg.Estimator.Name())
		}
		if err := d.setting.clean(cfg.Rule.Name()); err != nil {
			return nil, err
		}
		f, err := own.family(d.setting)
		if err != nil {
			return nil, err
		}
		d.family = f
	} else {
		if cfg.Estimator == nil {
			return nil, fmt.Errorf("bandit: rule %s needs an Estimator, found none", cfg.Rule.Name())
		}
		f, err := cfg.Estimator.Prepare(d.setting)
		if err != nil {
			return nil, err
		}
		d.family = f
	}
	// Around a point the bias of a small Sigma would be lost in rounding.
	if f, ok := d.family.(interface{ constantBias() float64 }); ok {
		d.bias = f.constantBias()
	} else {
		lo, hi := d.family.Spread(0.5)
		d.bias = (hi - lo) / 2
	}
	if r, ok := cfg.Rule.(evidential); ok {
		if err := r.evidence(d); err != nil {
			return nil, err
		}
	}
	return d, nil
}

func (c *Config) check() error {
	half := func(x float64) bool { return x >= 0 && x < 0.5 }
	_, own := c.Rule.(ownBounds)
	switch {
	case c.Arms < 2:
		return fmt.Errorf("bandit: Arms is %d, want at least 2", c.Arms)
	case !(c.Delta > 0 && c.Delta < 1):
		return fmt.Errorf("bandit: Delta is %v, want a number between 0 and 1", c.Delta)
	case !half(c.Eps):
		return fmt.Errorf("bandit: Eps is %v, want a number in [0, 1/2)", c.Eps)
	case c.Adversary < Oblivious || c.Adversary > Malicious:
		return fmt.Errorf("bandit: unknown adversary %v, want Oblivious, Prescient or Malicious", c.Adversary)
	case c.Mode < Certified || c.Mode > AssumeIdentifiable:
		return fmt.Errorf("bandit: unknown mode %v, want Certified or AssumeIdentifiable", c.Mode)
	case !(c.Tol >= 0) || math.IsInf(c.Tol, 1):
		return fmt.Errorf("bandit: Tol is %v, want a finite number of at least 0", c.Tol)
	case !(c.Eta >= 1 && c.Eta <= 4):
		return fmt.Errorf("bandit: Eta is %v, want a number in [1, 4]", c.Eta)
	case c.N0 < 1:
		return fmt.Errorf("bandit: N0 is %d, want at least 1", c.N0)
	case c.Top < 1 || c.Top >= c.Arms:
		return fmt.Errorf("bandit: Top is %d, want 1 to %d for %d arms", c.Top, c.Arms-1, c.Arms)
	case c.MaxPulls < 0:
		return fmt.Errorf("bandit: MaxPulls is %d, want at least 0", c.MaxPulls)
	case c.MaxPulls > 0 && c.MaxPulls < c.Arms:
		return fmt.Errorf("bandit: MaxPulls is %d, want at least one for each of %d arms", c.MaxPulls, c.Arms)
	case c.MaxPulls > 0 && !own && c.MaxPulls/c.N0 < c.Arms:
		return fmt.Errorf("bandit: MaxPulls is %d, want at least N0 times Arms, %d x %d", c.MaxPulls, c.N0, c.Arms)
	case c.MaxPulls > math.MaxInt/8:
		return fmt.Errorf("bandit: MaxPulls is %d, want at most %d", c.MaxPulls, math.MaxInt/8)
	}
	if _, ok := c.Rule.(severalArms); c.Top > 1 && !ok {
		return fmt.Errorf("bandit: Top is %d with rule %s, want 1: only GapBased finds several arms", c.Top, c.Rule.Name())
	}
	return c.Rule.check(c)
}

// Config returns the configuration with its defaults filled in.
func (d *Design) Config() Config { return d.cfg }

// Bias returns b, the half-width that no amount of data takes off an interval at
// the middle of the range; NaN if the estimator cannot tell, 0 if Eps is 0.
func (d *Design) Bias() float64 { return d.bias }

// Radius returns the half-width of an interval at grid index j, for estimators
// for which it does not depend on the data; NaN for the others. It panics unless j
// is at least 1.
func (d *Design) Radius(j int) float64 {
	if j < 1 {
		bad("Design.Radius", "j", j, "at least 1")
	}
	return d.family.Radius(j)
}

// Grid returns the sample sizes at which intervals are evaluated.
func (d *Design) Grid() *Grid { return d.setting.Grid }

// identity says what a saved search must agree with to go on.
func (d *Design) identity() string {
	c := d.cfg
	var b strings.Builder
	fmt.Fprintf(&b, "arms %d, delta %g, eps %g, %v, ", c.Arms, c.Delta, c.Eps, c.Adversary)
	if c.Estimator != nil {
		fmt.Fprintf(&b, "%T%+v, ", c.Estimator, c.Estimator)
	}
	fmt.Fprintf(&b, "%T%+v, %v, tol %g, top %d, eta %g, n0 %d, no futility %t, count NaN %t, offline %t",
		c.Rule, c.Rule, c.Mode, c.Tol, c.Top, c.Eta, c.N0, c.NoFutility, c.CountNaN, c.Offline)
	if _, ok := c.Rule.(budgeted); ok {
		fmt.Fprintf(&b, ", max pulls %d", c.MaxPulls)
	}
	return b.String()
}

// errDone is returned by Observe after the end of a search.
var errDone = errors.New("bandit: the search is over, found more rewards, want none")
