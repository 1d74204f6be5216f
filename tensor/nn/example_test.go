package nn_test

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"

	"github.com/redoubt-ml/redoubt/tensor"
	"github.com/redoubt-ml/redoubt/tensor/dataset"
	"github.com/redoubt-ml/redoubt/tensor/nn"
	"github.com/redoubt-ml/redoubt/tensor/optim"
)

// A dense network learns the embedded digits.
func ExampleTrainer() {
	train, test, err := dataset.MNISTMini()
	if err != nil {
		fmt.Println(err)
		return
	}
	net := nn.NewMLP(rand.New(rand.NewPCG(1, 0)), 28, 28, 1, 64, 10)
	t := nn.Trainer{Net: net, Data: train, Epochs: 5, BatchSize: 50, Schedule: optim.Constant(3e-3)}
	if err := t.Run(context.Background()); err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println("more than 85 % of unseen digits right:", accuracy(net, test) > 0.85)
	// Output: more than 85 % of unseen digits right: true
}

// A network of the package's layers and of a function, evaluated on two images.
func ExampleSequential() {
	rng := rand.New(rand.NewPCG(1, 0))
	net := nn.NewSequential(
		nn.NewNormalize([]float64{0.13}, []float64{0.31}),
		nn.NewConv2D(rng, 1, 4, 3, tensor.Same(2, 1)), nn.ReLU,
		nn.Flatten,
		nn.NewLinear(rng, 14*14*4, 10).AfterImage(14, 14, 4),
	)
	x := tensor.Uniform(rng, tensor.Float32, 0, 1, 2, 28, 28, 1)
	fmt.Println(net.Forward(&nn.Pass{}, x).Shape(), "of", nn.CountParams(net), "parameters")
	// Output: [2 10] of 7890 parameters
}

// The tensors of a network under the names that they have in a file.
func ExampleLayer() {
	net := nn.NewSequential().
		Add("body", nn.NewBasicBlock(rand.New(rand.NewPCG(1, 0)), 4, 8, 2)).
		Add("pool", nn.GlobalAvgPool).
		Add("head", nn.NewLinear(rand.New(rand.NewPCG(2, 0)), 8, 3))
	net.Visit("", func(s nn.Slot) {
		if s.Trainable {
			fmt.Println(s.Name, s.Tensor.Shape())
		}
	})
	// Output:
	// body.conv1.weight [3 3 4 8]
	// body.bn1.weight [8]
	// body.bn1.bias [8]
	// body.conv2.weight [3 3 8 8]
	// body.bn2.weight [8]
	// body.bn2.bias [8]
	// body.downsample.0.weight [1 1 4 8]
	// body.downsample.1.weight [8]
	// body.downsample.1.bias [8]
	// head.weight [8 3]
	// head.bias [3]
}

// One training step by hand: gradients are asked for per pass.
func ExamplePass() {
	rng := rand.New(rand.NewPCG(1, 0))
	net := nn.NewSequential(nn.NewLinear(rng, 4, 8), nn.NewBatchNorm(8), nn.ReLU, nn.Dropout(0.1), nn.NewLinear(rng, 8, 2))
	x, y := tensor.Normal(rng, tensor.Float32, 0, 1, 16, 4), make([]int, 16)
	opt, params, tape := &optim.SGD{}, nn.Params(net), tensor.NewTape()
	var losses []float64
	for range 50 {
		pass := &nn.Pass{Train: true, Rand: rng}
		watched := pass.Watch(tape, params)
		loss := tensor.Mean(tensor.CrossEntropy(net.Forward(pass, tape.Const(x)), y))
		losses = append(losses, loss.Item())
		opt.Step(0.5, params, tensor.Grad(loss, watched...))
		pass.Commit() // the running averages of normalisation
		tape.Reset()
	}
	fmt.Println("the loss has fallen to a tenth:", losses[49] < losses[0]/10)
	// Output: the loss has fallen to a tenth: true
}

// A perturbed weight, without touching the network.
func ExamplePass_Use() {
	l := nn.NewLinear(rand.New(rand.NewPCG(1, 0)), 1, 1)
	l.Weight.Fill(2)
	l.Bias.Fill(0)
	x := tensor.FromFloat32([]float32{3}, 1, 1)
	pass := &nn.Pass{}
	pass.Use(l.Weight, tensor.FromFloat32([]float32{2.5}, 1, 1))
	fmt.Println(l.Forward(pass, x).Item(), l.Forward(&nn.Pass{}, x).Item())
	// Output: 7.5 6
}

// Clean and attacked images normalised apart, with one set of weights.
func ExampleBatchNorm() {
	l := nn.NewBatchNorm(1, "clean", "attacked")
	for stats, mean := range map[string]float64{"clean": 0, "attacked": 10} {
		pass := &nn.Pass{Train: true, Stats: stats}
		l.Forward(pass, tensor.FromFloat32([]float32{float32(mean) - 1, float32(mean) + 1}, 2, 1))
		pass.Commit()
	}
	for _, s := range l.Sets {
		fmt.Println(s.Name, s.Mean.Values())
	}
	// Output:
	// clean [0]
	// attacked [1]
}

// A network is written with PyTorch's names and layouts, and read back.
func ExampleSave() {
	dir, err := os.MkdirTemp("", "")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "net.safetensors")
	net := nn.NewMLP(rand.New(rand.NewPCG(1, 0)), 8, 8, 1, 16, 10)
	if err := nn.Save(path, net); err != nil {
		fmt.Println(err)
		return
	}
	copied := nn.NewMLP(rand.New(rand.NewPCG(2, 0)), 8, 8, 1, 16, 10)
	if err := nn.Load(path, copied); err != nil {
		fmt.Println(err)
		return
	}
	x := tensor.Full(tensor.Float32, 0.5, 1, 8, 8, 1)
	a, b := nn.Classifier{Net: net}.Logits(x), nn.Classifier{Net: copied}.Logits(x)
	fmt.Println("the same logits:", slices.Equal(a.Values(), b.Values()))
	// Output: the same logits: true
}

// A loss of one's own: cross-entropy with smoothed labels.
func ExampleLoss() {
	smooth := func(_ context.Context, p *nn.Pass, net nn.Layer, b nn.Batch) (*tensor.Tensor, error) {
		logits := net.Forward(p, b.X)
		uniform := tensor.Neg(tensor.Mean(tensor.LogSoftmax(logits), 1))
		rows := tensor.Add(tensor.MulScalar(tensor.CrossEntropy(logits, b.Y), 0.9), tensor.MulScalar(uniform, 0.1))
		return tensor.Mean(rows), nil
	}
	train, _, err := dataset.MNISTMini()
	if err != nil {
		fmt.Println(err)
		return
	}
	var last nn.Progress
	t := nn.Trainer{
		Net:  nn.NewMLP(rand.New(rand.NewPCG(1, 0)), 28, 28, 1, 32, 10),
		Data: train.Take(500), Epochs: 4, BatchSize: 50, Loss: smooth,
		OnStep: func(p nn.Progress) { last = p },
	}
	if err := t.Run(context.Background()); err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(last.Step+1, "of", last.Steps, "steps, below the loss of chance:", last.Loss < math.Log(10))
	// Output: 40 of 40 steps, below the loss of chance: true
}

// Certificates are worked out in float64.
func ExampleConvert() {
	net := nn.NewMNISTNet(rand.New(rand.NewPCG(1, 0)))
	nn.Convert(net, tensor.Float64)
	x := tensor.Zeros(tensor.Float64, 1, 28, 28, 1)
	fmt.Println(nn.Classifier{Net: net}.Logits(x).DType())
	// Output: float64
}
