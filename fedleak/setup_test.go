package fedleak

import (
	"context"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
	"gonum.org/v1/gonum/mat"

	"github.com/redoubt-ml/redoubt/tensor"
	"github.com/redoubt-ml/redoubt/tensor/dataset"
	"github.com/redoubt-ml/redoubt/tensor/nn"
)

var ctx = context.Background()

// digits returns n images of the embedded MNIST, made smaller by averaging over
// squares of shrink pixels.
func digits(t *testing.T, from, n, shrink int) (*tensor.Tensor, []int) {
	train, _, err := dataset.MNISTMini()
	require.NoError(t, err)
	x, y := train.Slice(from, from+n).All()
	if shrink > 1 {
		x = tensor.AvgPool(x, shrink, shrink, tensor.Same(shrink, 0), true)
	}
	return x, y
}

// dense returns a vertical federation of n 14x14 digits in float64, four parties with
// dense layers.
func dense(t *testing.T, n int, s Schedule) *Federation {
	x, y := digits(t, 0, n, 2)
	m := NewDenseQuadrants(rand.New(rand.NewPCG(11, 0)), 14, 1, 10, 32, 16)
	f := &Federation{Model: m, X: Quadrants(x), Labels: y, Schedule: s}
	double(f)
	return f
}

// convolutional is dense with convolutions before the dense layers.
func convolutional(t *testing.T, n int, s Schedule) *Federation {
	x, y := digits(t, 0, n, 2)
	m := NewQuadrants(rand.New(rand.NewPCG(11, 0)), 14, 1, 10, Shape{24, 48, 32, 16})
	f := &Federation{Model: m, X: Quadrants(x), Labels: y, Schedule: s}
	double(f)
	return f
}

// double turns a federation to float64, single to float32.
func double(f *Federation) { convert(f, tensor.Float64) }
func single(f *Federation) { convert(f, tensor.Float32) }

func convert(f *Federation, dtype tensor.DType) {
	for _, b := range f.Model.Bottoms {
		nn.Convert(b, dtype)
	}
	nn.Convert(f.Model.Top, dtype)
	for p, x := range f.X {
		f.X[p] = x.To(dtype)
	}
}

func observe(t *testing.T, f *Federation, rounds int) Observations {
	o, err := f.Observe(rounds)
	require.NoError(t, err)
	return o
}

// truth is Federation.Truth.
func truth(t *testing.T, f *Federation, party, k int) (v, h *mat.Dense) {
	v, h, err := f.Truth(party, k)
	require.NoError(t, err)
	return v, h
}

// rowErrors returns the relative distance of each row.
func rowErrors(want, got *mat.Dense) []float64 {
	n, _ := want.Dims()
	out := make([]float64, n)
	for i := range out {
		var d mat.VecDense
		d.SubVec(want.RowView(i), got.RowView(i))
		out[i] = mat.Norm(&d, 2) / mat.Norm(want.RowView(i), 2)
	}
	return out
}

// corrupted are observations with something changed.
type corrupted struct {
	Observations
	batch    func(t int, ids []int) []int
	gradient func(t int, r Ref, g *tensor.Tensor) *tensor.Tensor
	setting  func(Setting) Setting
}

func (c corrupted) Setting() Setting {
	if c.setting != nil {
		return c.setting(c.Observations.Setting())
	}
	return c.Observations.Setting()
}

func (c corrupted) Batch(t int) []int {
	if c.batch != nil {
		return c.batch(t, c.Observations.Batch(t))
	}
	return c.Observations.Batch(t)
}

func (c corrupted) Gradients(ctx context.Context, t int, refs ...Ref) ([]*tensor.Tensor, error) {
	gs, err := c.Observations.Gradients(ctx, t, refs...)
	if err == nil && c.gradient != nil {
		for i, r := range refs {
			gs[i] = c.gradient(t, r, gs[i])
		}
	}
	return gs, err
}
