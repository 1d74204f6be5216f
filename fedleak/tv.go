package fedleak

import "github.com/redoubt-ml/redoubt/tensor"

// TotalVariation returns the anisotropic total variation of images x [n, H, W, C],
// the sum over all of them of |x[h+1,w]-x[h,w]| + |x[h,w+1]-x[h,w]|, in the units of
// x. Its derivative where neighbours are equal is 0; images of one pixel have none.
func TotalVariation(x *tensor.Tensor) *tensor.Tensor {
	var sum *tensor.Tensor
	for axis := 1; axis <= 2; axis++ {
		d := x.Dim(axis)
		if d < 2 {
			continue
		}
		part := tensor.Sum(tensor.Abs(tensor.Sub(tensor.Slice(x, axis, 1, d), tensor.Slice(x, axis, 0, d-1))))
		if sum != nil {
			part = tensor.Add(sum, part)
		}
		sum = part
	}
	if sum == nil {
		return tensor.MulScalar(tensor.Sum(x), 0)
	}
	return sum
}
