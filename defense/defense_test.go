package defense_test

import (
	"context"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/redoubt-ml/redoubt/attack"
	"github.com/redoubt-ml/redoubt/defense"
	"github.com/redoubt-ml/redoubt/tensor"
	"github.com/redoubt-ml/redoubt/tensor/dataset"
	"github.com/redoubt-ml/redoubt/tensor/nn"
	"github.com/redoubt-ml/redoubt/tensor/optim"
)

var (
	ctx    = context.Background()
	threat = attack.Threat{Norm: attack.Linf, Eps: 0.06}
)

func train(t *testing.T, loss nn.Loss) (clean, robust float64, net nn.Layer) {
	set, test, err := dataset.MNISTMini()
	require.NoError(t, err)
	net = nn.NewMLP(rand.New(rand.NewPCG(1, 1)), 28, 28, 1, 64, 10)
	tr := nn.Trainer{Net: net, Data: set.Take(1200), Epochs: 8, BatchSize: 50, Loss: loss, Schedule: optim.Triangle(4e-3, 77, 192)}
	require.NoError(t, tr.Run(ctx))
	x, y := test.Take(300).All()
	rep, err := attack.Evaluate(ctx, nn.Classifier{Net: net}, x, y, &attack.PGD{Threat: threat, Steps: 20})
	require.NoError(t, err)
	return rep.Clean.Value, rep.Worst.Value, net
}

// Every way of training keeps most of the accuracy and gains robustness against
// an attack it has not been trained with.
func TestTrainingHardens(t *testing.T) {
	_, plain, _ := train(t, nil)
	pgd := attack.PGD{Threat: threat, Steps: 4}
	for name, loss := range map[string]nn.Loss{
		"PGD":         (&defense.AdversarialTraining{Attack: pgd, RampSteps: 20}).Loss,
		"single step": defense.NewSingleStep(threat, 3).Loss,
		"TRADES":      (&defense.TRADES{Attack: pgd}).Loss,
	} {
		clean, robust, _ := train(t, loss)
		t.Logf("%s: clean %.3f, robust %.3f, without %.3f", name, clean, robust, plain)
		require.Greater(t, clean, 0.8, name)
		require.Greater(t, robust, plain+0.2, name)
		require.Greater(t, robust, 0.5, name)
	}
}

func TestHardenedWeightsAreTheSameForAnyNumberOfThreads(t *testing.T) {
	weights := func(threads int) (out []float64) {
		tensor.SetThreads(threads)
		defer tensor.SetThreads(0)
		set, _, err := dataset.MNISTMini()
		require.NoError(t, err)
		net := nn.NewLeNet5(rand.New(rand.NewPCG(1, 1)), 28, 1, 10, nn.ReLU)
		at := &defense.AdversarialTraining{Attack: attack.PGD{Threat: threat, Steps: 3}, RampSteps: 1}
		require.NoError(t, (&nn.Trainer{Net: net, Data: set.Take(150), Epochs: 1, BatchSize: 50, Loss: at.Loss}).Run(ctx))
		for _, w := range nn.Params(net) {
			out = append(out, w.Values()...)
		}
		return out
	}
	require.Equal(t, weights(1), weights(2))
}

func TestBadSettingsGiveAnError(t *testing.T) {
	set, _, err := dataset.MNISTMini()
	require.NoError(t, err)
	net := nn.NewMLP(rand.New(rand.NewPCG(1, 1)), 28, 28, 1, 10)
	run := func(l nn.Loss) error { return (&nn.Trainer{Net: net, Data: set, Epochs: 1, Loss: l}).Run(ctx) }
	require.ErrorContains(t, run((&defense.AdversarialTraining{Attack: attack.PGD{Threat: threat}}).Loss), "0 steps")
	require.ErrorContains(t, run((&defense.AdversarialTraining{Attack: attack.PGD{Threat: threat, Steps: 1}, RampSteps: -1}).Loss), "RampSteps is -1")
	require.ErrorContains(t, run((&defense.TRADES{Attack: attack.PGD{Threat: threat, Steps: 1}, Beta: -1}).Loss), "Beta is -1")
	require.ErrorContains(t, run((&defense.TRADES{Attack: attack.PGD{Threat: threat, Steps: 1, NoRandomStart: true}}).Loss), "without a random start")
	require.ErrorContains(t, run((&defense.TRADES{Attack: attack.PGD{Threat: attack.Threat{Eps: -2}, Steps: 1}}).Loss), "eps is -2")
}
