package conv

import "fmt"

// Geometry is the shape of a convolution: N images of [H, W, C], K filters of
// [R, S, C] stored together as [R, S, C, K], moved in steps of StrideH and
// StrideW over the image with PadT, PadB, PadL and PadR rows and columns of
// zeros around it, giving N outputs of [OH, OW, K].
type Geometry struct {
	N, H, W, C, K, R, S int
	StrideH, StrideW    int
	PadT, PadL          int
	PadB, PadR          int
	OH, OW              int
	// Winograd allows 3x3 and 5x5 convolutions of float32 at stride one with
	// channels enough to run as Winograd's F(4x4, 3x3) and F(2x2, 5x5), the latter on
	// the way back only: 1.6 to 4 times as fast, with rounding errors four to thirteen
	// times as large, a few parts in a million.
	Winograd bool
}

// Complete sets OH and OW from the other fields. It fails when a size or
// stride is below one, a pad is negative, or a filter is larger than the
// padded image; N may be zero.
func (g *Geometry) Complete() error {
	for _, f := range []struct {
		name        string
		value, want int
	}{
		{"N", g.N, 0}, {"H", g.H, 1}, {"W", g.W, 1}, {"C", g.C, 1}, {"K", g.K, 1}, {"R", g.R, 1}, {"S", g.S, 1},
		{"StrideH", g.StrideH, 1}, {"StrideW", g.StrideW, 1},
		{"PadT", g.PadT, 0}, {"PadL", g.PadL, 0}, {"PadB", g.PadB, 0}, {"PadR", g.PadR, 0},
	} {
		if f.value < f.want {
			return fmt.Errorf("conv: %s is %d, want at least %d", f.name, f.value, f.want)
		}
	}
	if h, w := g.H+g.PadT+g.PadB, g.W+g.PadL+g.PadR; h < g.R || w < g.S {
		return fmt.Errorf("conv: filter of %dx%d on a padded image of %dx%d, want it no larger", g.R, g.S, h, w)
	}
	g.OH = (g.H+g.PadT+g.PadB-g.R)/g.StrideH + 1
	g.OW = (g.W+g.PadL+g.PadR-g.S)/g.StrideW + 1
	return nil
}

// check panics when the geometry is not what Complete would make it or when a
// buffer does not fit.
func (g *Geometry) check(op string, x, w, y int) {
	full := *g
	if err := full.Complete(); err != nil {
		panic(fmt.Sprintf("conv: %s: %v", op, err))
	}
	if full != *g {
		panic(fmt.Sprintf("conv: %s: output of %dx%d, want %dx%d", op, g.OH, g.OW, full.OH, full.OW))
	}
	for _, b := range []struct {
		name        string
		found, want int
	}{
		{"image", x, g.N * g.H * g.W * g.C},
		{"filter", w, g.R * g.S * g.C * g.K},
		{"output", y, g.N * g.OH * g.OW * g.K},
	} {
		if b.found != b.want {
			panic(fmt.Sprintf("conv: %s: %s buffer of %d elements, want %d", op, b.name, b.found, b.want))
		}
	}
}
