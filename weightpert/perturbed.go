package weightpert

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"

	"github.com/redoubt-ml/redoubt/internal/par"
	"github.com/redoubt-ml/redoubt/tensor"
	"github.com/redoubt-ml/redoubt/tensor/nn"
)

// Matrices returns the weights of a network that attacks and faults change: its
// trainable tensors of two axes or more, dense and convolution weights, in the order
// of nn.Params. Biases and normalisation are left out.
func Matrices(net nn.Layer) []*tensor.Tensor {
	var out []*tensor.Tensor
	for _, w := range nn.Params(net) {
		if w.Rank() > 1 {
			out = append(out, w)
		}
	}
	return out
}

// Perturbed is a network with other values for some of its parameters, which it
// leaves as they are. It is a network in its own right, whose parameters are those
// values: attacks, faults, quantisation and certificates start from them. All its other
// parameters and its statistics are those of Net itself, which training, nn.Load, nn.Copy
// and nn.Convert would change with it.
type Perturbed struct {
	Net    nn.Layer
	Params []*tensor.Tensor // parameters of Net
	Values []*tensor.Tensor // what to use for them, of the same shapes
}

// Forward computes the network's output with the other values.
func (n Perturbed) Forward(p *nn.Pass, x *tensor.Tensor) *tensor.Tensor {
	defer n.use(p)()
	return n.Net.Forward(p, x)
}

// use makes a pass use the values, or what it uses for them, and returns a function
// that makes it use for the parameters what it used before.
func (n Perturbed) use(p *nn.Pass) (restore func()) {
	before, after := make([]*tensor.Tensor, len(n.Params)), make([]*tensor.Tensor, len(n.Params))
	for i, w := range n.Params {
		before[i], after[i] = p.Value(w), p.Value(n.Values[i])
	}
	for i, w := range n.Params {
		p.Use(w, after[i])
	}
	return func() {
		for i, w := range n.Params {
			p.Use(w, before[i])
		}
	}
}

// Visit visits the tensors of the network, the values in place of their parameters.
func (n Perturbed) Visit(prefix string, visit func(nn.Slot)) {
	n.Net.Visit(prefix, func(s nn.Slot) {
		if i := slices.Index(n.Params, s.Tensor); i >= 0 {
			s.Tensor = n.Values[i]
		}
		visit(s)
	})
}

// evalBatch is the number of inputs in a forward pass.
const evalBatch = 500

// Accuracy returns the share of inputs x [N, ...] that the network, in evaluation
// mode, gives their labels y: a whole number of N, of which attack.NewEstimate makes an
// interval.
func Accuracy(ctx context.Context, net nn.Layer, x *tensor.Tensor, y []int) (float64, error) {
	if err := checkData(net, x, y); err != nil {
		return 0, fmt.Errorf("weightpert: Accuracy: %w", err)
	}
	n := len(y)
	hits := make([]int, (n+evalBatch-1)/evalBatch)
	par.For(len(hits), 1, func(lo, hi int) {
		tape := tensor.NewTape()
		for b := lo; b < hi && ctx.Err() == nil; b++ {
			tape.Reset()
			from, to := b*evalBatch, min(n, (b+1)*evalBatch)
			for i, c := range tensor.ArgMax(net.Forward(&nn.Pass{}, tape.Const(tensor.Slice(x, 0, from, to)))) {
				if c == y[from+i] {
					hits[b]++
				}
			}
		}
	})
	if err := ctx.Err(); err != nil {
		return 0, fmt.Errorf("weightpert: Accuracy: stopped: %w", err)
	}
	sum := 0
	for _, h := range hits {
		sum += h
	}
	return float64(sum) / float64(n), nil
}

// MeanCrossEntropy returns the mean cross-entropy, in nats, of the network, in
// evaluation mode, over inputs x [N, ...] with labels y.
func MeanCrossEntropy(ctx context.Context, net nn.Layer, x *tensor.Tensor, y []int) (float64, error) {
	if err := checkData(net, x, y); err != nil {
		return 0, fmt.Errorf("weightpert: MeanCrossEntropy: %w", err)
	}
	n := len(y)
	parts := make([]float64, (n+evalBatch-1)/evalBatch)
	par.For(len(parts), 1, func(lo, hi int) {
		tape := tensor.NewTape()
		for b := lo; b < hi && ctx.Err() == nil; b++ {
			tape.Reset()
			from, to := b*evalBatch, min(n, (b+1)*evalBatch)
			f := net.Forward(&nn.Pass{}, tape.Const(tensor.Slice(x, 0, from, to)))
			for _, v := range tensor.CrossEntropy(f, y[from:to]).Values() {
				parts[b] += v
			}
		}
	})
	if err := ctx.Err(); err != nil {
		return 0, fmt.Errorf("weightpert: MeanCrossEntropy: stopped: %w", err)
	}
	sum := 0.0
	for _, v := range parts {
		sum += v
	}
	return sum / float64(n), nil
}

// checkData says what is wrong with a network, inputs and labels.
func checkData(net nn.Layer, x *tensor.Tensor, y []int) (err error) {
	switch {
	case net == nil:
		return errors.New("no network")
	case x == nil || x.Rank() < 2 || x.Dim(0) == 0 || len(y) == 0:
		return errors.New("0 inputs, want at least 1")
	case x.Dim(0) != len(y):
		return fmt.Errorf("%d inputs with %d labels, want as many", x.Dim(0), len(y))
	}
	for i, w := range nn.Params(net) {
		if w.DType() != x.DType() {
			return fmt.Errorf("inputs are %v, but parameter %d is %v, want one type", x.DType(), i, w.DType())
		}
		if !tensor.AllFinite(w) {
			return fmt.Errorf("parameter %d of shape %v is not finite", i, w.Shape())
		}
	}
	if !tensor.AllFinite(x) {
		return errors.New("inputs are not finite")
	}
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("network does not take inputs of shape %v: %v", x.Shape()[1:], p)
		}
	}()
	f := net.Forward(&nn.Pass{}, tensor.Slice(x, 0, 0, 1))
	if f.Rank() != 2 || f.Dim(1) < 2 {
		return fmt.Errorf("network returned %v for one input, want logits [1 classes] of at least 2 classes", f.Shape())
	}
	for i, c := range y {
		if c < 0 || c >= f.Dim(1) {
			return fmt.Errorf("label %d is %d, want 0 to %d", i, c, f.Dim(1)-1)
		}
	}
	return nil
}

// chosen returns the tensors at the given positions, all for none.
func chosen(all []*tensor.Tensor, layers []int) ([]*tensor.Tensor, error) {
	if len(all) == 0 {
		return nil, errors.New("network has no weight matrices")
	}
	if len(layers) == 0 {
		return all, nil
	}
	var out []*tensor.Tensor
	for _, i := range layers {
		if i < 0 || i >= len(all) {
			return nil, fmt.Errorf("no weight matrix %d, want 0 to %d", i, len(all)-1)
		}
		out = append(out, all[i])
	}
	return out, nil
}

// deviation returns the standard deviation of a tensor's values.
func deviation(w *tensor.Tensor) float64 {
	mean, sq := 0.0, 0.0
	v := w.Values()
	for _, x := range v {
		mean += x / float64(len(v))
	}
	for _, x := range v {
		sq += (x - mean) * (x - mean) / float64(len(v))
	}
	return math.Sqrt(sq)
}

// frobenius returns the square root of the sum of squares of a tensor's values.
func frobenius(w *tensor.Tensor) float64 { return norm(w.Values(), 2) }
