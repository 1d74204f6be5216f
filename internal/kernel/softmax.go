package kernel

import "math"

// LogSoftmax sets every row of dst, of c elements, to the logarithm of the
// softmax of that row of x. dst may be x.
func LogSoftmax[T Float](dst, x []T, c int) {
	if c == 0 {
		return
	}
	dst = dst[:len(x)]
	for lo := 0; lo+c <= len(x); lo += c {
		d, v := dst[lo:lo+c], x[lo:lo+c]
		top := argMax(v)
		m := v[top]
		z := log1pT(sumExpOthers(v, top))
		for j, u := range v {
			d[j] = (u - m) - z
		}
	}
}

// Softmax sets every row of dst, of c elements, to the softmax of that row of
// x. dst may be x.
func Softmax[T Float](dst, x []T, c int) {
	if c == 0 {
		return
	}
	dst = dst[:len(x)]
	for lo := 0; lo+c <= len(x); lo += c {
		softmaxRow(dst[lo:lo+c], x[lo:lo+c])
	}
}

func softmaxRow[T Float](dst, x []T) {
	Affine(dst, x, 1, -Max(x))
	Unary(Exp, dst, dst)
	Affine(dst, dst, 1/Sum(dst), 0)
}

// sumExpOthers is the sum of exp(x[j]-x[i]) over all j but i. Leaving out the 1 of
// x[i] itself keeps small terms from being rounded away.
func sumExpOthers[T Float](x []T, i int) T {
	var buf [spread]T
	var s T
	for lo := 0; lo < len(x); lo += spread {
		v := x[lo:min(lo+spread, len(x))]
		e := buf[:len(v)]
		Affine(e, v, 1, -x[i])
		Unary(Exp, e, e)
		if lo <= i && i < lo+len(v) {
			e[i-lo] = 0
		}
		s += Sum(e)
	}
	return s
}

// argMax is the first place of the largest element; a NaN counts as larger than
// anything else.
func argMax[T Float](x []T) int {
	var best [1]int32
	ArgMaxCols(best[:], x, len(x))
	return int(best[0])
}

func log1pT[T Float](v T) T { return T(math.Log1p(float64(v))) }

// SoftmaxCrossEntropy sets loss[i] = log(sum_j e**logits[i,j]) -
// logits[i,labels[i]] for logits of [len(loss), c], and, unless grad is nil,
// grad[i,j] to the derivative of loss[i]: softmax minus one-hot. Both keep their
// relative accuracy when the label's probability rounds to 1. grad may be logits.
func SoftmaxCrossEntropy[T Float](loss, grad, logits []T, labels []int32, c int) {
	labels = labels[:len(loss)]
	for i := range loss {
		x := logits[i*c : (i+1)*c]
		y, top := int(labels[i]), argMax(x)
		loss[i] = (x[top] - x[y]) + log1pT(sumExpOthers(x, top))
		if grad != nil {
			softmaxMinusOneHot(grad[i*c:(i+1)*c], x, y)
		}
	}
}

// SoftmaxMinusOneHot sets every row of dst, of c elements, to the softmax of that
// row of x minus 1 at the row's label, which is computed as minus the sum of the
// other probabilities. dst may be x.
func SoftmaxMinusOneHot[T Float](dst, x []T, labels []int32, c int) {
	for i, y := range labels {
		softmaxMinusOneHot(dst[i*c:(i+1)*c], x[i*c:(i+1)*c], int(y))
	}
}

func softmaxMinusOneHot[T Float](dst, x []T, y int) {
	Affine(dst, x, 1, -Max(x))
	Unary(Exp, dst, dst)
	own := dst[y]
	dst[y] = 0
	others := Sum(dst)
	dst[y] = -others
	Affine(dst, dst, 1/(own+others), 0)
}
