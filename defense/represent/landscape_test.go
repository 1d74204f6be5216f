package represent

import (
	"context"
	"errors"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/redoubt-ml/redoubt/attack"
	"github.com/redoubt-ml/redoubt/internal/realdata"
	"github.com/redoubt-ml/redoubt/tensor"
	"github.com/redoubt-ml/redoubt/tensor/dataset"
	"github.com/redoubt-ml/redoubt/tensor/dataset/corrupt"
	"github.com/redoubt-ml/redoubt/tensor/nn"
	"github.com/redoubt-ml/redoubt/tensor/onnx"
)

// Check 27 of the notes on AdvCL: weights (1,2,2) and (0,3,4) with directions (1,0,0)
// and (1,1,1), an output's weights in a column here.
func TestDirectionsHaveTheLengthOfFilters(t *testing.T) {
	w := tensor.FromFloat64([]float64{1, 0, 2, 3, 2, 4}, 3, 2)
	d := tensor.FromFloat64([]float64{1, 1, 0, 1, 0, 1}, 3, 2)
	scaleFilters(d, w)
	require.InDeltaSlice(t, []float64{3, 2.88675135, 0, 2.88675135, 0, 2.88675135}, d.Values(), 1e-8)
	zero := tensor.Zeros(tensor.Float32, 3, 2)
	scaleFilters(zero, w.To(tensor.Float32))
	require.Zero(t, tensor.MaxAbs(zero))

	net := nn.NewResNet8(rand.New(rand.NewPCG(1, 1)), 10, "a", "b")
	dirs := Direction(rng(1), net)
	params := nn.Params(net)
	require.Len(t, dirs, len(params))
	moving := 0
	for i, d := range dirs {
		require.Equal(t, params[i].Shape(), d.Shape())
		if d.Rank() == 1 {
			require.Zero(t, tensor.MaxAbs(d), "biases and normalisation stay")
			continue
		}
		moving++
		k := d.Dim(-1)
		got, want := tensor.Sum(tensor.Square(tensor.Reshape(d, -1, k)), 0), tensor.Sum(tensor.Square(tensor.Reshape(params[i], -1, k)), 0)
		require.InEpsilonSlice(t, want.Values(), got.Values(), 1e-4)
	}
	require.Equal(t, 10, moving)
	require.NotEqual(t, dirs[0].Values(), Direction(rng(2), net)[0].Values())
}

// A layer in two places moves once.
func TestDirectionsOfSharedLayers(t *testing.T) {
	shared := nn.NewLinear(rng(1), 4, 4)
	net := nn.NewSequential(shared, nn.ReLU, shared)
	require.Len(t, Direction(rng(2), net), len(nn.Params(net)))
}

// small is a network with normalisation, and inputs with labels for it.
func small() (net *nn.Sequential, x *tensor.Tensor, y []int) {
	r := rand.New(rand.NewPCG(3, 3))
	net = nn.NewSequential(nn.NewConv2D(r, 1, 3, 3, tensor.Same(1, 1)), nn.NewBatchNorm(3), nn.ReLU, nn.Flatten, nn.NewLinear(r, 48, 3))
	nn.Convert(net, tensor.Float64)
	x = tensor.Uniform(r, tensor.Float64, 0, 1, 30, 4, 4, 1)
	return net, x, tensor.ArgMax(nn.Classifier{Net: net}.Logits(x))
}

func plainLoss(net nn.Layer, x *tensor.Tensor, y []int) float64 {
	return tensor.Mean(tensor.CrossEntropy(nn.Classifier{Net: net}.Logits(x), y)).Item()
}

// The surface is the loss of networks whose weights have been moved by hand.
func TestLandscapeIsTheLossOfMovedNetworks(t *testing.T) {
	net, x, y := small()
	var before []float64
	for _, w := range nn.Params(net) {
		before = append(before, w.Values()...)
	}
	points := 0
	l := &Landscape{Net: net, Points: 5, Span: 2, Seed: 6, BatchSize: 7, OnProgress: func(done, total int) {
		points++
		require.Equal(t, [2]int{points, 25}, [2]int{done, total})
	}}
	s, err := l.Run(ctx, x, y)
	require.NoError(t, err)
	require.Equal(t, []float64{-2, -1, 0, 1, 2}, s.Axis)
	require.InDelta(t, plainLoss(net, x, y), s.Center, 1e-12)
	require.InDelta(t, s.Center, s.Loss[2][2], 1e-12)
	var after []float64
	for _, w := range nn.Params(net) {
		after = append(after, w.Values()...)
	}
	require.Equal(t, before, after)

	r := rand.New(rand.NewPCG(6, 0x1a4d))
	d1, d2 := Direction(r, net), Direction(r, net)
	below := 0
	for j, b := range s.Axis {
		for i, a := range s.Axis {
			other, _, _ := small()
			nn.Copy(other, net)
			for k, w := range nn.Params(other) {
				w.CopyFrom(tensor.Add(w, tensor.Add(tensor.MulScalar(d1[k], a), tensor.MulScalar(d2[k], b))))
			}
			require.InDelta(t, plainLoss(other, x, y), s.Loss[j][i], 1e-9, "a %v, b %v", a, b)
			if s.Loss[j][i] < s.Center+0.5 {
				below++
			}
		}
	}
	require.InDelta(t, float64(below)/25, s.Flat, 1e-12)

	tensor.SetThreads(1)
	l.OnProgress = nil
	again, err := l.Run(ctx, x, y)
	tensor.SetThreads(0)
	require.NoError(t, err)
	require.Equal(t, s, again)
}

// The loss on attacked inputs is higher, and highest where every point has its attack.
func TestLandscapeOfAttackedInputs(t *testing.T) {
	net, x, y := small()
	l := Landscape{Net: net, Points: 3, Seed: 6}
	clean, err := l.Run(ctx, x, y)
	require.NoError(t, err)
	pgd := attack.PGD{Threat: attack.Threat{Eps: 0.05}, Steps: 8}
	l.Attack = &pgd
	attacked, err := l.Run(ctx, x, y)
	require.NoError(t, err)
	xa, err := pgd.Perturb(ctx, nn.Classifier{Net: net}, x, y)
	require.NoError(t, err)
	require.InDelta(t, plainLoss(net, xa, y), attacked.Center, 1e-9)
	require.Greater(t, attacked.Center, clean.Center)
	l.Recraft = true
	anew, err := l.Run(ctx, x, y)
	require.NoError(t, err)
	require.InDelta(t, attacked.Center, anew.Loss[1][1], 1e-9)
	for j, row := range anew.Loss {
		for i, v := range row {
			require.Greater(t, v, attacked.Loss[j][i]-1e-3)
		}
	}
	require.Greater(t, anew.Loss[0][0], attacked.Loss[0][0])
}

func TestLandscapeNamesMistakes(t *testing.T) {
	net, x, y := small()
	for want, l := range map[string]Landscape{
		"no network":      {},
		"Points is 1":     {Net: net, Points: 1},
		"Points is -2":    {Net: net, Points: -2},
		"Span is NaN":     {Net: net, Span: math.NaN()},
		"BatchSize is -1": {Net: net, BatchSize: -1},
		"Recraft without": {Net: net, Recraft: true},
		"0 steps":         {Net: net, Attack: &attack.PGD{}},
		"finite number":   {Net: net, Span: 1e308},
	} {
		_, err := l.Run(ctx, x, y)
		require.ErrorContains(t, err, want)
	}
	good := Landscape{Net: net}
	_, err := good.Run(ctx, x, y[:4])
	require.ErrorContains(t, err, "4 labels for 30 inputs")
	_, err = good.Run(ctx, nil, nil)
	require.ErrorContains(t, err, "inputs are nothing")
	_, err = good.Run(ctx, tensor.Zeros(tensor.Float64, 30, 4), y)
	require.ErrorContains(t, err, "panic")
	done, cancel := context.WithCancel(ctx)
	cancel()
	s, err := good.Run(done, x, y)
	require.ErrorIs(t, err, context.Canceled)
	require.Zero(t, s)
}

// A landscape that is stopped has the points that were made.
func TestStoppedLandscapeKeepsItsPoints(t *testing.T) {
	net := nn.NewSequential(nn.NewLinear(rng(3), 6, 3))
	x := tensor.Uniform(rng(4), tensor.Float32, 0, 1, 20, 6)
	y := make([]int, 20)
	for i := range y {
		y[i] = i % 3
	}
	for _, pgd := range []*attack.PGD{nil, {Threat: attack.Threat{Eps: 0.1}, Steps: 2}} {
		l := Landscape{Net: net, Points: 4, Span: 3, Attack: pgd, Recraft: pgd != nil}
		whole, err := l.Run(ctx, x, y)
		require.NoError(t, err)
		stopped, cancel := context.WithCancel(ctx)
		l.OnProgress = func(done, _ int) {
			if done == 6 {
				cancel()
			}
		}
		s, err := l.Run(stopped, x, y)
		require.ErrorIs(t, err, context.Canceled)
		require.Equal(t, [][]float64{whole.Loss[0], whole.Loss[1][:2]}, s.Loss)
		require.Equal(t, whole.Axis, s.Axis)
		require.Equal(t, whole.Center, s.Center)
		below := 0
		for _, row := range s.Loss {
			for _, v := range row {
				if v < s.Center+0.5 {
					below++
				}
			}
		}
		require.True(t, below > 0 && below < 6)
		require.InDelta(t, float64(below)/6, s.Flat, 1e-12)
	}
}

// The image that drives a linear neuron furthest has white where its weight is
// positive and black elsewhere.
func TestInversionReachesTheBestCorner(t *testing.T) {
	w := tensor.Normal(rng(13), tensor.Float64, 0, 1, 12, 3)
	x := tensor.Uniform(rng(14), tensor.Float64, 0, 1, 2, 3, 4, 1)
	keep := x.Clone()
	for _, minimize := range []bool{false, true} {
		got, err := Inversion{Neuron: 1, Minimize: minimize, Steps: 300}.Run(ctx, linear(w), x)
		require.NoError(t, err)
		require.Equal(t, keep.Values(), x.Values())
		best := 0.0
		for i := range 12 {
			want := 0.0
			if (w.At(i, 1) > 0) != minimize {
				want = 1
				best += w.At(i, 1)
			}
			for n := range 2 {
				require.InDelta(t, want, got.X.At(n, i/4, i%4, 0), 1e-9)
			}
		}
		require.InDeltaSlice(t, []float64{best, best}, got.End, 1e-9)
		require.InDelta(t, linear(w)(x).At(1, 1), got.Start[1], 1e-12)
		require.Len(t, got.Mean, 301)
		require.InDelta(t, (got.Start[0]+got.Start[1])/2, got.Mean[0], 1e-12)
		require.InDelta(t, best, got.Mean[300], 1e-9)
	}
	one, err := Inversion{Neuron: 2, Steps: 1, StepSize: 1e-3}.Run(ctx, linear(w), tensor.Full(tensor.Float64, 0.5, 1, 12))
	require.NoError(t, err)
	length := math.Sqrt(tensor.Sum(tensor.Square(tensor.AddScalar(one.X, -0.5))).Item())
	require.InDelta(t, 1e-3, length, 1e-12)
}

func TestInversionNamesMistakes(t *testing.T) {
	w := tensor.Normal(rng(13), tensor.Float64, 0, 1, 12, 3)
	x := tensor.Full(tensor.Float64, 0.5, 2, 12)
	off := x.Clone()
	off.Set(1.2, 1, 3)
	errorOf := func(_ Inverted, err error) error { return err }
	for want, err := range map[string]error{
		"no encoder":                    errorOf(Inversion{}.Run(ctx, nil, x)),
		"neuron 3":                      errorOf(Inversion{Neuron: 3}.Run(ctx, linear(w), x)),
		"neuron -1":                     errorOf(Inversion{Neuron: -1}.Run(ctx, linear(w), x)),
		"-1 steps":                      errorOf(Inversion{Steps: -1}.Run(ctx, linear(w), x)),
		"StepSize is -1":                errorOf(Inversion{StepSize: -1}.Run(ctx, linear(w), x)),
		"pixel 3 of image 1 is 1.2":     errorOf(Inversion{}.Run(ctx, linear(w), off)),
		"inputs are nothing":            errorOf(Inversion{}.Run(ctx, linear(w), nil)),
		"step 0: panic: tensor: MatMul": errorOf(Inversion{}.Run(ctx, linear(tensor.Zeros(tensor.Float64, 5, 3)), x)),
		"on no tape":                    errorOf(Inversion{}.Run(ctx, func(*tensor.Tensor) *tensor.Tensor { return tensor.Zeros(tensor.Float64, 2, 1) }, x)),
		"not finite":                    errorOf(Inversion{}.Run(ctx, func(x *tensor.Tensor) *tensor.Tensor { return tensor.Log(tensor.AddScalar(x, -2)) }, x)),
	} {
		require.ErrorContains(t, err, want)
	}
	done, cancel := context.WithCancel(ctx)
	cancel()
	got, err := Inversion{}.Run(done, linear(w), x)
	require.ErrorIs(t, err, context.Canceled)
	require.Equal(t, Inverted{X: x}, got)
}

// Whether Inversion is stopped or the encoder fails, values and means are those of the
// images that it returns.
func TestEndedInversionIsOfOnePiece(t *testing.T) {
	w := tensor.Normal(rng(13), tensor.Float64, 0, 1, 12, 3)
	x := tensor.Full(tensor.Float64, 0.5, 2, 12)
	broken := errors.New("cable cut")
	for _, fails := range []bool{false, true} {
		stopped, cancel := context.WithCancel(ctx)
		asked := 0
		enc := func(x *tensor.Tensor) *tensor.Tensor {
			if asked++; asked == 4 {
				if fails {
					panic(broken)
				}
				cancel()
			}
			return linear(w)(x)
		}
		got, err := Inversion{Neuron: 1}.Run(stopped, enc, x)
		cancel()
		points := 4
		if fails {
			require.ErrorIs(t, err, broken)
			points = 3
		} else {
			require.ErrorIs(t, err, context.Canceled)
		}
		whole, err := Inversion{Neuron: 1, Steps: points - 1}.Run(ctx, linear(w), x)
		require.NoError(t, err)
		require.Equal(t, whole, got)
		require.Equal(t, tensor.Slice(linear(w)(got.X), 1, 1, 2).Values(), got.End)
		require.NotEqual(t, x.Values(), got.X.Values())
	}
}

// byBrightness answers whether the mean pixel is above a half.
type byBrightness struct{}

func (byBrightness) Logits(x *tensor.Tensor) *tensor.Tensor {
	m := tensor.Reshape(tensor.Mean(tensor.Flatten(x), 1), x.Dim(0), 1)
	return tensor.Concat(1, tensor.Affine(m, -1, 0.5), tensor.Affine(m, 1, -0.5))
}

func TestCorruptionAccuracyCountsEveryRow(t *testing.T) {
	s := &dataset.Set{Name: "greys", H: 8, W: 8, C: 1, Classes: 2, Labels: []int{0, 0, 1}, Bytes: make([]byte, 3*64)}
	for i, level := range []byte{50, 110, 200} {
		for k := range 64 {
			s.Bytes[i*64+k] = level
		}
	}
	calls := 0
	rep, err := CorruptionAccuracy(ctx, byBrightness{}, s, CorruptionOptions{
		Types: []corrupt.Type{corrupt.Brightness, corrupt.Contrast}, Severities: []int{1, 5},
		OnProgress: func(done, total int) { calls++; require.Equal(t, [2]int{calls, 4}, [2]int{done, total}) },
	})
	require.NoError(t, err)
	var right []int
	for _, r := range rep.Rows {
		right = append(right, r.Accuracy.Right)
	}
	// 110/255 + 0.3 is above a half; flat images keep their contrast.
	require.Equal(t, []int{3, 2, 3, 3}, right)
	require.InDelta(t, 11./12, rep.Mean, 1e-12)

	all, err := CorruptionAccuracy(ctx, byBrightness{}, s, CorruptionOptions{})
	require.NoError(t, err)
	require.Len(t, all.Rows, 60)

	row := func(typ corrupt.Type, severity, right int) CorruptionRow {
		return CorruptionRow{typ, severity, attack.NewEstimate(right, 10)}
	}
	own := CorruptionReport{Rows: []CorruptionRow{row(corrupt.Fog, 1, 9), row(corrupt.Fog, 2, 8), row(corrupt.JPEG, 1, 5)}}
	other := CorruptionReport{Rows: []CorruptionRow{row(corrupt.Fog, 1, 6), row(corrupt.Fog, 2, 4), row(corrupt.JPEG, 1, 0)}}
	mce, err := own.MCE(other)
	require.NoError(t, err)
	require.InDelta(t, (0.3/1.0+0.5/1)/2, mce, 1e-12)
	_, err = own.MCE(CorruptionReport{Rows: own.Rows[:2]})
	require.ErrorContains(t, err, "3 and 2")
	swapped := CorruptionReport{Rows: []CorruptionRow{own.Rows[1], own.Rows[0], own.Rows[2]}}
	_, err = own.MCE(swapped)
	require.ErrorContains(t, err, "corruption 0 is fog 1 and fog 2")
	perfect := CorruptionReport{Rows: []CorruptionRow{row(corrupt.Fog, 1, 10), row(corrupt.Fog, 2, 10), row(corrupt.JPEG, 1, 0)}}
	_, err = own.MCE(perfect)
	require.ErrorContains(t, err, "no error under fog")

	_, err = CorruptionAccuracy(ctx, nil, s, CorruptionOptions{})
	require.ErrorContains(t, err, "no model")
	_, err = CorruptionAccuracy(ctx, byBrightness{}, &dataset.Set{H: 8, W: 8, C: 1}, CorruptionOptions{})
	require.ErrorContains(t, err, "no images with labels")
	_, err = CorruptionAccuracy(ctx, byBrightness{}, s, CorruptionOptions{Severities: []int{9}})
	require.ErrorContains(t, err, "is 9, want 1 to 5")
	_, err = CorruptionAccuracy(ctx, byBrightness{}, s, CorruptionOptions{Types: []corrupt.Type{}})
	require.ErrorContains(t, err, "0 types and 5 severities")
	done, cancel := context.WithCancel(ctx)
	cancel()
	_, err = CorruptionAccuracy(done, byBrightness{}, s, CorruptionOptions{})
	require.ErrorIs(t, err, context.Canceled)
}

// Corruptions cost a network for photographs accuracy, most of it at the strongest.
func TestRealNetworkUnderCorruptions(t *testing.T) {
	net, err := onnx.Open(realdata.File(t, "models", "cifar-resnet8.onnx"))
	require.NoError(t, err)
	s, err := dataset.Load(realdata.Dir(t), "cifar10", dataset.Test)
	realdata.Found(t, err)
	s = s.Take(150)
	x, y := s.All()
	m := nn.Classifier{Net: net}
	answers, err := attack.Predict(ctx, m, x)
	require.NoError(t, err)
	clean := agreement(answers, y)
	mean := func(severity int) float64 {
		rep, err := CorruptionAccuracy(ctx, m, s, CorruptionOptions{Severities: []int{severity}})
		require.NoError(t, err)
		return rep.Mean
	}
	weak, strong := mean(1), mean(5)
	t.Logf("clean %v, corrupted %.3f at severity 1, %.3f at severity 5", clean, weak, strong)
	require.Less(t, strong, weak-0.01)
	require.Less(t, strong, clean.Value-0.03)
	require.Greater(t, strong, 0.2)

	f, err := Features(ctx, Network(net, ""), x, 0)
	require.NoError(t, err)
	acc, err := KNN{}.LeaveOneOut(ctx, f, y)
	require.NoError(t, err)
	t.Logf("20-NN on the logits: %v", acc)
	require.Greater(t, acc.Value, 0.3)
}
