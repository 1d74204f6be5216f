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
		m := Max(v)
		z := m + logT(sumExp(v, m))
		for j, u := range v {
			d[j] = u - z
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

// softmaxRow returns the largest element and the sum of exponentials beside
// filling dst.
func softmaxRow[T Float](dst, x []T) (m, s T) {
	m = Max(x)
	Affine(dst, x, 1, -m)
	Unary(Exp, dst, dst)
	s = Sum(dst)
	Affine(dst, dst, 1/s, 0)
	return m, s
}

func sumExp[T Float](x []T, m T) T {
	var buf [spread]T
	var s T
	for lo := 0; lo < len(x); lo += spread {
		v := x[lo:min(lo+spread, len(x))]
		Affine(buf[:], v, 1, -m)
		Unary(Exp, buf[:], buf[:len(v)])
		s += Sum(buf[:len(v)])
	}
	return s
}

func logT[T Float](v T) T { return T(math.Log(float64(v))) }

// SoftmaxCrossEntropy sets loss[i] = log(sum_j e**logits[i,j]) -
// logits[i,labels[i]] for logits of [len(loss), c], and, unless grad is nil,
// grad[i,j] to the derivative of loss[i]: softmax minus one-hot. grad may be
// logits.
func SoftmaxCrossEntropy[T Float](loss, grad, logits []T, labels []int32, c int) {
	labels = labels[:len(loss)]
	for i := range loss {
		x := logits[i*c : (i+1)*c]
		y := int(labels[i])
		xy := x[y]
		if grad == nil {
			m := Max(x)
			loss[i] = (m - xy) + logT(sumExp(x, m))
			continue
		}
		g := grad[i*c : (i+1)*c]
		m, s := softmaxRow(g, x)
		loss[i] = (m - xy) + logT(s)
		g[y]--
	}
}
