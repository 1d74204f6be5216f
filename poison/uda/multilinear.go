package uda

import (
	"fmt"
	"math"
	"math/rand/v2"

	"github.com/redoubt-ml/redoubt/tensor"
)

// Map joins features f [N, d] and predictions p [N, K] to what a conditional
// discriminator sees. It is differentiable in both.
type Map interface {
	Join(f, p *tensor.Tensor) *tensor.Tensor
	// Width is the number of columns of Join's result.
	Width() int
}

var _ Map = ExactMap{}

// ExactMap is the outer product of p and f, K·d columns, one class after the other.
//
// Long et al., NeurIPS 2018, section 3.2.
type ExactMap struct{ Features, Classes int }

// MaxExactWidth is the largest width of an ExactMap in CDAN: a discriminator whose
// first layer has 500 units takes 128 MiB for weights and their optimiser beyond it.
const MaxExactWidth = 1 << 14

// Width returns K·d.
func (m ExactMap) Width() int { return m.Features * m.Classes }

// Join returns [N, K·d] with entry k·d + j equal to p_k f_j.
func (m ExactMap) Join(f, p *tensor.Tensor) *tensor.Tensor {
	n := f.Dim(0)
	outer := tensor.Mul(tensor.Reshape(p, n, m.Classes, 1), tensor.Reshape(f, n, 1, m.Features))
	return tensor.Reshape(outer, n, m.Width())
}

var _ Map = RandomMap{}

// RandomMap is the randomised multilinear map, (f F) ∘ (p P) / √m with fixed normal
// matrices F [d, m] and P [K, m]: inner products of its images are, on average, those
// of the outer products.
//
// Long et al., NeurIPS 2018, Eq. (6).
type RandomMap struct{ F, P *tensor.Tensor }

// NewRandomMap draws the matrices.
func NewRandomMap(rng *rand.Rand, features, classes, width int) RandomMap {
	return RandomMap{
		F: tensor.Normal(rng, tensor.Float32, 0, 1, features, width),
		P: tensor.Normal(rng, tensor.Float32, 0, 1, classes, width),
	}
}

// Width returns m.
func (m RandomMap) Width() int { return m.F.Dim(1) }

// Join returns [N, m].
func (m RandomMap) Join(f, p *tensor.Tensor) *tensor.Tensor {
	joint := tensor.Mul(tensor.MatMul(f, m.F), tensor.MatMul(p, m.P))
	return tensor.MulScalar(joint, 1/math.Sqrt(float64(m.Width())))
}

// conditional makes the map of CDAN.
func conditional(rng *rand.Rand, exact bool, width, features, classes int) (Map, error) {
	if exact {
		m := ExactMap{features, classes}
		if m.Width() > MaxExactWidth {
			return nil, fmt.Errorf("uda: exact map of %d classes and %d features has %d columns, want at most %d: take the random map", classes, features, m.Width(), MaxExactWidth)
		}
		return m, nil
	}
	if width < 0 {
		return nil, fmt.Errorf("uda: random map of %d columns, want 0 (500) or more", width)
	}
	if width == 0 {
		width = 500
	}
	return NewRandomMap(rng, features, classes, width), nil
}
