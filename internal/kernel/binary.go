package kernel

import "math"

// BinaryOp names a function of two elements.
type BinaryOp uint8

// The functions that Binary and its relatives compute. The comparisons give 1
// for true and 0 for false, and are false when an operand is NaN.
const (
	Add          BinaryOp = iota // a + b
	Sub                          // a - b
	Mul                          // a * b
	Div                          // a / b
	Maximum                      // the larger; NaN if either is
	Minimum                      // the smaller; NaN if either is
	Pow                          // a**b
	Atan2                        // the angle of the point (b, a), in (-pi, pi]
	Greater                      // a > b
	GreaterEqual                 // a >= b
	Less                         // a < b
	LessEqual                    // a <= b
	Equal                        // a == b
	ReLUGrad                     // a where b > 0, else 0
)

// Binary sets dst[i] = a[i] op b[i] for every element of a. dst may be a or b.
func Binary[T Float](op BinaryOp, dst, a, b []T) {
	dst, b = dst[:len(a)], b[:len(a)]
	if single[T]() && binaryVector(op, ptr(dst), ptr(a), ptr(b), len(a)) {
		return
	}
	switch op {
	case Add:
		for i, v := range a {
			dst[i] = v + b[i]
		}
	case Sub:
		for i, v := range a {
			dst[i] = v - b[i]
		}
	case Mul:
		for i, v := range a {
			dst[i] = v * b[i]
		}
	case Div:
		for i, v := range a {
			dst[i] = v / b[i]
		}
	case Maximum:
		for i, v := range a {
			dst[i] = max(v, b[i])
		}
	case Minimum:
		for i, v := range a {
			dst[i] = min(v, b[i])
		}
	case Pow:
		for i, v := range a {
			dst[i] = T(math.Pow(float64(v), float64(b[i])))
		}
	case Atan2:
		for i, v := range a {
			dst[i] = T(math.Atan2(float64(v), float64(b[i])))
		}
	case Greater:
		for i, v := range a {
			dst[i] = truth[T](v > b[i])
		}
	case GreaterEqual:
		for i, v := range a {
			dst[i] = truth[T](v >= b[i])
		}
	case Less:
		for i, v := range a {
			dst[i] = truth[T](v < b[i])
		}
	case LessEqual:
		for i, v := range a {
			dst[i] = truth[T](v <= b[i])
		}
	case Equal:
		for i, v := range a {
			dst[i] = truth[T](v == b[i])
		}
	case ReLUGrad:
		for i, v := range a {
			if b[i] > 0 {
				dst[i] = v
			} else {
				dst[i] = 0
			}
		}
	default:
		panic("kernel: Binary: unknown operation")
	}
}

// spread is the length of the stack buffer that holds a broadcast operand.
const spread = 256

// BinaryScalar sets dst[i] = a[i] op s for every element of a. dst may be a.
func BinaryScalar[T Float](op BinaryOp, dst, a []T, s T) {
	dst = dst[:len(a)]
	if single[T]() && scalarSecondVector(op, ptr(dst), ptr(a), float32(s), len(a)) {
		return
	}
	var buf [spread]T
	Fill(buf[:min(spread, len(a))], s)
	for lo := 0; lo < len(a); lo += spread {
		hi := min(lo+spread, len(a))
		Binary(op, dst[lo:hi], a[lo:hi], buf[:])
	}
}

// ScalarBinary sets dst[i] = s op b[i] for every element of b. dst may be b.
func ScalarBinary[T Float](op BinaryOp, dst []T, s T, b []T) {
	dst = dst[:len(b)]
	if single[T]() && scalarFirstVector(op, ptr(dst), ptr(b), float32(s), len(b)) {
		return
	}
	var buf [spread]T
	Fill(buf[:min(spread, len(b))], s)
	for lo := 0; lo < len(b); lo += spread {
		hi := min(lo+spread, len(b))
		Binary(op, dst[lo:hi], buf[:hi-lo], b[lo:hi])
	}
}

// BinaryRow sets dst[i,j] = a[i,j] op row[j] for a of [r, len(row)]. dst may
// be a.
func BinaryRow[T Float](op BinaryOp, dst, a, row []T) {
	c := len(row)
	if c == 0 {
		return
	}
	dst, a = dst[:len(a)], a[:len(a)/c*c]
	if single[T]() && rowSecondVector(op, ptr(dst), ptr(a), ptr(row), len(a)/c, c, c) {
		return
	}
	if c <= spread/2 && len(a) > c {
		// Several copies of a short row make the inner loop long.
		var buf [spread]T
		n := 0
		for ; n+c <= spread && n < len(a); n += c {
			copy(buf[n:], row)
		}
		for lo := 0; lo < len(a); lo += n {
			hi := min(lo+n, len(a))
			Binary(op, dst[lo:hi], a[lo:hi], buf[:])
		}
		return
	}
	for lo := 0; lo < len(a); lo += c {
		Binary(op, dst[lo:lo+c], a[lo:lo+c], row)
	}
}

// BinaryCol sets dst[i,j] = a[i,j] op col[i] for a of [len(col), c]. dst may
// be a.
func BinaryCol[T Float](op BinaryOp, dst, a, col []T) {
	if len(col) == 0 {
		return
	}
	dst = dst[:len(a)]
	c := len(a) / len(col)
	if c <= spread/4 {
		var buf [spread]T
		for r := 0; r < len(col) && c > 0; {
			lo, n := r*c, 0
			for ; n+c <= spread && r < len(col); r++ {
				for j := n; j < n+c; j++ {
					buf[j] = col[r]
				}
				n += c
			}
			Binary(op, dst[lo:lo+n], a[lo:lo+n], buf[:])
		}
		return
	}
	for i, s := range col {
		BinaryScalar(op, dst[i*c:(i+1)*c], a[i*c:(i+1)*c], s)
	}
}
