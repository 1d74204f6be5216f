package nn

import (
	"fmt"
	"math/rand/v2"

	"github.com/redoubt-ml/redoubt/tensor"
)

// Linear is a dense layer, y = x W + b.
type Linear struct {
	Weight *tensor.Tensor // [in, out]
	Bias   *tensor.Tensor // [out], nil for none
	// Image holds the extents [H, W, C] of the images that the layer sees
	// flattened, zero for none; it matters only for files.
	Image [3]int
}

// NewLinear returns a float32 dense layer with PyTorch's default initialisation.
func NewLinear(rng *rand.Rand, in, out int) *Linear {
	return &Linear{
		Weight: FanIn(rng, in, in, out),
		Bias:   FanIn(rng, in, out),
	}
}

// AfterImage says that the layer's input is flattened images [H, W, C], and
// returns the layer. It panics if the layer has another number of inputs.
func (l *Linear) AfterImage(h, w, c int) *Linear {
	if in := l.Weight.Dim(0); h < 1 || w < 1 || c < 1 || h*w*c != in {
		panic(fmt.Sprintf("nn: Linear: AfterImage(%d, %d, %d) for %d inputs, want as many", h, w, c, in))
	}
	l.Image = [3]int{h, w, c}
	return l
}

// Forward computes the layer's output [N, out] for x [N, in].
func (l *Linear) Forward(p *Pass, x *tensor.Tensor) *tensor.Tensor {
	return l.forwardActivated(p, x, tensor.Identity)
}

func (l *Linear) forwardActivated(p *Pass, x *tensor.Tensor, act tensor.Activation) *tensor.Tensor {
	return tensor.Linear(x, p.Value(l.Weight), p.optional(l.Bias), act)
}

// optional is Value for a parameter that may be missing.
func (p *Pass) optional(w *tensor.Tensor) *tensor.Tensor {
	if w == nil {
		return nil
	}
	return p.Value(w)
}

// Visit visits weight and bias.
func (l *Linear) Visit(prefix string, visit func(Slot)) {
	visit(Slot{Name: prefix + "weight", Tensor: l.Weight, Trainable: true, Layout: Matrix, Image: l.Image})
	if l.Bias != nil {
		visit(Slot{Name: prefix + "bias", Tensor: l.Bias, Trainable: true})
	}
}

// Conv2D is a convolution layer.
type Conv2D struct {
	Filter *tensor.Tensor // [R, S, C, K]
	Bias   *tensor.Tensor // [K], nil for none
	Window tensor.Window  // stride and padding
}

// NewConv2D returns a float32 convolution of size by size filters with
// PyTorch's default initialisation.
func NewConv2D(rng *rand.Rand, in, out, size int, win tensor.Window) *Conv2D {
	fan := size * size * in
	return &Conv2D{
		Filter: FanIn(rng, fan, size, size, in, out),
		Bias:   FanIn(rng, fan, out),
		Window: win,
	}
}

// NewConv2DNoBias returns a float32 convolution without bias, as goes before
// normalisation, with He's normal initialisation.
func NewConv2DNoBias(rng *rand.Rand, in, out, size int, win tensor.Window) *Conv2D {
	return &Conv2D{Filter: HeNormal(rng, size*size*out, size, size, in, out), Window: win}
}

// Forward computes the layer's output [N, OH, OW, K] for x [N, H, W, C].
func (l *Conv2D) Forward(p *Pass, x *tensor.Tensor) *tensor.Tensor {
	return l.forwardActivated(p, x, tensor.Identity)
}

func (l *Conv2D) forwardActivated(p *Pass, x *tensor.Tensor, act tensor.Activation) *tensor.Tensor {
	return tensor.Conv2D(x, p.Value(l.Filter), p.optional(l.Bias), l.Window, act)
}

func (l *Conv2D) forwardPooled(p *Pass, x *tensor.Tensor, act tensor.Activation, pool Pool2D) *tensor.Tensor {
	return tensor.Conv2DMaxPool(x, p.Value(l.Filter), p.optional(l.Bias), l.Window, act, pool.Size, pool.Size, pool.Window)
}

// Visit visits weight and bias.
func (l *Conv2D) Visit(prefix string, visit func(Slot)) {
	visit(Slot{Name: prefix + "weight", Tensor: l.Filter, Trainable: true, Layout: Filter})
	if l.Bias != nil {
		visit(Slot{Name: prefix + "bias", Tensor: l.Bias, Trainable: true})
	}
}
