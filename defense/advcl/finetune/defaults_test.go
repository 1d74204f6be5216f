package finetune

import (
	"context"
	"math"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/redoubt-ml/redoubt/attack"
	"github.com/redoubt-ml/redoubt/defense"
	"github.com/redoubt-ml/redoubt/tensor"
	"github.com/redoubt-ml/redoubt/tensor/nn"
)

// What is not set is that of the reference codes, and what is set stays.
func TestDefaultsAreThoseOfTheReferenceCodes(t *testing.T) {
	linf := func(eps, step float64, steps int) attack.PGD {
		return attack.PGD{Threat: attack.Threat{Norm: attack.Linf, Eps: eps}, StepSize: step, Steps: steps}
	}
	for kind, want := range map[Kind]Tuning{
		SLF: {Kind: SLF, LR: 0.01, BatchSize: 512, Attack: linf(8./255, 2./255, 20)},
		ALF: {Kind: ALF, LR: 0.01, BatchSize: 512, Attack: linf(8./255, 2./255, 20)},
		AFF: {Kind: AFF, LR: 0.1, BatchSize: 128, Attack: linf(8./255, 2./255, 10)},
	} {
		want.Beta, want.WeightDecay, want.Epochs, want.Drops = 6, 2e-4, 25, []int{15, 20}
		require.Equal(t, want, Tuning{Kind: kind}.withDefaults(5000), kind)
	}
	require.Equal(t, 100, Tuning{Kind: SLF}.withDefaults(100).BatchSize)
	require.Equal(t, linf(4./255, 2./255, 20), Tuning{Kind: ALF, Attack: linf(4./255, 0, 0)}.withDefaults(100).Attack)
	require.Equal(t, linf(8./255, 1./255, 3), Tuning{Kind: AFF, Attack: attack.PGD{StepSize: 1. / 255, Steps: 3}}.withDefaults(100).Attack)
	two := attack.PGD{Threat: attack.Threat{Norm: attack.L2, Eps: 0.5}, Steps: 7}
	require.Equal(t, two, Tuning{Kind: AFF, Attack: two}.withDefaults(100).Attack)
	schedule := Tuning{}.withDefaults(10).schedule(3)
	require.InDeltaSlice(t, []float64{0.01, 0.001, 0.001, 0.0001}, []float64{schedule(44), schedule(45), schedule(59), schedule(60)}, 1e-12)
	require.Equal(t, &attack.PGD{Threat: attack.Threat{Norm: attack.Linf, Eps: 0.1}, Steps: 20, StepSize: 2. / 255}, Protocol{}.pgd(0.1))
}

// The attack of full fine-tuning starts from noise of 0.001, and raises the divergence
// of the clean answer from the attacked one within its ball.
func TestTheAttackOfTRADESRaisesTheDivergence(t *testing.T) {
	data := colours(80)
	c := tune(t, quick(SLF), data)
	x, y := data.All()
	attacked := func(steps int) *tensor.Tensor {
		s := quick(AFF)
		s.Attack.Steps = steps
		got, err := s.disagree(context.Background(), c, nn.Batch{X: tensor.NewTape().Const(x), Y: y})
		require.NoError(t, err)
		return got
	}
	start, end := attacked(0), attacked(3)
	noise, n := tensor.Sub(start, x), float64(x.Len())
	require.InDelta(t, 0.001, math.Sqrt(tensor.Sum(tensor.Square(noise)).Item()/n), 3e-5)
	require.InDelta(t, 0, tensor.Sum(noise).Item()/n, 3e-5)
	require.LessOrEqual(t, tensor.MaxAbs(tensor.Sub(end, x)), 8./255+1e-6)
	divergence := func(a *tensor.Tensor) float64 { return tensor.Mean(defense.KL(c.Logits(x), c.Logits(a))).Item() }
	// The first step leads 4/255 away, whatever its direction; the second one does not
	// lead back.
	require.Greater(t, divergence(attacked(1)), divergence(start))
	require.Greater(t, divergence(end), 2*divergence(attacked(1)))
}
