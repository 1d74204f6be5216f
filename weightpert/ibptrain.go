package weightpert

import (
	"context"
	"fmt"
	"math"

	"github.com/redoubt-ml/redoubt/tensor"
	"github.com/redoubt-ml/redoubt/tensor/nn"
)

// IBPTraining trains on certified margins: with the lower margins m of IBP, 0 for
// the label,
//
//	k CE(f(x), y) + (1-k) CE(-m, y),
//
// for networks of dense layers with ReLU between them. Over the steps From to To the
// box grows from 0 to Eps and k falls from 1 to Kappa. Memory grows with the square of
// the number of classes, K² values for each example and each unit of the last hidden
// layer: it is for some tens of classes.
type IBPTraining struct {
	Eps float64 // how far each weight may move, 0 or more; biases stay
	// Kappa is the weight of the plain cross-entropy in the end; 0 means 0.5,
	// and a negative number none.
	Kappa    float64
	From, To int // training steps; both 0 take Eps in full from the first step
	// Linear takes the margins from CROWN-IBP, which propagates linear bounds
	// backwards, in place of IBP: tighter, and K times as slow for K classes.
	Linear bool
}

// Loss is the loss of a batch, for nn.Trainer.
func (t *IBPTraining) Loss(_ context.Context, p *nn.Pass, net nn.Layer, b nn.Batch) (*tensor.Tensor, error) {
	layers, err := denseLayers(net)
	switch {
	case err != nil:
	case !(t.Eps >= 0 && t.Eps <= math.MaxFloat32):
		err = fmt.Errorf("change Eps is %v, want a finite number of 0 or more", t.Eps)
	case !(t.Kappa <= 1):
		err = fmt.Errorf("factor Kappa is %v, want at most 1", t.Kappa)
	case t.From < 0 || t.To < t.From:
		err = fmt.Errorf("steps from %d to %d, want 0 or more in order", t.From, t.To)
	}
	if err != nil {
		return nil, fmt.Errorf("weightpert: IBPTraining: %w", err)
	}
	kappa := t.Kappa
	if kappa == 0 {
		kappa = 0.5
	}
	strength := rampAt(b.Step, t.From, t.To)
	k := 1 - strength*(1-max(kappa, 0))
	loss := tensor.Mean(tensor.CrossEntropy(net.Forward(p, b.X), b.Y))
	if k == 1 {
		return loss, nil
	}
	bound := intervalMargins
	if t.Linear {
		bound = linearMargins
	}
	low := bound(p, layers, tensor.Flatten(b.X), b.Y, strength*t.Eps)
	robust := tensor.Mean(tensor.CrossEntropy(tensor.Neg(low), b.Y))
	return tensor.Add(tensor.MulScalar(loss, k), tensor.MulScalar(robust, 1-k)), nil
}

// interval holds bounds [N, d] of a layer's values.
type interval struct{ lo, hi *tensor.Tensor }

// intervals returns the bounds of the pre-activations of the hidden layers when every
// weight moves by eps.
func intervals(p *nn.Pass, layers []*nn.Linear, x *tensor.Tensor, eps float64) []interval {
	var out []interval
	for i, l := range layers[:len(layers)-1] {
		w, bias := p.Value(l.Weight), optional(p, l.Bias)
		if i == 0 {
			a := tensor.Linear(x, w, bias, tensor.Identity)
			r := tensor.MulScalar(l1(x), eps)
			out = append(out, interval{tensor.Sub(a, r), tensor.Add(a, r)})
			continue
		}
		lo, hi := tensor.ReLU(out[i-1].lo), tensor.ReLU(out[i-1].hi)
		up, down := tensor.AddScalar(w, eps), tensor.AddScalar(w, -eps)
		out = append(out, interval{
			tensor.Sub(tensor.Linear(lo, tensor.ReLU(down), bias, tensor.Identity), tensor.MatMul(hi, tensor.ReLU(tensor.Neg(down)))),
			tensor.Sub(tensor.Linear(hi, tensor.ReLU(up), bias, tensor.Identity), tensor.MatMul(lo, tensor.ReLU(tensor.Neg(up)))),
		})
	}
	return out
}

// intervalMargins returns IBP's lower margins [N, K] of the labels y, 0 for the
// label itself, when every weight moves by eps.
func intervalMargins(p *nn.Pass, layers []*nn.Linear, x *tensor.Tensor, y []int, eps float64) *tensor.Tensor {
	last := len(layers) - 1
	pre := intervals(p, layers, x, eps)
	w := p.Value(layers[last].Weight)
	d, k, n := w.Dim(0), w.Dim(1), len(y)
	c := tensor.Reshape(differences(w), d, k*k)
	var all *tensor.Tensor // [N, K K], the margin of each class over each
	if last == 0 {
		// The inputs are known and may have any sign.
		all = tensor.Sub(tensor.MatMul(x, c), tensor.MulScalar(l1(x), 2*eps))
	} else {
		c = tensor.AddScalar(c, -2*eps)
		lo, hi := tensor.ReLU(pre[last-1].lo), tensor.ReLU(pre[last-1].hi)
		all = tensor.Sub(tensor.MatMul(lo, tensor.ReLU(c)), tensor.MatMul(hi, tensor.ReLU(tensor.Neg(c))))
	}
	if bias := optional(p, layers[last].Bias); bias != nil {
		all = tensor.Add(all, tensor.Reshape(biasDifferences(bias), 1, k*k))
	}
	rows := make([]int, n)
	for i, c := range y {
		rows[i] = i*k + c
	}
	return tensor.Mul(tensor.Gather(tensor.Reshape(all, n*k, k), rows), others(w.DType(), y, k))
}

// biasDifferences returns b_i - b_j, [K, K].
func biasDifferences(b *tensor.Tensor) *tensor.Tensor {
	k := b.Dim(0)
	return tensor.Sub(tensor.Reshape(b, k, 1), tensor.Reshape(b, 1, k))
}

// others is 1 for every class but the label, [N, K].
func others(dtype tensor.DType, y []int, k int) *tensor.Tensor {
	out := tensor.Full(dtype, 1, len(y), k)
	for i, c := range y {
		out.Set(0, i, c)
	}
	return out
}

// linearMargins returns CROWN-IBP's lower margins, as intervalMargins does.
func linearMargins(p *nn.Pass, layers []*nn.Linear, x *tensor.Tensor, y []int, eps float64) *tensor.Tensor {
	last := len(layers) - 1
	if last == 0 {
		return intervalMargins(p, layers, x, y, eps)
	}
	pre := intervals(p, layers, x, eps)
	w := p.Value(layers[last].Weight)
	k, n := w.Dim(1), len(y)
	// The coefficients on the outputs of the hidden layer at hand, [N, K, d].
	coef := tensor.Gather(tensor.Transpose(tensor.AddScalar(differences(w), -2*eps), 1, 2, 0), y)
	constant := tensor.Zeros(w.DType(), n, k)
	if bias := optional(p, layers[last].Bias); bias != nil {
		constant = tensor.Gather(biasDifferences(bias), y)
	}
	for i := last - 1; ; i-- {
		d := pre[i].lo.Dim(1)
		lo, hi := tensor.Reshape(pre[i].lo, n, 1, d), tensor.Reshape(pre[i].hi, n, 1, d)
		above, below := tensor.ReLU(hi), tensor.ReLU(tensor.Neg(lo))
		chord := tensor.Div(above, tensor.AddScalar(tensor.Add(above, below), 1e-12))
		pos, neg := tensor.ReLU(coef), tensor.ReLU(tensor.Neg(coef))
		constant = tensor.Sub(constant, tensor.Sum(tensor.Mul(neg, tensor.Mul(chord, below)), 2))
		coef = tensor.Sub(tensor.Mul(pos, tensor.GreaterEqual(hi, tensor.Neg(lo))), tensor.Mul(neg, chord))
		pos, neg = tensor.ReLU(coef), tensor.ReLU(tensor.Neg(coef))
		if i == 0 {
			low := tensor.Add(constant, tensor.Sum(tensor.Sub(tensor.Mul(pos, lo), tensor.Mul(neg, hi)), 2))
			return tensor.Mul(low, others(w.DType(), y, k))
		}
		if bias := optional(p, layers[i].Bias); bias != nil {
			constant = tensor.Add(constant, tensor.Sum(tensor.Mul(coef, tensor.Reshape(bias, 1, 1, d)), 2))
		}
		w := p.Value(layers[i].Weight)
		flat := func(c *tensor.Tensor) *tensor.Tensor { return tensor.Reshape(c, n*k, d) }
		coef = tensor.Sub(tensor.MatMulT(flat(pos), tensor.AddScalar(w, -eps), false, true), tensor.MatMulT(flat(neg), tensor.AddScalar(w, eps), false, true))
		coef = tensor.Reshape(coef, n, k, w.Dim(0))
	}
}
