package env

import (
	"errors"
	"fmt"
	"math"
)

// checker is a law or an adversary with parameters that can be wrong.
type checker interface{ check() error }

func finite(x ...float64) bool {
	for _, v := range x {
		if math.IsNaN(v) || math.IsInf(v, 0) {
			return false
		}
	}
	return true
}

// checkLaw checks a law of this package by its parameters and any other by its mean.
func checkLaw(l Law) error {
	if l == nil {
		return errors.New("no law")
	}
	if c, ok := l.(checker); ok {
		if err := c.check(); err != nil {
			return err
		}
	}
	if mu := l.Mean(); !finite(mu) {
		return fmt.Errorf("law %T has mean %v, want a finite number", l, mu)
	}
	return nil
}

func checkContamination(c Contamination) error {
	if c == nil {
		return errors.New("no contamination, want None{} for clean rewards")
	}
	if c, ok := c.(checker); ok {
		return c.check()
	}
	return nil
}

func (l Gaussian) check() error {
	if !finite(l.Mu, l.Sigma) || l.Sigma <= 0 {
		return fmt.Errorf("Gaussian has Mu %v and Sigma %v, want finite numbers and a positive Sigma", l.Mu, l.Sigma)
	}
	return nil
}

func (l TwoPoint) check() error {
	if !finite(l.Lo, l.Hi) || l.Lo >= l.Hi || !(l.P >= 0 && l.P <= 1) {
		return fmt.Errorf("TwoPoint has Lo %v, Hi %v and P %v, want finite Lo < Hi and P in [0, 1]", l.Lo, l.Hi, l.P)
	}
	return nil
}

func (l Bernoulli) check() error {
	if !(l.P >= 0 && l.P <= 1) {
		return fmt.Errorf("Bernoulli has P %v, want a number in [0, 1]", l.P)
	}
	return nil
}

func (l Mixture) check() error {
	if len(l.Parts) == 0 || len(l.Parts) != len(l.Weights) {
		return fmt.Errorf("Mixture has %d parts and %d weights, want as many, and at least 1", len(l.Parts), len(l.Weights))
	}
	sum := 0.0
	for k, w := range l.Weights {
		if !(w >= 0) {
			return fmt.Errorf("Mixture has weight %v at place %d, want a number of at least 0", w, k)
		}
		sum += w
		if err := checkLaw(l.Parts[k]); err != nil {
			return fmt.Errorf("part %d of Mixture: %w", k, err)
		}
	}
	if !(math.Abs(sum-1) <= 1e-9) {
		return fmt.Errorf("Mixture has weights that add up to %v, want 1", sum)
	}
	return nil
}

func (t *Table) check() error {
	if t == nil || len(t.values) == 0 {
		return errors.New("Table is empty, want one that NewTable made")
	}
	return nil
}

func checkValue(name, field string, v float64) error {
	if math.IsNaN(v) {
		return fmt.Errorf("%s has %s NaN, want a number", name, field)
	}
	return nil
}

func (c Shift) check() error { return checkValue("Shift", "Offset", c.Offset) }

func (c TailShift) check() error { return checkValue("TailShift", "Offset", c.Offset) }

func (c Replace) check() error {
	return errors.Join(checkValue("Replace", "Best", c.Best), checkValue("Replace", "Other", c.Other))
}

func (c Noise) check() error {
	if !finite(c.Sigma) || c.Sigma < 0 {
		return fmt.Errorf("Noise has Sigma %v, want a finite number of at least 0", c.Sigma)
	}
	return nil
}

func (c Oblivious) check() error {
	if c.Value == nil {
		return fmt.Errorf("Oblivious %q has no Value", c.Label)
	}
	return nil
}

func (c Prescient) check() error {
	if c.Value == nil {
		return fmt.Errorf("Prescient %q has no Value", c.Label)
	}
	return nil
}

func (c Malicious) check() error {
	if c.Value == nil || c.Picks == nil {
		return fmt.Errorf("Malicious %q lacks Value or Picks", c.Label)
	}
	return nil
}
