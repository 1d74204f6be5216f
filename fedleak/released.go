package fedleak

import (
	"math/rand/v2"

	"github.com/redoubt-ml/redoubt/tensor"
	"github.com/redoubt-ml/redoubt/tensor/nn"
)

// Shape says how large the networks of NewQuadrants are.
type Shape struct {
	Conv1, Conv2 int // filters of the two convolutions; 0 means 64 and 128
	Dense        int // outputs of the first dense layer; 0 means 256
	Hidden       int // outputs of the second; 0 means 64
}

// NewQuadrants returns the model of the code released for CAFE, in float32 with
// Glorot's initialisation and zero biases: four parties hold the quadrants of images
// of size by size by channels pixels, size even; each bottom network has two 5x5
// convolutions with ReLU and 2x2 max-pooling, and dense layers of Dense, Hidden and
// classes outputs with ReLU; the top network is one dense layer.
func NewQuadrants(rng *rand.Rand, size, channels, classes int, s Shape) *Model {
	c1, c2 := defaultInt(s.Conv1, 64), defaultInt(s.Conv2, 128)
	d2, hidden := defaultInt(s.Dense, 256), defaultInt(s.Hidden, 64)
	m := &Model{Classes: classes}
	half := size / 2
	small := (half+1)/2 + 1
	small /= 2
	for range 4 {
		m.Inputs = append(m.Inputs, [3]int{half, half, channels})
		m.Bottoms = append(m.Bottoms, nn.NewSequential(
			glorotConv(rng, channels, c1), nn.ReLU, poolUp(half),
			glorotConv(rng, c1, c2), nn.ReLU, poolUp((half+1)/2),
			nn.Flatten,
			glorotDense(rng, small*small*c2, d2).AfterImage(small, small, c2), nn.ReLU,
			glorotDense(rng, d2, hidden), nn.ReLU,
			glorotDense(rng, hidden, classes), nn.ReLU,
		))
	}
	m.Top = nn.NewSequential(glorotDense(rng, 4*classes, classes))
	return m
}

// poolUp halves a map of n by n pixels by the maximum, rounding up.
func poolUp(n int) nn.Layer {
	return nn.MaxPool2D(2, tensor.Window{StrideH: 2, StrideW: 2, Bottom: n % 2, Right: n % 2})
}

func glorotConv(rng *rand.Rand, in, out int) *nn.Conv2D {
	return &nn.Conv2D{
		Filter: nn.GlorotUniform(rng, 25*in, 25*out, 5, 5, in, out),
		Bias:   tensor.Zeros(tensor.Float32, out),
		Window: tensor.Same(1, 2),
	}
}

func glorotDense(rng *rand.Rand, in, out int) *nn.Linear {
	return &nn.Linear{
		Weight: nn.GlorotUniform(rng, in, out, in, out),
		Bias:   tensor.Zeros(tensor.Float32, out),
	}
}

// NewDenseQuadrants is NewQuadrants with bottom networks of dense layers alone, of
// hidden and out outputs with ReLU: what Step II recovers are then the pixels.
func NewDenseQuadrants(rng *rand.Rand, size, channels, classes, hidden, out int) *Model {
	m := &Model{Classes: classes}
	half := size / 2
	for range 4 {
		m.Inputs = append(m.Inputs, [3]int{half, half, channels})
		m.Bottoms = append(m.Bottoms, nn.NewSequential(nn.Flatten,
			glorotDense(rng, half*half*channels, hidden).AfterImage(half, half, channels), nn.ReLU,
			glorotDense(rng, hidden, out), nn.ReLU,
		))
	}
	m.Top = nn.NewSequential(glorotDense(rng, 4*out, classes))
	return m
}

// Quadrants cuts images x [N, H, W, C], with H and W even, into four parties' slices
// [N, H/2, W/2, C]: top left, top right, bottom left, bottom right.
func Quadrants(x *tensor.Tensor) []*tensor.Tensor {
	h, w := x.Dim(1)/2, x.Dim(2)/2
	var out []*tensor.Tensor
	for i := range 2 {
		rows := tensor.Slice(x, 1, i*h, (i+1)*h)
		for j := range 2 {
			out = append(out, tensor.Slice(rows, 2, j*w, (j+1)*w))
		}
	}
	return out
}

// JoinQuadrants is the inverse of Quadrants.
func JoinQuadrants(xs []*tensor.Tensor) *tensor.Tensor {
	return tensor.Concat(1, tensor.Concat(2, xs[0], xs[1]), tensor.Concat(2, xs[2], xs[3]))
}
