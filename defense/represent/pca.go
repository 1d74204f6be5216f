package represent

import (
	"fmt"
	"math"

	"gonum.org/v1/gonum/floats"
	"gonum.org/v1/gonum/mat"

	"github.com/redoubt-ml/redoubt/tensor"
)

// Projection maps features onto their principal components.
type Projection struct {
	Mean       *tensor.Tensor // [D]
	Components *tensor.Tensor // [D, K], orthonormal columns, by falling variance
	// Variance is that of the features along each component, with divisor N-1, and
	// Total that along all D.
	Variance []float64
	Total    float64
}

// PCA returns the first k principal components of features x [N, D], in float64. The
// entry of the largest magnitude of a component is positive. Components along which the
// features do not vary but by rounding, as beyond the first N-1, have a Variance of 0 and
// some direction that is orthogonal to all others. Errors: k below 1 or above D or N, fewer
// than two inputs, features that are not finite.
func PCA(x *tensor.Tensor, k int) (Projection, error) {
	if err := checkFeatures("features", x, 2); err != nil {
		return Projection{}, err
	}
	n, d := x.Dim(0), x.Dim(1)
	if k < 1 || k > min(n, d) {
		return Projection{}, fmt.Errorf("represent: PCA: %d components of features %s, want 1 to %d", k, form(x), min(n, d))
	}
	x = x.To(tensor.Float64)
	p := Projection{Mean: tensor.Mean(x, 0), Components: tensor.Zeros(tensor.Float64, d, k)}
	centred := tensor.Sub(x, p.Mean)
	// The smaller of the two Gram matrices has the same eigenvalues but for zeros.
	small := d <= n
	gram := tensor.MatMulT(centred, centred, small, !small)
	var eigen mat.EigenSym
	if !eigen.Factorize(mat.NewSymDense(gram.Dim(0), gram.Float64s()), true) {
		return Projection{}, fmt.Errorf("represent: PCA: no eigenvalues of features %s", form(x))
	}
	values := eigen.Values(nil) // in ascending order
	var vectors mat.Dense
	eigen.VectorsTo(&vectors)
	last := len(values) - 1
	for i, v := range values {
		if v <= float64(len(values))*0x1p-52*values[last] {
			values[i] = 0
		}
		p.Total += values[i] / float64(n-1)
	}
	var columns [][]float64
	for c := range k {
		value := values[last-c]
		p.Variance = append(p.Variance, value/float64(n-1))
		column := mat.Col(nil, last-c, &vectors)
		switch {
		case small:
		case value > 0:
			column = tensor.MatMulT(tensor.FromFloat64(column, 1, n), centred, false, false).Float64s()
			orthogonal(column, columns)
		default:
			column = complement(columns, d)
		}
		orient(column)
		columns = append(columns, column)
		for i, v := range column {
			p.Components.Set(v, i, c)
		}
	}
	return p, nil
}

// orthogonal removes from v what it has along orthonormal vectors, twice, which is enough
// for rounding (Giraud, Langou and Rozložník, Comput. Math. Appl. 50, 2005).
func orthogonal(v []float64, basis [][]float64) {
	for range 2 {
		for _, b := range basis {
			floats.AddScaled(v, -floats.Dot(v, b), b)
		}
	}
}

// complement returns a vector of d values that is orthogonal to fewer than d orthonormal
// ones: the part of the axis that is farthest from them.
func complement(basis [][]float64, d int) []float64 {
	along := make([]float64, d)
	for _, b := range basis {
		for i, v := range b {
			along[i] += v * v
		}
	}
	axis := make([]float64, d)
	axis[floats.MinIdx(along)] = 1
	orthogonal(axis, basis)
	return axis
}

// orient scales a vector to length 1 with its largest entry positive.
func orient(v []float64) {
	largest := 0.0
	for _, e := range v {
		if math.Abs(e) > math.Abs(largest) {
			largest = e
		}
	}
	floats.Scale(math.Copysign(1/floats.Norm(v, 2), largest), v)
}

// Apply returns the coordinates [N, K] of features x [N, D], in float64. It panics if x
// has another D.
func (p Projection) Apply(x *tensor.Tensor) *tensor.Tensor {
	return tensor.MatMul(tensor.Sub(x.To(tensor.Float64), p.Mean), p.Components)
}
