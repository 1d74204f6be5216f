package dataset

import (
	"errors"
	"fmt"
	"math/rand/v2"
)

// Blend makes coloured digits by the recipe of MNIST-M: of a random window of a
// random background, the pixels under the digit's ink (those above 0) are inverted;
// that is |window - ink| in each channel with ink of 255. Image i has the label of
// digits' image i. digits holds bytes in one channel, backgrounds bytes in three, at
// least as large as a digit. The result is MNIST-M only for backgrounds out of BSDS500
// photographs; name it otherwise. Errors: other forms, no backgrounds.
//
// Ganin et al., JMLR 17, 2016, section 5.2.
func Blend(digits, backgrounds *Set, seed uint64) (*Set, error) {
	switch {
	case digits.C != 1 || digits.Bytes == nil:
		return nil, fmt.Errorf("dataset: Blend: digits of %s have %d channels, want bytes in 1", digits.Name, digits.C)
	case backgrounds.C != 3 || backgrounds.Bytes == nil || backgrounds.Len() == 0:
		return nil, fmt.Errorf("dataset: Blend: %d backgrounds of %s with %d channels, want at least 1, bytes in 3", backgrounds.Len(), backgrounds.Name, backgrounds.C)
	case backgrounds.H < digits.H || backgrounds.W < digits.W:
		return nil, fmt.Errorf("dataset: Blend: backgrounds are %dx%d, want at least %dx%d", backgrounds.H, backgrounds.W, digits.H, digits.W)
	}
	out := *digits
	out.Name, out.C = digits.Name+" on "+backgrounds.Name, 3
	out.Bytes = make([]byte, 3*len(digits.Bytes))
	size := digits.imageSize()
	for i := range digits.Len() {
		rng := rand.New(rand.NewPCG(seed, uint64(i)))
		photo := backgrounds.Bytes[rng.IntN(backgrounds.Len())*backgrounds.imageSize():]
		top, left := rng.IntN(backgrounds.H-digits.H+1), rng.IntN(backgrounds.W-digits.W+1)
		for p, ink := range digits.Bytes[i*size : (i+1)*size] {
			from := 3 * ((top+p/digits.W)*backgrounds.W + left + p%digits.W)
			for c := range 3 {
				v := photo[from+c]
				if ink > 0 {
					v = 255 - v
				}
				out.Bytes[3*(i*size+p)+c] = v
			}
		}
	}
	return &out, nil
}

// Aligned returns an error unless image i of b has the label of image i of a for all
// images of b: sets that were made of one another, such as MNIST and MNIST-M, must not
// be off by some images.
func Aligned(a, b *Set) error {
	if a == nil || b == nil {
		return errors.New("dataset: alignment of two sets, found none")
	}
	if len(a.Labels) < len(b.Labels) || len(b.Labels) == 0 {
		return fmt.Errorf("dataset: %s has %d labels and %s %d, want at least 1 and no more", a.Name, len(a.Labels), b.Name, len(b.Labels))
	}
	for i, y := range b.Labels {
		if y != a.Labels[i] {
			return fmt.Errorf("dataset: image %d of %s is labelled %d, want %d as in %s: the sets are not aligned", i, b.Name, y, a.Labels[i], a.Name)
		}
	}
	return nil
}
