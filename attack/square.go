package attack

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"

	"github.com/redoubt-ml/redoubt/tensor"
)

var _ Attack = (*Square)(nil)

// Square is a random search that needs scores only: it changes a square window of
// the perturbation, of a size that shrinks, and keeps the change if the margin of
// the true class falls. Every input has random numbers of its own.
//
// Andriushchenko, Croce, Flammarion and Hein, ECCV 2020, Algorithms 1 to 3; the L1
// form is that of Croce and Hein, ICML 2021.
type Square struct {
	Threat Threat // Linf, L2 or L1
	// Queries is the number of windows tried for each input in a run; 0 means
	// 5000.
	Queries int
	// Restarts is the number of runs; 0 means 1.
	Restarts int
	// Share is the share of the image that the first windows cover, above 0 to
	// 1; 0 means 0.8.
	Share float64
	// Rescale stretches the schedule of shares, made for 10,000 windows, to
	// Queries. The standard evaluation does not.
	Rescale bool
	// Inclusive lets windows reach the last row and column. The public
	// implementation, and so the standard evaluation, leaves them out but for
	// windows as large as the image.
	Inclusive bool
	// Targets holds a class to reach for each input; nil for any wrong class.
	Targets []int
	// Seed selects the random numbers.
	Seed uint64
	// BatchSize is the number of inputs in a forward pass; 0 means 32.
	BatchSize int
	// OnProgress is called with the number of inputs done and the number in
	// all, nil for none. Calls do not overlap.
	OnProgress func(done, total int)

	ids []int // names of the inputs for random numbers
}

// Name returns "Square".
func (s *Square) Name() string { return "Square" }

// String describes all that matters for the outcome.
func (s *Square) String() string {
	text := summary(s.Name(), s.Threat, "queries", or(s.Queries, 5000), "restarts", max(1, s.Restarts), "share", or(s.Share, 0.8))
	if s.Rescale {
		text += ", rescaled schedule"
	}
	if s.Inclusive {
		text += ", inclusive windows"
	}
	return fmt.Sprintf("%s, seed %d", text, s.Seed) + targeted(s.Targets)
}

// Run attacks images x [N, H, W, C] or [N, H, W] with labels y. Rows [N, W] are attacked
// as well, under Linf by stretches of values in place of squares, under L2 and L1 value by
// value, which is weak. Inputs that resist are returned unchanged.
func (s *Square) Run(ctx context.Context, m Model, x *tensor.Tensor, y []int) (Result, error) {
	if err := s.check(m, x, y); err != nil {
		return Result{}, err
	}
	r := &relay{model: m, goals: s.Targets, batch: s.BatchSize, ids: s.ids, progress: s.OnProgress}
	return runTrials(ctx, r, s.Threat, x, y, beginSquare[float32](s, r, sizeOf(x), y), beginSquare[float64](s, r, sizeOf(x), y))
}

func (s *Square) check(m Model, x *tensor.Tensor, y []int) error {
	if err := checkBall(m, x, y, s.Threat); err != nil {
		return err
	}
	if err := checkTargets(y, s.Targets); err != nil {
		return err
	}
	if err := checkImages("Square", m, x); err != nil {
		return err
	}
	switch {
	case s.Threat.Norm == L0:
		return fmt.Errorf("attack: Square under l0, want linf, l2 or l1")
	case s.Queries < 0 || s.Restarts < 0 || s.BatchSize < 0:
		return fmt.Errorf("attack: Square: %d queries, %d restarts, batch size %d, want 0 or more of each", s.Queries, s.Restarts, s.BatchSize)
	case !(s.Share >= 0 && s.Share <= 1):
		return fmt.Errorf("attack: Square: share %v, want above 0 to 1", s.Share)
	}
	return nil
}

func beginSquare[T float](s *Square, r *relay, size imageSize, y []int) beginner[T] {
	return func(i int, x0, z []T) trial[T] {
		t := &square[T]{
			threat: s.Threat, h: size.h, w: size.w, c: size.c, aim: r.aim(i, y), x0: x0,
			queries: or(s.Queries, 5000), runs: max(1, s.Restarts), share: or(s.Share, 0.8),
			rescale: s.Rescale, inclusive: s.Inclusive, persist: r.chance,
			rng:  rand.New(rand.NewPCG(s.Seed, r.id(i))),
			best: make([]T, len(x0)), next: make([]T, len(x0)),
		}
		t.startRun()
		return t
	}
}

// square is the attack on one image.
type square[T float] struct {
	threat             Threat
	h, w, c            int
	aim                aim
	x0                 []T
	queries, runs      int // of a run, and runs to come with the present one
	share              float64
	rescale, inclusive bool
	persist            bool // a success does not end the attack
	rng                *rand.Rand

	best, next []T // the point of the least margin and the one asked about
	margin     float64
	i          int // windows tried in the run; -1 before the start's answer

	adversary []T
	label     int
}

func (t *square[T]) ask(x []T) int {
	copy(x, t.next)
	return 0
}

func (t *square[T]) found() ([]T, int) { return t.adversary, t.label }

func (t *square[T]) startRun() {
	t.i = -1
	if t.threat.Norm == Linf {
		t.stripes()
		return
	}
	t.tiles()
}

func (t *square[T]) answer(z []T, _ float64, _ []T) bool {
	if c := argMax(z); t.aim.hit(c) {
		t.adversary, t.label = append(t.adversary[:0], t.next...), c
		if !t.persist {
			return false
		}
	}
	if m := shortfall(t.aim, z); t.i < 0 || m < t.margin {
		t.margin = m
		t.best, t.next = t.next, t.best
	}
	if t.i++; t.i == t.queries {
		if t.runs--; t.runs == 0 {
			return false
		}
		t.startRun()
		return true
	}
	share := windowShare(t.share, t.i, t.queries, t.rescale)
	side := squareSide(t.threat.Norm, share, t.h, t.w)
	copy(t.next, t.best)
	if t.threat.Norm == Linf {
		wide := side
		if t.h == 1 {
			wide = min(t.w, max(1, int(math.RoundToEven(share*float64(t.w)))))
		}
		t.flip(side, wide)
	} else {
		t.exchange(side)
	}
	return true
}

// windowShare is the share of the image that window i of n covers.
//
// Andriushchenko et al., ECCV 2020, section 5.
func windowShare(first float64, i, n int, rescale bool) float64 {
	if rescale {
		i = int(float64(i) / float64(n) * 10000)
	}
	p := first
	for _, at := range [...]int{10, 50, 200, 500, 1000, 2000, 4000, 6000, 8000} {
		if i > at {
			p /= 2
		}
	}
	return p
}

// squareSide is the side of a window that covers a share of the image: at least 1
// for Linf, and odd and at least 3 for the other norms.
func squareSide(n Norm, share float64, h, w int) int {
	side := int(math.RoundToEven(math.Sqrt(share * float64(h*w))))
	if n == Linf {
		return min(max(side, 1), h, w)
	}
	side = max(side, 3)
	if side%2 == 0 {
		side++
	}
	return min(side, h, w)
}

func (t *square[T]) sign() T {
	if t.rng.Uint64()&1 == 0 {
		return -1
	}
	return 1
}

// corner draws the first row or column of a window.
func (t *square[T]) corner(size, side int) int {
	n := size - side
	if t.inclusive {
		n++
	}
	if n <= 0 {
		return 0
	}
	return t.rng.IntN(n)
}

// stripes starts from a random sign for each column and channel.
func (t *square[T]) stripes() {
	a, b := t.threat.box()
	e := inner[T](t.threat)
	for k := range t.w * t.c {
		s := t.sign() * e
		for r := range t.h {
			i := r*t.w*t.c + k
			t.next[i] = min(T(b), max(T(a), t.x0[i]+s))
		}
	}
}

// flip sets a window of next to one end of the ball, for each channel.
func (t *square[T]) flip(tall, wide int) {
	a, b := t.threat.box()
	e := inner[T](t.threat)
	top, left := t.corner(t.h, tall), t.corner(t.w, wide)
	for ch := range t.c {
		s := t.sign() * e
		for r := top; r < top+tall; r++ {
			for q := left; q < left+wide; q++ {
				i := (r*t.w+q)*t.c + ch
				t.next[i] = min(T(b), max(T(a), t.x0[i]+s))
			}
		}
	}
}
