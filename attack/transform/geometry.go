package transform

import (
	"fmt"
	"math"
	"math/rand/v2"

	"github.com/redoubt-ml/redoubt/tensor"
)

var (
	_ Transform = Crop{}
	_ Transform = Rotation{}
	_ Transform = Translation{}
	_ Transform = Pose{}
)

// Crop cuts out the middle of an image, Side times as high and wide as the whole,
// and stretches it to full size with bilinear interpolation: row i of H comes from
// height (1-Side)/2 (H-1) + Side i, and columns likewise.
type Crop struct{ Side Range } // above 0, at most 1

// String returns "crop 0.8".
func (t Crop) String() string { return fmt.Sprintf("crop %v", t.Side) }

// Check implements Transform.
func (t Crop) Check() error {
	return t.Side.check("crop's side", "numbers above 0, at most 1, in order", func(v float64) bool { return v > 0 && v <= 1 })
}

// Random implements Transform.
func (t Crop) Random() bool { return !t.Side.fixed() }

// Apply implements Transform.
func (t Crop) Apply(rng Sources, x *tensor.Tensor) *tensor.Tensor {
	mustFit(t, rng, x)
	return Warp(x, draw(rng, x.Dim(0), t.Side.fixed(), func(r *rand.Rand) Affine {
		s := t.Side.from(r)
		border := (1 - s) / 2
		return Affine{
			Y: [3]float64{border * float64(x.Dim(1)-1), s, 0},
			X: [3]float64{border * float64(x.Dim(2)-1), 0, s},
		}
	}), Bilinear)
}

// Rotation turns images about their middle, ((H-1)/2, (W-1)/2), counter-clockwise
// for positive angles.
type Rotation struct {
	Degrees       Range         // the angle; the zero Range turns nothing
	Interpolation Interpolation // the zero value is Nearest
}

// String returns "rotation 30°".
func (t Rotation) String() string { return fmt.Sprintf("rotation %v°", t.Degrees) }

// Check implements Transform.
func (t Rotation) Check() error { return t.pose().Check() }

// Random implements Transform.
func (t Rotation) Random() bool { return t.pose().Random() }

func (t Rotation) pose() Pose { return Pose{Degrees: t.Degrees, Interpolation: t.Interpolation} }

// Apply implements Transform.
func (t Rotation) Apply(rng Sources, x *tensor.Tensor) *tensor.Tensor {
	return t.pose().Apply(rng, x)
}

// Translation shifts images by numbers of pixels, which need not be whole.
type Translation struct {
	Down, Right   Range         // in pixels; the zero Range shifts nothing
	Interpolation Interpolation // the zero value is Nearest
}

// String returns "translation 1 down, 2 right".
func (t Translation) String() string {
	return fmt.Sprintf("translation %v down, %v right", t.Down, t.Right)
}

// Check implements Transform.
func (t Translation) Check() error { return t.pose().Check() }

// Random implements Transform.
func (t Translation) Random() bool { return t.pose().Random() }

func (t Translation) pose() Pose {
	return Pose{Down: t.Down, Right: t.Right, Interpolation: t.Interpolation}
}

// Apply implements Transform.
func (t Translation) Apply(rng Sources, x *tensor.Tensor) *tensor.Tensor {
	return t.pose().Apply(rng, x)
}

// Pose turns images about their middle, counter-clockwise for positive angles, and
// then shifts them by numbers of pixels, with one interpolation for both.
type Pose struct {
	Degrees       Range         // the angle; the zero Range turns nothing
	Down, Right   Range         // in pixels; the zero Range shifts nothing
	Interpolation Interpolation // the zero value is Nearest
}

// String names angle and shifts.
func (t Pose) String() string {
	return fmt.Sprintf("pose %v°, %v down, %v right", t.Degrees, t.Down, t.Right)
}

// Check implements Transform.
func (t Pose) Check() error {
	if t.Interpolation > Bilinear {
		return fmt.Errorf("transform: unknown interpolation %d", t.Interpolation)
	}
	for _, p := range []struct {
		name string
		Range
	}{{"angle", t.Degrees}, {"shift down", t.Down}, {"shift right", t.Right}} {
		if err := p.check(p.name, "finite numbers in order", anyValue); err != nil {
			return err
		}
	}
	return nil
}

// Random implements Transform.
func (t Pose) Random() bool { return !t.Degrees.fixed() || !t.Down.fixed() || !t.Right.fixed() }

// Apply implements Transform.
func (t Pose) Apply(rng Sources, x *tensor.Tensor) *tensor.Tensor {
	mustFit(t, rng, x)
	return Warp(x, draw(rng, x.Dim(0), !t.Random(), func(r *rand.Rand) Affine {
		return Posed(x.Dim(1), x.Dim(2), t.Degrees.from(r), t.Down.from(r), t.Right.from(r))
	}), t.Interpolation)
}

// Posed returns the map of images of h by w pixels that turns them about their
// middle by an angle, counter-clockwise, and then shifts them.
func Posed(h, w int, degrees, down, right float64) Affine {
	sin, cos := sincos(degrees)
	my, mx := float64(h-1)/2, float64(w-1)/2
	// A point q of the result is turned back to the original's R⁻¹(q - shift - m) + m;
	// with rows counted downwards R⁻¹ is (y, x) -> (y cos + x sin, x cos - y sin).
	qy, qx := -down-my, -right-mx
	return Affine{
		Y: [3]float64{qy*cos + qx*sin + my, cos, sin},
		X: [3]float64{qx*cos - qy*sin + mx, -sin, cos},
	}
}

// sincos is exact for multiples of a right angle.
func sincos(degrees float64) (sin, cos float64) {
	switch math.Mod(math.Mod(degrees, 360)+360, 360) {
	case 0:
		return 0, 1
	case 90:
		return 1, 0
	case 180:
		return 0, -1
	case 270:
		return -1, 0
	}
	return math.Sincos(degrees * math.Pi / 180)
}
