package fedleak

import (
	"math"
	"math/rand/v2"

	"github.com/redoubt-ml/redoubt/tensor"
)

// Upload says which gradient of whom is uploaded in which round.
type Upload struct {
	Round, Party, Client int
	Tensor               int    // the parameter's number, in the order of nn.Params
	Batch                int    // samples that the mean was taken over
	Seed                 uint64 // that of the federation
}

// random returns the random numbers of an upload.
func (u Upload) random(more ...uint64) *rand.Rand {
	return stream(u.Seed, append([]uint64{uint64(u.Party), uint64(u.Client), uint64(u.Tensor)}, more...)...)
}

// Defense changes the gradients that a party uploads, tensor by tensor.
type Defense interface {
	Name() string
	// Check says what is wrong with the settings.
	Check() error
	// Apply changes a gradient in place. The same upload and gradient always become
	// the same.
	Apply(u Upload, gradient *tensor.Tensor)
}

// Clipper is a Defense before which the gradient of each sample, over all tensors of
// the party, is scaled down to a norm of at most Bound. Federation.Check refuses it beside
// BatchStatistics, under which samples have no gradients of their own.
type Clipper interface {
	Defense
	Bound() float64
}

// clipWeights returns min(1, bound/norm) for each norm.
func clipWeights(norms []float64, bound float64) []float64 {
	out := make([]float64, len(norms))
	for i, n := range norms {
		out[i] = 1
		if n > bound {
			out[i] = bound / n
		}
	}
	return out
}

// norm is the Euclidean norm of tensors taken as one vector.
func norm(ts []*tensor.Tensor) float64 {
	s := 0.0
	for _, t := range ts {
		s += sumSquares(t)
	}
	return math.Sqrt(s)
}

func sumSquares(t *tensor.Tensor) float64 {
	s := 0.0
	if t.DType() == tensor.Float32 {
		for _, v := range t.Float32s() {
			s += float64(v) * float64(v)
		}
		return s
	}
	for _, v := range t.Float64s() {
		s += v * v
	}
	return s
}

// each replaces the elements of t by f of their positions and values.
func each(t *tensor.Tensor, f func(i int, v float64) float64) {
	if t.DType() == tensor.Float32 {
		for i, v := range t.Float32s() {
			t.Float32s()[i] = float32(f(i, float64(v)))
		}
	} else {
		for i, v := range t.Float64s() {
			t.Float64s()[i] = f(i, v)
		}
	}
	t.Touch()
}
