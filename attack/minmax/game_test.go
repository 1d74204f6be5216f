package minmax_test

import (
	"context"
	"math"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/redoubt-ml/redoubt/attack"
	. "github.com/redoubt-ml/redoubt/attack/minmax"
	"github.com/redoubt-ml/redoubt/attack/transform"
	"github.com/redoubt-ml/redoubt/tensor"
)

var ctx = context.Background()

// point is a centre at the origin of the plane, or the line.
func point(d int) *tensor.Tensor { return tensor.Zeros(tensor.Float64, 1, d) }

// parabolas are F_1 = (v-1)²/2 and F_2 = (v+1)² on the line.
func parabolas() *Functions {
	side := func(at, weight float64) func(*tensor.Tensor, Rows) *tensor.Tensor {
		return func(v *tensor.Tensor, _ Rows) *tensor.Tensor {
			return tensor.MulScalar(tensor.Sum(tensor.Square(tensor.AddScalar(v, -at)), 1), weight)
		}
	}
	return &Functions{At: point(1), Losses: []func(*tensor.Tensor, Rows) *tensor.Tensor{side(1, 0.5), side(-1, 1)}}
}

// planes are F_i = m_i + v_i·v in the plane with m = (1, 2), v_1 = (1, 0.2) and v_2 =
// (-0.5, 1).
func planes() *Functions {
	plane := func(m float64, slope ...float64) func(*tensor.Tensor, Rows) *tensor.Tensor {
		return func(v *tensor.Tensor, _ Rows) *tensor.Tensor {
			return tensor.AddScalar(tensor.Sum(tensor.Mul(v, tensor.FromFloat64(slope)), 1), m)
		}
	}
	return &Functions{At: point(2), Losses: []func(*tensor.Tensor, Rows) *tensor.Tensor{plane(1, 1, 0.2), plane(2, -0.5, 1)}}
}

func box(eps float64) attack.Threat { return attack.Threat{Norm: attack.Linf, Eps: eps} }

// play runs a game of one row and returns where it ends.
func play(t *testing.T, d Domains, a APGDA) (v, w []float64, res Result) {
	t.Helper()
	res, err := a.Run(ctx, d)
	require.NoError(t, err)
	return res.Point.Values(), res.Weights[0], res
}

// The values are exact arithmetic by hand; updating both players at once, from the
// losses before the step, gives others.
func TestParabolasFollowTheirTrajectory(t *testing.T) {
	for i, want := range []struct{ v, w1, w2 float64 }{
		{-0.1, 0.48975, 0.51025}, {-0.175945, 0.4913928339, 0.5086071661}, {-0.228022922078, 0.5001571275, 0.4998428725},
		{-0.259528934679, 0.5123868733, 0.4876131267}, {-0.274881080718, 0.5254913578, 0.4745086422},
	} {
		a := APGDA{Threat: box(2), Rule: MinMax{Beta: 0.1, Gamma: 1}, Steps: i + 1, StepSize: 0.2}
		v, w, res := play(t, parabolas(), a)
		require.InDelta(t, want.v, v[0], 1e-9, "step %d", i+1)
		require.InDeltaSlice(t, []float64{want.w1, want.w2}, w, 1e-9, "step %d", i+1)
		require.InDelta(t, want.w1, res.History.Weights(i+1, 0)[0], 1e-6)
	}
}

func TestParabolasConvergeToTheirSaddle(t *testing.T) {
	for _, c := range []struct {
		name        string
		rule        Rule
		steps       int
		v, w1, near float64
	}{
		{"gamma 1", MinMax{Beta: 0.1, Gamma: 1}, 500, -0.216462455529, 0.562979684616, 1e-9},
		{"gamma 0", MinMax{Beta: 0.1}, 4000, -0.171572875254, 0.585786437627, 1e-6}, // 2√2-3 and 2-√2
		{"gamma 1e6", MinMax{Beta: 1e-7, Gamma: 1e6}, 500, -1. / 3, 0.5, 1e-5},
		{"average", Average{}, 500, -1. / 3, 0.5, 1e-9},
	} {
		v, w, res := play(t, parabolas(), APGDA{Threat: box(2), Rule: c.rule, Steps: c.steps, StepSize: 0.2, Residuals: true})
		require.InDelta(t, c.v, v[0], c.near, c.name)
		require.InDelta(t, c.w1, w[0], c.near, c.name)
		if _, plays := c.rule.(MinMax); plays && c.near < 1e-6 {
			require.Less(t, res.Residual[0], 1e-15, "the residual falls to 0")
			require.Greater(t, res.MeanResidual[0], 0.1)
		}
	}
}

// By hand: with all weight to lose, v_2 = -1, and v_1 balances the two planes.
func TestPlanesFollowTheirTrajectory(t *testing.T) {
	for i, want := range []struct{ v1, v2, w1 float64 }{
		{-0.0625, -0.15, 0.4513125}, {-0.1067421875, -0.3097375, 0.4071569609}, {-0.1344260479, -0.4783061078, 0.3689925428},
	} {
		v, w, _ := play(t, planes(), APGDA{Threat: box(1), Rule: MinMax{Beta: 0.1, Gamma: 0.3}, Steps: i + 1, StepSize: 0.25})
		require.InDeltaSlice(t, []float64{want.v1, want.v2}, v, 1e-9)
		require.InDelta(t, want.w1, w[0], 1e-9)
	}
}

func TestPlanesConvergeToTheirSaddle(t *testing.T) {
	for _, c := range []struct{ gamma, v1, w1 float64 }{
		{0.3, 2./15 - 2*0.3/9, 1. / 3}, {1, 2./15 - 2./9, 1. / 3}, {5, 2./15 - 10./9, 1. / 3}, {6, -1, 0.3583333333},
	} {
		v, w, _ := play(t, planes(), APGDA{Threat: box(1), Rule: MinMax{Beta: 0.1, Gamma: c.gamma}, Steps: 3000, StepSize: 0.05})
		require.InDeltaSlice(t, []float64{c.v1, -1}, v, 1e-6, "gamma %v", c.gamma)
		require.InDelta(t, c.w1, w[0], 1e-6, "gamma %v", c.gamma)
	}
	// Without a regulariser a bilinear game turns about its saddle, which the mean
	// of the iterates finds, and whose value is 14/15; the average has 1.5.
	small := APGDA{Threat: box(1), Rule: MinMax{Beta: 0.01}, Steps: 20000, StepSize: 0.01}
	_, _, turning := play(t, planes(), small)
	mean := 0.0
	for s := range small.Steps {
		mean += turning.History.Weights(s, 0)[0] / float64(small.Steps)
	}
	require.InDelta(t, 1./3, mean, 5e-3)
	least := mean + 2*(1-mean) - math.Abs(mean-0.5*(1-mean)) - (0.2*mean + 1 - mean) // over the box, under these weights
	require.InDelta(t, 14./15, least, 0.01)
	v, _, res := play(t, planes(), APGDA{Threat: box(1), Rule: Average{}, Steps: 200, StepSize: 0.25})
	require.Equal(t, []float64{-1, -1}, v)
	require.InDelta(t, 1.5, slices.Max(res.Losses[0]), 1e-12)
}

// Against constant losses the weights climb to proj(1/K + F/gamma).
func TestWeightsClimbToTheInnerMaximum(t *testing.T) {
	constant := func(f ...float64) *Functions {
		d := &Functions{At: point(1)}
		for _, c := range f {
			d.Losses = append(d.Losses, func(v *tensor.Tensor, _ Rows) *tensor.Tensor {
				return tensor.Full(tensor.Float64, c, v.Dim(0))
			})
		}
		return d
	}
	_, w, _ := play(t, constant(3, 1), APGDA{Threat: box(1), Rule: MinMax{Beta: 0.1, Gamma: 4}, Steps: 400})
	require.InDeltaSlice(t, []float64{0.75, 0.25}, w, 1e-9)
	_, w, _ = play(t, constant(3, 1), APGDA{Threat: box(1), Rule: MinMax{Beta: 0.1, Gamma: 1}, Steps: 400})
	require.InDeltaSlice(t, []float64{1, 0}, w, 1e-9)
	r := rand.New(rand.NewPCG(1, 1))
	for range 30 {
		f := make([]float64, 2+r.IntN(6))
		for i := range f {
			f[i] = 5 * r.Float64()
		}
		rule := MinMax{Gamma: 0.5 + 5*r.Float64()}
		rule.Beta = 0.5 / rule.Gamma
		_, w, _ := play(t, constant(f...), APGDA{Threat: box(1), Rule: rule, Steps: 200})
		want := make([]float64, len(f))
		for i, v := range f {
			want[i] = 1/float64(len(f)) + v/rule.Gamma
		}
		ProjectSimplex(want)
		require.InDeltaSlice(t, want, w, 1e-9)
		require.InDeltaSlice(t, want, rule.Best(f), 1e-9)
		// Best is a maximum: no other weights have a larger value.
		value := rule.Value(f)
		for range 20 {
			other := make([]float64, len(f))
			for i := range other {
				other[i] = r.NormFloat64()
			}
			ProjectSimplex(other)
			sum := 0.0
			for i, v := range other {
				d := v - 1/float64(len(f))
				sum += v*f[i] - rule.Gamma/2*d*d
			}
			require.LessOrEqual(t, sum, value+1e-12)
		}
	}
	require.Equal(t, []float64{0, 1, 0}, MinMax{}.Best([]float64{1, 3, 3}))
}

func TestRulesMoveWeights(t *testing.T) {
	f := []float64{4, 60, 51}
	for _, c := range []struct {
		rule  Rule
		start []float64
		want  []float64
		value float64
	}{
		{Average{}, []float64{1. / 3, 1. / 3, 1. / 3}, []float64{1. / 3, 1. / 3, 1. / 3}, 115. / 3},
		{Worst{}, []float64{1. / 3, 1. / 3, 1. / 3}, []float64{0, 1, 0}, 60},
		{Fixed{Weights: []float64{0.5, 0.2, 0.3}}, []float64{0.5, 0.2, 0.3}, []float64{0.5, 0.2, 0.3}, 29.3},
		{Subset{[]int{0, 2}}, []float64{0.5, 0, 0.5}, []float64{0.5, 0, 0.5}, 27.5},
		{Clip{Level: 50}, []float64{1. / 3, 1. / 3, 1. / 3}, []float64{0, 1. / 3, 1. / 3}, 161. / 3},
		{MinMax{Beta: 0.01, Gamma: 3, Initial: []float64{0.5, 0.5, 0}}, []float64{0.5, 0.5, 0}, []float64{0.151666667, 0.711666667, 0.136666667}, 60 - 3./2*(4./9+2./9)},
	} {
		w, err := c.rule.Start(3)
		require.NoError(t, err)
		require.InDeltaSlice(t, c.start, w, 1e-12, c.rule.String())
		c.rule.Update(w, f, 1)
		require.InDeltaSlice(t, c.want, w, 1e-6, c.rule.String())
		require.InDelta(t, c.value, c.rule.Value(f), 1e-9, c.rule.String())
	}
	w := []float64{0.5, 0.5}
	MinMax{Beta: 1}.Update(w, []float64{1, 9}, 0)
	require.Equal(t, []float64{0.5, 0.5}, w, "the first weights are for the first gradient")
}

// Permuting the domains permutes the weights and leaves the point where it was.
func TestDomainsCanBePermuted(t *testing.T) {
	r := rand.New(rand.NewPCG(2, 2))
	quadratic := func() func(*tensor.Tensor, Rows) *tensor.Tensor {
		at := tensor.Normal(r, tensor.Float64, 0, 1, 6)
		return func(v *tensor.Tensor, _ Rows) *tensor.Tensor {
			return tensor.Sum(tensor.Square(tensor.Sub(v, at)), 1)
		}
	}
	d := &Functions{At: tensor.Normal(r, tensor.Float64, 0, 1, 4, 6)}
	for range 4 {
		d.Losses = append(d.Losses, quadratic())
	}
	a := APGDA{Threat: attack.Threat{Norm: attack.L2, Eps: 1.5}, Rule: MinMax{Beta: 0.02, Gamma: 2}, Steps: 60, StepSize: 0.1, Start: NormalStart}
	one, err := a.Run(ctx, d)
	require.NoError(t, err)
	order := []int{2, 0, 3, 1}
	p := &Functions{At: d.At}
	for _, k := range order {
		p.Losses = append(p.Losses, d.Losses[k])
	}
	two, err := a.Run(ctx, p)
	require.NoError(t, err)
	require.InDeltaSlice(t, one.Point.Values(), two.Point.Values(), 1e-9)
	for i, w := range one.Weights {
		for k, from := range order {
			require.InDelta(t, w[from], two.Weights[i][k], 1e-9)
		}
	}
}

// Step control ends nearer to the saddle than steps that are too large for it, and
// never reports a worse value than the start's.
func TestStepControlSettles(t *testing.T) {
	a := APGDA{Threat: box(2), Rule: MinMax{Beta: 0.1, Gamma: 1}, Steps: 100, StepControl: true}
	v, _, res := play(t, parabolas(), a)
	require.InDelta(t, -0.216462455529, v[0], 2e-3)
	rule := MinMax{Gamma: 1}
	require.Less(t, rule.Value(res.Losses[0]), rule.Value([]float64{0.5, 1}))
	plain := APGDA{Threat: box(2), Rule: MinMax{Beta: 0.1, Gamma: 1}, Steps: 100, Normalize: true, StepSize: 4}
	u, _, _ := play(t, parabolas(), plain)
	require.Greater(t, u[0]+0.216462455529, 0.1, "the same step without control")
}

// However small or large the gradient is, a normalised step has its length; one of 0 is
// none.
func TestNormalizedStepsHaveTheirLength(t *testing.T) {
	for _, scale := range []float64{1, 1e-9, 1e-200, 1e200, 0} {
		d := planes()
		for k, loss := range d.Losses {
			d.Losses[k] = func(v *tensor.Tensor, at Rows) *tensor.Tensor { return tensor.MulScalar(loss(v, at), scale) }
		}
		for _, n := range norms {
			eps := 100.0
			v, _, _ := play(t, d, APGDA{Threat: attack.Threat{Norm: n, Eps: eps}, Rule: Average{}, Steps: 1, StepSize: 0.5, Normalize: true})
			g := []float64{0.25, 0.6} // of the average
			want := map[attack.Norm]float64{attack.Linf: 1, attack.L2: 0.65, attack.L1: 0.85, attack.L0: 0.85}[n]
			if n == attack.Linf {
				g = []float64{1, 1}
			}
			if scale == 0 {
				g = []float64{0, 0}
			}
			require.InDeltaSlice(t, []float64{-0.5 * g[0] / want, -0.5 * g[1] / want}, v, 1e-6, "%v, %v", n, scale)
		}
	}
}

// bowls are squared distances, with weights, from random points; asked hears every
// question.
func bowls(seed uint64, rows, d int, asked func(v *tensor.Tensor, at Rows)) *Functions {
	r := rand.New(rand.NewPCG(seed, 6))
	f := &Functions{At: tensor.Zeros(tensor.Float64, rows, d)}
	for k := range 2 {
		bottom, weight := tensor.Normal(r, tensor.Float64, 0, 1, d), tensor.Uniform(r, tensor.Float64, 0.1, 3, d)
		f.Losses = append(f.Losses, func(v *tensor.Tensor, at Rows) *tensor.Tensor {
			if k == 0 {
				asked(v, at)
			}
			return tensor.Sum(tensor.Mul(tensor.Square(tensor.Sub(v, bottom)), weight), 1)
		})
	}
	return f
}

// With step control no iteration is spent on what is known: a row that goes back to its
// best point leaves it at once, unless weights that have moved give it another gradient.
func TestStepControlAsksAboutNewPoints(t *testing.T) {
	const steps = 60
	var points [][]float64
	f := bowls(1, 1, 5, func(v *tensor.Tensor, at Rows) {
		if at.Step <= steps { // not the best point once more
			points = append(points, v.Values())
		}
	})
	for _, rule := range []Rule{Average{}, Worst{}, Clip{Level: 1}, PaperMinMax} {
		for _, n := range []attack.Norm{attack.L2, attack.L1} {
			points = nil
			a := APGDA{Threat: attack.Threat{Norm: n, Eps: 3}, Rule: rule, Steps: steps, StepControl: true}
			_, _, res := play(t, f, a)
			require.Len(t, points, steps+1)
			again := 0
			for k, p := range points {
				for j, other := range points[:k] {
					if !slices.Equal(p, other) {
						continue
					}
					again++
					require.NotEqual(t, res.History.Weights(j, 0), res.History.Weights(k, 0), "%v, %v: steps %d and %d", rule, n, j, k)
				}
			}
			_, moves := rule.(MinMax)
			require.Equal(t, moves, again > 0, "%v, %v", rule, n)
		}
	}
}

// A model or a transformation that errs at random has not lost by that draw of many for
// which a point was chosen.
func TestChosenPointsAreJudgedAnew(t *testing.T) {
	x, y := tensor.Full(tensor.Float32, 0.5, 200, 2, 2, 1), make([]int, 200)
	var mu sync.Mutex
	r := rand.New(rand.NewPCG(7, 7))
	coin := answering(func(x *tensor.Tensor) *tensor.Tensor {
		mu.Lock()
		defer mu.Unlock()
		return tensor.Normal(r, x.DType(), 0, 1, x.Dim(0), 2)
	})
	bright := answering(func(x *tensor.Tensor) *tensor.Tensor {
		mean := tensor.Reshape(tensor.Mean(tensor.Flatten(x), 1), x.Dim(0), 1)
		return tensor.Concat(1, tensor.Full(x.DType(), 0.65, x.Dim(0), 1), mean)
	})
	sometimes := transform.Sometimes{Transform: transform.Brightness{Add: transform.Fixed(0.3)}, P: 0.5}
	for name, d := range map[string]Domains{
		"models":          Ensemble([]attack.Model{coin, coin}, x, y),
		"transformations": Transformations(bright, []transform.Transform{sometimes, sometimes}, x, y),
	} {
		for kind, a := range map[string]APGDA{
			"keep best":    {Steps: 20, KeepBest: true},
			"restarts":     {Steps: 1, Restarts: 20},
			"step control": {Steps: 20, StepControl: true, Rule: Worst{}},
		} {
			a.Threat = box(0.05)
			res, err := a.Run(ctx, d)
			require.NoError(t, err)
			// Two even chances.
			require.InDelta(t, 0.25, Score(res.Fooled).All.Value, 0.12, "%s, %s", name, kind)
			for i, row := range res.Fooled {
				for k, won := range row {
					if name == "models" {
						continue
					}
					require.Equal(t, won, res.Losses[i][k] < 50, "losses are of the same draw")
				}
			}
		}
	}
}

// Restarts begin elsewhere, also where the first run begins at the centre.
func TestRestartsBeginElsewhere(t *testing.T) {
	var mu sync.Mutex
	var starts []*tensor.Tensor
	f := bowls(2, 1, 4, func(v *tensor.Tensor, at Rows) {
		if at.Step == 0 {
			mu.Lock()
			starts = append(starts, v.Clone())
			mu.Unlock()
		}
	})
	for _, start := range []Start{DomainStart, ZeroStart, NormalStart} {
		starts = nil
		th := attack.Threat{Norm: attack.L2, Eps: 0.5}
		_, err := (&APGDA{Threat: th, Start: start, Restarts: 3, Steps: 2}).Run(ctx, f)
		require.NoError(t, err)
		require.Len(t, starts, 3)
		for i, s := range starts {
			far := th.Distance(s, f.At)[0]
			require.Equal(t, i == 0 && start != NormalStart, far == 0, "run %d from %v", i, start)
			require.LessOrEqual(t, far, th.Eps)
			for _, other := range starts[:i] {
				require.NotEqual(t, other.Values(), s.Values())
			}
		}
	}
}

// Approximate is the projection that scales and clips, in every step.
func TestApproximateScalesAndClips(t *testing.T) {
	f := bowls(3, 1, 6, func(*tensor.Tensor, Rows) {})
	f.Lo, f.Hi = -0.2, 0.2
	for _, n := range []attack.Norm{attack.L1, attack.L2} {
		ball := Ball{Norm: n, Eps: map[attack.Norm]float64{attack.L1: 0.6, attack.L2: 0.3}[n]}
		run := func(a APGDA) []float64 {
			a.Threat, a.Rule, a.Steps, a.StepSize = attack.Threat{Norm: n, Eps: ball.Eps}, Average{}, 1, 0.5
			v, _, _ := play(t, f, a)
			return v
		}
		tape := tensor.NewTape()
		v := tape.Watch(f.At)
		sum := tensor.Add(f.Losses[0](v, Rows{}), f.Losses[1](v, Rows{}))
		want := tensor.Grad(sum, v)[0].Values()
		for i, g := range want {
			want[i] = -0.5 * g / 2
		}
		lo, hi := slices.Repeat([]float64{-0.2}, 6), slices.Repeat([]float64{0.2}, 6)
		exact := slices.Clone(want)
		ball.Project(exact, lo, hi)
		ball.Approximate = true
		ball.Project(want, lo, hi)
		require.InDeltaSlice(t, want, run(APGDA{Approximate: true}), 1e-12, n.String())
		require.InDeltaSlice(t, exact, run(APGDA{}), 1e-12, n.String())
		require.NotEqual(t, exact, want)
	}
}

// Points begin in the ball and the box, away from the centre, where the seed says.
func TestStartsLieInTheSet(t *testing.T) {
	d := &Functions{At: tensor.Uniform(rand.New(rand.NewPCG(3, 3)), tensor.Float32, 0, 1, 20, 50), Lo: 0, Hi: 1}
	for range 2 {
		d.Losses = append(d.Losses, func(v *tensor.Tensor, _ Rows) *tensor.Tensor { return tensor.Sum(v, 1) })
	}
	for _, n := range norms {
		for _, s := range []Start{NormalStart, UniformStart} {
			th := attack.Threat{Norm: n, Eps: map[attack.Norm]float64{attack.Linf: 0.2, attack.L2: 0.9, attack.L1: 3, attack.L0: 7}[n]}
			a := APGDA{Threat: th, Steps: 1, StepSize: 1e-30, Start: s, Rule: Average{}}
			res, err := a.Run(ctx, d)
			require.NoError(t, err)
			dist := th.Distance(res.Point, d.At)
			for _, v := range dist {
				require.True(t, v > 0 && v <= th.Eps, "%v %v: %v", n, s, v)
			}
			for _, v := range res.Point.Values() {
				require.True(t, v >= 0 && v <= 1)
			}
			a.Seed = 1
			other, err := a.Run(ctx, d)
			require.NoError(t, err)
			require.NotEqual(t, res.Point.Values(), other.Point.Values())
		}
	}
}
