package dataset

import (
	"fmt"
	"math/rand/v2"
)

var (
	_ Augment = ColorJitter{}
	_ Augment = RandomGrayscale{}
)

// ColorJitter changes brightness, contrast, saturation and hue by random
// amounts, in random order, as torchvision's transform of that name does on
// tensors. A field that is 0 leaves its property alone. On images that do not
// have three channels saturation and hue do nothing and contrast takes the mean
// of all pixels.
type ColorJitter struct {
	// Brightness, Contrast and Saturation are the half-widths b of the range
	// [max(0, 1-b), 1+b] of a factor: 0 black, 0 flat grey and 0 no colour
	// respectively, 1 the image as it is.
	Brightness, Contrast, Saturation float64
	// Hue is the half-width of the range of a turn of the colour circle, in
	// turns: at most 0.5.
	Hue float64
	// P is the probability that the image is changed at all; 0 means 1.
	P float64
}

// Check implements Augment.
func (j ColorJitter) Check() error {
	for _, f := range []struct {
		name string
		v    float64
	}{{"Brightness", j.Brightness}, {"Contrast", j.Contrast}, {"Saturation", j.Saturation}} {
		if !(f.v >= 0 && f.v < 1e6) {
			return fmt.Errorf("ColorJitter: %s is %v, want 0 or more", f.name, f.v)
		}
	}
	if !(j.Hue >= 0 && j.Hue <= 0.5) {
		return fmt.Errorf("ColorJitter: Hue is %v, want 0 to 0.5", j.Hue)
	}
	return checkProbability("ColorJitter", j.P)
}

// Augment implements Augment.
func (j ColorJitter) Augment(rng *rand.Rand, img *Image) {
	if rng.Float64() >= orDefault(j.P, 1) {
		return
	}
	order := [4]int{0, 1, 2, 3}
	rng.Shuffle(len(order), func(a, b int) { order[a], order[b] = order[b], order[a] })
	factor := func(width float64) float32 {
		low := max(0, 1-width)
		return float32(low + (1+width-low)*rng.Float64())
	}
	brightness, contrast, saturation := factor(j.Brightness), factor(j.Contrast), factor(j.Saturation)
	turn := float32(j.Hue * (2*rng.Float64() - 1))
	for _, which := range order {
		switch {
		case which == 0 && j.Brightness > 0:
			adjustBrightness(img, brightness)
		case which == 1 && j.Contrast > 0:
			adjustContrast(img, contrast)
		case which == 2 && j.Saturation > 0:
			adjustSaturation(img, saturation)
		case which == 3 && j.Hue > 0:
			adjustHue(img, turn)
		}
	}
}

// luma is the grey value of a colour, with torchvision's rounded weights of
// ITU-R BT.601.
func luma(r, g, b float32) float32 { return 0.2989*r + 0.587*g + 0.114*b }

func clamp01(v float32) float32 { return min(1, max(0, v)) }

func adjustBrightness(img *Image, factor float32) {
	for i, v := range img.Pix {
		img.Pix[i] = clamp01(factor * v)
	}
}

func adjustContrast(img *Image, factor float32) {
	sum, n := 0.0, len(img.Pix)
	if img.C == 3 {
		n /= 3
		for i := 0; i+2 < len(img.Pix); i += 3 {
			sum += float64(luma(img.Pix[i], img.Pix[i+1], img.Pix[i+2]))
		}
	} else {
		for _, v := range img.Pix {
			sum += float64(v)
		}
	}
	grey := (1 - factor) * float32(sum/float64(max(1, n)))
	for i, v := range img.Pix {
		img.Pix[i] = clamp01(factor*v + grey)
	}
}

func adjustSaturation(img *Image, factor float32) {
	if img.C != 3 {
		return
	}
	for i := 0; i+2 < len(img.Pix); i += 3 {
		p := img.Pix[i : i+3 : i+3]
		grey := (1 - factor) * luma(p[0], p[1], p[2])
		for c, v := range p {
			p[c] = clamp01(factor*v + grey)
		}
	}
}

// adjustHue turns the hue of every pixel, in the HSV colour model.
func adjustHue(img *Image, turn float32) {
	if img.C != 3 {
		return
	}
	for i := 0; i+2 < len(img.Pix); i += 3 {
		p := img.Pix[i : i+3 : i+3]
		h, s, v := hsv(p[0], p[1], p[2])
		p[0], p[1], p[2] = rgb(h+turn, s, v)
	}
}

// hsv returns the hue (in turns), saturation and value of a colour; the hue of
// a grey is 0.
func hsv(r, g, b float32) (h, s, v float32) {
	v = max(r, g, b)
	d := v - min(r, g, b)
	if d == 0 {
		return 0, 0, v
	}
	switch v {
	case r:
		h = (g - b) / d
	case g:
		h = 2 + (b-r)/d
	default:
		h = 4 + (r-g)/d
	}
	return h / 6, d / v, v
}

// rgb is the inverse of hsv; h is taken modulo 1.
func rgb(h, s, v float32) (r, g, b float32) {
	h *= 6
	for h < 0 {
		h += 6
	}
	for h >= 6 {
		h -= 6
	}
	sector := int(h)
	f := h - float32(sector)
	p, q, t := clamp01(v*(1-s)), clamp01(v*(1-s*f)), clamp01(v*(1-s*(1-f)))
	switch sector {
	case 0:
		return v, t, p
	case 1:
		return q, v, p
	case 2:
		return p, v, t
	case 3:
		return p, q, v
	case 4:
		return t, p, v
	}
	return v, p, q
}

// RandomGrayscale turns an image of three channels grey, keeping the channels,
// and leaves other images alone.
type RandomGrayscale struct {
	// P is the probability of the change; 0 means 0.1.
	P float64
}

// Check implements Augment.
func (g RandomGrayscale) Check() error { return checkProbability("RandomGrayscale", g.P) }

// Augment implements Augment.
func (g RandomGrayscale) Augment(rng *rand.Rand, img *Image) {
	if rng.Float64() >= orDefault(g.P, 0.1) || img.C != 3 {
		return
	}
	for i := 0; i+2 < len(img.Pix); i += 3 {
		p := img.Pix[i : i+3 : i+3]
		grey := luma(p[0], p[1], p[2])
		p[0], p[1], p[2] = grey, grey, grey
	}
}
