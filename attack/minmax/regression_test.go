package minmax_test

import (
	"math"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/redoubt-ml/redoubt/attack"
	. "github.com/redoubt-ml/redoubt/attack/minmax"
	"github.com/redoubt-ml/redoubt/tensor"
	"github.com/redoubt-ml/redoubt/tensor/dataset"
	"github.com/redoubt-ml/redoubt/tensor/nn"
)

// digits trains three networks on small MNIST, once, and returns test images.
var digits = sync.OnceValues(func() (models []attack.Model, err error) {
	train, _, err := dataset.MNISTMini()
	if err != nil {
		return nil, err
	}
	r := rand.New(rand.NewPCG(1, 1))
	pool := nn.MaxPool2D(2, tensor.Same(2, 0))
	for _, net := range []nn.Layer{
		nn.NewMLP(r, 28, 28, 1, 128, 128, 64, 10),
		nn.NewSequential(nn.NewConv2D(r, 1, 6, 5, tensor.Window{}), nn.ReLU, pool, nn.NewConv2D(r, 6, 16, 5, tensor.Window{}), nn.ReLU, pool,
			nn.Flatten, nn.NewLinear(r, 256, 120), nn.ReLU, nn.NewLinear(r, 120, 84), nn.ReLU, nn.NewLinear(r, 84, 10)),
		nn.NewSequential(nn.NewConv2D(r, 1, 8, 3, tensor.Same(1, 1)), nn.ReLU, pool, nn.NewConv2D(r, 8, 16, 3, tensor.Same(1, 1)), nn.ReLU, pool,
			nn.Flatten, nn.NewLinear(r, 784, 64), nn.ReLU, nn.NewLinear(r, 64, 10)),
	} {
		t := nn.Trainer{Net: net, Data: train, Epochs: 8, BatchSize: 50, Seed: 1}
		if err := t.Run(ctx); err != nil {
			return nil, err
		}
		models = append(models, nn.Classifier{Net: net})
	}
	return models, nil
})

func digitEnsemble(t *testing.T, kappa float64) *Situations {
	t.Helper()
	models, err := digits()
	require.NoError(t, err)
	_, test, err := dataset.MNISTMini()
	require.NoError(t, err)
	x, y := test.Take(120).All()
	d := Ensemble(models, x, y)
	d.Loss = Margin{Kappa: kappa}
	return d
}

func fool(t *testing.T, d *Situations, eps float64, rule Rule) Result {
	t.Helper()
	res, err := (&APGDA{Threat: box(eps), Rule: rule, Steps: 50, StepSize: 0.25}).Run(ctx, d)
	require.NoError(t, err)
	return res
}

// At a radius where the average with kappa 50 fools all networks on about half of the
// images, the min-max weights fool them on at least 15 points more; with kappa 0 the
// average is nearly as good. That is what an independent program saw on such networks:
// 49.5 against 86.0 and 85.0 %.
func TestMinMaxBeatsAverageAtKappa50(t *testing.T) {
	d := digitEnsemble(t, 50)
	lo, hi, average, eps := 0.05, 0.25, 0.0, 0.0
	for range 8 {
		eps = (lo + hi) / 2
		average = Score(fool(t, d, eps, Average{}).Fooled).All.Value
		if average >= 0.35 && average <= 0.65 {
			break
		}
		if average < 0.35 {
			lo = eps
		} else {
			hi = eps
		}
	}
	require.True(t, average >= 0.35 && average <= 0.65, "the average fools all on %v at %v", average, eps)
	res := fool(t, d, eps, PaperMinMax)
	weighted := Score(res.Fooled)
	released := Score(fool(t, digitEnsemble(t, 0), eps, Average{}).Fooled)
	t.Logf("eps %.3f: average %.3f, min-max %.3f, average with kappa 0 %.3f, weights %.3f", eps, average, weighted.All.Value, released.All.Value, res.MeanWeights())
	require.GreaterOrEqual(t, weighted.All.Value, average+0.15)
	require.InDelta(t, released.All.Value, weighted.All.Value, 0.05)

	// A very large gamma is the average: weights hardly move and no more images fall.
	far := fool(t, d, eps, MinMax{Beta: 1e-5, Gamma: 1e4})
	require.Empty(t, far.Warnings)
	for i, w := range far.Weights {
		for _, v := range w {
			require.Less(t, math.Abs(v-1./3), 1e-3*slices.Max(far.Losses[i])+1e-9)
		}
	}
	require.InDelta(t, average, Score(far.Fooled).All.Value, 0.02)
}
