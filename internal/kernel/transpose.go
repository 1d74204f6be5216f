package kernel

// side of the square that Transpose moves at a time in plain Go: its lines
// stay in the first-level cache.
const side = 8

// Transpose2D sets dst[j,i] = src[i,j] for src of [rows, cols]. dst and src
// must not overlap.
func Transpose2D[T Float](dst, src []T, rows, cols int) {
	Transpose(dst, rows, src, cols, rows, cols)
}

// Transpose sets dst[j*ldd+i] = src[i*lds+j] for i < rows and j < cols. dst
// and src must not overlap.
func Transpose[T Float](dst []T, ldd int, src []T, lds, rows, cols int) {
	if rows == 0 || cols == 0 {
		return
	}
	dst, src = dst[:(cols-1)*ldd+rows], src[:(rows-1)*lds+cols]
	if single[T]() && transposeBlocks(ptr(dst), ldd, ptr(src), lds, rows, cols) {
		return
	}
	for i0 := 0; i0 < rows; i0 += side {
		i1 := min(i0+side, rows)
		for j := range cols {
			d := dst[j*ldd+i0 : j*ldd+i1]
			at := i0*lds + j
			for i := range d {
				d[i] = src[at]
				at += lds
			}
		}
	}
}
