package attack_test

import (
	"context"
	"math/rand/v2"
	"path/filepath"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	. "github.com/redoubt-ml/redoubt/attack"
	"github.com/redoubt-ml/redoubt/tensor"
)

// Of a state file no figure is taken over for another model: not if its answers to the
// adversaries happen to be the same, nor if the version is for random ones.
func TestStateIsOfOneModel(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 31))
	x := tensor.Uniform(r, tensor.Float32, 0, 1, 40, 12)
	m := randomModel(r, 12, 5, tensor.Float32)
	y := tensor.ArgMax(m.Logits(x))
	later := function(func(x *tensor.Tensor) *tensor.Tensor { return tensor.Affine(m.Logits(x), 1.01, 0.02) })
	opposite := function(func(x *tensor.Tensor) *tensor.Tensor { return tensor.Neg(m.Logits(x)) })
	for _, v := range []Version{Standard, Rand} {
		aa := AutoAttack{Threat: Threat{Eps: 0.01}, Version: v, State: filepath.Join(t.TempDir(), "state")}
		want, err := aa.Evaluate(ctx, m, x, y)
		require.NoError(t, err)
		for _, other := range []Model{later, opposite} {
			_, err = aa.Evaluate(ctx, other, x, y)
			require.ErrorContains(t, err, "is of another model")
		}
		got, err := aa.Evaluate(ctx, m, x, y)
		require.NoError(t, err)
		require.Equal(t, want.Right, got.Right)
		require.Equal(t, want.Clean, got.Clean)
	}
}

// A model that answers at random is known by its mean answers, and what the file says of
// it belongs together.
func TestStateOfARandomModel(t *testing.T) {
	m, x, y := noisyAt(32)
	aa := AutoAttack{Threat: Threat{Eps: 0.02}, Version: Rand, State: filepath.Join(t.TempDir(), "state")}
	want, err := aa.Evaluate(ctx, m, x, y)
	require.NoError(t, err)
	require.Less(t, want.Robust.Right, want.Clean.Right)
	for range 3 {
		got, err := aa.Evaluate(ctx, m, x, y)
		require.NoError(t, err)
		require.Equal(t, []Estimate{want.Clean, want.Robust}, []Estimate{got.Clean, got.Robust})
	}
	m.lead = 5
	_, err = aa.Evaluate(ctx, m, x, y)
	require.ErrorContains(t, err, "is of another model")
}

// What the attack in progress had found is kept when AutoAttack is stopped, in the result
// and in the state, and the figures in the end are those of an evaluation without a stop.
func TestStoppedAutoAttackKeepsWhatItFound(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 33))
	x := tensor.Uniform(r, tensor.Float32, 0, 1, 60, 12)
	plain := randomModel(r, 12, 5, tensor.Float32)
	y := tensor.ArgMax(plain.Logits(x))
	aa := AutoAttack{Threat: Threat{Eps: 0.05}}
	want, err := aa.Evaluate(ctx, plain, x, y)
	require.NoError(t, err)

	aa.State = filepath.Join(t.TempDir(), "state")
	stopped, cancel := context.WithCancel(ctx)
	var mu sync.Mutex
	asked := 0
	m := function(func(x *tensor.Tensor) *tensor.Tensor {
		mu.Lock()
		defer mu.Unlock()
		if asked++; asked == 80 {
			cancel()
		}
		return plain.Logits(x)
	})
	rep, err := aa.Evaluate(stopped, m, x, y)
	require.ErrorIs(t, err, context.Canceled)
	require.Empty(t, rep.Stages)
	broken := 0
	for i, won := range rep.Result.Success {
		require.Equal(t, !rep.Right[i], won)
		if won {
			broken++
			answer, err := Predict(ctx, plain, tensor.Slice(rep.Result.X, 0, i, i+1))
			require.NoError(t, err)
			require.NotEqual(t, y[i], answer[0])
		}
	}
	require.Positive(t, broken)
	require.Equal(t, rep.Clean.Right-broken, rep.Robust.Right)

	first := -1
	aa.OnProgress = func(_ string, _, total int) {
		if first < 0 {
			first = total
		}
	}
	got, err := aa.Evaluate(ctx, plain, x, y)
	require.NoError(t, err)
	require.Equal(t, len(y)-broken, first, "inputs left for the first attack")
	require.Equal(t, want.Right, got.Right)
	require.Equal(t, want.Result.X.Values(), got.Result.X.Values())
	for i, s := range got.Stages {
		require.Equal(t, want.Stages[i].Attacked, s.Attacked)
		require.Equal(t, want.Stages[i].Broken, s.Broken)
	}
}

// A radius that was forgotten is an error, and no robust model; a curve may begin at 0.
func TestEveryAttackWantsARadius(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 34))
	m := onImages(randomModel(r, 6, 4, tensor.Float32))
	x := tensor.Uniform(r, tensor.Float32, 0, 1, 4, 2, 3, 1)
	y := tensor.ArgMax(m.Logits(x))
	none := append(attacks(Threat{}), &AutoAttack{}, &FGSM{}, &PGD{Steps: 40}, &PGD{Threat: Threat{Norm: L0, Eps: 0.5}, Steps: 40})
	for _, n := range []Norm{L2, L1, L0} {
		none = append(none, attacks(Threat{Norm: n})...)
	}
	for _, a := range none {
		_, err := a.Run(ctx, m, x, y)
		require.ErrorContains(t, err, "lets nothing change", "%v", a)
	}
	curve, err := EpsCurve(ctx, m, x, y, PGD{Steps: 4}, []float64{0, 0.1})
	require.NoError(t, err)
	require.Equal(t, 4, curve[0].Right)
	same, err := (&PGD{Steps: 4}).Perturb(ctx, m, x, y)
	require.NoError(t, err)
	require.Equal(t, x.Values(), same.Values())
}
