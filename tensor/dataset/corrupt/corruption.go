package corrupt

import (
	"context"
	"fmt"
	"math/rand/v2"

	"github.com/redoubt-ml/redoubt/internal/par"
	"github.com/redoubt-ml/redoubt/tensor/dataset"
)

// Type is a kind of corruption.
type Type uint8

// Types of corruption.
const (
	GaussianNoise Type = iota
	ShotNoise          // Poisson noise of few photons
	ImpulseNoise       // values that are black or white
	DefocusBlur
	GlassBlur // pixels that change places
	MotionBlur
	ZoomBlur
	Fog
	Brightness
	Contrast
	Pixelate
	JPEG
	count
)

// MaxSeverity is the largest severity; the smallest is 1.
const MaxSeverity = 5

// change corrupts an image at a severity from 0 to 4. It may leave [0, 1].
type change func(rng *rand.Rand, img *dataset.Image, severity int)

var kinds = [count]struct {
	name  string
	apply change
}{
	GaussianNoise: {"gaussian noise", gaussianNoise}, ShotNoise: {"shot noise", shotNoise}, ImpulseNoise: {"impulse noise", impulseNoise},
	DefocusBlur: {"defocus blur", defocusBlur}, GlassBlur: {"glass blur", glassBlur}, MotionBlur: {"motion blur", motionBlur}, ZoomBlur: {"zoom blur", zoomBlur},
	Fog: {"fog", fog}, Brightness: {"brightness", brightness}, Contrast: {"contrast", contrast}, Pixelate: {"pixelate", pixelate}, JPEG: {"jpeg", compress},
}

// Types returns all types of corruption.
func Types() []Type {
	out := make([]Type, count)
	for i := range out {
		out[i] = Type(i)
	}
	return out
}

// String returns the type's name, as in "shot noise".
func (t Type) String() string {
	if t >= count {
		return fmt.Sprintf("Type(%d)", uint8(t))
	}
	return kinds[t].name
}

// MarshalText writes the type's name.
func (t Type) MarshalText() ([]byte, error) {
	if t >= count {
		return nil, fmt.Errorf("corrupt: unknown type %d", uint8(t))
	}
	return []byte(t.String()), nil
}

// UnmarshalText reads a type's name.
func (t *Type) UnmarshalText(text []byte) error {
	for i, k := range kinds {
		if k.name == string(text) {
			*t = Type(i)
			return nil
		}
	}
	return fmt.Errorf("corrupt: unknown type %q, want one of %v", text, Types())
}

var _ dataset.Augment = Corruption{}

// Corruption is a corruption of some severity. As a dataset.Augment it corrupts a
// training image, in floating point.
type Corruption struct {
	Type Type `json:"type"` // the zero value is GaussianNoise
	// Severity is 1 (hardly seen) to MaxSeverity.
	Severity int `json:"severity"`
	// Seed selects the random draws of Apply. Image i of a set has the same draws at
	// all severities, as far as these are of a kind.
	Seed uint64 `json:"seed"`
}

// String describes the corruption, as in "shot noise 3".
func (c Corruption) String() string { return fmt.Sprintf("%v %d", c.Type, c.Severity) }

// Check returns an error if there is no such type or severity.
func (c Corruption) Check() error {
	if c.Type >= count {
		return fmt.Errorf("corrupt: unknown type %d, want 0 to %d", uint8(c.Type), count-1)
	}
	if c.Severity < 1 || c.Severity > MaxSeverity {
		return fmt.Errorf("corrupt: severity of %v is %d, want 1 to %d", c.Type, c.Severity, MaxSeverity)
	}
	return nil
}

// Augment corrupts an image in place and clips it to [0, 1]. It panics if Check
// returns an error or the image has a form that Apply refuses.
func (c Corruption) Augment(rng *rand.Rand, img *dataset.Image) {
	if err := c.Check(); err != nil {
		panic(err.Error())
	}
	if err := checkForm(img.H, img.W, img.C); err != nil {
		panic(err.Error())
	}
	kinds[c.Type].apply(rng, img, c.Severity-1)
	for i, v := range img.Pix {
		img.Pix[i] = min(1, max(0, v))
	}
}

// leastSide is the smallest side of an image in pixels.
const leastSide = 8

func checkForm(h, w, c int) error {
	if h < leastSide || w < leastSide || c != 1 && c != 3 {
		return fmt.Errorf("corrupt: images are %dx%dx%d, want at least %dx%d pixels in 1 or 3 channels", h, w, c, leastSide, leastSide)
	}
	return nil
}

// Apply returns the images of s corrupted, clipped to [0, 1] and rounded to bytes,
// with its labels; s is unchanged. The result depends on Seed and an image's position
// in s, not on the number of threads. Errors: a bad type or severity, a set that is
// not valid, images below 8x8 pixels or with other than 1 or 3 channels, and ctx's.
func (c Corruption) Apply(ctx context.Context, s *dataset.Set) (*dataset.Set, error) {
	if err := c.Check(); err != nil {
		return nil, err
	}
	if s == nil || s.Len() == 0 {
		return nil, fmt.Errorf("corrupt: %v: no images", c)
	}
	if err := s.Check(); err != nil {
		return nil, fmt.Errorf("corrupt: %v: %w", c, err)
	}
	if err := checkForm(s.H, s.W, s.C); err != nil {
		return nil, err
	}
	out := *s
	out.Name = fmt.Sprintf("%s, %v", s.Name, c)
	size := s.H * s.W * s.C
	out.Floats, out.Bytes = nil, make([]byte, s.Len()*size)
	par.For(s.Len(), 8, func(lo, hi int) {
		scratch := make([]float32, size)
		for i := lo; i < hi && ctx.Err() == nil; i++ {
			x, _ := s.Batch([]int{i})
			img := &dataset.Image{H: s.H, W: s.W, C: s.C, Pix: x.Float32s(), Scratch: scratch}
			c.Augment(rand.New(rand.NewPCG(c.Seed+uint64(c.Type+1)*0x9e3779b97f4a7c15, uint64(i))), img)
			for k, v := range img.Pix {
				out.Bytes[i*size+k] = byte(255*v + 0.5)
			}
		}
	})
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("corrupt: %v: stopped: %w", c, err)
	}
	return &out, nil
}
