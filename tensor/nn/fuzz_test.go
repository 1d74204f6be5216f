package nn_test

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/redoubt-ml/redoubt/tensor"
	"github.com/redoubt-ml/redoubt/tensor/dataset"
	"github.com/redoubt-ml/redoubt/tensor/nn"
	"github.com/redoubt-ml/redoubt/tensor/optim"
)

func small() nn.Layer {
	r := rng()
	return nn.NewSequential(nn.NewNormalize([]float64{0.5}, []float64{0.2}), nn.NewConv2D(r, 1, 2, 2, tensor.Same(1, 0)), nn.NewBatchNorm(2), nn.Flatten, nn.NewLinear(r, 2, 2).AfterImage(1, 1, 2))
}

func smallTrainer(net nn.Layer, path string) *nn.Trainer {
	set := &dataset.Set{Name: "four", H: 2, W: 2, C: 1, Classes: 2, Labels: []int{0, 1, 1, 0}, Bytes: []byte("abcdefghijklmnop")}
	return &nn.Trainer{Net: net, Data: set, Epochs: 1, BatchSize: 2, Checkpoint: path, Optimizer: &optim.Adam{}}
}

// fuzzFile checks that a file ends in an error, with the network unchanged, or in
// a network whose values are all in their ranges.
func fuzzFile(f *testing.F, seed []byte, read func(path string, net nn.Layer) error) {
	f.Add(seed)
	f.Add(seed[:len(seed)/2])
	f.Fuzz(func(t *testing.T, b []byte) {
		path := filepath.Join(t.TempDir(), "file")
		require.NoError(t, os.WriteFile(path, b, 0o600))
		net := small()
		before := values(net)
		if err := read(path, net); err != nil {
			require.Equal(t, before, values(net))
			return
		}
		net.Visit("", func(s nn.Slot) {
			require.True(t, tensor.AllFinite(s.Tensor), s)
			for _, v := range s.Tensor.Values() {
				require.False(t, s.Range == nn.NotNegative && v < 0 || s.Range == nn.Positive && v <= 0, "%v: %v", s, v)
			}
		})
	})
}

func FuzzLoad(f *testing.F) {
	path := filepath.Join(f.TempDir(), "net")
	require.NoError(f, nn.Save(path, small()))
	seed, err := os.ReadFile(path)
	require.NoError(f, err)
	fuzzFile(f, seed, nn.Load)
}

func FuzzCheckpoint(f *testing.F) {
	path := filepath.Join(f.TempDir(), "checkpoint")
	require.NoError(f, smallTrainer(small(), path).Run(context.Background()))
	seed, err := os.ReadFile(path)
	require.NoError(f, err)
	fuzzFile(f, seed, func(path string, net nn.Layer) error {
		err := smallTrainer(net, path).Run(context.Background())
		if err != nil && !strings.Contains(err.Error(), "checkpoint") {
			return nil // a step that failed with what the file holds
		}
		return err
	})
}
