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
// box grows from 0 to Eps and k falls from 1 to Kappa.
type IBPTraining struct {
	Eps float64 // how far each weight may move; biases stay
	// Kappa is the weight of the plain cross-entropy in the end; 0 means 0.5,
	// and a negative number none.
	Kappa    float64
	From, To int // training steps; both 0 take Eps in full from the first step
}

// Loss is the loss of a batch, for nn.Trainer.
func (t *IBPTraining) Loss(_ context.Context, p *nn.Pass, net nn.Layer, b nn.Batch) (*tensor.Tensor, error) {
	layers, err := denseLayers(net)
	switch {
	case err != nil:
	case !(t.Eps >= 0 && t.Eps <= math.MaxFloat32):
		err = fmt.Errorf("Eps is %v, want a finite number of 0 or more", t.Eps)
	case !(t.Kappa <= 1):
		err = fmt.Errorf("Kappa is %v, want at most 1", t.Kappa)
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
	low := intervalMargins(p, layers, tensor.Flatten(b.X), b.Y, strength*t.Eps)
	robust := tensor.Mean(tensor.CrossEntropy(tensor.Neg(low), b.Y))
	return tensor.Add(tensor.MulScalar(loss, k), tensor.MulScalar(robust, 1-k)), nil
}

// intervalMargins returns IBP's lower margins [N, K] of the labels y, 0 for the
// label itself, when every weight moves by eps.
func intervalMargins(p *nn.Pass, layers []*nn.Linear, x *tensor.Tensor, y []int, eps float64) *tensor.Tensor {
	last := len(layers) - 1
	lo, hi := x, x
	for i, l := range layers[:last] {
		w := p.Value(l.Weight)
		if i == 0 {
			a := tensor.Linear(x, w, optional(p, l.Bias), tensor.Identity)
			r := tensor.MulScalar(l1(x), eps)
			lo, hi = tensor.ReLU(tensor.Sub(a, r)), tensor.ReLU(tensor.Add(a, r))
			continue
		}
		up, down := tensor.AddScalar(w, eps), tensor.AddScalar(w, -eps)
		above := tensor.Sub(tensor.Linear(hi, tensor.ReLU(up), optional(p, l.Bias), tensor.Identity), tensor.MatMul(lo, tensor.ReLU(tensor.Neg(up))))
		below := tensor.Sub(tensor.Linear(lo, tensor.ReLU(down), optional(p, l.Bias), tensor.Identity), tensor.MatMul(hi, tensor.ReLU(tensor.Neg(down))))
		lo, hi = tensor.ReLU(below), tensor.ReLU(above)
	}
	w := p.Value(layers[last].Weight)
	d, k, n := w.Dim(0), w.Dim(1), len(y)
	c := tensor.Reshape(tensor.AddScalar(differences(w), -2*eps), d, k*k)
	var all *tensor.Tensor // [N, K K], the margin of each class over each
	if last == 0 {
		// The inputs are known and may have any sign.
		c := tensor.Reshape(differences(w), d, k*k)
		all = tensor.Sub(tensor.MatMul(x, c), tensor.MulScalar(l1(x), 2*eps))
	} else {
		all = tensor.Sub(tensor.MatMul(lo, tensor.ReLU(c)), tensor.MatMul(hi, tensor.ReLU(tensor.Neg(c))))
	}
	if bias := optional(p, layers[last].Bias); bias != nil {
		pair := tensor.Sub(tensor.Reshape(bias, k, 1), tensor.Reshape(bias, 1, k))
		all = tensor.Add(all, tensor.Reshape(pair, 1, k*k))
	}
	rows, own := make([]int, n), tensor.Full(w.DType(), 1, n, k)
	for i, c := range y {
		rows[i] = i*k + c
		own.Set(0, i, c)
	}
	return tensor.Mul(tensor.Gather(tensor.Reshape(all, n*k, k), rows), own)
}
