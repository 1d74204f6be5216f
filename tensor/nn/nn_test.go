package nn_test

import (
	"context"
	"encoding/json"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/redoubt-ml/redoubt/internal/realdata"
	"github.com/redoubt-ml/redoubt/tensor"
	"github.com/redoubt-ml/redoubt/tensor/dataset"
	"github.com/redoubt-ml/redoubt/tensor/nn"
	"github.com/redoubt-ml/redoubt/tensor/optim"
)

func rng() *rand.Rand { return rand.New(rand.NewPCG(1, 2)) }

func mini(t *testing.T) (train, test *dataset.Set) {
	train, test, err := dataset.MNISTMini()
	require.NoError(t, err)
	return train, test
}

func accuracy(net nn.Layer, s *dataset.Set) float64 {
	x, y := s.All()
	right := 0
	for i, p := range tensor.ArgMax(nn.Classifier{Net: net}.Logits(x)) {
		if p == y[i] {
			right++
		}
	}
	return float64(right) / float64(len(y))
}

// reference is what a model's ref.json of the peer framework holds.
type reference struct {
	First16 struct {
		Labels []int       `json:"labels"`
		Logits [][]float64 `json:"logits_float64"`
	} `json:"first16"`
	Image0      gradient `json:"input_gradient_image0"`
	Image0Wrong gradient `json:"input_gradient_image0_wrong_label"`
}

type gradient struct {
	L1   float64 `json:"l1_norm_float64"`
	L2   float64 `json:"l2_norm_float64"`
	Linf float64 `json:"linf_norm"`
}

func TestSequentialFusesActivationsExactly(t *testing.T) {
	r := rng()
	net := nn.NewMNISTNet(r)
	x := tensor.Uniform(r, tensor.Float32, 0, 1, 3, 28, 28, 1)
	p := &nn.Pass{}
	want := x
	for _, l := range net.Layers() {
		want = l.Forward(p, want)
	}
	require.Equal(t, want.Values(), net.Forward(p, x).Values())
}

func TestParameterCountsOfModels(t *testing.T) {
	r := rng()
	require.Equal(t, 166406, nn.CountParams(nn.NewMNISTNet(r)))
	require.Equal(t, 454922, nn.CountParams(nn.NewMNISTPoolNet(r, 128)))
	require.Equal(t, 111146, nn.CountParams(nn.NewMLP(r, 28, 28, 1, 128, 64, 32, 10)))
	require.Equal(t, 78042, nn.CountParams(nn.NewResNet8(r, 10)))
	// 11,173,962 is the customary count of ResNet-18 with the CIFAR stem.
	require.Equal(t, 11173962, nn.CountParams(nn.NewResNet18(r, 10)))
	// 61,706 is the count of LeNet-5 with complete connections.
	require.Equal(t, 61706, nn.CountParams(nn.NewLeNet5(r, 28, 1, 10, nn.Tanh)))
	x := tensor.Zeros(tensor.Float32, 2, 28, 28, 1)
	require.Equal(t, []int{2, 10}, nn.NewLeNet5(r, 28, 1, 10, nil).Forward(&nn.Pass{}, x).Shape())
	require.Equal(t, []int{1, 10}, nn.NewResNet18(r, 10).Forward(&nn.Pass{}, tensor.Zeros(tensor.Float32, 1, 32, 32, 3)).Shape())
}

func TestSaveAndLoadGiveTheSameNetwork(t *testing.T) {
	r := rng()
	path := filepath.Join(t.TempDir(), "net.safetensors")
	a, b := nn.NewResNet8(r, 10, "clean", "adv"), nn.NewResNet8(r, 10, "clean", "adv")
	x := tensor.Uniform(r, tensor.Float32, 0, 1, 2, 32, 32, 3)
	require.NoError(t, nn.Save(path, a))
	require.NotEqual(t, a.Forward(&nn.Pass{}, x).Values(), b.Forward(&nn.Pass{}, x).Values())
	require.NoError(t, nn.Load(path, b))
	require.Equal(t, a.Forward(&nn.Pass{}, x).Values(), b.Forward(&nn.Pass{}, x).Values())

	before := b.Forward(&nn.Pass{}, x).Values()
	err := nn.Load(path, nn.NewResNet8(r, 7, "clean", "adv"))
	require.ErrorContains(t, err, `tensor "fc.weight" has shape [10 64], want [7 64]`)
	require.ErrorContains(t, nn.Load(path, nn.NewResNet8(r, 10)), "has no place in the network")
	require.ErrorContains(t, nn.Load(path, nn.NewMNISTNet(r)), "0.weight")
	require.Equal(t, before, b.Forward(&nn.Pass{}, x).Values())
}

// The statistics that a training pass meets reach the running averages only on
// Commit, and each set keeps its own.
func TestNormalisationSetsAreSeparate(t *testing.T) {
	l := nn.NewBatchNorm(1, "clean", "adv")
	x := tensor.FromFloat32([]float32{1, 3, 5, 7}, 4, 1)
	p := &nn.Pass{Train: true, Stats: "adv"}
	y := l.Forward(p, x)
	require.InDelta(t, 0, tensor.Mean(y).Item(), 1e-6)
	require.Zero(t, l.Sets[1].Mean.At(0))
	p.Commit()
	require.InDelta(t, 0.4, l.Sets[1].Mean.At(0), 1e-6)          // 0.1 · 4
	require.InDelta(t, 0.9+0.1*20./3, l.Sets[1].Var.At(0), 1e-5) // unbiased variance of 1, 3, 5, 7
	require.Equal(t, []float64{0}, l.Sets[0].Mean.Values())
	require.Panics(t, func() { l.Forward(&nn.Pass{Stats: "none"}, x) })
}

func TestDropoutKeepsTheMean(t *testing.T) {
	x := tensor.Full(tensor.Float32, 1, 100, 100)
	l := nn.Dropout(0.3)
	require.Equal(t, x, l.Forward(&nn.Pass{}, x))
	y := l.Forward(&nn.Pass{Train: true, Rand: rng()}, x)
	require.InDelta(t, 1, tensor.Mean(y).Item(), 0.03)
	require.Panics(t, func() { l.Forward(&nn.Pass{Train: true}, x) })
	// Masks of neighbours are independent, and the last of an odd number has one too.
	const rows = 4000
	y = nn.Dropout(0.5).Forward(&nn.Pass{Train: true, Rand: rng()}, tensor.Full(tensor.Float64, 1, rows*3))
	counts := map[[2]float64]int{}
	for i := range rows * 3 / 2 {
		counts[[2]float64{y.At(2 * i), y.At(2*i + 1)}]++
	}
	require.Len(t, counts, 4)
	for pair, n := range counts {
		require.InDelta(t, rows*3/8, n, 150, "%v", pair) // about 4.5 standard deviations
	}
	last, one := 0.0, rng()
	for range 400 {
		last += nn.Dropout(0.5).Forward(&nn.Pass{Train: true, Rand: one}, tensor.Full(tensor.Float32, 1, 3)).At(2)
	}
	require.InDelta(t, 400, last, 90)
}

func weightsAfter(t *testing.T, threads, epochs int) []float64 {
	tensor.SetThreads(threads)
	defer tensor.SetThreads(0)
	train, _ := mini(t)
	net := nn.NewMNISTNet(rng())
	tr := nn.Trainer{Net: net, Data: train.Take(1700), Epochs: epochs, BatchSize: 100, Seed: 5}
	require.NoError(t, tr.Run(context.Background()))
	var out []float64
	for _, w := range nn.Params(net) {
		out = append(out, w.Values()...)
	}
	return out
}

// 51 training steps give the same bits whatever the number of threads, and twice
// in a row.
func TestTrainingIsTheSameForAnyNumberOfThreads(t *testing.T) {
	one := weightsAfter(t, 1, 3)
	require.Equal(t, one, weightsAfter(t, 2, 3))
	require.Equal(t, one, weightsAfter(t, 2, 3))
}

// Training that was cancelled in the middle of an epoch and goes on from its
// checkpoint ends with the same bits.
func TestResumedTrainingIsBitIdentical(t *testing.T) {
	train, test := mini(t)
	augment, err := dataset.NewAugmenter(3, &dataset.PadCrop{Pad: 2})
	require.NoError(t, err)
	build := func(path string, net nn.Layer) *nn.Trainer {
		return &nn.Trainer{
			Net: net, Data: train, Epochs: 2, BatchSize: 200, Seed: 9, Checkpoint: path, Augment: augment,
			Optimizer: &optim.SGD{Momentum: 0.9, Nesterov: true, WeightDecay: 1e-4},
			Schedule:  optim.WarmUp(3, optim.Cosine(0.1, 20)),
		}
	}
	dir := t.TempDir()
	dropping := func() nn.Layer {
		r := rng()
		return nn.NewSequential(nn.Flatten, nn.NewLinear(r, 784, 32), nn.NewBatchNorm(32), nn.ReLU, nn.Dropout(0.2), nn.NewLinear(r, 32, 10))
	}
	whole := dropping()
	require.NoError(t, build(filepath.Join(dir, "a"), whole).Run(context.Background()))
	require.Greater(t, accuracy(whole, test), 0.7)

	ctx, cancel := context.WithCancel(context.Background())
	first := build(filepath.Join(dir, "b"), dropping())
	first.OnStep = func(p nn.Progress) {
		if p.Step == 6 {
			cancel()
		}
	}
	require.ErrorIs(t, first.Run(ctx), context.Canceled)
	resumed := dropping()
	require.NoError(t, build(filepath.Join(dir, "b"), resumed).Run(context.Background()))
	a, err := os.ReadFile(filepath.Join(dir, "a"))
	require.NoError(t, err)
	b, err := os.ReadFile(filepath.Join(dir, "b"))
	require.NoError(t, err)
	require.Equal(t, a, b)

	other := build(filepath.Join(dir, "b"), dropping())
	other.Seed = 10
	require.ErrorContains(t, other.Run(context.Background()), `seed is "9", want "10"`)
}

func TestTrainerRefusesBadInput(t *testing.T) {
	train, _ := mini(t)
	net := nn.NewMLP(rng(), 28, 28, 1, 10)
	ctx := context.Background()
	require.ErrorContains(t, (&nn.Trainer{Data: train, Epochs: 1}).Run(ctx), "no network")
	require.ErrorContains(t, (&nn.Trainer{Net: net, Epochs: 1}).Run(ctx), "no data")
	require.ErrorContains(t, (&nn.Trainer{Net: net, Data: train}).Run(ctx), "0 epochs")
	require.ErrorContains(t, (&nn.Trainer{Net: net, Data: train, Epochs: 1, BatchSize: 9999}).Run(ctx), "batch size 9999")
	err := (&nn.Trainer{Net: net, Data: train, Epochs: 1, Schedule: optim.Constant(1e38), Optimizer: &optim.SGD{}}).Run(ctx)
	require.ErrorContains(t, err, "finite")
}

// Models of the peer framework give its logits to 1e-4 and its input gradients'
// norms to 1e-3 in float32, and its float64 results to 1e-11 in float64, on the
// real images.
func TestReferenceModels(t *testing.T) {
	data := realdata.Dir(t)
	r := rng()
	for _, m := range []struct {
		name, data string
		net        *nn.Sequential
	}{
		{"mnist-cnn", "mnist", nn.NewMNISTNet(r)},
		{"mnist-cnn-at", "mnist", nn.NewMNISTNet(r)},
		{"mnist-pool", "mnist", nn.NewMNISTPoolNet(r, 128)},
		{"mlp", "mnist", nn.NewMLP(r, 28, 28, 1, 128, 64, 32, 10)},
		{"cifar-resnet8", "cifar10", nn.NewResNet8(r, 10)},
	} {
		t.Run(m.name, func(t *testing.T) {
			raw, err := os.ReadFile(realdata.File(t, "models", m.name+".ref.json"))
			require.NoError(t, err)
			var ref reference
			require.NoError(t, json.Unmarshal(raw, &ref))
			require.NoError(t, nn.Load(realdata.File(t, "models", m.name+".safetensors"), m.net))
			set, err := dataset.Load(data, m.data, dataset.Test)
			realdata.Found(t, err)
			images, y := set.Take(16).All()
			require.Equal(t, ref.First16.Labels, y)
			for _, precision := range []struct {
				dtype         tensor.DType
				logit, length float64 // tolerances
			}{{tensor.Float32, 1e-4, 1e-3}, {tensor.Float64, 1e-11, 1e-9}} {
				nn.Convert(m.net, precision.dtype)
				x := images.To(precision.dtype)
				logits := m.net.Forward(&nn.Pass{}, x)
				for i, row := range ref.First16.Logits {
					for j, want := range row {
						require.InDelta(t, want, logits.At(i, j), precision.logit, "%v, image %d, class %d", precision.dtype, i, j)
					}
				}
				for _, g := range []struct {
					label int
					want  gradient
				}{{y[0], ref.Image0}, {(y[0] + 1) % 10, ref.Image0Wrong}} {
					w := tensor.NewTape().Watch(tensor.Slice(x, 0, 0, 1))
					d := tensor.Grad(tensor.Sum(tensor.CrossEntropy(m.net.Forward(&nn.Pass{}, w), []int{g.label})), w)[0]
					require.InEpsilon(t, g.want.L1, tensor.Sum(tensor.Abs(d)).Item(), precision.length, "%v", precision.dtype)
					require.InEpsilon(t, g.want.L2, math.Sqrt(tensor.Dot(d, d).Item()), precision.length, "%v", precision.dtype)
					require.InEpsilon(t, g.want.Linf, tensor.MaxAbs(d), 1e-3, "%v; the peer's figure is of float32", precision.dtype)
				}
			}
		})
	}
}
