package weightpert

import (
	"context"
	"fmt"
	"math"

	"github.com/redoubt-ml/redoubt/tensor"
	"github.com/redoubt-ml/redoubt/tensor/nn"
	"github.com/redoubt-ml/redoubt/tensor/optim"
)

// RandBET is training with random bit errors: the mean of the gradient at the
// weights and of the gradient at quantised weights with random bit errors, whose
// values are clipped. Weights should be clipped too, see ClipWeights.
//
// Stutz et al., MLSys 2021, Algorithm 1, with the settings of the public
// implementation.
type RandBET struct {
	P         float64   // probability of a bit error, 0 to 1
	Quantizer Quantizer // rounds the weights before bits are flipped
	// Clip bounds the gradient at the weights with errors; 0 means 0.05.
	Clip float64
	// Threshold is the loss of a batch below which errors are injected; 0 means
	// 1.75.
	Threshold float64
	Seed      uint64 // of the bit errors
}

// Loss is the loss of a batch, for nn.Trainer.
func (t *RandBET) Loss(_ context.Context, p *nn.Pass, net nn.Layer, b nn.Batch) (*tensor.Tensor, error) {
	if err := hasMatrices(net); err != nil {
		return nil, fmt.Errorf("weightpert: RandBET: %w", err)
	}
	clip, threshold := t.Clip, t.Threshold
	if clip == 0 {
		clip = 0.05
	}
	if threshold == 0 {
		threshold = 1.75
	}
	if !(clip > 0 && clip <= math.MaxFloat32) || !(threshold > 0) {
		return nil, fmt.Errorf("weightpert: RandBET: Clip is %v and Threshold %v, want above 0", t.Clip, t.Threshold)
	}
	clean := crossEntropy(p, net, b)
	if !(clean.Item() < threshold) {
		return clean, nil
	}
	q, err := t.Quantizer.Quantize(net)
	if err != nil {
		return nil, err
	}
	if q, err = q.RandomBitErrors(t.P, t.Seed+uint64(b.Step)*0x9e3779b97f4a7c15); err != nil {
		return nil, err
	}
	tape := tensor.NewTape()
	pass := like(p)
	params := nn.Params(net)
	broken := q.Network()
	watched := make([]*tensor.Tensor, len(params))
	for i, w := range params {
		value := w
		for k, o := range broken.Params {
			if o == w {
				value = broken.Values[k]
			}
		}
		watched[i] = tape.Watch(value)
		pass.Use(w, watched[i])
	}
	loss := tensor.Mean(tensor.CrossEntropy(net.Forward(pass, tape.Const(b.X.Clone())), b.Y))
	total := tensor.AddScalar(clean, loss.Item())
	for i, g := range tensor.Gradients(loss, tensor.GradOptions{NilUnreached: true}, watched...) {
		if g == nil {
			continue
		}
		// Its gradient with respect to the weights is g, its value 0.
		g = tensor.Clamp(g.Clone(), -clip, clip)
		w := p.Value(params[i])
		total = tensor.Add(total, tensor.Dot(g, tensor.Sub(w, params[i])))
	}
	return tensor.MulScalar(total, 0.5), nil
}

// ClipWeights is an optimiser that keeps every parameter within ±Max.
type ClipWeights struct {
	optim.Optimizer
	Max float64 // above 0; 0.1 is customary against bit errors
}

var _ optim.Optimizer = ClipWeights{}

// Step changes params in place.
func (o ClipWeights) Step(lr float64, params, grads []*tensor.Tensor) {
	if !(o.Max > 0) {
		panic(fmt.Sprintf("weightpert: ClipWeights: Max is %v, want above 0", o.Max))
	}
	o.Optimizer.Step(lr, params, grads)
	for _, w := range params {
		w.CopyFrom(tensor.Clamp(w, -o.Max, o.Max))
	}
}

// String describes the rule.
func (o ClipWeights) String() string {
	return fmt.Sprintf("%v, weights within ±%v", o.Optimizer, o.Max)
}

// ClipGradient is an optimiser that shortens the gradient of all parameters together
// to the length Max.
type ClipGradient struct {
	optim.Optimizer
	Max float64 // above 0
}

var _ optim.Optimizer = ClipGradient{}

// Step changes params in place.
func (o ClipGradient) Step(lr float64, params, grads []*tensor.Tensor) {
	if !(o.Max > 0) {
		panic(fmt.Sprintf("weightpert: ClipGradient: Max is %v, want above 0", o.Max))
	}
	sq := 0.0
	for _, g := range grads {
		if g != nil {
			sq += tensor.Dot(g, g).Item()
		}
	}
	if size := math.Sqrt(sq); size > o.Max {
		short := make([]*tensor.Tensor, len(grads))
		for i, g := range grads {
			if g != nil {
				short[i] = tensor.MulScalar(g, o.Max/size)
			}
		}
		grads = short
	}
	o.Optimizer.Step(lr, params, grads)
}

// String describes the rule.
func (o ClipGradient) String() string {
	return fmt.Sprintf("%v, gradients of at most %v", o.Optimizer, o.Max)
}
