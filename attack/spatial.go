package attack

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"

	"github.com/redoubt-ml/redoubt/attack/transform"
	"github.com/redoubt-ml/redoubt/tensor"
)

var _ Attack = (*Spatial)(nil)

// Spatial turns and shifts images until the model gets them wrong, asking for
// answers only. It goes through a grid of poses, or draws random ones; there is no
// ball of pixel values. What comes into the image from outside is 0.
//
// Engstrom et al., ICML 2019, section 3: grid search, and worst-of-k.
type Spatial struct {
	// MaxDegrees is the largest angle, either way; 0 means 30, and a negative
	// number none.
	MaxDegrees float64
	// MaxShift is the largest shift along each side in pixels, which need not be
	// whole; 0 means a tenth of the shorter side, rounded, and a negative number
	// none.
	MaxShift float64
	// Angles and Shifts are the number of grid values of the angle and of each
	// shift, odd numbers, so that 0 is one; 0 means 31 and 5. Of its poses the
	// grid's smaller ones come first.
	Angles, Shifts int
	// Tries is the number of random poses for each image to try instead of the
	// grid; 0 means the grid.
	Tries int
	// Nearest takes each pixel from the nearest one instead of a mean of four.
	Nearest bool
	// Lo and Hi are the ends of the box of pixel values; both 0 mean [0, 1].
	Lo, Hi     float64
	Targets    []int                 // a class to reach for each input; nil for any wrong one
	Seed       uint64                // of random poses
	BatchSize  int                   // inputs in a forward pass; 0 means 32
	OnProgress func(done, total int) // as in PGD
}

// Pose is how an image was turned, counter-clockwise about its middle, and then
// shifted, in pixels.
type Pose struct {
	Degrees float64 `json:"degrees"` // counter-clockwise
	Down    float64 `json:"down"`    // pixels
	Right   float64 `json:"right"`   // pixels
}

// Name returns "spatial", or "spatial-10" with 10 random poses.
func (a *Spatial) Name() string {
	if a.Tries > 0 {
		return fmt.Sprintf("spatial-%d", a.Tries)
	}
	return "spatial"
}

// String describes all that matters for the outcome.
func (a *Spatial) String() string {
	shift := "a tenth of the side"
	if a.MaxShift != 0 {
		shift = fmt.Sprintf("%.4g pixels", max(0, a.MaxShift))
	}
	s := fmt.Sprintf("%s, up to %.4g°, %s", a.Name(), max(0, or(a.MaxDegrees, 30)), shift)
	if a.Tries > 0 {
		s += fmt.Sprintf(", random poses of seed %d", a.Seed)
	} else {
		s += fmt.Sprintf(", grid of %d angles and %d shifts each way", or(a.Angles, 31), or(a.Shifts, 5))
	}
	return s + targeted(a.Targets)
}

// Run attacks images x [N, H, W, C] with labels y. Images that resist are returned
// unchanged. Result.Distance is in L2.
func (a *Spatial) Run(ctx context.Context, m Model, x *tensor.Tensor, y []int) (Result, error) {
	res, _, err := a.Search(ctx, m, x, y)
	return res, err
}

// Search is Run, and returns the poses that broke the images too: all 0 for those
// that resisted or were wrong by themselves.
func (a *Spatial) Search(ctx context.Context, m Model, x *tensor.Tensor, y []int) (Result, []Pose, error) {
	th := Threat{Norm: L2, Lo: a.Lo, Hi: a.Hi}
	if x != nil && x.Rank() != 4 {
		return Result{}, nil, fmt.Errorf("attack: spatial: inputs of shape %v, want images [N, H, W, C]", x.Shape())
	}
	if err := checkInBox(m, x, y, th, a.Targets, "spatial", setting{"largest angle", max(a.MaxDegrees, 0), 0}, setting{"largest shift", max(a.MaxShift, 0), 0},
		setting{"angles", float64(a.Angles), 0}, setting{"shifts", float64(a.Shifts), 0}, setting{"tries", float64(a.Tries), 0}, setting{"batch size", float64(a.BatchSize), 0}); err != nil {
		return Result{}, nil, err
	}
	if a.Angles%2 == 0 && a.Angles > 0 || a.Shifts%2 == 0 && a.Shifts > 0 {
		return Result{}, nil, fmt.Errorf("attack: spatial: grid of %d angles and %d shifts, want odd numbers", a.Angles, a.Shifts)
	}
	s := poseSearch{Spatial: a, size: sizeOf(x), poses: make([]Pose, len(y))}
	s.limits()
	r := &relay{model: m, goals: a.Targets, batch: a.BatchSize, progress: a.OnProgress}
	res, err := runTrials(ctx, r, th, x, y, beginSpatial[float32](&s, r, y), beginSpatial[float64](&s, r, y))
	return res, s.poses, err
}

// poseSearch is a search for poses of images of one size.
type poseSearch struct {
	*Spatial
	size           imageSize
	degrees, shift float64
	grid           []Pose
	poses          []Pose // found for each input
}

// limits works out the bounds and, without Tries, the grid.
func (s *poseSearch) limits() {
	s.degrees = max(0, or(s.MaxDegrees, 30))
	s.shift = max(0, or(s.MaxShift, math.Round(float64(min(s.size.h, s.size.w))/10)))
	if s.Tries > 0 {
		return
	}
	angles, shifts := ticks(s.degrees, or(s.Angles, 31)), ticks(s.shift, or(s.Shifts, 5))
	for _, d := range angles {
		for _, down := range shifts {
			for _, right := range shifts {
				s.grid = append(s.grid, Pose{d, down, right})
			}
		}
	}
	share := func(v, limit float64) float64 {
		if limit == 0 {
			return 0
		}
		return math.Abs(v) / limit
	}
	far := func(p Pose) float64 {
		return max(share(p.Degrees, s.degrees), share(p.Down, s.shift), share(p.Right, s.shift))
	}
	slices.SortStableFunc(s.grid, func(p, q Pose) int { return cmp.Compare(far(p), far(q)) })
	s.grid = s.grid[1:] // the image as it is has been asked about
}

// ticks are n values, an odd number, evenly spaced from -limit to limit; 0 alone if
// that is the limit.
func ticks(limit float64, n int) []float64 {
	if limit == 0 || n == 1 {
		return []float64{0}
	}
	out := make([]float64, n)
	for i := range out {
		out[i] = limit * float64(2*i-(n-1)) / float64(n-1)
	}
	return out
}

func beginSpatial[T float](s *poseSearch, r *relay, y []int) beginner[T] {
	return func(i int, x0, _ []T) trial[T] {
		t := &spatial[T]{poseSearch: s, index: i, aim: r.aim(i, y), x0: x0, left: s.grid}
		if s.Tries > 0 {
			rng := rand.New(rand.NewPCG(s.Seed, r.id(i)))
			within := func(limit float64) float64 { return limit * (2*rng.Float64() - 1) }
			for range s.Tries {
				t.left = append(t.left, Pose{within(s.degrees), within(s.shift), within(s.shift)})
			}
		}
		if len(t.left) == 0 {
			return nil
		}
		return t
	}
}

// spatial is the attack on one image.
type spatial[T float] struct {
	*poseSearch
	index int
	aim   aim
	x0    []T
	left  []Pose // to try, the one of the question first

	asked []T
	point []T
	label int
}

func (t *spatial[T]) ask(x []T) int {
	p := t.left[0]
	in := transform.Bilinear
	if t.Nearest {
		in = transform.Nearest
	}
	image := fromValues(t.x0, 1, t.size.h, t.size.w, t.size.c)
	posed := transform.Warp(image, []transform.Affine{transform.Posed(t.size.h, t.size.w, p.Degrees, p.Down, p.Right)}, in)
	t.asked = values[T](posed)
	// Weights that sum to 1 but for rounding, and zeros from outside, may leave
	// the box.
	lo, hi := Threat{Lo: t.Lo, Hi: t.Hi}.box()
	for j, v := range t.asked {
		t.asked[j] = min(T(hi), max(T(lo), v))
	}
	copy(x, t.asked)
	return 0
}

func (t *spatial[T]) found() ([]T, int) { return t.point, t.label }

func (t *spatial[T]) answer(z []T, _ float64, _ []T) bool {
	if c := argMax(z); t.aim.hit(c) {
		t.point, t.label = t.asked, c
		t.poses[t.index] = t.left[0]
		return false
	}
	t.left = t.left[1:]
	return len(t.left) > 0
}
