package dataset

import (
	"fmt"
	"math"
	"math/rand/v2"
)

var (
	_ Augment = PadCrop{}
	_ Augment = HorizontalFlip{}
	_ Augment = RandomResizedCrop{}
)

// PadCrop pads an image on all four sides and cuts a window of the image's
// size out of it at a uniformly random place: the customary augmentation of
// CIFAR-10 (He et al., CVPR 2016, section 4.2).
type PadCrop struct {
	// Pad is the number of pixels added on each side; 0 means 4.
	Pad int
	// Fill is the value of the added pixels, in [0, 1]; 0 is black.
	Fill float32
}

// Check implements Augment.
func (p PadCrop) Check() error {
	if p.Pad < 0 {
		return fmt.Errorf("PadCrop: Pad is %d, want 0 (for 4) or more", p.Pad)
	}
	if !(p.Fill >= 0 && p.Fill <= 1) {
		return fmt.Errorf("PadCrop: Fill is %v, want 0 to 1", p.Fill)
	}
	return nil
}

// Augment implements Augment.
func (p PadCrop) Augment(rng *rand.Rand, img *Image) {
	pad := p.Pad
	if pad == 0 {
		pad = 4
	}
	dy := rng.IntN(2*pad+1) - pad
	dx := rng.IntN(2*pad+1) - pad
	copy(img.Scratch, img.Pix)
	for i := range img.Pix {
		img.Pix[i] = p.Fill
	}
	// Columns [left, right) of the result show columns of the image.
	left, right := max(0, -dx), min(img.W, img.W-dx)
	if left >= right {
		return
	}
	for y := max(0, -dy); y < min(img.H, img.H-dy); y++ {
		from := ((y+dy)*img.W + left + dx) * img.C
		copy(img.Pix[(y*img.W+left)*img.C:(y*img.W+right)*img.C], img.Scratch[from:])
	}
}

// HorizontalFlip mirrors an image left to right.
type HorizontalFlip struct {
	// P is the probability of a flip; 0 means 0.5.
	P float64
}

// Check implements Augment.
func (f HorizontalFlip) Check() error { return checkProbability("HorizontalFlip", f.P) }

// Augment implements Augment.
func (f HorizontalFlip) Augment(rng *rand.Rand, img *Image) {
	if rng.Float64() >= orDefault(f.P, 0.5) {
		return
	}
	for y := range img.H {
		row := img.Pix[y*img.W*img.C : (y+1)*img.W*img.C]
		for i, j := 0, len(row)-img.C; i < j; i, j = i+img.C, j-img.C {
			for c := range img.C {
				row[i+c], row[j+c] = row[j+c], row[i+c]
			}
		}
	}
}

// RandomResizedCrop cuts a window of random area and aspect ratio out of an
// image and enlarges it, bilinearly, to the image's size (Szegedy et al., CVPR
// 2015), with the defaults and the fall-back of torchvision's transform of that
// name.
type RandomResizedCrop struct {
	// Scale is the range of the window's area as a part of the image's; the
	// zero value means [0.08, 1].
	Scale [2]float64
	// Ratio is the range of width over height; the zero value means
	// [3/4, 4/3]. Its logarithm is uniform.
	Ratio [2]float64
}

func (r RandomResizedCrop) ranges() (scale, ratio [2]float64) {
	scale, ratio = r.Scale, r.Ratio
	if scale == [2]float64{} {
		scale = [2]float64{0.08, 1}
	}
	if ratio == [2]float64{} {
		ratio = [2]float64{3. / 4, 4. / 3}
	}
	return scale, ratio
}

// Check implements Augment.
func (r RandomResizedCrop) Check() error {
	scale, ratio := r.ranges()
	if !(scale[0] > 0 && scale[0] <= scale[1] && scale[1] <= 1) {
		return fmt.Errorf("RandomResizedCrop: Scale is %v, want 0 < low <= high <= 1", r.Scale)
	}
	if !(ratio[0] > 0 && ratio[0] <= ratio[1] && ratio[1] < math.Inf(1)) {
		return fmt.Errorf("RandomResizedCrop: Ratio is %v, want 0 < low <= high", r.Ratio)
	}
	return nil
}

// Augment implements Augment.
func (r RandomResizedCrop) Augment(rng *rand.Rand, img *Image) {
	top, left, h, w := r.window(rng, img.H, img.W)
	copy(img.Scratch, img.Pix)
	resizeWindow(img, top, left, h, w)
}

// window draws the window to be cut out.
func (r RandomResizedCrop) window(rng *rand.Rand, height, width int) (top, left, h, w int) {
	scale, ratio := r.ranges()
	area := float64(height * width)
	low, high := math.Log(ratio[0]), math.Log(ratio[1])
	for range 10 {
		target := area * (scale[0] + (scale[1]-scale[0])*rng.Float64())
		aspect := math.Exp(low + (high-low)*rng.Float64())
		w = int(math.RoundToEven(math.Sqrt(target * aspect)))
		h = int(math.RoundToEven(math.Sqrt(target / aspect)))
		if w > 0 && w <= width && h > 0 && h <= height {
			return rng.IntN(height - h + 1), rng.IntN(width - w + 1), h, w
		}
	}
	// The largest window at the centre whose aspect ratio is in the range.
	h, w = height, width
	switch aspect := float64(width) / float64(height); {
	case aspect < ratio[0]:
		h = min(height, max(1, int(math.RoundToEven(float64(width)/ratio[0]))))
	case aspect > ratio[1]:
		w = min(width, max(1, int(math.RoundToEven(float64(height)*ratio[1]))))
	}
	return (height - h) / 2, (width - w) / 2, h, w
}

// resizeWindow fills img.Pix with the window of img.Scratch, enlarged
// bilinearly with pixel centres at half-integers (align_corners=False in
// PyTorch's words).
func resizeWindow(img *Image, top, left, h, w int) {
	stepY, stepX := float32(h)/float32(img.H), float32(w)/float32(img.W)
	at := 0
	for y := range img.H {
		y0, y1, fy := sampleAt(y, stepY, h)
		row0 := img.Scratch[(top+y0)*img.W*img.C:]
		row1 := img.Scratch[(top+y1)*img.W*img.C:]
		for x := range img.W {
			x0, x1, fx := sampleAt(x, stepX, w)
			i0, i1 := (left+x0)*img.C, (left+x1)*img.C
			for c := range img.C {
				upper := row0[i0+c] + fx*(row0[i1+c]-row0[i0+c])
				lower := row1[i0+c] + fx*(row1[i1+c]-row1[i0+c])
				img.Pix[at] = min(1, max(0, upper+fy*(lower-upper)))
				at++
			}
		}
	}
}

// sampleAt returns the two positions among n that surround the centre of
// output pixel i, and the weight of the second.
func sampleAt(i int, step float32, n int) (i0, i1 int, f float32) {
	pos := max(0, (float32(i)+0.5)*step-0.5)
	i0 = min(int(pos), n-1)
	return i0, min(i0+1, n-1), min(1, pos-float32(i0))
}
