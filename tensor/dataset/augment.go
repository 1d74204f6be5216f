package dataset

import (
	"fmt"
	"math/rand/v2"
	"sync"

	"github.com/redoubt-ml/redoubt/internal/par"
	"github.com/redoubt-ml/redoubt/tensor"
)

// Image is one image under augmentation.
type Image struct {
	// H, W and C are the height, width and number of channels.
	H, W, C int
	// Pix holds the pixels in [0, 1], in the order [H, W, C].
	Pix []float32
	// Scratch has the length of Pix and any content; an Augment may use it.
	Scratch []float32
}

// Augment is a random change of an image that keeps its size.
type Augment interface {
	// Check returns an error if a parameter is out of its range.
	Check() error
	// Augment changes the image in place, with no randomness but rng's.
	Augment(rng *rand.Rand, img *Image)
}

// Augmenter applies a list of augmentations to batches. Each example has a
// random stream of its own, derived from (seed, epoch, index of the example):
// its result does not depend on the batch that it is in. An Augmenter may be
// used by several goroutines.
type Augmenter struct {
	seed  uint64
	steps []Augment
	pool  sync.Pool
}

// augmentState is what one call of Apply works with.
type augmentState struct {
	source rand.PCG
	rng    *rand.Rand
	img    Image
}

// NewAugmenter returns an Augmenter that applies steps in their order. Two
// independent views of the same batch come from two Augmenters with different
// seeds. It returns the error of the first step whose Check fails.
func NewAugmenter(seed uint64, steps ...Augment) (*Augmenter, error) {
	for i, step := range steps {
		if err := step.Check(); err != nil {
			return nil, fmt.Errorf("dataset: augmentation %d: %w", i, err)
		}
	}
	a := &Augmenter{seed: seed, steps: steps}
	a.pool.New = func() any {
		s := new(augmentState)
		s.rng = rand.New(&s.source)
		return s
	}
	return a, nil
}

// grain is the number of values that are worth a thread.
const grain = 1 << 14

// Apply augments x, a float32 tensor [n, H, W, C] with values in [0, 1], in
// place. idx holds the index in its set of each of the n examples. It panics
// if x has another shape.
func (a *Augmenter) Apply(x *tensor.Tensor, idx []int, epoch int) {
	if x.DType() != tensor.Float32 || x.Rank() != 4 || x.Dim(0) != len(idx) {
		panic(fmt.Sprintf("dataset: Augmenter.Apply: x is %v%v, want float32[%d H W C]", x.DType(), x.Shape(), len(idx)))
	}
	h, w, c := x.Dim(1), x.Dim(2), x.Dim(3)
	size := h * w * c
	pixels := x.Float32s()
	par.For(len(idx), max(1, grain/max(1, size)), func(lo, hi int) {
		s := a.pool.Get().(*augmentState)
		defer a.pool.Put(s)
		if cap(s.img.Scratch) < size {
			s.img.Scratch = make([]float32, size)
		}
		for k := lo; k < hi; k++ {
			s.source.Seed(streamSeed(a.seed, augmentStream, uint64(epoch), uint64(idx[k])))
			s.img = Image{H: h, W: w, C: c, Pix: pixels[k*size : (k+1)*size : (k+1)*size], Scratch: s.img.Scratch[:size]}
			for _, step := range a.steps {
				step.Augment(s.rng, &s.img)
			}
		}
		s.img.Pix = nil
	})
	x.Touch()
}

// checkProbability is the range check of a field P.
func checkProbability(what string, p float64) error {
	if !(p >= 0 && p <= 1) {
		return fmt.Errorf("%s: P is %v, want 0 to 1", what, p)
	}
	return nil
}

// orDefault returns v, or the default if v is 0.
func orDefault(v, zero float64) float64 {
	if v == 0 {
		return zero
	}
	return v
}
