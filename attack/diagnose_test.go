package attack_test

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	. "github.com/redoubt-ml/redoubt/attack"
	"github.com/redoubt-ml/redoubt/tensor"
)

// A smooth model passes all checks; the same model behind a rounding of its inputs,
// which hides the gradients, does not.
func TestDiagnoseFindsMaskedGradients(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 11))
	smooth := perceptron{tensor.Normal(r, tensor.Float32, 0, 0.4, 12, 8), tensor.Normal(r, tensor.Float32, 0, 2, 8, 5)}
	masked := function(func(x *tensor.Tensor) *tensor.Tensor {
		v := x.Detach().Clone()
		for i, u := range v.Float32s() {
			v.Float32s()[i] = float32(math.Round(float64(u)*10) / 10)
		}
		return smooth.Logits(v)
	})
	x := tensor.Uniform(r, tensor.Float32, 0, 1, 60, 12)
	for _, th := range []Threat{{Norm: Linf, Eps: 0.15}, {Norm: L2, Eps: 0.4}} {
		for _, m := range []Model{smooth, masked} {
			y, err := Predict(ctx, m, x)
			require.NoError(t, err)
			checks, err := Diagnose(ctx, m, x, y, th, 1)
			require.NoError(t, err)
			require.Len(t, checks, 5)
			failed := map[string]bool{}
			for _, c := range checks {
				if !c.OK {
					failed[c.Name] = true
				}
			}
			if _, hidden := m.(function); hidden {
				require.True(t, failed["no gradients"] && failed["no limit"], "%v", checks)
			} else {
				require.Empty(t, failed, "%v", checks)
			}
		}
	}
	// Without gradients nothing is found from the input, whatever noise would do.
	dark := tensor.Full(tensor.Float32, 0.05, 60, 12)
	bright := function(func(x *tensor.Tensor) *tensor.Tensor {
		s := tensor.Sum(x.Detach().Clone(), 1)
		s = tensor.Reshape(s, x.Dim(0), 1)
		return tensor.Concat(1, tensor.AddScalar(tensor.Neg(s), 3), s, tensor.AddScalar(s, -100))
	})
	checks, err := Diagnose(ctx, bright, dark, make([]int, 60), Threat{Eps: 0.1}, 1)
	require.NoError(t, err)
	require.False(t, checks[3].OK, "%v", checks)
	_, err = Diagnose(ctx, smooth, x, make([]int, 60), Threat{Norm: L1, Eps: 1}, 1)
	require.ErrorContains(t, err, "want linf or l2")
}

// A model that answers at random is told of, though none of its attacks fails by it.
func TestDiagnoseTellsOfRandomAnswers(t *testing.T) {
	m, x, y := noisyAt(11)
	checks, err := Diagnose(ctx, m, x, y, Threat{Eps: 0.25}, 1)
	require.NoError(t, err)
	require.Equal(t, "same answers", checks[4].Name)
	require.False(t, checks[4].OK, "%v", checks)
	require.True(t, checks[0].OK, "%v", checks)
}
