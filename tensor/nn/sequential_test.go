package nn_test

import (
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/redoubt-ml/redoubt/tensor"
	"github.com/redoubt-ml/redoubt/tensor/nn"
)

// doubled has a Forward of its own before that of the layer that it embeds.
type doubled struct{ *nn.Linear }

func (d doubled) Forward(p *nn.Pass, x *tensor.Tensor) *tensor.Tensor {
	return tensor.MulScalar(d.Linear.Forward(p, x), 2)
}

func TestEmbeddedLayersKeepTheirForwardBeforeReLU(t *testing.T) {
	l := nn.NewLinear(rng(), 3, 4)
	x := tensor.Uniform(rng(), tensor.Float32, -1, 1, 5, 3)
	want := tensor.ReLU(tensor.MulScalar(l.Forward(&nn.Pass{}, x), 2))
	got := nn.NewSequential(doubled{l}, nn.ReLU).Forward(&nn.Pass{}, x)
	require.Equal(t, want.Values(), got.Values())
}

func TestImagesOfAnotherSizeThanTheInputAreErrors(t *testing.T) {
	require.PanicsWithValue(t, "nn: Linear: AfterImage(7, 7, 16) for 1568 inputs, want as many", func() {
		nn.NewLinear(rng(), 1568, 2).AfterImage(7, 7, 16)
	})
	l := nn.NewLinear(rng(), 12, 2)
	path := filepath.Join(t.TempDir(), "net")
	require.NoError(t, nn.Save(path, l))
	l.Image = [3]int{2, 2, 2}
	const what = `tensor "weight" of shape [12 2] is said to see images of 2x2x2, want as many values as it has rows`
	require.ErrorContains(t, nn.Save(path, l), what)
	require.ErrorContains(t, nn.Load(path, l), what)
}
