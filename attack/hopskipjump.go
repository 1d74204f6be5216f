package attack

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"

	"github.com/redoubt-ml/redoubt/tensor"
)

var _ Attack = (*HopSkipJump)(nil)

// HopSkipJump moves from a success towards the input by binary search, estimates the
// direction of the boundary's normal from answers around it, and steps along that.
//
// Chen, Jordan and Wainwright, S&P 2020, Algorithms 1 and 2.
type HopSkipJump struct {
	// Threat is under L2 or Linf; points farther than Eps count as no success.
	Threat Threat
	// Queries is the number of questions for each input; 0 means 5000. The first ones
	// look for a success to start from: an input for which none of 1,000 points of noise
	// of several kinds is one, or half of Queries if that is less, counts as resisting.
	Queries int
	// Samples is the first number of questions for a direction; 0 means 100. It
	// grows with the square root of the steps.
	Samples    int
	Targets    []int                 // a class to reach for each input; nil for any wrong one
	Seed       uint64                // of the random numbers
	BatchSize  int                   // inputs in a forward pass; 0 means 32
	OnProgress func(done, total int) // as in PGD
}

// Name returns "HopSkipJump".
func (a *HopSkipJump) Name() string { return "HopSkipJump" }

// String describes all that matters for the outcome.
func (a *HopSkipJump) String() string {
	return summary(a.Name(), a.Threat, "queries", or(a.Queries, 5000), "samples", or(a.Samples, 100), "seed", a.Seed) + targeted(a.Targets)
}

// Run attacks inputs x [N, ...] with labels y. Result.Distance holds the smallest
// perturbations found.
func (a *HopSkipJump) Run(ctx context.Context, m Model, x *tensor.Tensor, y []int) (Result, error) {
	if a.Threat.Norm != L2 && a.Threat.Norm != Linf {
		return Result{}, fmt.Errorf("attack: HopSkipJump under %v, want l2 or linf", a.Threat.Norm)
	}
	if err := checkAll(m, x, y, a.Threat, a.Targets, "HopSkipJump", setting{"queries", float64(a.Queries), 0},
		setting{"samples", float64(a.Samples), 0}, setting{"batch size", float64(a.BatchSize), 0}); err != nil {
		return Result{}, err
	}
	r := &relay{model: m, goals: a.Targets, batch: a.BatchSize, progress: a.OnProgress}
	return runTrials(ctx, r, a.Threat, x, y, beginHSJ[float32](a, r, y), beginHSJ[float64](a, r, y))
}

func beginHSJ[T float](a *HopSkipJump, r *relay, y []int) beginner[T] {
	return func(i int, x0, _ []T) trial[T] {
		d := len(x0)
		t := &hopSkipJump[T]{
			catch: catch[T]{threat: a.Threat, x0: x0}, start: newStart(a.Threat, rand.New(rand.NewPCG(a.Seed, r.id(i))), x0, or(a.Queries, 5000)),
			aim: r.aim(i, y), queries: or(a.Queries, 5000), samples: or(a.Samples, 100),
			x: make([]T, d), asked: make([]T, d), far: make([]T, d), direction: make([]float64, d), normal: make([]float64, d), mean: make([]float64, d),
		}
		t.draw(t.asked)
		return t
	}
}

// The phases of HopSkipJump on one input.
const (
	searching  = iota // for a first success
	bisecting         // between the input and a success
	estimating        // the normal at the boundary
	hopping           // along the normal, by halves until that is a success
)

// hopSkipJump is the attack on one input.
type hopSkipJump[T float] struct {
	catch[T]
	start[T]
	aim     aim
	queries int
	samples int

	phase    int
	round    int     // steps made
	x, asked []T     // the success at hand, and the point of the question
	far      []T     // the success that bisection started from
	before   float64 // distance of far
	lo01     float64
	hi01     float64 // of the way from the input to far: a success

	k, of             int // questions of the estimate made and to make
	wins              int
	direction         []float64
	normal, mean      []float64 // sum of directions by their success, and of all
	radius, hop, last float64
}

func (t *hopSkipJump[T]) ask(x []T) int {
	copy(x, t.asked)
	return 0
}

func (t *hopSkipJump[T]) answer(z []T, _ float64, _ []T) bool {
	c := argMax(z)
	won := t.aim.hit(c)
	if won {
		t.offer(t.asked, c)
	}
	if t.queries--; t.queries <= 0 {
		return false
	}
	switch t.phase {
	case searching:
		if !won {
			if t.tries <= 0 {
				return false
			}
			t.draw(t.asked)
			return true
		}
		t.bisect()
	case bisecting:
		if won {
			t.hi01 = (t.lo01 + t.hi01) / 2
		} else {
			t.lo01 = (t.lo01 + t.hi01) / 2
		}
		if t.hi01-t.lo01 > t.precision() {
			t.between((t.lo01+t.hi01)/2, t.asked)
			return true
		}
		t.between(t.hi01, t.x)
		return t.estimate()
	case estimating:
		sign := -1.0
		if won {
			sign, t.wins = 1, t.wins+1
		}
		for j, d := range t.direction {
			t.normal[j] += sign * d
			t.mean[j] += d
		}
		if t.k++; t.k < t.of {
			t.probe()
			return true
		}
		t.finishEstimate()
	case hopping:
		if won {
			t.bisect()
			return true
		}
		if t.hop /= 2; t.hop < 1e-9*t.last {
			return false
		}
		t.tryHop()
	}
	return true
}

// precision is where bisection ends, as a share of the way.
func (t *hopSkipJump[T]) precision() float64 {
	d := float64(len(t.x))
	if t.threat.Norm == L2 {
		return 1 / (d * math.Sqrt(d))
	}
	return 1 / (d * d)
}

// bisect begins the search between the input and the success just asked about.
func (t *hopSkipJump[T]) bisect() {
	t.phase = bisecting
	copy(t.far, t.asked)
	t.before = distance(t.threat.Norm, t.far, t.x0)
	t.lo01, t.hi01 = 0, 1
	t.between(0.5, t.asked)
}

// between sets x to the projection of far onto the ball around the input of a share s of
// its distance: a point on the way for L2, and far cut off in every value for Linf.
func (t *hopSkipJump[T]) between(s float64, x []T) {
	reach := s * t.before
	for j, o := range t.x0 {
		way := float64(t.far[j]) - float64(o)
		if t.threat.Norm == Linf {
			way = min(reach, max(-reach, way))
		} else {
			way *= s
		}
		x[j] = T(min(t.hi, max(t.lo, float64(o)+way)))
	}
}

// estimate begins the estimate of the boundary's normal at x.
func (t *hopSkipJump[T]) estimate() bool {
	t.last = distance(t.threat.Norm, t.x, t.x0)
	if t.last == 0 {
		return false
	}
	t.round++
	t.phase, t.k, t.wins = estimating, 0, 0
	t.of = int(float64(t.samples) * math.Sqrt(float64(t.round)))
	d := float64(len(t.x))
	// The radius of the probes, Eq. (15), starting from a tenth of the box.
	t.radius = 0.1 * (t.hi - t.lo)
	if t.round > 1 {
		t.radius = t.before * t.precision() * math.Sqrt(d)
		if t.threat.Norm == Linf {
			t.radius = t.before * t.precision() * d
		}
	}
	clear(t.normal)
	clear(t.mean)
	t.probe()
	return true
}

// probe asks about a random point around x.
func (t *hopSkipJump[T]) probe() {
	for j := range t.direction {
		if t.threat.Norm == L2 {
			t.direction[j] = t.rng.NormFloat64()
		} else {
			t.direction[j] = 2*t.rng.Float64() - 1
		}
	}
	n := size(L2, t.direction) + tiny
	for j, v := range t.x {
		u := min(t.hi, max(t.lo, float64(v)+t.radius*t.direction[j]/n))
		t.asked[j] = T(u)
		t.direction[j] = (u - float64(v)) / t.radius // as far as the box let it go
	}
}

// finishEstimate subtracts the mean, which lowers the variance where most answers
// are alike, and begins the step.
func (t *hopSkipJump[T]) finishEstimate() {
	bias := 2*float64(t.wins)/float64(t.of) - 1
	for j := range t.normal {
		switch t.wins {
		case t.of:
			t.normal[j] = t.mean[j]
		case 0:
			t.normal[j] = -t.mean[j]
		default:
			t.normal[j] -= bias * t.mean[j]
		}
	}
	if t.threat.Norm == Linf {
		for j, v := range t.normal {
			t.normal[j] = math.Copysign(1, v)
		}
	} else {
		n := size(L2, t.normal) + tiny
		for j := range t.normal {
			t.normal[j] /= n
		}
	}
	t.phase = hopping
	t.hop = t.last / math.Sqrt(float64(t.round))
	t.tryHop()
}

func (t *hopSkipJump[T]) tryHop() {
	for j, v := range t.x {
		t.asked[j] = T(min(t.hi, max(t.lo, float64(v)+t.hop*t.normal[j])))
	}
}
