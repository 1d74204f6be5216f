package kernel

// Transform is one of the linear maps of Winograd's F(4x4, 3x3) and F(2x2, 5x5): a
// matrix M that acts on both sides of a square of vectors, M X Mᵀ.
//
// Lavin and Gray, CVPR 2016, section 4.3, for the points 0, 1, -1, 2, -2 and
// infinity; filters of five numbers use the same points, and so the same transform of
// images.
type Transform uint8

// The transforms of images (6 to 6), and for filters of three and of five those of
// filters (to 6) and of results (from 6), with the adjoints of these two, which the
// gradient with respect to the filter needs.
const (
	WinogradImage Transform = iota
	WinogradFilter3
	WinogradOutput3
	WinogradOutputAdjoint3
	WinogradFilterAdjoint3
	WinogradFilter5
	WinogradOutput5
	WinogradOutputAdjoint5
	WinogradFilterAdjoint5
)

// TransformScratch is the length of the working memory of a transform.
const TransformScratch = 36 * 16

// transformLanes divides every number of channels that vectors transform.
const transformLanes = 16

var (
	imageMatrix = [][]float64{
		{4, 0, -5, 0, 1, 0}, {0, -4, -4, 1, 1, 0}, {0, 4, -4, -1, 1, 0},
		{0, -2, -1, 2, 1, 0}, {0, 2, -1, -2, 1, 0}, {0, 4, 0, -5, 0, 1},
	}
	filterMatrix3 = [][]float64{
		{1. / 4, 0, 0}, {-1. / 6, -1. / 6, -1. / 6}, {-1. / 6, 1. / 6, -1. / 6},
		{1. / 24, 1. / 12, 1. / 6}, {1. / 24, -1. / 12, 1. / 6}, {0, 0, 1},
	}
	outputMatrix3 = [][]float64{
		{1, 1, 1, 1, 1, 0}, {0, 1, -1, 2, -2, 0}, {0, 1, 1, 4, 4, 0}, {0, 1, -1, 8, -8, 1},
	}
	filterMatrix5 = [][]float64{
		{1. / 4, 0, 0, 0, 0}, {-1. / 6, -1. / 6, -1. / 6, -1. / 6, -1. / 6}, {-1. / 6, 1. / 6, -1. / 6, 1. / 6, -1. / 6},
		{1. / 24, 1. / 12, 1. / 6, 1. / 3, 2. / 3}, {1. / 24, -1. / 12, 1. / 6, -1. / 3, 2. / 3}, {0, 0, 0, 0, 1},
	}
	outputMatrix5     = [][]float64{{1, 1, 1, 1, 1, 0}, {0, 1, -1, 2, -2, 1}}
	transformMatrices = [...][][]float64{
		WinogradImage: imageMatrix, WinogradFilter3: filterMatrix3, WinogradOutput3: outputMatrix3,
		WinogradOutputAdjoint3: transposedMatrix(outputMatrix3), WinogradFilterAdjoint3: transposedMatrix(filterMatrix3),
		WinogradFilter5: filterMatrix5, WinogradOutput5: outputMatrix5,
		WinogradOutputAdjoint5: transposedMatrix(outputMatrix5), WinogradFilterAdjoint5: transposedMatrix(filterMatrix5),
	}
)

func transposedMatrix(m [][]float64) [][]float64 {
	t := make([][]float64, len(m[0]))
	for j := range t {
		for i := range m {
			t[j] = append(t[j], m[i][j])
		}
	}
	return t
}

// Sizes are the sides of the squares that the transform makes and takes.
func (w Transform) Sizes() (to, from int) {
	m := transformMatrices[w]
	return len(m), len(m[0])
}

// Apply sets dst[i*dstRow+j*dstCol+c], for c < n, to the transform of
// src[i*srcRow+j*srcCol+c]. n is a multiple of 16, and tmp has
// TransformScratch elements.
func (w Transform) Apply(dst []float32, dstRow, dstCol int, src []float32, srcRow, srcCol int, tmp []float32, n int) {
	if n%transformLanes != 0 {
		panic("kernel: Transform: number of channels is no multiple of 16")
	}
	if n == 0 {
		return
	}
	to, from := w.Sizes()
	dst, src = dst[:(to-1)*(dstRow+dstCol)+n], src[:(from-1)*(srcRow+srcCol)+n]
	tmp = tmp[:TransformScratch]
	var done bool
	d, s, t := &dst[0], &src[0], &tmp[0]
	switch w {
	case WinogradImage:
		done = winogradImageVector(d, dstRow, dstCol, s, srcRow, srcCol, t, n)
	case WinogradFilter3:
		done = winogradFilter3Vector(d, dstRow, dstCol, s, srcRow, srcCol, t, n)
	case WinogradOutput3:
		done = winogradOutput3Vector(d, dstRow, dstCol, s, srcRow, srcCol, t, n)
	case WinogradOutputAdjoint3:
		done = winogradOutputAdjoint3Vector(d, dstRow, dstCol, s, srcRow, srcCol, t, n)
	case WinogradFilterAdjoint3:
		done = winogradFilterAdjoint3Vector(d, dstRow, dstCol, s, srcRow, srcCol, t, n)
	case WinogradFilter5:
		done = winogradFilter5Vector(d, dstRow, dstCol, s, srcRow, srcCol, t, n)
	case WinogradOutput5:
		done = winogradOutput5Vector(d, dstRow, dstCol, s, srcRow, srcCol, t, n)
	case WinogradOutputAdjoint5:
		done = winogradOutputAdjoint5Vector(d, dstRow, dstCol, s, srcRow, srcCol, t, n)
	case WinogradFilterAdjoint5:
		done = winogradFilterAdjoint5Vector(d, dstRow, dstCol, s, srcRow, srcCol, t, n)
	}
	if !done {
		w.apply(dst, dstRow, dstCol, src, srcRow, srcCol, tmp, n)
	}
}

// apply is Apply one element at a time.
func (w Transform) apply(dst []float32, dstRow, dstCol int, src []float32, srcRow, srcCol int, tmp []float32, n int) {
	m := transformMatrices[w]
	to, from := w.Sizes()
	for c := range n {
		for i := range to {
			for j := range from {
				var s float32
				for l, v := range m[i] {
					s += float32(v) * src[l*srcRow+j*srcCol+c]
				}
				tmp[i*from+j] = s
			}
		}
		for i := range to {
			for j := range to {
				var s float32
				for l, v := range m[j] {
					s += float32(v) * tmp[i*from+l]
				}
				dst[i*dstRow+j*dstCol+c] = s
			}
		}
	}
}
