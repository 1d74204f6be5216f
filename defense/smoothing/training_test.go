package smoothing_test

import (
	"context"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/redoubt-ml/redoubt/attack"
	. "github.com/redoubt-ml/redoubt/defense/smoothing"
	"github.com/redoubt-ml/redoubt/internal/realdata"
	"github.com/redoubt-ml/redoubt/tensor"
	"github.com/redoubt-ml/redoubt/tensor/dataset"
	"github.com/redoubt-ml/redoubt/tensor/nn"
	"github.com/redoubt-ml/redoubt/tensor/onnx"
	"github.com/redoubt-ml/redoubt/tensor/optim"
)

func trained(t *testing.T, loss nn.Loss) nn.Layer {
	set, _, err := dataset.MNISTMini()
	require.NoError(t, err)
	net := nn.NewMLP(rand.New(rand.NewPCG(1, 1)), 28, 28, 1, 64, 10)
	tr := nn.Trainer{Net: net, Data: set.Take(1000), Epochs: 6, BatchSize: 50, Loss: loss, Schedule: optim.Triangle(4e-3, 40, 120)}
	require.NoError(t, tr.Run(ctx))
	return net
}

// Training on noise certifies more than training without, and training on attacked
// noisy examples further out than on noise alone.
func TestTrainingForNoiseCertifiesMore(t *testing.T) {
	const sigma = 0.5
	_, test, err := dataset.MNISTMini()
	require.NoError(t, err)
	x, y := test.Take(100).All()
	mean := func(loss nn.Loss) float64 {
		c := &Classifier{Model: nn.Classifier{Net: trained(t, loss)}, Sigma: sigma, N: 200, N0: 30, Alpha: 0.01}
		certs, err := c.Certify(ctx, x)
		require.NoError(t, err)
		m, err := AverageRadius(certs, y)
		require.NoError(t, err)
		return m
	}
	adv := &SmoothAdv{Threat: attack.Threat{Norm: attack.L2, Eps: 1}, Sigma: sigma, Steps: 2, RampSteps: 40}
	plain, noise, attacked := mean(nil), mean((&Training{Sigma: sigma}).Loss), mean(adv.Loss)
	t.Logf("average certified radius: %.3f without, %.3f with noise, %.3f attacked", plain, noise, attacked)
	require.Greater(t, noise, plain+0.03)
	require.Greater(t, attacked, noise)
}

// batch is a training batch of examples of one kind, on a tape.
func batch(tape *tensor.Tape, x *tensor.Tensor, y []int, step int) nn.Batch {
	b := nn.Batch{X: tape.Const(x), Y: y, Step: step}
	for i := range y {
		b.Index = append(b.Index, 100+i)
	}
	return b
}

// seen is a network that keeps what it was last shown.
func seen(into **tensor.Tensor, m attack.Model) nn.Layer {
	return nn.Function(func(p *nn.Pass, x *tensor.Tensor) *tensor.Tensor {
		if p.Train {
			*into = x.Clone()
		}
		return m.Logits(x)
	})
}

// The noise of a step has the deviation asked for, and depends on the seed, the step
// and the example, not on its place in the batch.
func TestTrainingNoise(t *testing.T) {
	x := tensor.Uniform(rand.New(rand.NewPCG(4, 4)), tensor.Float64, 0, 1, 300, 20)
	y := make([]int, 300)
	m := newHalfspace(rand.New(rand.NewPCG(4, 5)), tensor.Float64, 20)
	show := func(l *Training, step int, reorder bool) *tensor.Tensor {
		var got *tensor.Tensor
		b := batch(tensor.NewTape(), x, y, step)
		if reorder {
			b.X = tensor.Flip(b.X, 0)
			for i := range b.Index {
				b.Index[i] = 100 + 299 - i
			}
		}
		loss, err := l.Loss(ctx, &nn.Pass{Train: true}, seen(&got, m), b)
		require.NoError(t, err)
		require.Equal(t, 1, loss.Len())
		return got
	}
	l := &Training{Sigma: 0.25, Copies: 2, Seed: 3}
	got := show(l, 0, false)
	require.Equal(t, []int{600, 20}, got.Shape())
	sum, squares := 0.0, 0.0
	for _, v := range tensor.Sub(got, tensor.Concat(0, x, x)).Values() {
		sum, squares = sum+v, squares+v*v
	}
	require.InDelta(t, 0, sum/12000, 4*0.25/math.Sqrt(12000))
	require.InDelta(t, 0.25, math.Sqrt(squares/12000), 0.25*4/math.Sqrt(2*12000))
	first, second := tensor.Slice(got, 0, 0, 300), tensor.Slice(got, 0, 300, 600)
	require.NotEqual(t, first.Values(), second.Values())
	require.Equal(t, got.Values(), show(l, 0, false).Values())
	require.Equal(t, first.Values(), tensor.Flip(tensor.Slice(show(l, 0, true), 0, 0, 300), 0).Values())
	require.NotEqual(t, got.Values(), show(l, 1, false).Values())
	require.NotEqual(t, got.Values(), show(&Training{Sigma: 0.25, Copies: 2, Seed: 4}, 0, false).Values())
}

// On a half-space the loss of the smoothed classifier rises along the normal, whatever
// the noise: the attack goes there, and its noise is what is trained on.
func TestSmoothAdvClimbsTheSmoothedLoss(t *testing.T) {
	m := newHalfspace(rand.New(rand.NewPCG(6, 5)), tensor.Float64, 8)
	x := tensor.Uniform(rand.New(rand.NewPCG(4, 4)), tensor.Float64, 0.4, 0.6, 40, 8)
	y := make([]int, 40)
	for i := range y {
		y[i] = i % 2
	}
	var plain, attacked *tensor.Tensor
	_, err := (&Training{Sigma: 0.3, Copies: 3, Seed: 9}).Loss(ctx, &nn.Pass{Train: true}, seen(&plain, m), batch(tensor.NewTape(), x, y, 5))
	require.NoError(t, err)
	adv := &SmoothAdv{Threat: attack.Threat{Norm: attack.L2, Eps: 0.1}, Sigma: 0.3, Copies: 3, Seed: 9}
	_, err = adv.Loss(ctx, &nn.Pass{Train: true}, seen(&attacked, m), batch(tensor.NewTape(), x, y, 5))
	require.NoError(t, err)
	length := math.Sqrt(tensor.Dot(tensor.Flatten(m.w), tensor.Flatten(m.w)).Item())
	move := tensor.Sub(attacked, plain)
	for r := range 120 {
		sign := -1.0 // away from class 0
		if y[r%40] == 1 {
			sign = 1
		}
		for k := range 8 {
			require.InDelta(t, sign*0.1*m.w.At(k, 0)/length, move.At(r, k), 1e-9)
		}
	}
	// Half of the way up the ramp.
	adv.RampSteps = 11
	_, err = adv.Loss(ctx, &nn.Pass{Train: true}, seen(&attacked, m), batch(tensor.NewTape(), x, y, 5))
	require.NoError(t, err)
	require.InDelta(t, 0.5*tensor.MaxAbs(move), tensor.MaxAbs(tensor.Sub(attacked, plain)), 1e-9)
}

func TestTrainingNamesMistakes(t *testing.T) {
	set, _, err := dataset.MNISTMini()
	require.NoError(t, err)
	net := nn.NewMLP(rand.New(rand.NewPCG(1, 1)), 28, 28, 1, 10)
	run := func(ctx context.Context, l nn.Loss) error {
		return (&nn.Trainer{Net: net, Data: set.Take(50), Epochs: 1, BatchSize: 50, Loss: l}).Run(ctx)
	}
	th := attack.Threat{Norm: attack.L2, Eps: 1}
	for want, l := range map[string]nn.Loss{
		"Training: deviation Sigma is 0":    (&Training{}).Loss,
		"Copies is -1":                      (&Training{Sigma: 1, Copies: -1}).Loss,
		"SmoothAdv: deviation Sigma is NaN": (&SmoothAdv{Threat: th, Sigma: math.NaN()}).Loss,
		"Copies is -3":                      (&SmoothAdv{Threat: th, Sigma: 1, Copies: -3}).Loss,
		"eps is -1":                         (&SmoothAdv{Threat: attack.Threat{Eps: -1}, Sigma: 1}).Loss,
		"-1 steps":                          (&SmoothAdv{Threat: th, Sigma: 1, Steps: -1}).Loss,
		"RampSteps -1":                      (&SmoothAdv{Threat: th, Sigma: 1, RampSteps: -1}).Loss,
		"StepSize is -1":                    (&SmoothAdv{Threat: th, Sigma: 1, StepSize: -1}).Loss,
	} {
		require.ErrorContains(t, run(ctx, l), want)
	}
	x := tensor.Full(tensor.Float32, 0.5, 3, 28, 28, 1)
	bright := x.Clone()
	bright.Set(-0.5, 1, 0, 2, 0)
	adv := &SmoothAdv{Threat: th, Sigma: 1}
	for want, b := range map[string]nn.Batch{
		"pixel 2 of input 1 is -0.5, want 0 to 1": {X: bright, Y: []int{0, 1, 2}},
		"0 labels for 3 inputs":                   {X: x},
		"label of input 2 is -1, want 0 or more":  {X: x, Y: []int{0, 1, -1}},
	} {
		b.Index = []int{0, 1, 2}
		_, err := adv.Loss(ctx, &nn.Pass{Train: true}, net, b)
		require.EqualError(t, err, "smoothing: SmoothAdv: attack: "+want)
	}
	stopped, cancel := context.WithCancel(ctx)
	require.ErrorIs(t, run(stopped, func(ctx context.Context, p *nn.Pass, net nn.Layer, b nn.Batch) (*tensor.Tensor, error) {
		cancel()
		return adv.Loss(ctx, p, net, b)
	}), context.Canceled)
}

// No attack within the certified radius changes the smoothed answer, and a network
// from another framework, never trained for noise, is certified at a small deviation.
func TestRealNetworkIsCertified(t *testing.T) {
	net, err := onnx.Open(realdata.File(t, "models", "mnist-cnn.onnx"))
	require.NoError(t, err)
	set, err := dataset.Load(realdata.Dir(t), "mnist", dataset.Test)
	realdata.Found(t, err)
	x, y := set.Take(24).All()
	c := &Classifier{Model: nn.Classifier{Net: net}, Sigma: 0.25, N: 1000, Alpha: 0.001}
	certs, err := c.Certify(ctx, x)
	require.NoError(t, err)
	curve, err := CertifiedAccuracy(certs, y, []float64{0, 0.25, 0.5})
	require.NoError(t, err)
	mean, err := AverageRadius(certs, y)
	require.NoError(t, err)
	t.Logf("certified accuracy at 0, 0.25 and 0.5: %v; average radius %.3f", curve, mean)
	require.Greater(t, curve[0].Value, 0.85)
	require.Greater(t, mean, 0.3)

	// An attack on the smoothed margin breaks no certificate, but answers at twice the radius.
	broken := func(share float64) (n int) {
		moved := smoothedAttack(c, x, certs, share)
		answers, err := (&Classifier{Model: c.Model, Sigma: c.Sigma, N: 200, Seed: 1}).Predict(ctx, moved)
		require.NoError(t, err)
		for i, q := range certs {
			if q.Class != Abstain && answers[i].Class != Abstain && answers[i].Class != q.Class {
				n++
			}
		}
		return n
	}
	require.Zero(t, broken(0.99))
	require.Greater(t, broken(2), 8)
}

// smoothedAttack moves inputs against the margin of their certified class, the mean over
// noise of its lead in the logits, by a share of the certified radius.
func smoothedAttack(c *Classifier, x *tensor.Tensor, certs []Certificate, share float64) *tensor.Tensor {
	const copies, steps = 32, 8
	r := rand.New(rand.NewPCG(2, 3))
	tape := tensor.NewTape()
	moved := make([]*tensor.Tensor, len(certs))
	for i, q := range certs {
		x0 := tensor.Slice(x, 0, i, i+1)
		moved[i] = x0.Clone()
		if q.Class == Abstain {
			continue
		}
		// The box is wide: certificates hold outside of the pixels' range too.
		th := attack.Threat{Norm: attack.L2, Eps: share * q.Radius, Lo: -100, Hi: 100}
		for range steps {
			tape.Reset()
			w := tape.Watch(moved[i])
			shape := append([]int{copies}, x.Shape()[1:]...)
			z := tensor.Mean(c.Model.Logits(tensor.Add(tensor.Normal(r, x.DType(), 0, c.Sigma, shape...), w)), 0)
			rival := -1
			for k, v := range z.Values() {
				if k != q.Class && (rival < 0 || v > z.At(rival)) {
					rival = k
				}
			}
			lead := tensor.Sub(tensor.Gather(z, []int{rival}), tensor.Gather(z, []int{q.Class}))
			th.Step(moved[i], tensor.Grad(tensor.Sum(lead), w)[0], x0, th.Eps/3)
		}
	}
	return tensor.Concat(0, moved...)
}
