package nn

import (
	"fmt"
	"math/rand/v2"
	"strconv"

	"github.com/redoubt-ml/redoubt/tensor"
)

// NewMLP returns a network of dense layers of the given widths with ReLU between
// them, for flattened images of h by w by c pixels: widths are those of the
// hidden layers and, last, the number of classes.
func NewMLP(rng *rand.Rand, h, w, c int, widths ...int) *Sequential {
	if len(widths) == 0 {
		panic("nn: NewMLP: no widths")
	}
	layers := []Layer{Flatten}
	in := h * w * c
	for i, out := range widths {
		l := NewLinear(rng, in, out)
		if i == 0 {
			l.AfterImage(h, w, c)
		} else {
			layers = append(layers, ReLU)
		}
		layers = append(layers, l)
		in = out
	}
	return NewSequential(layers...)
}

// NewLeNet5 returns LeNet-5 for 28x28 or 32x32 images with c channels: 5x5
// convolutions of 6 and 16 filters, each with an activation and 2x2 average
// pooling, then dense layers of 120, 84 and the number of classes. act is the
// activation, Tanh in the original; nil means Sigmoid.
//
// LeCun et al., Proc. IEEE 1998, Fig. 2, with complete connections between
// feature maps.
func NewLeNet5(rng *rand.Rand, size, c, classes int, act Layer) *Sequential {
	pad := (32 - size) / 2
	if size != 28 && size != 32 {
		panic(fmt.Sprintf("nn: NewLeNet5: images of %d pixels, want 28 or 32", size))
	}
	if act == nil {
		act = Sigmoid
	}
	return NewSequential(
		NewConv2D(rng, c, 6, 5, tensor.Same(1, pad)), act, AvgPool2D(2, tensor.Same(2, 0)),
		NewConv2D(rng, 6, 16, 5, tensor.Same(1, 0)), act, AvgPool2D(2, tensor.Same(2, 0)),
		Flatten,
		NewLinear(rng, 400, 120).AfterImage(5, 5, 16), act,
		NewLinear(rng, 120, 84), act,
		NewLinear(rng, 84, classes),
	)
}

// NewMNISTNet returns the small convolutional network for 28x28x1 images that
// the certification literature uses: 4x4 convolutions of stride 2 with 16 and
// 32 filters, and dense layers of 100 and 10.
//
// Wong and Kolter, ICML 2018, section 4.
func NewMNISTNet(rng *rand.Rand) *Sequential {
	return NewSequential(
		NewConv2D(rng, 1, 16, 4, tensor.Same(2, 1)), ReLU,
		NewConv2D(rng, 16, 32, 4, tensor.Same(2, 1)), ReLU,
		Flatten,
		NewLinear(rng, 1568, 100).AfterImage(7, 7, 32), ReLU,
		NewLinear(rng, 100, 10),
	)
}

// NewMNISTPoolNet returns the larger convolutional network for 28x28x1 images:
// 5x5 convolutions of 32 and 64 filters with 2x2 max-pooling, and dense layers
// of hidden and 10.
//
// Madry et al., ICLR 2018, appendix A, with 1024 hidden units.
func NewMNISTPoolNet(rng *rand.Rand, hidden int) *Sequential {
	return NewSequential(
		NewConv2D(rng, 1, 32, 5, tensor.Same(1, 2)), ReLU, MaxPool2D(2, tensor.Same(2, 0)),
		NewConv2D(rng, 32, 64, 5, tensor.Same(1, 2)), ReLU, MaxPool2D(2, tensor.Same(2, 0)),
		Flatten,
		NewLinear(rng, 3136, hidden).AfterImage(7, 7, 64), ReLU,
		NewLinear(rng, hidden, 10),
	)
}

// cifarMean and cifarStd are the customary constants for CIFAR-10.
var (
	cifarMean = []float64{0.4914, 0.4822, 0.4465}
	cifarStd  = []float64{0.2470, 0.2435, 0.2616}
)

// NewBasicBlock returns a float32 block from in to out channels with the given
// stride, with He's normal initialisation. sets names sets of normalisation
// statistics; none means one.
func NewBasicBlock(rng *rand.Rand, in, out, stride int, sets ...string) *BasicBlock {
	return newBasicBlock(rng, in, out, stride, "", sets)
}

// newBasicBlock is NewBasicBlock with a name for the shortcut in files.
func newBasicBlock(rng *rand.Rand, in, out, stride int, shortcut string, sets []string) *BasicBlock {
	b := &BasicBlock{
		Conv1:        NewConv2DNoBias(rng, in, out, 3, tensor.Same(stride, 1)),
		Norm1:        NewBatchNorm(out, sets...),
		Conv2:        NewConv2DNoBias(rng, out, out, 3, tensor.Same(1, 1)),
		Norm2:        NewBatchNorm(out, sets...),
		ShortcutName: shortcut,
	}
	if stride != 1 || in != out {
		b.Shortcut = NewSequential(NewConv2DNoBias(rng, in, out, 1, tensor.Same(stride, 0)), NewBatchNorm(out, sets...))
	}
	return b
}

// NewResNet18 returns ResNet-18 for 32x32x3 images: a 3x3 stem without pooling
// and four stages of two basic blocks with 64, 128, 256 and 512 channels.
// Pixels are normalised with CIFAR-10's constants. sets names sets of
// normalisation statistics; none means one.
//
// He et al., CVPR 2016, Table 1, with the stem that is customary for CIFAR.
func NewResNet18(rng *rand.Rand, classes int, sets ...string) *Sequential {
	net := new(Sequential).
		Add("norm", NewNormalize(cifarMean, cifarStd)).
		Add("conv1", NewConv2DNoBias(rng, 3, 64, 3, tensor.Same(1, 1))).
		Add("bn1", NewBatchNorm(64, sets...)).Add("relu", ReLU)
	in := 64
	for stage := range 4 {
		out, stride := 64<<stage, 2
		if stage == 0 {
			stride = 1
		}
		name := "layer" + strconv.Itoa(stage+1)
		net.Add(name, NewSequential(
			newBasicBlock(rng, in, out, stride, "", sets),
			newBasicBlock(rng, out, out, 1, "", sets),
		))
		in = out
	}
	return net.Add("avgpool", GlobalAvgPool).Add("fc", NewLinear(rng, in, classes))
}

// NewResNet8 returns a residual network for 32x32x3 images with one basic block
// in each of three stages of 16, 32 and 64 channels. Pixels are normalised with
// CIFAR-10's constants.
func NewResNet8(rng *rand.Rand, classes int, sets ...string) *Sequential {
	return new(Sequential).
		Add("norm", NewNormalize(cifarMean, cifarStd)).
		Add("stem", NewConv2DNoBias(rng, 3, 16, 3, tensor.Same(1, 1))).
		Add("bn", NewBatchNorm(16, sets...)).Add("relu", ReLU).
		Add("stage1", newBasicBlock(rng, 16, 16, 1, "short", sets)).
		Add("stage2", newBasicBlock(rng, 16, 32, 2, "short", sets)).
		Add("stage3", newBasicBlock(rng, 32, 64, 2, "short", sets)).
		Add("avgpool", GlobalAvgPool).
		Add("fc", NewLinear(rng, 64, classes))
}
