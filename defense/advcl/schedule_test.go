package advcl

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/redoubt-ml/redoubt/tensor/dataset"
)

func TestSchedulesHaveTheirGoldenValues(t *testing.T) {
	s, err := EpochCosine{Epochs: 1000, PerEpoch: 98}.Schedule()
	require.NoError(t, err)
	at := func(e, q int) float64 { return s((e-1)*98 + q) }
	for _, c := range []struct {
		e, q int
		want float64
	}{
		{1, 0, 0.01}, {1, 97, 0.05848780210}, {5, 0, 0.20595070538}, {10, 97, 0.49937688920},
		{11, 0, 0.49985088635}, {100, 50, 0.48777636494}, {500, 0, 0.25025}, {900, 97, 0.01272363506}, {1000, 0, 0.0005},
	} {
		require.InDelta(t, c.want, at(c.e, c.q), 1e-11, "epoch %d, batch %d", c.e, c.q)
	}
	none, err := EpochCosine{Epochs: 1000, PerEpoch: 98, WarmUp: -1}.Schedule()
	require.NoError(t, err)
	require.InDelta(t, 0.49987676345, none(9*98), 1e-11)
	acl, err := StepCosine{LR: 5, Steps: 98000, WarmUp: 980, Floor: 1e-6}.Schedule()
	require.NoError(t, err)
	for step, want := range map[int]float64{1: 0.00510204, 980: 5, 49490: 2.5000005, 98000: 1e-6} {
		require.InDelta(t, want, acl(step-1), 5e-9, "step %d", step)
	}
}

func TestAnnealingMovesFromStrongToPlain(t *testing.T) {
	a := Annealing{Epochs: 1000}
	for epoch, want := range map[int]float64{0: 1, 49: 1, 50: 0.95, 999: 0.05} {
		require.InDelta(t, want, a.Strength(epoch), 1e-12)
	}
	require.Equal(t, 1., a.Adversarial(0))
	for epoch, want := range map[int]float64{48: 0, 49: 0.05, 98: 0.05, 499: 0.5, 500: 0.5, 999: 1} {
		require.InDelta(t, 1+2./3*want, a.Adversarial(epoch), 1e-12, epoch)
	}
	require.Equal(t, 2., Annealing{Epochs: 10}.Adversarial(100))
	c := NewDynACL(1, a)
	require.InDelta(t, 1, c.Terms[0].weight(300)+c.Terms[1].weight(300), 1e-12)
	require.Len(t, c.Views[Strong1].changes(0), 4)
	require.Len(t, NewDynACL(1, Annealing{Epochs: 1, Every: 1}).Views[Strong1].changes(1), 2)
}

func TestStrengthScalesCropJitterAndGrey(t *testing.T) {
	require.Equal(t, []dataset.Augment{
		dataset.RandomResizedCrop{Scale: [2]float64{0.6, 1}}, dataset.HorizontalFlip{},
		dataset.ColorJitter{Brightness: 0.2, Contrast: 0.2, Saturation: 0.2, Hue: 0.05, P: 0.4}, dataset.RandomGrayscale{P: 0.1},
	}, Strong(0.2, 0.5))
}

func TestSchedulesRefuseWhatMakesNoSense(t *testing.T) {
	for want, c := range map[string]EpochCosine{
		"10 epochs, want more than the 10": {Epochs: 10, PerEpoch: 1},
		"0 batches in an epoch":            {Epochs: 20},
		"learning rates -1":                {Epochs: 20, PerEpoch: 1, LR: -1},
		"-2 epochs of warming up":          {Epochs: 20, PerEpoch: 1, WarmUp: -2},
	} {
		_, err := c.Schedule()
		require.ErrorContains(t, err, want)
	}
	for want, c := range map[string]StepCosine{
		"3 steps, want more than the 3": {LR: 1, Steps: 3, WarmUp: 3},
		"-1 steps of warming up":        {LR: 1, Steps: 3, WarmUp: -1},
		"learning rate 0 ":              {Steps: 3},
		"falls to 2":                    {LR: 1, Steps: 3, Floor: 2},
	} {
		_, err := c.Schedule()
		require.ErrorContains(t, err, want)
	}
}
