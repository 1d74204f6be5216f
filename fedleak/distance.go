package fedleak

import (
	"fmt"
	"math"

	"github.com/redoubt-ml/redoubt/tensor"
)

// Distance says how far gradients lie from observed ones. Both have one tensor per
// parameter; the result has one element and can be differentiated by got, to the
// second order of the losses behind it.
type Distance interface {
	Name() string
	Between(got, want []*tensor.Tensor) *tensor.Tensor
}

var (
	_ Distance = L2{}
	_ Distance = Cosine{}
	_ Distance = SAPAG{}
)

// L2 is the sum over tensors of squared differences, that of deep leakage from
// gradients (Zhu, Liu and Han, NeurIPS 2019).
type L2 struct {
	// Weights multiplies the term of each tensor; nil means 1.
	Weights []float64
}

// Name implements Distance.
func (L2) Name() string { return "L2" }

// Between implements Distance. It panics if there are weights, but not one for each
// tensor.
func (d L2) Between(got, want []*tensor.Tensor) *tensor.Tensor {
	if d.Weights != nil && len(d.Weights) != len(got) {
		panic(fmt.Sprintf("fedleak: L2: %d weights for %d tensors", len(d.Weights), len(got)))
	}
	return sumOf(got, func(i int) *tensor.Tensor {
		e := tensor.Sum(tensor.Square(tensor.Sub(got[i], want[i])))
		if d.Weights != nil {
			e = tensor.MulScalar(e, d.Weights[i])
		}
		return e
	})
}

// Cosine is 1 less the cosine of the angle between all tensors taken as one vector,
// that of Geiping, Bauermeister, Dröge and Moeller, NeurIPS 2020. Where one of the
// two vanishes it is 1.
type Cosine struct{}

// Name implements Distance.
func (Cosine) Name() string { return "cosine" }

// Between implements Distance.
func (Cosine) Between(got, want []*tensor.Tensor) *tensor.Tensor {
	inner := sumOf(got, func(i int) *tensor.Tensor { return tensor.Dot(got[i], want[i]) })
	square := sumOf(got, func(i int) *tensor.Tensor { return tensor.Sum(tensor.Square(got[i])) })
	size := norm(want)
	if size == 0 || square.Item() == 0 {
		return tensor.Affine(inner, 0, 1)
	}
	return tensor.Affine(tensor.Div(inner, tensor.Sqrt(square)), -1/size, 1)
}

// SAPAG sums 1 - exp(-|difference|²/variance) over the tensors, with the variance of
// the entries of each observed tensor, after Wang, Deng, Guo, Chen and Liu, arXiv
// 2009.06228. Tensors without variance count by their squared difference.
type SAPAG struct{}

// Name implements Distance.
func (SAPAG) Name() string { return "SAPAG" }

// Between implements Distance.
func (SAPAG) Between(got, want []*tensor.Tensor) *tensor.Tensor {
	return sumOf(got, func(i int) *tensor.Tensor {
		e := tensor.Sum(tensor.Square(tensor.Sub(got[i], want[i])))
		v := tensor.Var(want[i]).Item()
		if !(v > 0) || math.IsInf(1/v, 0) {
			return e
		}
		return tensor.Affine(tensor.Exp(tensor.MulScalar(e, -1/v)), -1, 1)
	})
}

// sumOf adds up one term per tensor.
func sumOf(ts []*tensor.Tensor, term func(i int) *tensor.Tensor) *tensor.Tensor {
	s := term(0)
	for i := 1; i < len(ts); i++ {
		s = tensor.Add(s, term(i))
	}
	return s
}
