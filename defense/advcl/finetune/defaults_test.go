package finetune

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/redoubt-ml/redoubt/attack"
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
