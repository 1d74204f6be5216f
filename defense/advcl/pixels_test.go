package advcl

import (
	"context"
	"math/rand/v2"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/redoubt-ml/redoubt/tensor"
	"github.com/redoubt-ml/redoubt/tensor/nn"
)

// An encoder with normalised pixels answers to x as the one without answers to
// (x - mean)/std, and so does what is extracted of it; its checkpoints are not those of
// the other.
func TestPixelsAreNormalisedInFront(t *testing.T) {
	data := blobs(32, 2, 1)
	plain, normed := network(1, nil, Clean, Attacked), network(1, nil, Clean, Attacked)
	normed.Encoder.NormalizePixels([3]float64{1, 2, 3}, [3]float64{1, 1, 1})
	normed.Encoder.NormalizePixels(ImageNetMean, ImageNetStd)
	x, _ := data.All()
	moved := x.Clone()
	for i, v := range moved.Float32s() {
		moved.Float32s()[i] = float32((float64(v) - ImageNetMean[i%3]) / ImageNetStd[i%3])
	}
	for _, n := range []struct {
		*Network
		x *tensor.Tensor
	}{{plain, moved}, {normed, x}} {
		p := &nn.Pass{Train: true, Stats: Attacked}
		n.Forward(p, n.x)
		p.Commit()
	}
	pass := func() *nn.Pass { return &nn.Pass{Stats: Attacked} }
	want := plain.Forward(pass(), moved).Values()
	require.InDeltaSlice(t, want, normed.Forward(pass(), x).Values(), 1e-5)
	require.NotEqual(t, want, plain.Forward(pass(), x).Values())
	a, err := plain.Encoder.Extract(Attacked)
	require.NoError(t, err)
	b, err := normed.Encoder.Extract(Attacked)
	require.NoError(t, err)
	require.InDeltaSlice(t, a.Forward(&nn.Pass{}, moved).Values(), b.Forward(&nn.Pass{}, x).Values(), 1e-5)

	path := filepath.Join(t.TempDir(), "run.safetensors")
	run := func(n *Network) error {
		r := Pretraining{Net: n, Method: NewACL(1), Data: data, Steps: 2, BatchSize: 8, Checkpoint: path}
		return r.Run(context.Background())
	}
	trained := network(1, nil, Routes...)
	trained.Encoder.NormalizePixels(ImageNetMean, ImageNetStd)
	require.NoError(t, run(trained))
	require.InDeltaSlice(t, ImageNetMean[:], trained.Encoder.pixels.Mean.Values(), 1e-7, "constants are not trained")
	require.Error(t, run(network(1, nil, Routes...)))
	again := NewNetwork(rand.New(rand.NewPCG(9, 9)), tiny, tinyHead, nil, Routes...)
	again.Encoder.NormalizePixels(ImageNetMean, ImageNetStd)
	require.NoError(t, run(again))
	require.Equal(t, trained.Forward(pass(), x).Values(), again.Forward(pass(), x).Values())
	require.Panics(t, func() { again.Encoder.NormalizePixels(ImageNetMean, [3]float64{1, 0, 1}) })
}
