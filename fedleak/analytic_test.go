package fedleak

import (
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/redoubt-ml/redoubt/tensor"
	"github.com/redoubt-ml/redoubt/tensor/nn"
)

func TestAnalyticIsExactForOneSampleAndMixesTwo(t *testing.T) {
	f := dense(t, 6, Uniform{K: 1, Seed: 1})
	o := observe(t, f, 1)
	marked := make([]bool, 6)
	marked[o.Batch(0)[0]] = true
	r, err := Analytic{}.Run(ctx, f.Model, o)
	require.NoError(t, err)
	require.Greater(t, NewScore(f.X, r.Images(nil), marked).Mean, 150.0)

	f.Schedule = Uniform{K: 2, Seed: 1}
	o = observe(t, f, 1)
	r, err = Analytic{}.Run(ctx, f.Model, o)
	require.NoError(t, err)
	marked = r.Complete()
	require.Less(t, NewScore(f.X, r.Images(nil), marked).Mean, 30.0)
}

// strided returns a federation whose convolutions can be undone.
func strided(t *testing.T, act nn.Layer, pool bool) *Federation {
	rng := rand.New(rand.NewPCG(9, 9))
	x, y := digits(t, 20, 4, 4)
	layers := []nn.Layer{nn.NewConv2D(rng, 1, 8, 3, tensor.Same(1, 1)), act, nn.NewConv2D(rng, 8, 16, 3, tensor.Same(1, 1)), act}
	wide := 7
	if pool {
		layers, wide = append(layers, poolUp(7)), 4
	}
	layers = append(layers, nn.Flatten, nn.NewLinear(rng, wide*wide*16, 20), nn.Sigmoid)
	m := &Model{Classes: 10, Inputs: [][3]int{{7, 7, 1}}, Bottoms: []*nn.Sequential{nn.NewSequential(layers...)}, Top: nn.NewSequential(nn.NewLinear(rng, 20, 10))}
	f := &Federation{Model: m, X: []*tensor.Tensor{x}, Labels: y, Schedule: Uniform{K: 1, Seed: 1}}
	double(f)
	return f
}

func TestRGAPGoesBackThroughConvolutions(t *testing.T) {
	for _, act := range []nn.Layer{nn.Sigmoid, nn.Tanh, nn.ReLU} {
		f := strided(t, act, false)
		o := observe(t, f, 1)
		r, err := RGAP{}.Run(ctx, f.Model, o)
		require.NoError(t, err)
		require.Greater(t, NewScore(f.X, r.Images(nil), r.Complete()).Mean, 60.0, "%v", act)
	}
}

func TestRGAPSaysWhatItCannotUndo(t *testing.T) {
	f := strided(t, nn.ReLU, true)
	_, err := RGAP{}.Run(ctx, f.Model, observe(t, f, 1))
	require.ErrorContains(t, err, "cannot be undone")
	f = strided(t, nn.ReLU, false)
	f.Schedule = Uniform{K: 2}
	_, err = RGAP{}.Run(ctx, f.Model, observe(t, f, 1))
	require.ErrorContains(t, err, "a batch of 2 samples, want 1")
	// One filter of stride 3 sees too little.
	rng := rand.New(rand.NewPCG(9, 9))
	f.Model.Bottoms[0] = nn.NewSequential(nn.NewConv2D(rng, 1, 1, 2, tensor.Same(3, 0)), nn.Sigmoid, nn.Flatten, nn.NewLinear(rng, 4, 20))
	f.Schedule = Uniform{K: 1}
	double(f)
	_, err = RGAP{}.Run(ctx, f.Model, observe(t, f, 1))
	require.ErrorContains(t, err, "are determined")
}
