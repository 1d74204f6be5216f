package kernel

// slack is the widest piece that copies move at once, and so how many elements
// after its result PackRows and PackCols may overwrite.
const slack = 16

// CopyRows copies rows of cols elements: dst[i*ldd+j] = src[i*lds+j] for
// i < rows and j < cols.
func CopyRows[T Float](dst []T, ldd int, src []T, lds, rows, cols int) {
	for i := range rows {
		copy(dst[i*ldd:i*ldd+cols], src[i*lds:i*lds+cols])
	}
}

// SplitRows cuts rows of cols elements, lds apart, into panels of width
// columns, step apart: dst[j/width*step + i*width + j%width] = src[i*lds+j] for
// i < rows and j < cols. The last panel's missing columns become anything.
func SplitRows[T Float](dst []T, step, width int, src []T, lds, rows, cols int) {
	if rows == 0 {
		return
	}
	whole := cols / width
	if whole > 0 && single[T]() {
		last := dst[:(whole-1)*step+rows*width]
		if splitRows(ptr(last), step, width, ptr(src[:(rows-1)*lds+cols]), lds, rows, whole) {
			if cols -= whole * width; cols == 0 {
				return
			}
			dst, src = dst[whole*step:], src[whole*width:]
		}
	}
	for j := 0; j < cols; j += min(slack, width) {
		d, n := dst[j/width*step+j%width:], min(slack, cols-j, width-j%width)
		s, done := src[j:], 0
		if single[T]() && lds > 0 && width%slack == 0 {
			done = max(0, min(rows, (len(s)-slack)/lds))
			if done > 0 && !copyNarrow(ptr(d), width, ptr(s), lds, done, 0, 1, slack) {
				done = 0
			}
		}
		if done < rows {
			CopyRows(d[done*width:], width, s[done*lds:], lds, rows-done, n)
		}
	}
}

// PackSize is the room that PackRows and PackCols want for rows by cols
// elements in order to be fast.
func PackSize(rows, cols int) int { return rows*cols + slack }

// PackCols sets dst[j*rows+i] = src[i*lds+j] for i < rows and j < cols: columns
// follow one another. It may overwrite as much of dst after them as there is
// and read as much of src as there is.
func PackCols[T Float](dst, src []T, lds, rows, cols int) {
	if single[T]() && rows < 8 && cols >= 8 && len(src) >= 7*lds+cols {
		blocks := min(cols/8, (len(dst)-slack)/(8*rows))
		if blocks > 0 && transposeNarrow(ptr(dst), rows, ptr(src), lds, blocks) {
			done := 8 * blocks
			dst, src, cols = dst[done*rows:], src[done:], cols-done
		}
	}
	Transpose(dst, rows, src, lds, rows, cols)
}

// PackRows sets dst[i*cols+j] = src[i*lds+j] for i < rows and j < cols: rows
// follow one another. It may overwrite as much of dst after them as there is
// and read as much of src as there is.
func PackRows[T Float](dst, src []T, lds, rows, cols int) {
	if width := (cols + 7) / 8 * 8; single[T]() && width <= slack && cols > 0 && lds > 0 {
		fast := min(rows, (len(dst)-slack)/cols, (len(src)-width)/lds)
		if fast > 0 && copyNarrow(ptr(dst), cols, ptr(src), lds, fast, 0, 1, width) {
			dst, src, rows = dst[fast*cols:], src[fast*lds:], rows-fast
		}
	}
	CopyRows(dst, cols, src, lds, rows, cols)
}

// PackGrid is PackRows for a grid of outer times inner rows, of which neighbours
// lie step and, outside, stride apart.
func PackGrid[T Float](dst, src []T, step, inner, stride, outer, cols int) {
	last := (outer-1)*stride + (inner-1)*step
	if width := (cols + 7) / 8 * 8; single[T]() && width <= slack && inner > 0 && outer > 0 && cols > 0 &&
		len(dst) >= outer*inner*cols+slack && len(src) >= last+width {
		if copyNarrow(ptr(dst), cols, ptr(src), step, inner, stride, outer, width) {
			return
		}
	}
	for o := range outer {
		PackRows(dst[o*inner*cols:], src[o*stride:], step, inner, cols)
	}
}
