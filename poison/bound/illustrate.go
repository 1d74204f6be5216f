package bound

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"

	"gonum.org/v1/gonum/optimize"

	"github.com/redoubt-ml/redoubt/internal/par"
)

// Outcome is where a minimisation has ended.
type Outcome int

const (
	// Good: labels can be read off z, and the squared target error is small.
	Good Outcome = iota
	// Bad: labels can be read off z in the source, but the target error is large.
	Bad
	// Stuck: z says nothing of the source's labels, u is (±1, 0) nearly; both
	// induced labels are 1/2 there, so a constant hypothesis has no squared error.
	Stuck
)

// String returns "good", "bad" or "stuck".
func (o Outcome) String() string {
	switch o {
	case Good:
		return "good"
	case Bad:
		return "bad"
	case Stuck:
		return "stuck"
	}
	return fmt.Sprintf("Outcome(%d)", int(o))
}

// Minimum is the end of one minimisation.
type Minimum struct {
	Start   Point
	Point   Point // with U as it came out, of norm near 1
	Loss    float64
	Terms   Terms
	Outcome Outcome
}

// Illustrate minimises the loss of an illustrative case with Nelder and Mead's
// method from random starts: u uniform on the upper half of the unit circle, a = 1,
// b = 0.
type Illustrate struct {
	Starts  int     // 0 means 100
	Lambda  float64 // weight of the gap between marginals; 0 means 0.01
	Formula Formula
	Seed    uint64 // of the starts
}

// searchNodes is the number of cells of the rule during the search.
const searchNodes = 400

// RandomStarts returns the points that Run starts from.
func (l Illustrate) RandomStarts() ([]Point, error) {
	if l.Starts < 0 || !(l.Lambda >= 0) {
		return nil, fmt.Errorf("bound: %d starts with lambda %v, want 0 or more of both", l.Starts, l.Lambda)
	}
	n := l.Starts
	if n == 0 {
		n = 100
	}
	rng := rand.New(rand.NewPCG(l.Seed, 0x11105))
	starts := make([]Point, n)
	for i := range starts {
		x, y := rng.NormFloat64(), math.Abs(rng.NormFloat64())
		r := math.Hypot(x, y)
		starts[i] = Point{U: [2]float64{x / r, y / r}, A: 1}
	}
	return starts, nil
}

// Run minimises from all starts. It stops within a start of ctx's end.
func (l Illustrate) Run(ctx context.Context, c Case) ([]Minimum, error) {
	starts, err := l.RandomStarts()
	if err != nil {
		return nil, err
	}
	out := make([]Minimum, len(starts))
	errs := make([]error, len(starts))
	par.For(len(starts), 1, func(lo, hi int) {
		for i := lo; i < hi; i++ {
			if errs[i] = ctx.Err(); errs[i] == nil {
				out[i], errs[i] = l.From(c, starts[i])
			}
		}
	})
	for _, err := range errs {
		if err != nil {
			return nil, err
		}
	}
	return out, nil
}

// From minimises from one start. The first simplex is the start and, for each
// coordinate, the start with that coordinate 5 % larger, or 0.00025 if it is 0.
// The search ends when the best value has stayed within 1e-8 for 40 iterations,
// and after 1,000 iterations.
func (l Illustrate) From(c Case, start Point) (Minimum, error) {
	if err := c.check(start, l.Formula); err != nil {
		return Minimum{}, fmt.Errorf("bound: %w", err)
	}
	lambda := l.Lambda
	if lambda == 0 {
		lambda = 0.01
	}
	at := func(x []float64) Point { return Point{U: [2]float64{x[0], x[1]}, A: x[2], B: x[3]} }
	value := func(x []float64) float64 {
		p := at(x)
		if c.check(p, l.Formula) != nil {
			return math.Inf(1)
		}
		return c.loss(p, lambda, l.Formula, searchNodes)
	}
	x0 := []float64{start.U[0], start.U[1], start.A, start.B}
	method := &optimize.NelderMead{Reflection: 1, Expansion: 2, Contraction: 0.5, Shrink: 0.5}
	for i := -1; i < len(x0); i++ {
		x := append([]float64(nil), x0...)
		if i >= 0 {
			if x[i] == 0 {
				x[i] = 0.00025
			} else {
				x[i] *= 1.05
			}
		}
		method.InitialVertices = append(method.InitialVertices, x)
		method.InitialValues = append(method.InitialValues, value(x))
	}
	res, err := optimize.Minimize(optimize.Problem{Func: value}, x0, &optimize.Settings{
		MajorIterations: 1000,
		Converger:       &optimize.FunctionConverge{Absolute: 1e-8, Iterations: 40},
	}, method)
	if err != nil {
		return Minimum{}, fmt.Errorf("bound: %w", err)
	}
	m := Minimum{Start: start, Point: at(res.X), Loss: res.F}
	if m.Terms, err = c.Terms(m.Point, l.Formula); err != nil {
		return Minimum{}, err
	}
	switch {
	case math.Abs(m.Point.U[0]) > 0.9*math.Hypot(m.Point.U[0], m.Point.U[1]):
		m.Outcome = Stuck
	case m.Terms.SquaredTarget > 0.1:
		m.Outcome = Bad
	}
	return m, nil
}
