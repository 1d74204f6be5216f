package attack

import (
	"context"
	"math/rand/v2"

	"github.com/redoubt-ml/redoubt/tensor"
)

// slopes is what NES and SPSA have in common.
type slopes struct {
	threat           Threat
	queries, samples int
	width, stepSize  float64
	seed             uint64
	draw             func(*rand.Rand) float64 // an entry of a direction
}

func (s slopes) run(ctx context.Context, name string, m Model, x *tensor.Tensor, y, targets []int, batch int, progress func(done, total int)) (Result, error) {
	if err := checkAll(m, x, y, s.threat, targets, name, setting{"queries", float64(s.queries), 0}, setting{"samples", float64(s.samples), 0},
		setting{"width of differences", s.width, 0}, setting{"step size", s.stepSize, 0}, setting{"batch size", float64(batch), 0}); err != nil {
		return Result{}, err
	}
	r := &relay{model: m, goals: targets, batch: batch, progress: progress}
	return runTrials(ctx, r, s.threat, x, y, beginSlopes[float32](s, r, y), beginSlopes[float64](s, r, y))
}

func beginSlopes[T float](s slopes, r *relay, y []int) beginner[T] {
	s.queries, s.samples = or(s.queries, 5000), or(s.samples, 25)
	size := s.stepSize
	return func(i int, x0, _ []T) trial[T] {
		s := s
		s.stepSize = or(size, s.threat.stride(len(x0))/10)
		t := &slope[T]{slopes: s, aim: r.aim(i, y), x0: x0, x: append([]T(nil), x0...), rng: rand.New(rand.NewPCG(s.seed, r.id(i))),
			persist: r.chance, direction: make([]float64, len(x0)), sum: make([]float64, len(x0)), g: make([]T, len(x0)), asked: make([]T, len(x0))}
		t.next()
		return t
	}
}

// slope is the attack on one input. It asks about both ends of each direction, and
// then about the point where the step has led.
type slope[T float] struct {
	slopes
	aim     aim
	rng     *rand.Rand
	persist bool // a success does not end the attack

	x0, x, asked   []T
	direction, sum []float64
	g              []T
	k              int // questions of the estimate, two for each direction
	heard          int // questions in all
	plus           float64

	point []T
	label int
}

// next sets asked to the point of the next question.
func (t *slope[T]) next() {
	copy(t.asked, t.x)
	if t.k == 2*t.samples {
		return
	}
	sign := -1.0
	if t.k%2 == 0 {
		sign = 1
		for j := range t.direction {
			t.direction[j] = t.draw(t.rng)
		}
	}
	lo, hi := t.threat.box()
	for j, d := range t.direction {
		t.asked[j] = T(min(hi, max(lo, float64(t.x[j])+sign*t.width*d)))
	}
}

func (t *slope[T]) ask(x []T) int {
	copy(x, t.asked)
	return 0
}

func (t *slope[T]) found() ([]T, int) { return t.point, t.label }

func (t *slope[T]) answer(z []T, _ float64, _ []T) bool {
	// A probe may be a success too, if it lies in the ball.
	if c := argMax(z); t.aim.hit(c) && distance(t.threat.Norm, t.asked, t.x0) <= t.threat.Eps {
		t.point, t.label = append(t.point[:0], t.asked...), c
		if !t.persist {
			return false
		}
	}
	t.heard++
	short := shortfall(t.aim, z)
	switch {
	case t.k == 2*t.samples:
		t.k = -1
	case t.k%2 == 0:
		t.plus = short
	default:
		for j, d := range t.direction {
			t.sum[j] += (short - t.plus) * d
		}
	}
	if t.k++; t.k == 2*t.samples {
		for j, v := range t.sum {
			t.g[j], t.sum[j] = T(v), 0
		}
		step(t.threat, t.x, t.g, t.x0, t.stepSize)
	}
	if t.heard >= t.queries {
		return false
	}
	t.next()
	return true
}
