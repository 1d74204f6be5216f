package nn

import (
	"fmt"
	"math/rand/v2"

	"github.com/redoubt-ml/redoubt/tensor"
)

// Function is a layer without tensors.
type Function func(p *Pass, x *tensor.Tensor) *tensor.Tensor

// Forward calls the function.
func (f Function) Forward(p *Pass, x *tensor.Tensor) *tensor.Tensor { return f(p, x) }

// Visit visits nothing.
func (f Function) Visit(string, func(Slot)) {}

// Plain is a layer without tensors or settings.
type Plain uint8

// Plain layers. ReLU after a dense, convolution or normalisation layer in a
// Sequential is computed together with that layer.
const (
	ReLU          Plain = iota // max(x, 0)
	Tanh                       // hyperbolic tangent
	Sigmoid                    // 1/(1+exp(-x))
	Flatten                    // turns [N, ...] into a matrix of N rows
	GlobalAvgPool              // turns images [N, H, W, C] into their channel means [N, C]
)

var plains = [...]struct {
	name    string
	forward func(x *tensor.Tensor) *tensor.Tensor
}{
	ReLU: {"ReLU", tensor.ReLU}, Tanh: {"Tanh", tensor.Tanh}, Sigmoid: {"Sigmoid", tensor.Sigmoid},
	Flatten: {"Flatten", tensor.Flatten}, GlobalAvgPool: {"GlobalAvgPool", tensor.GlobalAvgPool},
}

// Forward computes the layer's output.
func (l Plain) Forward(_ *Pass, x *tensor.Tensor) *tensor.Tensor {
	if int(l) >= len(plains) {
		panic("nn: no layer " + l.String())
	}
	return plains[l].forward(x)
}

// Visit visits nothing.
func (Plain) Visit(string, func(Slot)) {}

// String returns the layer's name.
func (l Plain) String() string {
	if int(l) >= len(plains) {
		return fmt.Sprintf("Plain(%d)", uint8(l))
	}
	return plains[l].name
}

// Pool2D takes the maximum, or the mean, over Size by Size windows; padding never wins
// and does not count.
type Pool2D struct {
	Size    int           // height and width of a window in pixels
	Window  tensor.Window // stride and padding
	Average bool          // the mean, not the maximum
}

// MaxPool2D takes the maximum over size by size windows.
func MaxPool2D(size int, win tensor.Window) Layer { return Pool2D{Size: size, Window: win} }

// AvgPool2D takes the mean over size by size windows; padding does not count.
func AvgPool2D(size int, win tensor.Window) Layer {
	return Pool2D{Size: size, Window: win, Average: true}
}

// Forward pools images x [N, H, W, C].
func (l Pool2D) Forward(_ *Pass, x *tensor.Tensor) *tensor.Tensor {
	if l.Average {
		return tensor.AvgPool(x, l.Size, l.Size, l.Window, false)
	}
	return tensor.MaxPool(x, l.Size, l.Size, l.Window)
}

// Visit visits nothing.
func (Pool2D) Visit(string, func(Slot)) {}

// String returns the name of the function that makes the layer.
func (l Pool2D) String() string {
	if l.Average {
		return "AvgPool2D"
	}
	return "MaxPool2D"
}

// Dropout sets each value to 0 with probability rate in training, and scales the
// others by 1/(1-rate). The Pass must then have a Rand.
func Dropout(rate float64) Layer {
	if !(rate >= 0 && rate < 1) {
		panic(fmt.Sprintf("nn: Dropout: rate %v, want in [0, 1)", rate))
	}
	return Function(func(p *Pass, x *tensor.Tensor) *tensor.Tensor {
		if !p.Train || rate == 0 {
			return x
		}
		if p.Rand == nil {
			panic("nn: Dropout: the training pass has no Rand")
		}
		// Step makes a constant of x's form in the memory of x's tape.
		keep := tensor.Step(x)
		if x.DType() == tensor.Float32 {
			draw(p.Rand, keep.Float32s(), 1-rate)
		} else {
			draw(p.Rand, keep.Float64s(), 1-rate)
		}
		return tensor.Mul(x, keep)
	})
}

// draw sets each value to 1/keep with probability keep, to within 2**-32, and to 0
// otherwise.
func draw[T float32 | float64](rng *rand.Rand, v []T, keep float64) {
	values := [2]T{0, T(1 / keep)}
	limit := uint64(keep * (1 << 32))
	// below is 1 where the low half of u is below the limit, else 0.
	below := func(u uint64) uint64 { return (u&(1<<32-1) - limit) >> 63 }
	for len(v) >= 2 {
		u := rng.Uint64()
		v[0], v[1] = values[below(u)], values[below(u>>32)]
		v = v[2:]
	}
	if len(v) == 1 {
		v[0] = values[below(rng.Uint64())]
	}
}
