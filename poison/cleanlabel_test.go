package poison_test

import (
	"context"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/redoubt-ml/redoubt/attack"
	"github.com/redoubt-ml/redoubt/poison"
	"github.com/redoubt-ml/redoubt/poison/uda"
	"github.com/redoubt-ml/redoubt/tensor"
	"github.com/redoubt-ml/redoubt/tensor/dataset"
	"github.com/redoubt-ml/redoubt/tensor/nn"
)

var ctx = context.Background()

// linear embeds three pixels by W = [[1, 2, 0], [0, 1, -1]].
func linear(x *tensor.Tensor) *tensor.Tensor {
	return tensor.MatMul(tensor.Flatten(x), tensor.FromFloat64([]float64{1, 0, 2, 1, 0, -1}, 3, 2))
}

func image(v ...float64) *tensor.Tensor { return tensor.FromFloat64(v, 1, 1, 3, 1) }

func TestCollisionSteps(t *testing.T) {
	x, base := image(.2, .9, .4), image(.5, .5, .5)
	for _, g := range []struct {
		c     float64
		steps [3][]float64
		u     []float64 // minimiser by the normal equations
		j     float64
	}{
		{.01, [3][]float64{{.51, .53, .49}, {.518598, .556394, .480802}, {.525967, .579615, .472318}}, []float64{.500824, .749584, .252063}, .001243802},
		{1, [3][]float64{{.51, .53, .49}, {.5184, .5558, .481}, {.525432, .577988, .472876}}, []float64{.535714, .714286, .357143}, .089285714},
	} {
		c := poison.Collision{Eps: .1, StepSize: .01, Penalty: g.c}
		for i, want := range g.steps {
			c.Steps = i + 1
			u, trace, err := c.Run(ctx, []poison.Embedding{linear}, base, base, x)
			require.NoError(t, err)
			require.Len(t, trace, i+1)
			require.InDeltaSlice(t, want, u.Values(), 1e-6)
		}
		require.InDelta(t, g.j, c.Value([]poison.Embedding{linear}, image(g.u...), base, x), 1e-8)
		_, d := c.Gradient([]poison.Embedding{linear}, image(g.u...), base, x)
		require.InDelta(t, 0, tensor.MaxAbs(d), 2e-5)
	}
	still, _, err := poison.Collision{Steps: 5, StepSize: .01}.Run(ctx, []poison.Embedding{linear}, base, base, x)
	require.NoError(t, err)
	require.Equal(t, base.Values(), still.Values())
}

// J with a model twice is J with it once, and each image of many moves as it would
// alone.
func TestCollisionIsASumOverImagesAndAMeanOverModels(t *testing.T) {
	x, one := image(.2, .9, .4), image(.5, .5, .5)
	two := tensor.FromFloat64([]float64{.5, .5, .5, .1, .8, .3}, 2, 1, 3, 1)
	c := poison.Collision{Eps: .1, StepSize: .01, Penalty: .1, Steps: 4}
	twice := []poison.Embedding{linear, linear}
	require.InDelta(t, c.Value(twice[:1], two, two, x), c.Value(twice, two, two, x), 1e-12)
	alone, _, err := c.Run(ctx, twice[:1], one, one, x)
	require.NoError(t, err)
	both, _, err := c.Run(ctx, twice, two, two, x)
	require.NoError(t, err)
	require.InDeltaSlice(t, alone.Values(), both.Values()[:3], 1e-12)
}

func TestCollisionStaysInTheBall(t *testing.T) {
	rng := rand.New(rand.NewPCG(4, 4))
	w := tensor.Normal(rng, tensor.Float32, 0, 2, 12, 5)
	embed := func(x *tensor.Tensor) *tensor.Tensor { return tensor.MatMul(tensor.Flatten(x), w) }
	for range 40 {
		base, x := tensor.Uniform(rng, tensor.Float32, 0, 1, 3, 2, 2, 3), tensor.Uniform(rng, tensor.Float32, 0, 1, 1, 2, 2, 3)
		c := poison.Collision{Eps: .3 * rng.Float64(), StepSize: .002, Steps: 15, Bullseye: rng.IntN(2) == 0}
		u, trace, err := c.Run(ctx, []poison.Embedding{embed}, base, base, x)
		require.NoError(t, err)
		for i, v := range u.Values() {
			require.LessOrEqual(t, math.Abs(v-base.Values()[i]), c.Eps)
			require.True(t, v >= 0 && v <= 1)
		}
		require.Less(t, c.Value([]poison.Embedding{embed}, u, base, x), trace[0])
	}
}

func TestResetSchedule(t *testing.T) {
	at := map[int][]int{}
	for e := range 101 {
		if r := poison.Resets(4, 100, e); r != nil {
			at[e] = r
		}
	}
	require.Equal(t, map[int][]int{24: {3}, 49: {2}, 74: {1}, 99: {0}}, at)
}

// tiny is an architecture of some hundred parameters.
func tiny() uda.Architecture {
	a := uda.Plane()
	a.Features = func(rng *rand.Rand, h, w, c int) (nn.Layer, int) {
		return nn.NewSequential(nn.Flatten, nn.NewLinear(rng, h*w*c, 8), nn.ReLU), 8
	}
	return a
}

// bars are 4x4 images of two classes, a bright upper or lower half, darker in the
// target.
func bars(seed uint64, n int, light float32) *dataset.Set {
	rng := rand.New(rand.NewPCG(seed, 6))
	s := &dataset.Set{Name: "bars", H: 4, W: 4, C: 1, Classes: 2}
	for i := range n {
		s.Labels = append(s.Labels, i%2)
		for p := range 16 {
			v := .2 * rng.Float32()
			if p/8 == i%2 {
				v += light
			}
			s.Floats = append(s.Floats, v)
		}
	}
	return s
}

func cleanLabel() (a poison.CleanLabel, x, pool *dataset.Set) {
	pool = bars(2, 60, .5)
	tr := uda.Training{Method: uda.DANN{}, Arch: tiny(), Source: bars(1, 80, .7), Target: pool, Epochs: 8, BatchSize: 20, LR: 1e-2, Seed: 5}
	return poison.CleanLabel{Training: tr, Models: 2, Period: 6, Epochs: 8, Steps: 20, Poisons: 12}, bars(3, 1, .5), pool
}

func TestCleanLabelKeepsLabelsAndBall(t *testing.T) {
	a, x, pool := cleanLabel()
	c, err := a.Run(ctx, x, pool, 1)
	require.NoError(t, err)
	require.Len(t, c.Phases, 8)
	require.Equal(t, 12, c.Set.Len())
	threat := attack.Threat{Norm: attack.Linf, Eps: .1}
	u, y := c.Set.All()
	base, _ := c.Base.All()
	for i, d := range threat.Distance(u, base) {
		require.LessOrEqual(t, d, .1)
		require.Equal(t, 1, y[i])
		require.Equal(t, 1, pool.Labels[c.Target[i]])
	}
	natural, _ := pool.Batch(c.Target)
	for i, v := range natural.Values() {
		require.InDelta(t, .9*v+.1*float64(x.Floats[i%16]), base.Values()[i], 1e-6)
	}
	for _, p := range c.Phases {
		require.LessOrEqual(t, p.After, p.Base+1e-9)
		require.LessOrEqual(t, p.After, p.Before+1e-9)
	}
	require.Greater(t, c.DistanceRatio(), 1.0)
	require.Equal(t, []int{1}, c.Phases[2].Reset)
	require.Equal(t, []int{0}, c.Phases[5].Reset)
	again, err := a.Run(ctx, x, pool, 1)
	require.NoError(t, err)
	require.Equal(t, c.Set, again.Set)
	require.Nil(t, c.Source)
	// Bases out of the source itself have their positions there.
	a.Epochs = 1
	own, err := a.Run(ctx, x, a.Training.Source, 1)
	require.NoError(t, err)
	require.Nil(t, own.Target)
	for _, i := range own.Source {
		require.Equal(t, 1, a.Training.Source.Labels[i])
	}
}

// With a ball as large as the cube the poison is x itself under the wrong label, and
// victims give x that label; without it they do not.
func TestVictimsLearnAStrongPoison(t *testing.T) {
	a, x, pool := cleanLabel()
	a.Eps, a.Steps, a.StepSize = 1, 200, .05
	c, err := a.Run(ctx, x, pool, 1)
	require.NoError(t, err)
	v := poison.Victims{Training: a.Training, N: 3}
	v.Training.Method, v.Training.Epochs = uda.SourceOnly{}, 60
	with, err := v.Run(ctx, c.Poison, x, pool, 1)
	require.NoError(t, err)
	without, err := v.Run(ctx, nil, x, pool, 1)
	require.NoError(t, err)
	require.Zero(t, without.Flips)
	require.False(t, without.NothingToAttack())
	require.Greater(t, with.Wanted, 5*without.Wanted)
	require.Greater(t, without.TargetAccuracy, .95)
	e := with.Success()
	require.Equal(t, 3, e.Total)
	require.Equal(t, with.Flips, e.Right)
	wanted, err := v.Run(ctx, nil, x, pool, 0)
	require.NoError(t, err)
	require.True(t, wanted.NothingToAttack())
}

// Victims of the very Training of the attack begin with other weights than any of its
// models.
func TestVictimsAreNoModelsOfTheAttack(t *testing.T) {
	a, x, pool := cleanLabel()
	a.Models, a.Period, a.Epochs = 4, 4, 1
	var fresh []*tensor.Tensor
	a.Training.Epochs = 1
	a.Training.Keep = func(_ context.Context, _ int, m *uda.Model, s *dataset.Set) ([]int, error) {
		f, err := uda.FeaturesOf(ctx, m, pool)
		fresh = append(fresh, f)
		return []int{0, 1}, err
	}
	c, err := a.Run(ctx, x, pool, 1)
	require.NoError(t, err)
	_, err = poison.Victims{Training: a.Training, N: 4}.Train(ctx, c.Poison)
	require.NoError(t, err)
	require.Len(t, fresh, 8)
	for i, f := range fresh {
		for j, g := range fresh[:i] {
			require.NotZero(t, tensor.MaxAbs(tensor.Sub(f, g)), "models %d and %d", j, i)
		}
	}
}

// Without a period, models of a short attack are put back as those of a long one are.
func TestShortAttacksPutAllModelsBack(t *testing.T) {
	for _, epochs := range []int{4, 7, 12} {
		a, x, pool := cleanLabel()
		a.Period, a.Epochs, a.Steps = 0, epochs, 1
		c, err := a.Run(ctx, x, pool, 1)
		require.NoError(t, err)
		var back []int
		for _, p := range c.Phases {
			back = append(back, p.Reset...)
		}
		require.ElementsMatch(t, []int{0, 1}, back, "%d epochs", epochs)
	}
}

// The mean of many images is moved by moving all of them to the ball's face, which no
// penalty prevents unless it is asked for.
func TestBullseyeMovesThroughTheBall(t *testing.T) {
	a, x, pool := cleanLabel()
	m, err := a.Training.Run(ctx)
	require.NoError(t, err)
	a.Fixed, a.Poisons, a.Steps, a.Bullseye = []*uda.Model{m}, 30, 40, true
	moved := func() float64 {
		c, err := a.Run(ctx, x, pool, 1)
		require.NoError(t, err)
		u, _ := c.Set.All()
		base, _ := c.Base.All()
		return tensor.Mean(tensor.Abs(tensor.Sub(u, base))).Item()
	}
	free := moved()
	require.Greater(t, free, .095)
	a.Penalty = 1
	require.Less(t, moved(), free/2)
	a.Penalty, a.NoPenalty = 0, true
	require.Equal(t, free, moved())
	// The sum over images has a penalty by default, and can do without.
	a.Bullseye, a.NoPenalty = false, false
	held := moved()
	a.NoPenalty = true
	require.NotEqual(t, held, moved())
}

// Numbers of steps and their sizes that are not given are the documented ones.
func TestStepsByDefault(t *testing.T) {
	a, x, pool := cleanLabel()
	m, err := a.Training.Run(ctx)
	require.NoError(t, err)
	goal, _ := x.All()
	base, y := pool.Batch([]int{1, 3})
	embed := []poison.Embedding{m.Features}
	u, trace, err := poison.Collision{Eps: .1}.Run(ctx, embed, base, base, goal)
	require.NoError(t, err)
	require.Len(t, trace, 100)
	same, _, err := poison.Collision{Eps: .1, Steps: 100, StepSize: .01}.Run(ctx, embed, base, base, goal)
	require.NoError(t, err)
	require.Equal(t, same.Values(), u.Values())
	_, trace, err = poison.GradientMatching{Eps: .1}.Run(ctx, []*uda.Model{m}, base, y, goal, 1)
	require.NoError(t, err)
	require.Len(t, trace, 250)
}

func TestFixedModelsAreNotTrained(t *testing.T) {
	a, x, pool := cleanLabel()
	m, err := a.Training.Run(ctx)
	require.NoError(t, err)
	before := m.Snapshot()
	a.Fixed, a.NoBlend = []*uda.Model{m}, true
	c, err := a.Run(ctx, x, pool, 1)
	require.NoError(t, err)
	require.Equal(t, before, m.Snapshot())
	require.Len(t, c.Phases, 1)
	natural, _ := pool.Batch(c.Target)
	require.Equal(t, natural.Float32s(), c.Base.Floats)
	require.Less(t, c.Phases[0].After, c.Phases[0].Base)
}

func TestGradientMatching(t *testing.T) {
	a, x, pool := cleanLabel()
	m, err := a.Training.Run(ctx)
	require.NoError(t, err)
	models := []*uda.Model{m}
	goal, _ := x.All()
	base, y := pool.Batch([]int{1, 3, 5})
	g := poison.GradientMatching{Eps: .2, Steps: 10}
	u, trace, err := g.Run(ctx, models, base, y, goal, 1)
	require.NoError(t, err)
	last, _ := g.Value(models, u, y, goal, 1)
	require.Less(t, last, trace[0])
	for _, d := range (attack.Threat{Norm: attack.Linf, Eps: .2}).Distance(u, base) {
		require.LessOrEqual(t, d, .2)
	}
	// A poison that is x under the wanted class matches perfectly.
	v, _ := g.Value(models, goal, []int{1}, goal, 1)
	require.InDelta(t, 0, v, 1e-5)
	// The second-order gradient agrees with differences.
	_, d := g.Value(models, base, y, goal, 1)
	move := func(e float32) float64 {
		b := base.Clone()
		for i, s := range d.Float32s() {
			b.Float32s()[i] += e * s
		}
		v, _ := g.Value(models, b, y, goal, 1)
		return v
	}
	h := float32(1e-3 / math.Sqrt(tensor.Sum(tensor.Square(d)).Item()))
	require.InEpsilon(t, tensor.Sum(tensor.Square(d)).Item(), (move(h)-move(-h))/float64(2*h), .05)
	_, _, err = g.Run(ctx, nil, base, y, goal, 1)
	require.ErrorContains(t, err, "0 models")
}

func TestBadCleanLabelIsAnError(t *testing.T) {
	for want, change := range map[string]func(a *poison.CleanLabel, x *dataset.Set){
		"eps is -0.1":              func(a *poison.CleanLabel, x *dataset.Set) { a.Eps = -.1 },
		"eps is 1.1":               func(a *poison.CleanLabel, x *dataset.Set) { a.Eps = 1.1 },
		"50 poisons, want at":      func(a *poison.CleanLabel, x *dataset.Set) { a.Poisons = 50 },
		"blend is 1":               func(a *poison.CleanLabel, x *dataset.Set) { a.Blend = 1 },
		"-1 steps":                 func(a *poison.CleanLabel, x *dataset.Set) { a.Steps = -1 },
		"for an image of class":    func(a *poison.CleanLabel, x *dataset.Set) { x.Labels[0] = 1 },
		"period is -1":             func(a *poison.CleanLabel, x *dataset.Set) { a.Period = -1 },
		"step size is -1":          func(a *poison.CleanLabel, x *dataset.Set) { a.StepSize = -1 },
		"penalty is -1":            func(a *poison.CleanLabel, x *dataset.Set) { a.Penalty = -1 },
		"penalty is 1 with":        func(a *poison.CleanLabel, x *dataset.Set) { a.Penalty, a.NoPenalty = 1, true },
		"blend is 0.2 with":        func(a *poison.CleanLabel, x *dataset.Set) { a.Blend, a.NoBlend = .2, true },
		"period is 1 for 2 models": func(a *poison.CleanLabel, x *dataset.Set) { a.Period = 1 },
		"the target is empty":      func(a *poison.CleanLabel, x *dataset.Set) { *x = dataset.Set{} },
	} {
		a, x, pool := cleanLabel()
		change(&a, x)
		_, err := a.Run(ctx, x, pool, 1)
		require.ErrorContains(t, err, want)
	}
	a, x, pool := cleanLabel()
	c, cancel := context.WithCancel(ctx)
	a.OnEpoch = func(poison.Phase) { cancel() }
	got, err := a.Run(c, x, pool, 1)
	require.ErrorIs(t, err, context.Canceled)
	require.Len(t, got.Phases, 1)
	require.NoError(t, got.Set.Check())
}
