package attack_test

import (
	"encoding/json"
	"math/rand/v2"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	. "github.com/redoubt-ml/redoubt/attack"
	"github.com/redoubt-ml/redoubt/tensor"
	"github.com/redoubt-ml/redoubt/tensor/dataset"
	"github.com/redoubt-ml/redoubt/tensor/nn"
	"github.com/redoubt-ml/redoubt/tensor/optim"
)

// trained is a small convolutional network that has learnt the embedded digits, with
// 100 digits that it has not seen.
func trained(t *testing.T) (Model, *tensor.Tensor, []int) {
	net, err := trainOnce()
	require.NoError(t, err)
	_, test, err := dataset.MNISTMini()
	require.NoError(t, err)
	x, y := test.Take(100).All()
	return nn.Classifier{Net: net}, x, y
}

var trainOnce = sync.OnceValues(func() (nn.Layer, error) { return train(1) })

func train(seed uint64) (nn.Layer, error) {
	set, _, err := dataset.MNISTMini()
	if err != nil {
		return nil, err
	}
	net := nn.NewLeNet5(rand.New(rand.NewPCG(seed, 1)), 28, 1, 10, nn.ReLU)
	t := nn.Trainer{Net: net, Data: set, Epochs: 5, BatchSize: 50, Schedule: optim.Constant(3e-3)}
	return net, t.Run(ctx)
}

func TestOnATrainedNetwork(t *testing.T) {
	m, x, y := trained(t)
	th := Threat{Norm: Linf, Eps: 0.1}
	fgsm, pgd := &FGSM{Threat: th}, &PGD{Threat: th, Steps: 20, Seed: 3}
	rep, err := Evaluate(ctx, m, x, y, fgsm, pgd)
	require.NoError(t, err)
	require.Greater(t, rep.Clean.Value, 0.85)
	require.Less(t, rep.Attacks[1].Accuracy.Right, rep.Attacks[0].Accuracy.Right)
	require.LessOrEqual(t, rep.Worst.Right, rep.Attacks[1].Accuracy.Right)
	require.True(t, rep.Clean.Lo < rep.Clean.Value && rep.Clean.Value < rep.Clean.Hi)
	_, err = json.Marshal(rep)
	require.NoError(t, err)

	// Same bits for any number of threads.
	want := rep.Attacks[1].Result.X.Values()
	for _, threads := range []int{1, 2} {
		tensor.SetThreads(threads)
		res, err := pgd.Run(ctx, m, x, y)
		tensor.SetThreads(0)
		require.NoError(t, err)
		require.Equal(t, want, res.X.Values())
	}
	// Per-example streams: another cut gives the same starts and so, but for
	// rounding, the same outcome.
	cut := *pgd
	cut.BatchSize = 7
	res, err := cut.Run(ctx, m, x, y)
	require.NoError(t, err)
	require.Equal(t, rep.Attacks[1].Result.Success, res.Success)

	curve, err := EpsCurve(ctx, m, x, y, *pgd, []float64{0, 0.05, 0.1, 0.4})
	require.NoError(t, err)
	require.Equal(t, rep.Clean, curve[0])
	require.Zero(t, curve[3].Right)
	loss, err := LossCurve(ctx, m, x, y, *pgd)
	require.NoError(t, err)
	require.Len(t, loss, 21)
	require.Greater(t, loss[20], 2*loss[0])

	target := make([]int, len(y))
	for i := range target {
		target[i] = (y[i] + 1) % 10
	}
	res, err = (&PGD{Threat: Threat{Norm: Linf, Eps: 0.3}, Steps: 20, Targets: target}).Run(ctx, m, x, y)
	require.NoError(t, err)
	hit := 0
	for i, s := range res.Success {
		require.Equal(t, res.Label[i] == target[i], s)
		if s {
			hit++
		}
	}
	require.Greater(t, hit, 60)

	// Inputs may lie on a tape, which belongs to the caller's goroutine.
	adv, err := pgd.Perturb(ctx, m, tensor.NewTape().Const(x), y)
	require.NoError(t, err)
	for _, d := range th.Distance(adv, x) {
		require.LessOrEqual(t, d, th.Eps)
	}
}

// The objective is worth climbing however sure the model is: scaling its logits
// changes neither what PGD finds nor how it gets there by more than rounding does.
func TestScaledLogitsHideNothing(t *testing.T) {
	m, x, y := trained(t)
	for _, th := range []Threat{{Norm: Linf, Eps: 0.08}, {Norm: L2, Eps: 1}} {
		pgd := &PGD{Threat: th, Steps: 20}
		plain, err := pgd.Run(ctx, m, x, y)
		require.NoError(t, err)
		scaled, err := pgd.Run(ctx, function(func(x *tensor.Tensor) *tensor.Tensor { return tensor.MulScalar(m.Logits(x), 100) }), x, y)
		require.NoError(t, err)
		differ := 0
		for i := range y {
			if plain.Success[i] != scaled.Success[i] {
				differ++
			}
		}
		require.LessOrEqual(t, differ, len(y)/100*3)
	}
}

func TestMarginConfidenceIsReached(t *testing.T) {
	m, x, y := trained(t)
	lead := func(confidence float64) (mean float64) {
		res, err := (&PGD{Threat: Threat{Norm: Linf, Eps: 0.3}, Steps: 30, Objective: Margin{Confidence: confidence}}).Run(ctx, m, x, y)
		require.NoError(t, err)
		v := Margin{}.Values(m.Logits(res.X), Rows{Y: y})
		for i := range y {
			require.Equal(t, res.Success[i], res.Label[i] != y[i])
			mean += v.At(i) / float64(len(y))
		}
		return mean
	}
	little, much := lead(0), lead(6)
	require.Less(t, little, 4.)
	require.Greater(t, much, 5.5)
}

// An attack with targets may change wrong answers; it does not make them right in
// the report.
func TestTargetedAttacksDoNotImproveTheModel(t *testing.T) {
	r := rand.New(rand.NewPCG(6, 6))
	m := randomModel(r, 5, 4, tensor.Float32)
	x := tensor.Uniform(r, tensor.Float32, 0, 1, 80, 5)
	answers, err := Predict(ctx, m, x)
	require.NoError(t, err)
	y, target := make([]int, 80), make([]int, 80)
	for i, a := range answers {
		y[i] = (a + i%2) % 4 // half of them wrong
		target[i] = (y[i] + 1) % 4
	}
	rep, err := Evaluate(ctx, m, x, y, &PGD{Threat: Threat{Norm: Linf, Eps: 0.5}, Steps: 10, Targets: target})
	require.NoError(t, err)
	require.LessOrEqual(t, rep.Attacks[0].Accuracy.Right, rep.Clean.Right)
	require.Contains(t, rep.Attacks[0].Settings, "PGD-10 under linf 0.5")
	require.Contains(t, rep.Attacks[0].Settings, "targeted")
}
