package kmeans

import "github.com/redoubt-ml/redoubt/tensor"

// SquaredDistances returns the squared Euclidean distance of each row of a [n, d] to
// each row of b [m, d], as [n, m]: at least 0, with the rounding errors of a matrix
// product.
func SquaredDistances(a, b *tensor.Tensor) *tensor.Tensor {
	norms := func(x *tensor.Tensor) *tensor.Tensor { return tensor.Sum(tensor.Square(x), 1) }
	cross := tensor.MulScalar(tensor.MatMulT(a, b, false, true), -2)
	sum := tensor.Add(tensor.Add(cross, tensor.Reshape(norms(a), -1, 1)), norms(b))
	return tensor.ReLU(sum)
}
