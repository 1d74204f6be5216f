package main

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"

	"github.com/redoubt-ml/redoubt/attack"
	"github.com/redoubt-ml/redoubt/tensor"
	"github.com/redoubt-ml/redoubt/tensor/dataset"
	"github.com/redoubt-ml/redoubt/tensor/nn"
	"github.com/redoubt-ml/redoubt/tensor/optim"
)

// architecture is one of the paper's small networks.
type architecture struct {
	letter, name string
	// build returns the network for images of h by w by c; width divides the
	// numbers of channels of the all-convolutional one.
	build func(r *rand.Rand, h, w, c, width int) *nn.Sequential
}

// The networks A to D of the paper, as its published code has them: Glorot-uniform
// weights, biases of 0, and padding at the bottom and right first where it is odd.
var architectures = []architecture{
	{"A", "MLP", mlp},
	{"B", "All-CNN", allCNN},
	{"C", "LeNet", leNet},
	{"D", "LeNetV2", leNetV2},
}

func mlp(r *rand.Rand, h, w, c, _ int) *nn.Sequential {
	return nn.NewSequential(nn.Flatten, linear(r, h*w*c, 128), nn.ReLU, linear(r, 128, 128), nn.ReLU, linear(r, 128, 64), nn.ReLU, linear(r, 64, 10))
}

func allCNN(r *rand.Rand, h, w, c, width int) *nn.Sequential {
	narrow, middle, wide := max(1, 32/width), max(1, 64/width), max(1, 128/width)
	same := tensor.Same(1, 1)
	half := tensor.Window{StrideH: 2, StrideW: 2, Bottom: 1, Right: 1}
	return nn.NewSequential(
		conv(r, c, narrow, 3, same), nn.ReLU,
		conv(r, narrow, middle, 3, same), nn.ReLU,
		conv(r, middle, wide, 3, half), nn.Dropout(0.5),
		conv(r, wide, wide, 3, same), nn.ReLU,
		conv(r, wide, wide, 3, same), nn.ReLU,
		conv(r, wide, wide, 3, half), nn.Dropout(0.5),
		conv(r, wide, wide, 3, same), nn.ReLU,
		conv(r, wide, wide, 1, tensor.Window{}), nn.ReLU,
		conv(r, wide, 10, 1, tensor.Same(2, 0)),
		nn.GlobalAvgPool,
	)
}

func leNet(r *rand.Rand, h, w, c, _ int) *nn.Sequential {
	h, w = ((h-4)/2-4)/2, ((w-4)/2-4)/2
	return nn.NewSequential(
		conv(r, c, 6, 5, tensor.Window{}), nn.ReLU, nn.MaxPool2D(2, tensor.Same(2, 0)),
		conv(r, 6, 16, 5, tensor.Window{}), nn.ReLU, nn.MaxPool2D(2, tensor.Same(2, 0)),
		nn.Flatten, linear(r, h*w*16, 120), nn.ReLU, linear(r, 120, 84), nn.ReLU, linear(r, 84, 10),
	)
}

func leNetV2(r *rand.Rand, h, w, c, _ int) *nn.Sequential {
	return nn.NewSequential(
		conv(r, c, 32, 3, tensor.Same(1, 1)), nn.ReLU, nn.MaxPool2D(2, tensor.Same(2, 0)),
		conv(r, 32, 64, 3, tensor.Same(1, 1)), nn.ReLU, nn.MaxPool2D(2, tensor.Same(2, 0)),
		nn.Flatten, linear(r, h/4*(w/4)*64, 128), nn.ReLU, nn.Dropout(0.25), linear(r, 128, 10),
	)
}

func linear(r *rand.Rand, in, out int) *nn.Linear {
	l := nn.NewLinear(r, in, out)
	glorot(r, l.Weight, l.Bias, in, out)
	return l
}

func conv(r *rand.Rand, in, out, size int, win tensor.Window) *nn.Conv2D {
	l := nn.NewConv2D(r, in, out, size, win)
	glorot(r, l.Filter, l.Bias, in*size*size, out*size*size)
	return l
}

// glorot draws weights as Glorot and Bengio, AISTATS 2010, Eq. (16).
func glorot(r *rand.Rand, w, bias *tensor.Tensor, in, out int) {
	bound := math.Sqrt(6 / float64(in+out))
	w.CopyFrom(tensor.Uniform(r, w.DType(), -bound, bound, w.Shape()...))
	bias.Fill(0)
}

// trained is a network that has been trained without attacks.
type trained struct {
	architecture
	net   *nn.Sequential
	clean float64 // accuracy on the test set
}

func (t trained) model() attack.Model { return nn.Classifier{Net: t.net} }

// fit trains one of the networks on a data set, or returns it from before.
func (e *experiment) fit(ctx context.Context, data string, train, test *dataset.Set, a architecture) (trained, error) {
	key := data + " " + a.letter
	if t, ok := e.nets[key]; ok {
		return t, nil
	}
	t := trained{architecture: a}
	t.net = a.build(e.env.Rand("weights "+key), train.H, train.W, train.C, e.width)
	epochs := e.epochs[key]
	steps := epochs * (train.Len() / trainBatch)
	stage := e.env.Stage(fmt.Sprintf("training %s (%s) on %s", a.letter, a.name, data), steps)
	trainer := nn.Trainer{
		Net: t.net, Data: train, Epochs: epochs, BatchSize: trainBatch, Seed: e.env.Seed + e.env.Stream("order "+key),
		Optimizer: &optim.Adam{}, Schedule: optim.Constant(1e-3),
		OnStep: func(p nn.Progress) { stage.Done(p.Step + 1) },
	}
	if data == "cifar10" {
		trainer.Optimizer, trainer.Schedule = &optim.SGD{Momentum: 0.9, Nesterov: true, WeightDecay: 5e-4}, optim.StepDecay(0.01, 0.1, steps*2/5, steps*7/10)
	}
	if err := trainer.Run(ctx); err != nil {
		return t, err
	}
	x, y := test.All()
	answers, err := attack.Predict(ctx, t.model(), x)
	if err != nil {
		return t, err
	}
	for i, a := range answers {
		if a == y[i] {
			t.clean += 1 / float64(len(y))
		}
	}
	e.nets[key] = t
	return t, nil
}

// trainBatch is the number of images in a training step.
const trainBatch = 128
