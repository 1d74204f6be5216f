package kernel

// rowsAtOnce is how many rows are added up before they join a total over many,
// so that rounding errors grow with the number of rows over rowsAtOnce only.
const rowsAtOnce = 256

// SumRows adds to dst[j] the sum over i of x[i,j], for x of [r, len(dst)]. The
// order of additions depends on the shape alone.
func SumRows[T Float](dst, x []T) {
	c := len(dst)
	if c == 0 {
		return
	}
	rows := len(x) / c
	if rows <= rowsAtOnce {
		sumRows(dst, x, rows, c)
		return
	}
	var buf [spread]T
	for j0 := 0; j0 < c; j0 += spread {
		d := dst[j0:min(j0+spread, c)]
		part := buf[:len(d)]
		for r := 0; r < rows; r += rowsAtOnce {
			Fill(part, 0)
			sumRows(part, x[r*c+j0:], min(rowsAtOnce, rows-r), c)
			Binary(Add, d, d, part)
		}
	}
}

// sumRows adds the first len(dst) elements of rows that lie stride apart.
func sumRows[T Float](dst, x []T, rows, stride int) {
	if rows == 0 {
		return
	}
	x = x[:(rows-1)*stride+len(dst)]
	if single[T]() && sumRowsVector(ptr(x), ptr(dst), rows, len(dst), stride) {
		return
	}
	for lo := 0; lo < len(x); lo += stride {
		for j, v := range x[lo : lo+len(dst)] {
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
