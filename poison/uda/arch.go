package uda

import (
	"math/rand/v2"

	"github.com/redoubt-ml/redoubt/tensor"
	"github.com/redoubt-ml/redoubt/tensor/nn"
)

// Architecture makes the networks of a model. All weights are drawn from rng.
type Architecture struct {
	Name string
	// Features makes G for images of h by w by c pixels and says how many
	// features it has.
	Features func(rng *rand.Rand, h, w, c int) (g nn.Layer, width int)
	// Head makes a classifier of features; also the head of a task without labels.
	Head func(rng *rand.Rand, width, classes int) nn.Layer
	// Discriminator makes D for inputs of the given width; it has two outputs,
	// 0 for the source and 1 for the target.
	Discriminator func(rng *rand.Rand, width int) nn.Layer
}

var valid, half = tensor.Window{}, tensor.Window{StrideH: 2, StrideW: 2}

// conv is a convolution of size by size filters in Glorot and Bengio's
// initialisation, with biases of 0.
func conv(rng *rand.Rand, in, out, size int, win tensor.Window) *nn.Conv2D {
	return &nn.Conv2D{
		Filter: nn.GlorotUniform(rng, size*size*in, size*size*out, size, size, in, out),
		Bias:   tensor.Zeros(tensor.Float32, out), Window: win,
	}
}

// dense is the dense layer of the same kind.
func dense(rng *rand.Rand, in, out int) *nn.Linear {
	return &nn.Linear{Weight: nn.GlorotUniform(rng, in, out, in, out), Bias: tensor.Zeros(tensor.Float32, out)}
}

// pooled is the extent after a 5x5 convolution without padding and 2x2 pooling.
func pooled(n int) int { return (n - 4) / 2 }

func linearHead(rng *rand.Rand, width, classes int) nn.Layer {
	return nn.NewSequential(dense(rng, width, classes))
}

// discriminator has two hidden layers of 500.
func discriminator(rng *rand.Rand, width int) nn.Layer {
	return nn.NewSequential(
		dense(rng, width, 500), nn.ReLU, nn.Dropout(0.5),
		dense(rng, 500, 500), nn.ReLU, nn.Dropout(0.5),
		dense(rng, 500, 2))
}

// Digits is the network for digits of at least 16x16 pixels: 5x5 convolutions of 20
// and 50 filters with pooling, and 500 features, with dropout. For 28x28x1 images G
// has 426,070 parameters, D 502,002.
func Digits() Architecture {
	return Architecture{
		Name: "digits",
		Features: func(rng *rand.Rand, h, w, c int) (nn.Layer, int) {
			fh, fw := pooled(pooled(h)), pooled(pooled(w))
			return nn.NewSequential(
				conv(rng, c, 20, 5, valid), nn.ReLU, nn.MaxPool2D(2, half),
				conv(rng, 20, 50, 5, valid), nn.ReLU, nn.MaxPool2D(2, half), nn.Dropout(0.5),
				nn.Flatten, dense(rng, fh*fw*50, 500).AfterImage(fh, fw, 50), nn.ReLU, nn.Dropout(0.5)), 500
		},
		Head: linearHead, Discriminator: discriminator,
	}
}

// DigitsMCD is the network for MCD on coloured digits: 5x5 convolutions of 32 and
// 48 filters, all of whose outputs are features, and classifiers of three layers.
// For 28x28x3 images G has 40,880 parameters and a classifier of ten classes 88,010.
func DigitsMCD() Architecture {
	return Architecture{
		Name: "digits-mcd",
		Features: func(rng *rand.Rand, h, w, c int) (nn.Layer, int) {
			return nn.NewSequential(
				conv(rng, c, 32, 5, valid), nn.ReLU, nn.MaxPool2D(2, half),
				conv(rng, 32, 48, 5, valid), nn.ReLU, nn.MaxPool2D(2, half), nn.Flatten), pooled(pooled(h)) * pooled(pooled(w)) * 48
		},
		Head: func(rng *rand.Rand, width, classes int) nn.Layer {
			return nn.NewSequential(nn.Dropout(0.5),
				dense(rng, width, 100), nn.ReLU, nn.Dropout(0.5),
				dense(rng, 100, 100), nn.ReLU, dense(rng, 100, classes))
		},
		Discriminator: discriminator,
	}
}

// HouseNumbers is the network for SVHN: three 5x5 convolutions of stride 2 with 64,
// 128 and 256 filters, normalised, and 512 features. For 32x32x3 images G has
// 3,128,832 parameters.
func HouseNumbers() Architecture {
	return Architecture{
		Name: "house-numbers",
		Features: func(rng *rand.Rand, h, w, c int) (nn.Layer, int) {
			s := nn.NewSequential()
			add := func(name string, ls ...nn.Layer) {
				for i, l := range ls {
					s.Add(name+string(rune('a'+i)), l)
				}
			}
			in := c
			for i, out := range []int{64, 128, 256} {
				add([]string{"1", "2", "3"}[i], conv(rng, in, out, 5, same(h, w)), norm(out), nn.Dropout([]float64{0.1, 0.3, 0.5}[i]), nn.ReLU)
				in, h, w = out, (h+1)/2, (w+1)/2
			}
			add("4", nn.Flatten, dense(rng, h*w*256, 512).AfterImage(h, w, 256), norm(512), nn.ReLU, nn.Dropout(0.5))
			return s, 512
		},
		Head: linearHead, Discriminator: discriminator,
	}
}

// norm has the constants of Keras: running averages move by 1 %.
func norm(c int) *nn.BatchNorm {
	n := nn.NewBatchNorm(c)
	n.Eps, n.Momentum = 1e-3, 0.01
	return n
}

// same is the padding for 5x5 filters of stride 2 that makes the output half as
// large, rounded up; an odd amount has its larger part below and to the right.
func same(h, w int) tensor.Window {
	need := func(n int) int { return max(0, ((n+1)/2-1)*2+5-n) }
	return tensor.Window{StrideH: 2, StrideW: 2, Top: need(h) / 2, Bottom: need(h) - need(h)/2, Left: need(w) / 2, Right: need(w) - need(w)/2}
}

// Plane is the smallest network, for points in the plane as images of 1x1x2: one
// linear feature, a linear classifier and a discriminator with 16 hidden units.
func Plane() Architecture {
	return Architecture{
		Name: "plane",
		Features: func(rng *rand.Rand, h, w, c int) (nn.Layer, int) {
			return nn.NewSequential(nn.Flatten, dense(rng, h*w*c, 1)), 1
		},
		Head: linearHead,
		Discriminator: func(rng *rand.Rand, width int) nn.Layer {
			return nn.NewSequential(dense(rng, width, 16), nn.ReLU, dense(rng, 16, 2))
		},
	}
}
