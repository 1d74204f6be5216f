package attack_test

import (
	"context"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	. "github.com/redoubt-ml/redoubt/attack"
	"github.com/redoubt-ml/redoubt/attack/transform"
	"github.com/redoubt-ml/redoubt/tensor"
)

// noisy is a model of three classes whose lead of the first one falls with the sum of the
// input's values, with noise in every answer.
type noisy struct {
	mu    *sync.Mutex
	rng   *rand.Rand
	sigma float64
	lead  float64 // at an input of zeros
	slope float64 // of the lead in the mean of the values
}

func (m noisy) Logits(x *tensor.Tensor) *tensor.Tensor {
	m.mu.Lock()
	noise := tensor.Normal(m.rng, x.DType(), 0, m.sigma, x.Dim(0), 1)
	m.mu.Unlock()
	mean := tensor.Reshape(tensor.Mean(tensor.Flatten(x), 1), x.Dim(0), 1)
	lead := tensor.Add(tensor.Affine(mean, -m.slope, m.lead), noise)
	zero := tensor.Zeros(x.DType(), x.Dim(0), 1)
	return tensor.Concat(1, lead, zero, tensor.AddScalar(zero, -5))
}

// A model that errs once in a while at the start of an attack and nearly always at its end
// is broken by the version for randomised models, which does not end at a lucky draw.
func TestLuckyDrawsDoNotEndAnAttack(t *testing.T) {
	m := noisy{&sync.Mutex{}, rand.New(rand.NewPCG(1, 1)), 1, 1.5, 20}
	x := tensor.Full(tensor.Float32, 0, 60, 4, 4, 1)
	y := make([]int, 60)
	rep, err := (&AutoAttack{Threat: Threat{Eps: 0.25}, Version: Rand}).Evaluate(ctx, m, x, y)
	require.NoError(t, err)
	require.Greater(t, rep.Clean.Value, 0.8)
	require.Less(t, rep.Robust.Value, 0.03)
	for i, d := range rep.Result.Distance {
		if rep.Result.Success[i] && rep.Result.Queries[i] > 1 {
			require.Greater(t, d, 0.2, i)
		}
	}
}

// One wrong answer in many does not make a model that answers at random lose an input.
func TestEvaluateAsksAgain(t *testing.T) {
	m := noisy{&sync.Mutex{}, rand.New(rand.NewPCG(1, 2)), 1, 1.7, 0}
	x := tensor.Full(tensor.Float32, 0.5, 400, 4, 4, 1)
	rep, err := Evaluate(ctx, m, x, make([]int, 400), &PGD{Threat: Threat{Eps: 0.1}, Steps: 40})
	require.NoError(t, err)
	share := float64(rep.Worst.Right) / float64(rep.Clean.Right)
	require.Greater(t, share, 0.9, "the noise breaks 4.5 % of the answers")
}

// Short runs in larger balls leave a step in the ball itself, and end.
func TestAPGDUnderL1EndsAfterFewSteps(t *testing.T) {
	short, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	m := noisy{&sync.Mutex{}, rand.New(rand.NewPCG(1, 3)), 0, 1, 1}
	x := tensor.Full(tensor.Float32, 0.2, 3, 4, 4, 1)
	for steps := 1; steps <= 6; steps++ {
		res, err := (&APGD{Threat: Threat{Norm: L1, Eps: 1}, Steps: steps}).Run(short, m, x, []int{0, 0, 0})
		require.NoError(t, err)
		require.Equal(t, []bool{false, false, false}, res.Success)
		require.LessOrEqual(t, res.Gradients[0], steps+3)
		weak := noisy{m.mu, m.rng, 0, 0.25, 1}
		res, err = (&APGD{Threat: Threat{Norm: L1, Eps: 4}, Steps: steps}).Run(short, weak, x, []int{0, 0, 0})
		require.NoError(t, err)
		require.Equal(t, []bool{true, true, true}, res.Success, "%d steps", steps)
	}
}

// A model whose answer to all uniform noise is the class of the input is broken from other
// starts.
func TestAttacksByAnswersFindAStart(t *testing.T) {
	m := function(func(x *tensor.Tensor) *tensor.Tensor {
		mean := tensor.Reshape(tensor.Mean(tensor.Flatten(x), 1), x.Dim(0), 1)
		off := tensor.Abs(tensor.AddScalar(mean, -0.5))
		return tensor.Concat(1, tensor.AddScalar(tensor.Neg(off), 0.1), tensor.AddScalar(off, -0.1))
	})
	x := tensor.Uniform(rand.New(rand.NewPCG(1, 4)), tensor.Float32, 0, 1, 8, 10, 10, 1)
	y := make([]int, 8)
	for _, a := range []Attack{&HopSkipJump{Threat: Threat{Norm: L2, Eps: 20}}, &HopSkipJump{Threat: Threat{Eps: 1}}, &Boundary{Threat: Threat{Norm: L2, Eps: 20}}} {
		res, err := a.Run(ctx, m, x, y)
		require.NoError(t, err)
		for i := range y {
			require.True(t, res.Success[i], "%v, input %d", a, i)
		}
	}
}

// Where the gradient is 0, DDN goes somewhere all the same.
func TestDDNLeavesAFlatPlace(t *testing.T) {
	m := function(func(x *tensor.Tensor) *tensor.Tensor {
		far := tensor.Reshape(tensor.Sum(tensor.Square(tensor.AddScalar(x.Detach().Clone(), -0.5)), 1), x.Dim(0), 1)
		return tensor.Concat(1, tensor.AddScalar(tensor.Neg(far), 0.2), tensor.AddScalar(far, -0.2))
	})
	res, err := (&DDN{Threat: Threat{Norm: L2, Eps: 2}, Radius: 0.1}).Run(ctx, m, tensor.Full(tensor.Float64, 0.5, 3, 10), []int{0, 0, 0})
	require.NoError(t, err)
	require.Equal(t, []bool{true, true, true}, res.Success)
}

// Rows have windows too: stretches that get shorter.
func TestSquareMovesStretchesOfRows(t *testing.T) {
	var mu sync.Mutex
	var asked [][]float64
	m := function(func(x *tensor.Tensor) *tensor.Tensor {
		mu.Lock()
		asked = append(asked, x.Values())
		mu.Unlock()
		return tensor.Concat(1, tensor.Full(x.DType(), 1, 1, 1), tensor.Zeros(x.DType(), 1, 1))
	})
	x := tensor.Full(tensor.Float64, 0.5, 1, 100)
	_, err := (&Square{Threat: Threat{Eps: 0.1}, Queries: 300}).Run(ctx, m, x, []int{0})
	require.NoError(t, err)
	for slices.Equal(asked[1], x.Values()) {
		asked = asked[1:]
	}
	start := asked[1]
	changed := func(from, to int) int { // values that some of the windows has turned round
		most := 0
		for _, x := range asked[from:to] {
			first, last := -1, -1
			for j, v := range x {
				if v != start[j] {
					if first < 0 {
						first = j
					}
					last = j
				}
			}
			most = max(most, last-first)
		}
		return most
	}
	require.Greater(t, changed(2, 10), 60)
	require.LessOrEqual(t, changed(260, 302), 9, "an eighth of 80 values")
}

// What was found when the context ends is kept.
func TestCancelledAttacksKeepWhatTheyFound(t *testing.T) {
	inner, cancel := context.WithCancel(ctx)
	defer cancel()
	var mu sync.Mutex
	asked := 0
	m := function(func(x *tensor.Tensor) *tensor.Tensor {
		mu.Lock()
		if asked++; asked == 60 {
			cancel()
		}
		mu.Unlock()
		mean := tensor.Reshape(tensor.Mean(x, 1), x.Dim(0), 1)
		return tensor.Concat(1, tensor.Affine(mean, -1, 0.52), tensor.Zeros(x.DType(), x.Dim(0), 1))
	})
	x := tensor.Full(tensor.Float32, 0.5, 4, 6)
	res, err := (&CarliniWagner{Threat: Threat{Norm: L2, Eps: 3}, C: 10}).Run(inner, m, x, make([]int, 4))
	require.ErrorIs(t, err, context.Canceled)
	require.Equal(t, []bool{true, true, true, true}, res.Success)
	require.Equal(t, []int{1, 1, 1, 1}, res.Label)
}

// noisyAt is a model whose answers are random everywhere: right in 98 of 100 cases at
// the inputs themselves, and hardly ever where the ball ends.
func noisyAt(seed uint64) (noisy, *tensor.Tensor, []int) {
	m := noisy{&sync.Mutex{}, rand.New(rand.NewPCG(1, seed)), 1, 2, 20}
	return m, tensor.Full(tensor.Float32, 0, 150, 4, 4, 1), make([]int, 150)
}

// An attack with more steps leaves no more inputs right because it ends at the first
// lucky draw: each of them is as strong as one step to the end of the ball.
func TestLuckyDrawsMakeNoInputRobust(t *testing.T) {
	th := Threat{Eps: 0.25}
	for _, a := range []Attack{
		&FGSM{Threat: th}, &PGD{Threat: th, Steps: 40}, &PGD{Threat: th, Steps: 20, Restarts: 3}, &BIM{Threat: th, Steps: 10},
		&MIFGSM{Threat: th}, &RFGSM{Threat: th, Alpha: 0.05}, &APGD{Threat: th}, &Square{Threat: th, Queries: 300},
		&SLIDE{Threat: Threat{Norm: L1, Eps: 4}}, &EOT{Threat: th, Transform: transform.Pose{Down: transform.Range{Lo: -1, Hi: 1}}, Steps: 10},
	} {
		m, x, y := noisyAt(5)
		rep, err := Evaluate(ctx, m, x, y, a)
		require.NoError(t, err)
		require.Greater(t, rep.Clean.Value, 0.9)
		require.Less(t, rep.Worst.Value, 0.08, a.Name())
		require.Len(t, rep.Warnings, 1)
		require.Equal(t, RandomizedModel, rep.Warnings[0].Kind)
	}
}

// One unlucky answer to an input itself does not keep an attack from it: half of the
// answers are wrong there, and none at the end of the ball is right.
func TestUnluckyInputsAreAttacked(t *testing.T) {
	for _, a := range []Attack{&PGD{Threat: Threat{Eps: 0.25}, Steps: 10}, &APGD{Threat: Threat{Eps: 0.25}, Steps: 20}} {
		m := noisy{&sync.Mutex{}, rand.New(rand.NewPCG(1, 6)), 1, 0, 20}
		res, err := a.Run(ctx, m, tensor.Full(tensor.Float32, 0, 100, 4, 4, 1), make([]int, 100))
		require.NoError(t, err)
		moved := 0
		for _, d := range res.Distance {
			if d > 0.1 {
				moved++
			}
		}
		require.Greater(t, moved, 85, a.Name())
	}
}

// A model with the same noise for each row of a batch, whatever stands there, is found
// out by another order.
func TestNoiseOfThePlaceInABatchIsRandom(t *testing.T) {
	m := function(func(x *tensor.Tensor) *tensor.Tensor {
		same := noisy{&sync.Mutex{}, rand.New(rand.NewPCG(1, 7)), 1, 2, 20}
		return same.Logits(x)
	})
	rep, err := Evaluate(ctx, m, tensor.Full(tensor.Float32, 0, 40, 4, 4, 1), make([]int, 40), &PGD{Threat: Threat{Eps: 0.25}, Steps: 20})
	require.NoError(t, err)
	require.NotEmpty(t, rep.Warnings)
	require.Less(t, rep.Worst.Value, 0.1)
	stop, cancel := context.WithCancel(ctx)
	a := &AutoAttack{Threat: Threat{Eps: 0.25}, OnProgress: func(string, int, int) { cancel() }}
	auto, err := a.Evaluate(stop, m, tensor.Full(tensor.Float32, 0, 40, 4, 4, 1), make([]int, 40))
	require.ErrorIs(t, err, context.Canceled)
	require.Contains(t, auto.Warnings, Warning{RandomizedModel, `the model answers the same inputs differently: use the version "rand"`})
	require.Equal(t, auto.Clean, auto.Robust, "what a stopped attack has found may be a lucky draw")
}

// A model that says only which class it has drawn may answer the first inputs alike; its
// adversaries that do not stand give it away.
func TestAdversariesThatDoNotStandAreTold(t *testing.T) {
	random, x, y := noisyAt(8)
	m := function(func(x *tensor.Tensor) *tensor.Tensor {
		if x.Dim(0) <= 8 {
			return tensor.OneHot(x.DType(), make([]int, x.Dim(0)), 3)
		}
		return tensor.OneHot(x.DType(), tensor.ArgMax(random.Logits(x)), 3)
	})
	rep, err := Evaluate(ctx, m, x, y, &Noise{Threat: Threat{Eps: 0.01}, Repeats: 10})
	require.NoError(t, err)
	require.Len(t, rep.Warnings, 1)
	require.Contains(t, rep.Warnings[0].Text, "asked again, the model is right on")
}

// The curve begins at the accuracy without an attack, and no number of radii makes an
// input fall that does not.
func TestEpsCurveBelievesNoLuckyDraw(t *testing.T) {
	m, x, y := noisyAt(9)
	curve, err := EpsCurve(ctx, m, x, y, PGD{Steps: 10}, []float64{0, 0.001, 0.002, 0.003, 0.004, 0.005, 0.25})
	require.NoError(t, err)
	sum := 0.0
	for _, e := range curve[:6] {
		require.Greater(t, e.Value, 0.9, "%v", curve)
		sum += e.Value
	}
	require.InDelta(t, 0.975, sum/6, 0.015, "what 900 answers to the inputs are like")
	require.Less(t, curve[6].Value, 0.05)
}

// Questions that find out whether answers are random are few, and count for no budget.
func TestFindingOutCostsOneBatch(t *testing.T) {
	steady := noisy{&sync.Mutex{}, rand.New(rand.NewPCG(1, 10)), 0, 50, 1}
	for _, n := range []int{1, 5, 100} {
		var mu sync.Mutex
		rows := 0
		m := function(func(x *tensor.Tensor) *tensor.Tensor {
			mu.Lock()
			rows += x.Dim(0)
			mu.Unlock()
			return steady.Logits(x)
		})
		x, y := tensor.Full(tensor.Float32, 0.5, n, 4, 4, 1), make([]int, n)
		for _, a := range []Attack{&FGSM{Threat: Threat{Eps: 0.1}}, &Square{Threat: Threat{Eps: 0.1}, Queries: 20}} {
			rows = 0
			res, err := a.Run(ctx, m, x, y)
			require.NoError(t, err)
			counted := 0
			for _, q := range res.Queries {
				counted += q
			}
			require.LessOrEqual(t, rows-counted, 4*min(8, n))
			require.Equal(t, res.Queries[0], map[string]int{"FGSM": 2, "Square": 22}[a.Name()])
		}
	}
}
