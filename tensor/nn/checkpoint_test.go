package nn_test

import (
	"context"
	"math"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/redoubt-ml/redoubt/tensor"
	"github.com/redoubt-ml/redoubt/tensor/nn"
	"github.com/redoubt-ml/redoubt/tensor/optim"
	"github.com/redoubt-ml/redoubt/tensor/safetensors"
)

func checkpointed(t *testing.T, path string, opt optim.Optimizer) nn.Trainer {
	return nn.Trainer{
		Net: nn.NewMLP(rng(), 28, 28, 1, 4, 10), Data: idxSet(t, 40, 28, 28), Epochs: 2, BatchSize: 10, Seed: 3,
		Checkpoint: path, Optimizer: opt, Schedule: optim.Cosine(0.1, 8),
	}
}

// stopped runs training until step 5 of 8 and leaves its checkpoint.
func stopped(t *testing.T, path string, opt optim.Optimizer) {
	ctx, cancel := context.WithCancel(context.Background())
	tr := checkpointed(t, path, opt)
	tr.OnStep = func(p nn.Progress) {
		if p.Step == 4 {
			cancel()
		}
	}
	require.ErrorIs(t, tr.Run(ctx), context.Canceled)
}

func TestCheckpointsOfOtherRunsAreRefused(t *testing.T) {
	sgd := func() optim.Optimizer { return &optim.SGD{Momentum: 0.9} }
	other := idxSet(t, 40, 28, 28)
	other.Bytes[12345]++
	relabelled := idxSet(t, 40, 28, 28)
	relabelled.Labels[7] = 2
	path := filepath.Join(t.TempDir(), "checkpoint")
	stopped(t, path, sgd())
	for want, change := range map[string]func(tr *nn.Trainer){
		`optimizer is "SGD(momentum 0.9, weight decay 0, Nesterov false)", want "SGD(momentum 0, `: func(tr *nn.Trainer) { tr.Optimizer = &optim.SGD{} },
		`Nesterov false)", want "SGD(momentum 0.5,`:                                                func(tr *nn.Trainer) { tr.Optimizer = &optim.SGD{Momentum: 0.5} },
		`Nesterov false)", want "Adam(beta1 0.9,`:                                                  func(tr *nn.Trainer) { tr.Optimizer = nil },
		`seed is "3", want "4" as in this run`:                                                     func(tr *nn.Trainer) { tr.Seed = 4 },
		`epochs is "2", want "3" as in this run`:                                                   func(tr *nn.Trainer) { tr.Epochs = 3 },
		`batch_size is "10", want "20" as in this run`:                                             func(tr *nn.Trainer) { tr.BatchSize = 20 },
		`examples is "40", want "30" as in this run`:                                               func(tr *nn.Trainer) { tr.Data = tr.Data.Take(30) },
		`data is "` + idxSet(t, 40, 28, 28).Fingerprint() + `", want "` + other.Fingerprint():      func(tr *nn.Trainer) { tr.Data = other },
		`want "` + relabelled.Fingerprint():                                                        func(tr *nn.Trainer) { tr.Data = relabelled },
		`learning_rates is "0: 0.1, `:                                                              func(tr *nn.Trainer) { tr.Schedule = optim.Cosine(0.2, 8) },
		`", want "0: 0.1, 1: 0.1, `:                                                                func(tr *nn.Trainer) { tr.Schedule = optim.Constant(0.1) },
		`tensor "model.1.weight" has shape [4 784], want [5 784]`:                                  func(tr *nn.Trainer) { tr.Net = nn.NewMLP(rng(), 28, 28, 1, 5, 10) },
		`schedule: panic: none`:                                                                    func(tr *nn.Trainer) { tr.Schedule = func(int) float64 { panic("none") } },
	} {
		tr := checkpointed(t, path, sgd())
		change(&tr)
		before := values(tr.Net)
		require.ErrorContains(t, tr.Run(context.Background()), want)
		require.Equal(t, before, values(tr.Net))
	}
	// The run that it belongs to goes on.
	tr := checkpointed(t, path, sgd())
	require.NoError(t, tr.Run(context.Background()))
}

// A checkpoint with a memory, a place or values that no run can have led to is
// refused, and leaves network and optimiser as they were.
func TestForgedCheckpointsAreRefused(t *testing.T) {
	path := filepath.Join(t.TempDir(), "checkpoint")
	stopped(t, path, &optim.Adam{})
	number := func(v float64) *tensor.Tensor { return tensor.Scalar(tensor.Float64, v) }
	for want, forge := range map[string]func(c *safetensors.Contents){
		"state has made NaN steps":                         func(c *safetensors.Contents) { c.Tensors["optimizer.steps"].Set(math.NaN(), 0) },
		"state has made -3 steps":                          func(c *safetensors.Contents) { c.Tensors["optimizer.steps"].Set(-3, 0) },
		"state has made 1e+300 steps":                      func(c *safetensors.Contents) { c.Tensors["optimizer.steps"].Set(1e300, 0) },
		`tensor "second.1": value 2 is -1, want 0 or more`: func(c *safetensors.Contents) { c.Tensors["optimizer.second.1"].Set(-1, 2) },
		`tensor "first.0" is float32[4 784], want float32[784 4]`: func(c *safetensors.Contents) {
			c.Tensors["optimizer.first.0"] = tensor.Zeros(tensor.Float32, 4, 784)
		},
		`file has 8 tensors of the optimiser, want "9"`: func(c *safetensors.Contents) { delete(c.Tensors, "optimizer.first.0") },
		`file has 0 tensors of the optimiser, want "9"`: func(c *safetensors.Contents) {
			for name := range c.Tensors {
				if name[0] == 'o' {
					delete(c.Tensors, name)
				}
			}
		},
		`step is "9", want 0 to 8`:                  func(c *safetensors.Contents) { c.Metadata["step"] = "9" },
		`step is "-1", want 0 to 8`:                 func(c *safetensors.Contents) { c.Metadata["step"] = "-1" },
		`step is "five", want 0 to 8`:               func(c *safetensors.Contents) { c.Metadata["step"] = "five" },
		`optimizer is "", want "Adam(`:              func(c *safetensors.Contents) { delete(c.Metadata, "optimizer") },
		`tensor "model.1.bias": value 0 is NaN`:     func(c *safetensors.Contents) { c.Tensors["model.1.bias"].Set(math.NaN(), 0) },
		`tensor "model.9.bias" has no place in the`: func(c *safetensors.Contents) { c.Tensors["model.9.bias"] = number(1) },
	} {
		forged := filepath.Join(t.TempDir(), "forged")
		c := contents(t, path)
		forge(&c)
		require.NoError(t, safetensors.Write(forged, c))
		tr := checkpointed(t, forged, &optim.Adam{})
		before := values(tr.Net)
		require.ErrorContains(t, tr.Run(context.Background()), want)
		require.Equal(t, before, values(tr.Net))
		require.Empty(t, tr.Optimizer.State())
	}
	tr := checkpointed(t, path, &optim.Adam{})
	require.NoError(t, tr.Run(context.Background()))
}

// A milestone that moves between the rates that a file lists is seen too.
func TestCheckpointsCompareAllLearningRates(t *testing.T) {
	path := filepath.Join(t.TempDir(), "checkpoint")
	run := func(milestone, steps int) error {
		ctx, cancel := context.WithCancel(context.Background())
		defer cancel()
		tr := nn.Trainer{
			Net: nn.NewMLP(rng(), 4, 4, 1, 10), Data: idxSet(t, 20, 4, 4), Steps: 160, BatchSize: 10, Checkpoint: path,
			Schedule: optim.StepDecay(0.1, 0.1, milestone),
			OnStep: func(p nn.Progress) {
				if p.Step == steps-1 {
					cancel()
				}
			},
		}
		return tr.Run(ctx)
	}
	require.ErrorIs(t, run(80, 41), context.Canceled)
	require.ErrorContains(t, run(88, 45), `learning_rates_sha256 is "`)
	require.ErrorIs(t, run(80, 45), context.Canceled)
}

// Files from before Adam counted the steps of each parameter and a hash of the learning
// rates was compared are read as they were meant.
func TestCheckpointsOfEarlierVersionsGoOn(t *testing.T) {
	path := filepath.Join(t.TempDir(), "checkpoint")
	whole := checkpointed(t, "", &optim.Adam{})
	require.NoError(t, whole.Run(context.Background()))
	want := values(whole.Net)

	stopped(t, path, &optim.Adam{})
	c := contents(t, path)
	delete(c.Metadata, "learning_rates_sha256")
	c.Tensors["optimizer.steps"] = tensor.Scalar(tensor.Float64, 5)
	require.NoError(t, safetensors.Write(path, c))
	rest := checkpointed(t, path, &optim.Adam{})
	steps := 0
	rest.OnStep = func(nn.Progress) { steps++ }
	require.NoError(t, rest.Run(context.Background()))
	require.Equal(t, 3, steps)
	require.Equal(t, want, values(rest.Net))
}

func contents(t *testing.T, path string) safetensors.Contents {
	f, err := safetensors.Open(path)
	require.NoError(t, err)
	defer f.Close()
	c := safetensors.Contents{Tensors: map[string]*tensor.Tensor{}, Metadata: f.Metadata()}
	for _, name := range f.Names() {
		c.Tensors[name], err = f.Tensor(name)
		require.NoError(t, err)
	}
	return c
}

// An optimiser that serves another network is refused with a clear error.
func TestOptimizerOfAnotherNetworkIsAnError(t *testing.T) {
	opt := &optim.Adam{}
	tr := checkpointed(t, "", opt)
	require.NoError(t, tr.Run(context.Background()))
	for want, net := range map[string]nn.Layer{
		"step 0 (epoch 0): panic: optim: Adam: 2 parameters, want the 4 of the steps before": nn.NewMLP(rng(), 28, 28, 1, 10),
		"parameter 0 of shape [784 4] is not that of the steps before":                       nn.NewMLP(rng(), 28, 28, 1, 4, 10),
	} {
		next := checkpointed(t, "", opt)
		next.Net = net
		require.ErrorContains(t, next.Run(context.Background()), want)
	}
	require.NoError(t, tr.Run(context.Background()))
}
