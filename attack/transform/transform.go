package transform

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"strings"

	"github.com/redoubt-ml/redoubt/tensor"
)

// Transform is a differentiable map of images.
type Transform interface {
	// String names the transform and its parameters, for tables.
	String() string
	// Check returns an error that names a parameter out of its range.
	Check() error
	// Random says whether Apply draws random numbers.
	Random() bool
	// Apply returns the transformed images, of the shape of x [N, H, W, C]. It
	// does not change x. rng gives the source of each image, is called at most
	// once for each, and may be nil for a transform that is not random. Apply
	// panics if a parameter is out of its range or x does not fit.
	Apply(rng Sources, x *tensor.Tensor) *tensor.Tensor
}

// Sources gives the random source of an image, by its position in the batch.
type Sources func(image int) *rand.Rand

// Seeded returns sources that depend on the seed and the position alone.
func Seeded(seed uint64) Sources {
	return func(image int) *rand.Rand { return rand.New(rand.NewPCG(seed, uint64(image))) }
}

// Range is an interval of a parameter, from which each image draws a value of its
// own uniformly.
type Range struct{ Lo, Hi float64 }

// Fixed returns the range of one value.
func Fixed(v float64) Range { return Range{v, v} }

// String returns "0.1", or "0.6 to 1" for more than one value.
func (r Range) String() string {
	if r.Lo == r.Hi {
		return fmt.Sprintf("%.4g", r.Lo)
	}
	return fmt.Sprintf("%.4g to %.4g", r.Lo, r.Hi)
}

func (r Range) fixed() bool { return r.Lo == r.Hi }

// check returns an error unless the range is in order, finite and passes ok.
func (r Range) check(what, want string, ok func(v float64) bool) error {
	if !(r.Lo <= r.Hi) || math.IsInf(r.Lo, 0) || math.IsInf(r.Hi, 0) || !ok(r.Lo) || !ok(r.Hi) {
		return fmt.Errorf("transform: %s is %v to %v, want %s", what, r.Lo, r.Hi, want)
	}
	return nil
}

func anyValue(float64) bool { return true }

// draw returns a value for each of n images, or one for all if there is no choice.
func draw[T any](rng Sources, n int, fixed bool, one func(r *rand.Rand) T) []T {
	if fixed {
		return []T{one(nil)}
	}
	out := make([]T, n)
	for i := range out {
		out[i] = one(rng(i))
	}
	return out
}

// from returns a value of the range.
func (r Range) from(rng *rand.Rand) float64 {
	if r.fixed() {
		return r.Lo
	}
	return r.Lo + (r.Hi-r.Lo)*rng.Float64()
}

// mustFit panics unless t is well set, has the sources it needs and x holds images.
func mustFit(t Transform, rng Sources, x *tensor.Tensor) {
	if err := t.Check(); err != nil {
		panic(err.Error())
	}
	if x.Rank() != 4 {
		panic(fmt.Sprintf("transform: %v: shape %v, want images [N, H, W, C]", t, x.Shape()))
	}
	if rng == nil && t.Random() {
		panic(fmt.Sprintf("transform: %v: no random sources", t))
	}
}

var (
	_ Transform = Chain(nil)
	_ Transform = Sometimes{}
)

// Chain applies transforms one after the other. The empty chain is the identity.
type Chain []Transform

// String joins the names.
func (c Chain) String() string {
	names := make([]string, len(c))
	for i, t := range c {
		names[i] = t.String()
	}
	return strings.Join(names, ", then ")
}

// Check returns the first transform's error.
func (c Chain) Check() error {
	for i, t := range c {
		if t == nil {
			return fmt.Errorf("transform: transform %d of a chain is nil", i)
		}
		if err := t.Check(); err != nil {
			return err
		}
	}
	return nil
}

// Random says whether any of them is.
func (c Chain) Random() bool {
	for _, t := range c {
		if t.Random() {
			return true
		}
	}
	return false
}

// Apply implements Transform.
func (c Chain) Apply(rng Sources, x *tensor.Tensor) *tensor.Tensor {
	mustFit(c, rng, x)
	rng = once(rng, x.Dim(0))
	for _, t := range c {
		x = t.Apply(rng, x)
	}
	return x
}

// once returns sources that call rng once for each image.
func once(rng Sources, n int) Sources {
	held := make([]*rand.Rand, n)
	return func(i int) *rand.Rand {
		if held[i] == nil {
			held[i] = rng(i)
		}
		return held[i]
	}
}

// Sometimes applies a transform to each image with a probability.
type Sometimes struct {
	Transform Transform // not nil
	P         float64   // from 0 to 1
}

// String returns the transform's name with the probability.
func (s Sometimes) String() string { return fmt.Sprintf("%v with probability %.4g", s.Transform, s.P) }

// Check implements Transform.
func (s Sometimes) Check() error {
	if s.Transform == nil {
		return errors.New("transform: Sometimes without a transform")
	}
	if !(s.P >= 0 && s.P <= 1) {
		return fmt.Errorf("transform: probability is %v, want 0 to 1", s.P)
	}
	return s.Transform.Check()
}

// Random implements Transform.
func (s Sometimes) Random() bool { return true }

// Apply implements Transform.
func (s Sometimes) Apply(rng Sources, x *tensor.Tensor) *tensor.Tensor {
	mustFit(s, rng, x)
	n := x.Dim(0)
	rng = once(rng, n)
	var chosen, rest []int
	for i := range n {
		if rng(i).Float64() < s.P {
			chosen = append(chosen, i)
		} else {
			rest = append(rest, i)
		}
	}
	part := func(j int) *rand.Rand { return rng(chosen[j]) }
	switch {
	case len(rest) == 0:
		return s.Transform.Apply(part, x)
	case len(chosen) == 0:
		return x
	}
	changed := tensor.ScatterAdd(s.Transform.Apply(part, tensor.Gather(x, chosen)), chosen, n)
	return tensor.Add(changed, tensor.ScatterAdd(tensor.Gather(x, rest), rest, n))
}
