package represent

import (
	"fmt"
	"math"

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
// entry of the largest magnitude of a component is positive. Errors: k below 1 or
// above D or N, fewer than two inputs, features that are not finite.
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
	for _, v := range values {
		p.Total += max(0, v) / float64(n-1)
	}
	for c := range k {
		at := len(values) - 1 - c
		p.Variance = append(p.Variance, max(0, values[at])/float64(n-1))
		column := mat.Col(nil, at, &vectors)
		if !small {
			column = tensor.MatMulT(tensor.FromFloat64(column, 1, n), centred, false, false).Float64s()
		}
		orient(column)
		for i, v := range column {
			p.Components.Set(v, i, c)
		}
	}
	return p, nil
}

// orient scales a vector to length 1 with its largest entry positive; one of length 0
// stays.
func orient(v []float64) {
	sum, largest := 0.0, 0.0
	for _, e := range v {
		sum += e * e
		if math.Abs(e) > math.Abs(largest) {
			largest = e
		}
	}
	if sum == 0 {
		return
	}
	scale := math.Copysign(1/math.Sqrt(sum), largest)
	for i := range v {
		v[i] *= scale
	}
}

// Apply returns the coordinates [N, K] of features x [N, D], in float64. It panics if x
// has another D.
func (p Projection) Apply(x *tensor.Tensor) *tensor.Tensor {
	return tensor.MatMul(tensor.Sub(x.To(tensor.Float64), p.Mean), p.Components)
}
