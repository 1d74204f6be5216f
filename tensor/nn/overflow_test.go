package nn_test

import (
	"context"
	"errors"
	"math"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/redoubt-ml/redoubt/tensor"
	"github.com/redoubt-ml/redoubt/tensor/nn"
	"github.com/redoubt-ml/redoubt/tensor/optim"
)

// Whatever overflows, the error names the step, and the network has the
// parameters and statistics from before it.
func TestOverflowLeavesTheNetworkAsItWas(t *testing.T) {
	set := idxSet(t, 40, 28, 28)
	at := func(step int, lr float64) optim.Schedule {
		return func(s int) float64 {
			if s == step {
				return lr
			}
			return 1e-3
		}
	}
	huge := func(ctx context.Context, p *nn.Pass, net nn.Layer, b nn.Batch) (*tensor.Tensor, error) {
		loss, err := nn.CrossEntropy(ctx, p, net, b)
		if b.Step == 2 && err == nil {
			loss = tensor.Exp(tensor.MulScalar(loss, 1e6))
		}
		return loss, err
	}
	// The loss is finite and its gradient overflows.
	steep := func(ctx context.Context, p *nn.Pass, net nn.Layer, b nn.Batch) (*tensor.Tensor, error) {
		loss, err := nn.CrossEntropy(ctx, p, net, b)
		if b.Step == 2 && err == nil {
			loss = tensor.MulScalar(tensor.MulScalar(tensor.Sub(loss, loss.Detach()), 1e30), 1e30)
		}
		return loss, err
	}
	for want, tr := range map[string]nn.Trainer{
		"step 2 (epoch 0): learning rate is NaN, want a finite":              {Schedule: at(2, math.NaN())},
		"step 2 (epoch 0): learning rate is +Inf, want a finite":             {Schedule: at(2, math.Inf(1))},
		"step 2 (epoch 0): learning rate is -0.1, want a finite number of 0": {Schedule: at(2, -0.1)},
		"step 2 (epoch 0): learning rate is 1e+39, want at most 3.4":         {Schedule: at(2, 1e39)},
		"step 2 (epoch 0): the update, with a learning rate of 3e+38, makes": {Schedule: at(2, 3e38), Optimizer: &optim.SGD{Momentum: 0.9, WeightDecay: 100}},
		"step 2 (epoch 0): the update, with a learning rate of 2e+38, makes": {Schedule: at(2, 2e38), Optimizer: &optim.Adam{WeightDecay: 1e3, Decoupled: true}},
		"step 2 (epoch 0): schedule: panic: no rate": {Schedule: func(s int) float64 {
			if s == 2 {
				panic("no rate")
			}
			return 1e-3
		}},
		"step 2 (epoch 0): loss is +Inf":          {Loss: huge},
		"step 2 (epoch 0): gradient of parameter": {Loss: steep},
		"step 2 (epoch 0): panic: out of ideas":   {Optimizer: &failing{SGD: optim.SGD{Momentum: 0.9}}},
	} {
		r := rng()
		net := nn.NewSequential(nn.Flatten, nn.NewLinear(r, 784, 16), nn.NewBatchNorm(16), nn.ReLU, nn.NewLinear(r, 16, 10))
		var before [][]float64
		tr.Net, tr.Data, tr.Epochs, tr.BatchSize = net, set, 2, 10
		tr.OnStep = func(p nn.Progress) {
			if p.Step == 1 {
				before = values(net)
			}
		}
		require.ErrorContains(t, tr.Run(context.Background()), want)
		require.NotNil(t, before)
		require.Equal(t, before, values(net), want)
	}
}

// failing panics at its third step, half done.
type failing struct {
	optim.SGD
	steps int
}

func (f *failing) Step(lr float64, params, grads []*tensor.Tensor) {
	f.SGD.Step(lr, params, grads)
	if f.steps++; f.steps == 3 {
		panic("out of ideas")
	}
}

// After an update that overflowed, training can go on with the same optimiser.
func TestTrainingGoesOnAfterAnOverflow(t *testing.T) {
	set := idxSet(t, 40, 28, 28)
	net := nn.NewMLP(rng(), 28, 28, 1, 10)
	tr := nn.Trainer{Net: net, Data: set, Epochs: 1, BatchSize: 10, Optimizer: &optim.SGD{Momentum: 0.9, WeightDecay: 100}, Schedule: optim.Constant(3e38)}
	require.ErrorContains(t, tr.Run(context.Background()), "step 0 (epoch 0): the update")
	require.Empty(t, tr.Optimizer.State())
	tr.Schedule = optim.Constant(1e-4)
	require.NoError(t, tr.Run(context.Background()))
}

// A panic that comes with the end of the context is not the context's error.
func TestFailedStepsLeaveNoCheckpoint(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	path := t.TempDir() + "/checkpoint"
	tr := nn.Trainer{
		Net: nn.NewMLP(rng(), 28, 28, 1, 10), Data: idxSet(t, 40, 28, 28), Epochs: 1, BatchSize: 10, Checkpoint: path,
		Loss: func(context.Context, *nn.Pass, nn.Layer, nn.Batch) (*tensor.Tensor, error) {
			cancel()
			return nil, errors.New("broken")
		},
	}
	err := tr.Run(ctx)
	require.ErrorContains(t, err, "broken")
	require.NotErrorIs(t, err, context.Canceled)
	require.NoFileExists(t, path)
}

// A memory that no run could go on from is not written.
func TestOverflownMemoryIsNotSaved(t *testing.T) {
	path := t.TempDir() + "/checkpoint"
	tr := nn.Trainer{
		Net: nn.NewMLP(rng(), 28, 28, 1, 10), Data: idxSet(t, 40, 28, 28), Epochs: 1, BatchSize: 10, Checkpoint: path,
		// The gradient is finite and its square is not.
		Loss: func(ctx context.Context, p *nn.Pass, net nn.Layer, b nn.Batch) (*tensor.Tensor, error) {
			loss, err := nn.CrossEntropy(ctx, p, net, b)
			return tensor.MulScalar(loss, 1e25), err
		},
	}
	require.ErrorContains(t, tr.Run(context.Background()), `checkpoint: tensor "second.`)
	require.NoFileExists(t, path)
}

// Keeping the values from before a step makes no garbage.
func TestTrainingStepsMakeLittleGarbage(t *testing.T) {
	net := nn.NewMLP(rng(), 28, 28, 1, 128, 10)
	var steps [2]int
	for i := range steps {
		tr := nn.Trainer{Net: net, Data: idxSet(t, 40, 28, 28), Epochs: 1 + 5*i, BatchSize: 10, Optimizer: &optim.SGD{Momentum: 0.9}}
		steps[i] = bytesPerRun(func() { require.NoError(t, tr.Run(context.Background())) })
	}
	// 20 more steps; the parameters are 0.4 MB.
	require.Less(t, (steps[1]-steps[0])/20, 32<<10)
}
