package kernel

// CopyRows copies rows of cols elements: dst[i*ldd+j] = src[i*lds+j] for
// i < rows and j < cols.
func CopyRows[T Float](dst []T, ldd int, src []T, lds, rows, cols int) {
	for i := range rows {
		copy(dst[i*ldd:i*ldd+cols], src[i*lds:i*lds+cols])
	}
}
