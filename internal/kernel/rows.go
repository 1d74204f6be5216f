package kernel

// SumRows adds to dst[j] the sum over i of x[i,j], for x of [r, len(dst)].
// Rows are added one by one, in order.
func SumRows[T Float](dst, x []T) {
	c := len(dst)
	if c == 0 {
		return
	}
	for lo := 0; lo < len(x); lo += c {
		for j, v := range x[lo : lo+c] {
			dst[j] += v
		}
	}
}

// SumCols sets dst[i] to the sum over j of x[i,j], for x of [len(dst), c].
func SumCols[T Float](dst, x []T) {
	if len(dst) == 0 {
		return
	}
	c := len(x) / len(dst)
	for i := range dst {
		dst[i] = Sum(x[i*c : (i+1)*c])
	}
}

// MaxCols sets dst[i] to the largest of x[i,j] over j, for x of [len(dst), c].
func MaxCols[T Float](dst, x []T) {
	if len(dst) == 0 {
		return
	}
	c := len(x) / len(dst)
	for i := range dst {
		dst[i] = Max(x[i*c : (i+1)*c])
	}
}

// ArgMaxCols sets dst[i] to the first j at which x[i,j] is largest, for x of
// [len(dst), c] with c > 0. A NaN counts as larger than anything else.
func ArgMaxCols[T Float](dst []int32, x []T, c int) {
	for i := range dst {
		row := x[i*c : (i+1)*c]
		best := 0
		for j, v := range row {
			m := row[best]
			if v > m || v != v && m == m {
				best = j
			}
		}
		dst[i] = int32(best)
	}
}
