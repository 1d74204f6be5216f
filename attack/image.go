package attack

import (
	"fmt"
	"math"

	"github.com/redoubt-ml/redoubt/tensor"
)

// imageSize is that of images [N, h, w, c].
type imageSize struct{ h, w, c int }

// sizeOf returns the size of images [N, H, W, C]; [N, H, W] are of one channel and
// [N, W] of one row.
func sizeOf(x *tensor.Tensor) imageSize {
	s := x.Shape()
	switch len(s) {
	case 2:
		return imageSize{1, s[1], 1}
	case 3:
		return imageSize{s[1], s[2], 1}
	}
	return imageSize{s[1], s[2], s[3]}
}

// checkImages returns an error unless x is a batch of images.
func checkImages(attack string, m Model, x *tensor.Tensor) error {
	if err := checkBatch(m, x); err != nil {
		return err
	}
	if x.Rank() > 4 {
		return fmt.Errorf("attack: %s: inputs of shape %v, want images [N, H, W, C]", attack, x.Shape())
	}
	return nil
}

// gaussian returns the weights of a Gaussian of standard deviation sigma, above 0,
// from -radius to radius pixels, which sum to 1.
func gaussian(radius int, sigma float64) []float64 {
	k := make([]float64, 2*radius+1)
	sum := 0.0
	for i := range k {
		u := float64(i-radius) / sigma
		k[i] = math.Exp(-u * u / 2)
		sum += k[i]
	}
	for i := range k {
		k[i] /= sum
	}
	return k
}

// convolve smooths the rows and columns of src with a symmetric kernel. Beyond the
// image all values are 0, or, with whole, the kernel is cut and sums to 1 all the
// same. scratch is of the size of src.
func convolve[T float](dst, src, scratch []T, size imageSize, kernel []float64, whole bool) {
	convolveLines(scratch, src, size.h, size.w*size.c, size.w, size.c, kernel, whole)
	convolveLines(dst, scratch, size.w, size.c, size.h, size.w*size.c, kernel, whole)
}

// convolveLines smooths lines of n values that are step apart, for each channel;
// the lines begin between apart.
func convolveLines[T float](dst, src []T, lines, between, n, step int, kernel []float64, whole bool) {
	radius := len(kernel) / 2
	channels := min(between, step)
	for l := range lines {
		for c := range channels {
			at := l*between + c
			for i := range n {
				sum, weight := 0.0, 0.0
				for j := max(0, i-radius); j <= min(n-1, i+radius); j++ {
					k := kernel[j-i+radius]
					sum += k * float64(src[at+j*step])
					weight += k
				}
				if whole {
					sum /= weight
				}
				dst[at+i*step] = T(sum)
			}
		}
	}
}
