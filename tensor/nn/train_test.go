package nn_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/redoubt-ml/redoubt/tensor"
	"github.com/redoubt-ml/redoubt/tensor/dataset"
	"github.com/redoubt-ml/redoubt/tensor/nn"
	"github.com/redoubt-ml/redoubt/tensor/optim"
)

// idxSet reads n random images of h by w pixels from IDX files.
func idxSet(t *testing.T, n, h, w int) *dataset.Set {
	r := rng()
	images, labels := []byte{0, 0, 8, 3}, []byte{0, 0, 8, 1}
	for _, d := range []int{n, h, w} {
		images = binary.BigEndian.AppendUint32(images, uint32(d))
	}
	labels = binary.BigEndian.AppendUint32(labels, uint32(n))
	for range n * h * w {
		images = append(images, byte(r.IntN(256)))
	}
	for i := range n {
		labels = append(labels, byte(i%10))
	}
	s, err := dataset.ReadIDXSet(bytes.NewReader(images), bytes.NewReader(labels), "noise", 10)
	require.NoError(t, err)
	return s
}

// What does not fit is an error that names what was found and what was wanted,
// before the first step.
func TestTrainerRefusesDataThatDoNotFit(t *testing.T) {
	r := rng()
	small, large := idxSet(t, 20, 28, 28), idxSet(t, 20, 32, 32)
	unlabelled := *small
	unlabelled.Labels, unlabelled.Classes = nil, 0
	for want, tr := range map[string]nn.Trainer{
		"network does not take the images of noise, 32x32x1: panic: tensor: Linear: inner extents differ: [1 2048] times [1568 100]": {Net: nn.NewMNISTNet(r), Data: large},
		"label of image 5 of noise is 5, but the network has 5 classes, want a label of 0 to 4":                                      {Net: nn.NewMLP(r, 28, 28, 1, 5), Data: small},
		"noise has no labels": {Net: nn.NewMNISTNet(r), Data: &unlabelled},
		"network returned float32[1 28 28 2] for one image, want logits [1 classes]": {Net: nn.NewConv2D(r, 1, 2, 3, tensor.Same(1, 1)), Data: small},
		"the network has no parameters":                                              {Net: nn.Flatten, Data: small},
		"network returned nothing for one imag":                                      {Net: with{nn.NewMLP(r, 28, 28, 1, 10), func(*nn.Pass, *tensor.Tensor) *tensor.Tensor { return nil }}, Data: small},
		"network does not take the images of noise, 28x28x1: panic: no thanks":       {Net: with{nn.NewMLP(r, 28, 28, 1, 10), func(*nn.Pass, *tensor.Tensor) *tensor.Tensor { panic("no thanks") }}, Data: small},
	} {
		tr.Epochs, tr.BatchSize = 1, 10
		before := values(tr.Net)
		require.ErrorContains(t, tr.Run(context.Background()), want)
		require.Equal(t, before, values(tr.Net))
	}
}

// with is a layer with another forward pass.
type with struct {
	nn.Layer
	forward nn.Function
}

func (w with) Forward(p *nn.Pass, x *tensor.Tensor) *tensor.Tensor { return w.forward(p, x) }

// A loss that fails, in whatever way, is an error with the number of the step,
// and the network has the parameters from before that step.
func TestFailingLossesAreErrors(t *testing.T) {
	set := idxSet(t, 20, 28, 28)
	other := tensor.NewTape()
	for want, fail := range map[string]func(p *nn.Pass, net nn.Layer, b nn.Batch) (*tensor.Tensor, error){
		"step 3 (epoch 1): loss is nothing, want one number": func(*nn.Pass, nn.Layer, nn.Batch) (*tensor.Tensor, error) { return nil, nil },
		"step 3 (epoch 1): loss is float32[10], want one number": func(p *nn.Pass, net nn.Layer, b nn.Batch) (*tensor.Tensor, error) {
			return tensor.CrossEntropy(net.Forward(p, b.X), b.Y), nil
		},
		"step 3 (epoch 1): loss is on another tape": func(*nn.Pass, nn.Layer, nn.Batch) (*tensor.Tensor, error) {
			return other.Watch(tensor.Scalar(tensor.Float32, 1)), nil
		},
		"step 3 (epoch 1): loss depends on no parameter of the network, want it computed by the network with the pass given": func(_ *nn.Pass, net nn.Layer, b nn.Batch) (*tensor.Tensor, error) {
			return tensor.Mean(tensor.CrossEntropy(net.Forward(&nn.Pass{Train: true}, b.X), b.Y)), nil
		},
		"step 3 (epoch 1): loss depends on no parameter": func(p *nn.Pass, net nn.Layer, b nn.Batch) (*tensor.Tensor, error) {
			return tensor.Mean(tensor.CrossEntropy(net.Forward(p, b.X), b.Y)).Detach(), nil
		},
		"step 3 (epoch 1): loss is on no tape": func(*nn.Pass, nn.Layer, nn.Batch) (*tensor.Tensor, error) {
			return tensor.Scalar(tensor.Float32, 1), nil
		},
		"step 3 (epoch 1): panic: tensor: CrossEntropy: 10 labels for logits of shape [20 784]": func(p *nn.Pass, net nn.Layer, b nn.Batch) (*tensor.Tensor, error) {
			return tensor.CrossEntropy(tensor.Flatten(tensor.Concat(0, b.X, b.X)), b.Y), nil
		},
		"step 3 (epoch 1): panic: runtime error: index out of range [10]": func(p *nn.Pass, net nn.Layer, b nn.Batch) (*tensor.Tensor, error) {
			return b.X, errors.New(string(rune(b.Y[len(b.Y)])))
		},
		"step 3 (epoch 1): out of luck": func(*nn.Pass, nn.Layer, nn.Batch) (*tensor.Tensor, error) { return nil, errors.New("out of luck") },
		"step 3 (epoch 1): panic: tensor: Grad: an operand": func(p *nn.Pass, net nn.Layer, b nn.Batch) (*tensor.Tensor, error) {
			loss := tensor.Mean(tensor.CrossEntropy(net.Forward(p, b.X), b.Y))
			b.X.Touch()
			return loss, nil
		},
	} {
		net := nn.NewMLP(rng(), 28, 28, 1, 10)
		var before [][]float64
		tr := nn.Trainer{Net: net, Data: set, Epochs: 2, BatchSize: 10, Loss: func(ctx context.Context, p *nn.Pass, net nn.Layer, b nn.Batch) (*tensor.Tensor, error) {
			if b.Step < 3 {
				return nn.CrossEntropy(ctx, p, net, b)
			}
			before = values(net)
			return fail(p, net, b)
		}}
		require.ErrorContains(t, tr.Run(context.Background()), want)
		require.Equal(t, before, values(net))
	}
}

// A Loss of its own can train on data without labels.
func TestTrainerNeedsNoLabelsForAnotherLoss(t *testing.T) {
	set := *idxSet(t, 20, 28, 28)
	set.Labels, set.Classes = nil, 0
	net := nn.NewMLP(rng(), 28, 28, 1, 3)
	var last float64
	tr := nn.Trainer{
		Net: net, Data: &set, Epochs: 20, BatchSize: 10, OnStep: func(p nn.Progress) { last = p.Loss },
		Loss: func(_ context.Context, p *nn.Pass, net nn.Layer, b nn.Batch) (*tensor.Tensor, error) {
			require.Nil(t, b.Y)
			return tensor.Mean(tensor.Square(net.Forward(p, b.X))), nil
		},
	}
	require.NoError(t, tr.Run(context.Background()))
	require.Less(t, last, 0.1)
}

// Steps end within an epoch, a smaller last batch can be kept, and a checkpoint of
// other settings is refused.
func TestTrainerCountsStepsAndKeepsTheLastBatch(t *testing.T) {
	set := idxSet(t, 25, 8, 8)
	path := filepath.Join(t.TempDir(), "run.safetensors")
	var sizes []int
	make := func(settings string) *nn.Trainer {
		return &nn.Trainer{Net: nn.NewMLP(rng(), 8, 8, 1, 10), Data: set, BatchSize: 10, Steps: 7, KeepLast: true, Checkpoint: path, SaveEvery: 2, Settings: settings,
			Loss: func(ctx context.Context, p *nn.Pass, net nn.Layer, b nn.Batch) (*tensor.Tensor, error) {
				sizes = append(sizes, b.X.Dim(0))
				return nn.CrossEntropy(ctx, p, net, b)
			}}
	}
	require.NoError(t, make("a").Run(context.Background()))
	require.Equal(t, []int{10, 10, 5, 10, 10, 5, 10}, sizes)
	require.ErrorContains(t, make("b").Run(context.Background()), `settings is "a", want "b" as in this run`)
	again := make("a")
	require.NoError(t, again.Run(context.Background()))
	require.Len(t, sizes, 7, "a finished run makes no more steps")
	for want, tr := range map[string]nn.Trainer{
		"-1 steps":            {Steps: -1},
		"3 steps and 1 epoch": {Steps: 3, Epochs: 1},
		"every -1 steps":      {Steps: 3, SaveEvery: -1},
	} {
		tr.Net, tr.Data = nn.NewMLP(rng(), 8, 8, 1, 10), set
		require.ErrorContains(t, tr.Run(context.Background()), want)
	}
}

// Adopted statistics enter the running averages like the pass's own, and do not need
// the tape that they were computed on.
func TestAdoptedStatisticsAreCommitted(t *testing.T) {
	norm := nn.NewBatchNorm(1)
	tape := tensor.NewTape()
	var main nn.Pass
	for _, batch := range [][]float32{{1, 2, 3, 4}, {0, 0, 2, 2}} {
		p := nn.Pass{Train: true}
		norm.Forward(&p, tape.Const(tensor.FromFloat32(batch, 4, 1)))
		main.Adopt(&p)
		p.Commit() // has nothing left
		tape.Reset()
	}
	require.Zero(t, norm.Sets[0].Mean.At(0))
	main.Commit()
	require.InDelta(t, 0.325, norm.Sets[0].Mean.At(0), 1e-6)
	require.InDelta(t, 1.0933333333, norm.Sets[0].Var.At(0), 1e-6)
}

// A set of statistics that the loss does not use keeps its parameters, whatever the decay.
func TestParametersThatTheLossDoesNotUseStay(t *testing.T) {
	for _, opt := range []optim.Optimizer{
		&optim.Adam{WeightDecay: 1e-6}, &optim.SGD{Momentum: 0.9, WeightDecay: 0.1}, &optim.LARS{WeightDecay: 0.1, Vectors: true},
	} {
		norm := nn.NewBatchNorm(6, "", "idle")
		net := nn.NewSequential(nn.Flatten, nn.NewLinear(rng(), 16, 6), norm, nn.ReLU, nn.NewLinear(rng(), 6, 10))
		tr := nn.Trainer{Net: net, Data: idxSet(t, 20, 4, 4), Epochs: 3, BatchSize: 10, Optimizer: opt, Schedule: optim.Constant(0.1)}
		require.NoError(t, tr.Run(context.Background()))
		require.Equal(t, tensor.Full(tensor.Float32, 1, 6).Values(), norm.Sets[1].Gamma.Values(), opt.String())
		require.Equal(t, make([]float64, 6), norm.Sets[1].Beta.Values(), opt.String())
		require.NotEqual(t, tensor.Full(tensor.Float32, 1, 6).Values(), norm.Sets[0].Gamma.Values(), opt.String())
	}
}

// One value for each channel has no variance: training on a last batch of one example is
// an error, and images of several pixels have enough.
func TestNormalisationNeedsTwoValues(t *testing.T) {
	net := nn.NewSequential(nn.Flatten, nn.NewLinear(rng(), 16, 6), nn.NewBatchNorm(6), nn.ReLU, nn.NewLinear(rng(), 6, 10))
	tr := nn.Trainer{Net: net, Data: idxSet(t, 21, 4, 4), Epochs: 1, BatchSize: 10, KeepLast: true}
	require.ErrorContains(t, tr.Run(context.Background()),
		"step 2 (epoch 0): panic: nn: BatchNorm: x of shape [1 6] has one value for each channel, want at least 2 in training")
	require.NotPanics(t, func() { net.Forward(&nn.Pass{}, tensor.Zeros(tensor.Float32, 1, 4, 4, 1)) })
	require.NotPanics(t, func() {
		nn.NewBatchNorm(6).Forward(&nn.Pass{Train: true}, tensor.Zeros(tensor.Float32, 1, 1, 2, 6))
	})
}
