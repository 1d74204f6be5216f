package poison

import (
	"fmt"
	"math"
)

// Whole is what a budget is a fraction of.
type Whole int

const (
	// OfTarget is the number of target training images, as in the paper: 10 %
	// from MNIST to USPS are 180 poisons beside 2,000 source images.
	OfTarget Whole = iota
	// OfSource is the number of source images.
	OfSource
	// OfUnion is the number of source images and poisons together.
	OfUnion
)

// String returns "target", "source" or "union".
func (w Whole) String() string {
	switch w {
	case OfTarget:
		return "target"
	case OfSource:
		return "source"
	case OfUnion:
		return "union"
	}
	return fmt.Sprintf("Whole(%d)", int(w))
}

// Budget is the number of poisons that an attacker may add.
type Budget struct {
	Fraction float64 // in (0, 1], below 1 for OfUnion
	Of       Whole
}

// Count returns the number of poisons for the given numbers of images, rounded
// down. Errors: a fraction out of range, a budget of no poison.
func (b Budget) Count(source, target int) (int, error) { return b.countOf(source, target, false) }

// countOf is Count, for poisons that are added or each take the place of an image. An
// image may be replaced by several poisons; then they are fewer of the union than the
// budget allows.
func (b Budget) countOf(source, target int, replace bool) (int, error) {
	if !(b.Fraction > 0 && b.Fraction <= 1) || b.Of == OfUnion && b.Fraction == 1 {
		return 0, fmt.Errorf("poison: budget is %v of the %v, want it in (0, 1]", b.Fraction, b.Of)
	}
	var n float64
	switch b.Of {
	case OfTarget:
		n = b.Fraction * float64(target)
	case OfSource:
		n = b.Fraction * float64(source)
	case OfUnion:
		n = b.Fraction * float64(source)
		if !replace {
			n /= 1 - b.Fraction
		}
	default:
		return 0, fmt.Errorf("poison: budget of %v, want OfTarget, OfSource or OfUnion", b.Of)
	}
	// A product such as 0.29 * 100 lies below its true value.
	count := int(math.Floor(n*(1+1e-12) + 1e-12))
	if count == 0 {
		return 0, fmt.Errorf("poison: %v of the %v with %d source and %d target images is no poison, want at least 1", b.Fraction, b.Of, source, target)
	}
	return count, nil
}
