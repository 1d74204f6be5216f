package attack_test

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	. "github.com/redoubt-ml/redoubt/attack"
	"github.com/redoubt-ml/redoubt/attack/transform"
	"github.com/redoubt-ml/redoubt/tensor"
)

var ctx = context.Background()

// perceptron is a small network on flat inputs.
type perceptron struct{ w1, w2 *tensor.Tensor }

func (m perceptron) Logits(x *tensor.Tensor) *tensor.Tensor {
	return tensor.MatMul(tensor.Tanh(tensor.MatMul(x, m.w1)), m.w2)
}

type function func(x *tensor.Tensor) *tensor.Tensor

func (f function) Logits(x *tensor.Tensor) *tensor.Tensor { return f(x) }

// onImages is a model of flat inputs for images.
func onImages(m Model) Model {
	return function(func(x *tensor.Tensor) *tensor.Tensor { return m.Logits(tensor.Flatten(x)) })
}

func randomModel(r *rand.Rand, d, classes int, dtype tensor.DType) perceptron {
	return perceptron{tensor.Normal(r, dtype, 0, 2, d, 8), tensor.Normal(r, dtype, 0, 2, 8, classes)}
}

func threats() []Threat {
	return []Threat{
		{Norm: Linf, Eps: 0.3}, {Norm: Linf, Eps: 8. / 255}, {Norm: L2, Eps: 0.7}, {Norm: L1, Eps: 1.1}, {Norm: L0, Eps: 2},
		{Norm: Linf, Eps: 0}, {Norm: L2, Eps: 0}, {Norm: L1, Eps: 0}, {Norm: L0, Eps: 0},
		{Norm: Linf, Eps: 5}, {Norm: L2, Eps: 50}, {Norm: L1, Eps: 50}, {Norm: L0, Eps: 50},
		{Norm: L2, Eps: 0.4, Lo: -1, Hi: 2},
	}
}

func attacks(th Threat) []Attack {
	out := []Attack{
		&FGSM{Threat: th}, &BIM{Threat: th, Steps: 5}, &PGD{Threat: th, Steps: 5, Restarts: 2},
		&PGD{Threat: th, Steps: 3, Restarts: 2, Noise: 0.1}, &PGD{Threat: th, Steps: 3, Objective: Margin{}}, &PGD{Threat: th, Steps: 3, Objective: DLR{}},
	}
	out = append(out, &RFGSM{Threat: th}, &MIFGSM{Threat: th, Steps: 4, AllSteps: true}, &DIFGSM{Threat: th, Steps: 4, Least: 0.5},
		&TIFGSM{Threat: th, Steps: 4, Radius: 1}, &Blur{Threat: th, Steps: 4}, &MIFGSM{Threat: th, Steps: 4}, &NES{Threat: th, Queries: 60, Samples: 5}, &SPSA{Threat: th, Queries: 60, Samples: 5}, &Noise{Threat: th, Repeats: 10})
	switch th.Norm {
	case L0:
		return append(out, &JSMA{Threat: th})
	case L2:
		out = append(out, &CarliniWagner{Threat: th, Steps: 20, Searches: 3, C: 1}, &DDN{Threat: th, Steps: 10}, &Boundary{Threat: th, Queries: 60}, &HopSkipJump{Threat: th, Queries: 150, Samples: 10}, &EAD{Threat: th, Steps: 10, Searches: 3, C: 1})
	case L1:
		out = append(out, &EAD{Threat: th, Steps: 20, Searches: 3, C: 1}, &SLIDE{Threat: th, Share: 0.3}, &SLIDE{Threat: th, RandomStart: true})
	case Linf:
		out = append(out, &HopSkipJump{Threat: th, Queries: 150, Samples: 10})
	}
	return append(out, &SimBA{Threat: th, Queries: 60}, &DeepFool{Threat: th}, &FMN{Threat: th, Steps: 10}, &APGD{Threat: th, Steps: 8}, &APGD{Threat: th, Steps: 8, TargetClasses: 9, Restarts: 2},
		&APGD{Threat: th, Steps: 8, EOT: 3}, &FAB{Threat: th, Steps: 5}, &FAB{Threat: th, Steps: 5, Restarts: 2, Minimize: true},
		&FAB{Threat: th, Steps: 5, Restarts: 2, Untargeted: true},
		&Square{Threat: th, Queries: 20}, &Square{Threat: th, Queries: 10, Restarts: 2, Rescale: true, Inclusive: true})
}

// imageAttacks are those on images alone.
func imageAttacks(th Threat) []Attack {
	out := []Attack{
		&EOT{Threat: th, Transform: transform.Rotation{Degrees: transform.Range{Lo: -90, Hi: 90}}, Samples: 2, Steps: 3},
		&Spatial{Lo: th.Lo, Hi: th.Hi, Angles: 3, Shifts: 3}, &Spatial{Lo: th.Lo, Hi: th.Hi, Tries: 5, MaxDegrees: 90, MaxShift: 1},
		&Patch{Lo: th.Lo, Hi: th.Hi, Side: 1, Steps: 5},
	}
	if th.Norm != L0 {
		out = append(out, &Universal{Threat: th, Epochs: 3, StepSize: th.Eps / 2, BatchSize: 4})
	}
	return out
}

// Every attack stays in its ball and box exactly, measured in float64; leaves
// inputs alone that are already wrong; and reports success only for inputs that
// the model does get wrong. A ball without room is an error.
func TestAttacksKeepTheirPromises(t *testing.T) {
	for seed := range uint64(4) {
		r := rand.New(rand.NewPCG(seed, 1))
		dtype := tensor.DType(seed % 2)
		m := onImages(randomModel(r, 6, 4, dtype))
		shape := []int{9, 6}
		if seed > 1 {
			shape = []int{9, 2, 3, 1}
		}
		for _, th := range threats() {
			lo, hi := th.Lo, th.Hi
			if lo == 0 && hi == 0 {
				hi = 1
			}
			x := tensor.Uniform(r, dtype, lo, hi, shape...)
			y := make([]int, 9)
			for i := range y {
				y[i] = r.IntN(4)
			}
			clean := tensor.ArgMax(m.Logits(x))
			list := attacks(th)
			if len(shape) == 4 {
				list = append(list, imageAttacks(th)...)
			}
			for _, a := range list {
				name := fmt.Sprintf("%s, %v, %v, seed %d", a.Name(), th, dtype, seed)
				free := false // of a ball
				switch a.(type) {
				case *Spatial, *Patch:
					free = true
				default:
					require.Contains(t, fmt.Sprint(a), a.Name()+" under "+th.String())
				}
				before := x.Values()
				res, err := a.Run(ctx, m, x, y)
				if th.Eps == 0 && !free {
					require.ErrorContains(t, err, "lets nothing change", name)
					continue
				}
				require.NoError(t, err, name)
				require.Equal(t, before, x.Values(), name)
				for i, d := range res.Distance {
					require.True(t, free || d <= th.Eps, name)
					require.Equal(t, res.Label[i] != y[i], res.Success[i], name)
					if clean[i] != y[i] {
						require.True(t, res.Success[i], name)
						require.Zero(t, d, name)
					}
				}
				for _, v := range res.X.Values() {
					require.True(t, v >= lo && v <= hi, name)
				}
				require.Equal(t, tensor.ArgMax(m.Logits(res.X)), res.Label, name)
			}
		}
	}
}

// Gradients below what a float32 can divide by still say where to go.
func TestTinyGradientsMove(t *testing.T) {
	x0 := tensor.Full(tensor.Float32, 0.5, 1, 4)
	for _, norm := range []Norm{Linf, L2, L1, L0} {
		x := x0.Clone()
		g := tensor.FromFloat32([]float32{1e-41, -2e-41, 0, 1e-42}, 1, 4)
		Threat{Norm: norm, Eps: 1}.Step(x, g, x0, 0.1)
		require.Less(t, x.At(0, 1), 0.5, "%v", norm)
	}
}

func TestFGSMOnALinearModelIsClosedForm(t *testing.T) {
	r := rand.New(rand.NewPCG(4, 4))
	w := tensor.Normal(r, tensor.Float32, 0, 1, 5, 2)
	m := function(func(x *tensor.Tensor) *tensor.Tensor { return tensor.MatMul(x, w) })
	x := tensor.Uniform(r, tensor.Float32, 0.4, 0.6, 7, 5)
	y := tensor.ArgMax(m.Logits(x))
	res, err := (&FGSM{Threat: Threat{Norm: Linf, Eps: 0.1}}).Run(ctx, m, x, y)
	require.NoError(t, err)
	for i := range y {
		for j := range 5 {
			want := x.At(i, j) + math.Copysign(0.1, w.At(j, 1-y[i])-w.At(j, y[i]))
			require.InDelta(t, want, res.X.At(i, j), 1e-6)
		}
	}
}

func TestObjectives(t *testing.T) {
	z := tensor.FromFloat64([]float64{3, 1, 2, 0}, 1, 4)
	for _, c := range []struct {
		o      Objective
		y      int
		target []int
		want   float64
	}{
		{Margin{}, 0, nil, -1},
		{Margin{}, 2, nil, 1},
		{Margin{Confidence: 0.5}, 2, nil, 0.5},
		{Margin{}, 0, []int{1}, -2},
		{DLR{}, 0, nil, -(3. - 2) / (3 - 1)},
		{DLR{}, 2, nil, -(2. - 3) / (3 - 1)},
		{DLR{}, 0, []int{1}, -(3. - 1) / (3 - 0.5*(1+0))},
		{CrossEntropy{}, 0, nil, math.Log(math.Exp(-2) + math.Exp(-1) + math.Exp(-3))},
		{CrossEntropy{}, 1, []int{0}, -math.Log(math.Exp(-2) + math.Exp(-1) + math.Exp(-3))},
	} {
		got := c.o.Values(z, Rows{Y: []int{c.y}, Target: c.target, Index: []int{0}})
		require.InDelta(t, c.want, got.At(0), 1e-9, "%T%+v", c.o, c)
	}
}

// Cancelling ends all batches within a question; so does an error in one of them.
func TestNoBatchBeginsAfterTheEnd(t *testing.T) {
	x, y := tensor.Full(tensor.Float32, 0.5, 1000, 3), make([]int, 1000)
	for _, fail := range []bool{false, true} {
		var calls, atEnd atomic.Int32
		ctx, cancel := context.WithCancel(ctx)
		m := function(func(x *tensor.Tensor) *tensor.Tensor {
			if calls.Add(1) == 3 {
				if fail {
					panic("no")
				}
				cancel()
				atEnd.Store(calls.Load())
			}
			return tensor.MulScalar(x, 1)
		})
		res, err := (&PGD{Threat: Threat{Eps: 0.1}, Steps: 50}).Run(ctx, m, x, y)
		// In all it would be 16 batches of 51 questions.
		if fail {
			require.ErrorContains(t, err, "model panicked")
			require.Less(t, calls.Load(), int32(200))
		} else {
			require.ErrorIs(t, err, context.Canceled)
			require.LessOrEqual(t, calls.Load(), atEnd.Load()+int32(tensor.Threads()))
		}
		require.Equal(t, -1, res.Label[999])
		cancel()
	}
}

// FGSM asks about the input and about the result, and no more.
func TestFGSMAsksTwice(t *testing.T) {
	x := tensor.FromFloat32([]float32{0.9, 0.1, 0.1, 0.9}, 2, 2)
	m := function(func(x *tensor.Tensor) *tensor.Tensor { return tensor.MulScalar(x, 1) })
	res, err := (&FGSM{Threat: Threat{Eps: 0.1}}).Run(ctx, m, x, []int{0, 0})
	require.NoError(t, err)
	require.Equal(t, []int{2, 1}, res.Queries)
	require.Equal(t, []int{1, 0}, res.Gradients)
}

func TestClopperPearson(t *testing.T) {
	// Known values: 0 of 10 gives 1 - 0.025^(1/10); 8 of 10 gives [0.4439, 0.9748].
	e := NewEstimate(0, 10)
	require.Zero(t, e.Lo)
	require.InDelta(t, 1-math.Pow(0.025, 0.1), e.Hi, 1e-9)
	e = NewEstimate(8, 10)
	require.InDelta(t, 0.4439, e.Lo, 5e-5)
	require.InDelta(t, 0.9748, e.Hi, 5e-5)
	require.Equal(t, 1., NewEstimate(10, 10).Hi)
}

func TestBadInputGivesAnError(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 5))
	m := randomModel(r, 3, 4, tensor.Float32)
	x, y := tensor.Uniform(r, tensor.Float32, 0, 1, 2, 3), []int{1, 2}
	th := Threat{Norm: Linf, Eps: 0.1}
	nan := x.Clone()
	nan.Set(math.NaN(), 1, 2)
	for want, f := range map[string]func() (Result, error){
		"no model":              func() (Result, error) { return (&PGD{Threat: th, Steps: 1}).Run(ctx, nil, x, y) },
		"0 steps":               func() (Result, error) { return (&PGD{Threat: th}).Run(ctx, m, x, y) },
		"eps is -1":             func() (Result, error) { return (&FGSM{Threat: Threat{Eps: -1}}).Run(ctx, m, x, y) },
		"eps is NaN":            func() (Result, error) { return (&FGSM{Threat: Threat{Eps: math.NaN()}}).Run(ctx, m, x, y) },
		"box [1, 0]":            func() (Result, error) { return (&FGSM{Threat: Threat{Eps: 1, Lo: 1}}).Run(ctx, m, x, y) },
		"1 labels for 2 inputs": func() (Result, error) { return (&FGSM{Threat: th}).Run(ctx, m, x, y[:1]) },
		"empty batch": func() (Result, error) {
			return (&FGSM{Threat: th}).Run(ctx, m, tensor.Zeros(tensor.Float32, 0, 3), nil)
		},
		"pixel 2 of input 1 is NaN":          func() (Result, error) { return (&FGSM{Threat: th}).Run(ctx, m, nan, y) },
		"label of input 1 is 4, want 0 to 3": func() (Result, error) { return (&FGSM{Threat: th}).Run(ctx, m, x, []int{0, 4}) },
		"label of input 0 is -1":             func() (Result, error) { return (&FGSM{Threat: th}).Run(ctx, m, x, []int{-1, 0}) },
		"target of input 1 is 9":             func() (Result, error) { return (&FGSM{Threat: th, Targets: []int{0, 9}}).Run(ctx, m, x, y) },
		"model panicked on 2 inputs": func() (Result, error) {
			return (&FGSM{Threat: th}).Run(ctx, function(func(*tensor.Tensor) *tensor.Tensor { panic("no") }), x, y)
		},
		"model returned float32[1 3] for": func() (Result, error) {
			return (&FGSM{Threat: th}).Run(ctx, function(func(x *tensor.Tensor) *tensor.Tensor { return tensor.Slice(x, 0, 0, 1) }), x, y)
		},
		"not finite for input 1": func() (Result, error) {
			return (&FGSM{Threat: th}).Run(ctx, function(func(x *tensor.Tensor) *tensor.Tensor {
				return tensor.Log(tensor.Affine(x, -1, 0.5)) // of 0.9: NaN
			}), tensor.FromFloat32([]float32{0.1, 0.1, 0.1, 0.1, 0.9, 0.1}, 2, 3), y)
		},
		"model panicked on 2 inputs from 0 on: tensor: MatMul": func() (Result, error) {
			return (&FGSM{Threat: th}).Run(ctx, m, tensor.Zeros(tensor.Float32, 2, 4), y)
		},
		"target of input 1 is its label": func() (Result, error) {
			return (&FGSM{Threat: th, Targets: []int{0, 2}}).Run(ctx, m, x, y)
		},
		"step size +Inf": func() (Result, error) {
			return (&PGD{Threat: th, Steps: 1, StepSize: math.Inf(1)}).Run(ctx, m, x, y)
		},
		"noise of -1 at the start": func() (Result, error) { return (&PGD{Threat: th, Steps: 1, Noise: -1}).Run(ctx, m, x, y) },
		"noise of 1 at the start, but no random start": func() (Result, error) {
			return (&PGD{Threat: th, Steps: 1, Noise: 1, NoRandomStart: true}).Run(ctx, m, x, y)
		},
		"-5 restarts": func() (Result, error) { return (&PGD{Threat: th, Steps: 1, Restarts: -5}).Run(ctx, m, x, y) },
		"objective panicked on 2 inputs from 0 on: attack: DLR: 2 classes": func() (Result, error) {
			return (&PGD{Threat: th, Steps: 1, Objective: DLR{}}).Run(ctx, randomModel(r, 3, 2, tensor.Float32), x, []int{0, 1})
		},
	} {
		_, err := f()
		require.ErrorContains(t, err, want)
	}
	_, err := Predict(ctx, m, nil)
	require.ErrorContains(t, err, "must be a batch")
	_, err = Predict(ctx, m, nan)
	require.ErrorContains(t, err, "pixel 2 of input 1 is NaN, want a finite number")
	_, err = Evaluate(ctx, m, x, y, nil)
	require.ErrorContains(t, err, "attack 0 of 1 is nil")
	bad := &PGD{Threat: th}
	_, err = Evaluate(ctx, m, x, y, bad)
	require.Regexp(t, "^attack: PGD-0: .* 0 steps", err)
	_, err = (&Transfer{Surrogate: m, Attack: bad}).Run(ctx, m, x, y)
	require.Regexp(t, "^attack: Transfer: on the surrogate: .* 0 steps", err)
	require.PanicsWithValue(t, "attack: Project: attack: eps is -1, want a finite number from 0 on", func() { Threat{Norm: L0, Eps: -1}.Project(x.Clone(), x) })
	require.Panics(t, func() { Threat{Norm: 7}.Project(x.Clone(), x) })
	cancelled, cancel := context.WithCancel(ctx)
	cancel()
	res, err := (&PGD{Threat: th, Steps: 5}).Run(cancelled, m, x, y)
	require.ErrorIs(t, err, context.Canceled)
	require.Equal(t, x.Shape(), res.X.Shape())
	_, err = Evaluate(cancelled, m, x, y)
	require.ErrorIs(t, err, context.Canceled)
}

// A model whose answer does not depend on the input has no gradient: nothing
// moves and nothing fails.
func TestConstantModel(t *testing.T) {
	m := function(func(x *tensor.Tensor) *tensor.Tensor {
		return tensor.FromFloat32([]float32{1, 0, 1, 0}, 2, 2)
	})
	x := tensor.Full(tensor.Float32, 0.5, 2, 3)
	for _, th := range threats()[:5] {
		res, err := (&BIM{Threat: th, Steps: 3}).Run(ctx, m, x, []int{0, 0})
		require.NoError(t, err)
		require.Equal(t, []bool{false, false}, res.Success)
	}
}

// Starts with noise have its standard deviation where the ball is large, stay in it where
// it is small, and differ between inputs and seeds.
func TestPGDStartsFromNoise(t *testing.T) {
	for _, dtype := range []tensor.DType{tensor.Float32, tensor.Float64} {
		x := tensor.Full(dtype, 0.5, 2, 4000)
		start := func(eps float64, seed uint64) *tensor.Tensor {
			var asked *tensor.Tensor
			m := function(func(x *tensor.Tensor) *tensor.Tensor {
				if asked == nil {
					asked = x.Clone()
				}
				return tensor.Slice(x, 1, 0, 3)
			})
			_, err := (&PGD{Threat: Threat{Eps: eps}, Steps: 1, Noise: 0.01, Seed: seed}).Perturb(ctx, m, x, []int{0, 0})
			require.NoError(t, err)
			return tensor.Sub(asked, x)
		}
		wide := start(1, 0)
		require.InDelta(t, 0.01, math.Sqrt(tensor.Mean(tensor.Square(wide)).Item()), 3e-4)
		require.InDelta(t, 0, tensor.Mean(wide).Item(), 4e-4)
		require.NotEqual(t, tensor.Slice(wide, 0, 0, 1).Values(), tensor.Slice(wide, 0, 1, 2).Values())
		require.NotEqual(t, wide.Values(), start(1, 1).Values())
		narrow := tensor.MaxAbs(start(0.005, 0))
		require.LessOrEqual(t, narrow, 0.005)
		require.Greater(t, narrow, 0.0049)
	}
}
