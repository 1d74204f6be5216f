package kernel

// side of the square that Transpose2D moves at a time: two blocks of float32
// lines stay in the first-level cache.
const side = 16

// Transpose2D sets dst[j,i] = src[i,j] for src of [rows, cols]. dst and src
// must not overlap.
func Transpose2D[T Float](dst, src []T, rows, cols int) {
	dst, src = dst[:rows*cols], src[:rows*cols]
	for i0 := 0; i0 < rows; i0 += side {
		i1 := min(i0+side, rows)
		for j0 := 0; j0 < cols; j0 += side {
			j1 := min(j0+side, cols)
			for j := j0; j < j1; j++ {
				d := dst[j*rows+i0 : j*rows+i1]
				at := i0*cols + j
				for i := range d {
					d[i] = src[at]
					at += cols
				}
			}
		}
	}
}
