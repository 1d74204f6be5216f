package weightpert

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"

	"github.com/redoubt-ml/redoubt/tensor"
	"github.com/redoubt-ml/redoubt/tensor/nn"
)

// AWP is training at adversarially changed weights: each weight matrix moves up the
// gradient of the batch's loss by Gamma times its own norm, and the gradient there
// moves the weights. On clean inputs it is a sharpness-aware minimisation normalised
// layer by layer.
//
// That gradient is of the network in training too: normalisation takes the statistics
// of the batch, Dropout draws anew.
//
// Wu, Xia and Wang, NeurIPS 2020, Eq. (10), with clean inputs. The reference adds
// and subtracts the change; here the weights themselves are never touched.
type AWP struct {
	Gamma float64 // relative size of the change; 0.005 to 0.02 are customary, 0 trains at the weights themselves
}

// Loss is the cross-entropy at the changed weights, for nn.Trainer.
func (t *AWP) Loss(_ context.Context, p *nn.Pass, net nn.Layer, b nn.Batch) (*tensor.Tensor, error) {
	if err := hasMatrices(net); err != nil {
		return nil, fmt.Errorf("weightpert: AWP: %w", err)
	}
	if !(t.Gamma >= 0 && t.Gamma <= math.MaxFloat32) {
		return nil, fmt.Errorf("weightpert: AWP: Gamma is %v, want a finite number of 0 or more", t.Gamma)
	}
	ws := Matrices(net)
	for i, g := range ascentGradients(p, net, ws, b) {
		if size := frobenius(g); size > 0 {
			p.Use(ws[i], tensor.Add(p.Value(ws[i]), tensor.MulScalar(g, t.Gamma*frobenius(ws[i])/size)))
		}
	}
	return crossEntropy(p, net, b), nil
}

// SAM is training at weights that have moved by Rho, over all matrices together, up
// the gradient of the batch's loss, which is taken as AWP takes it.
//
// Foret et al., ICLR 2021, Algorithm 1 with p = 2.
type SAM struct {
	Rho float64 // Euclidean size of the change; 0.05 is customary, 0 trains at the weights themselves
}

// Loss is the cross-entropy at the changed weights, for nn.Trainer.
func (t *SAM) Loss(_ context.Context, p *nn.Pass, net nn.Layer, b nn.Batch) (*tensor.Tensor, error) {
	if err := hasMatrices(net); err != nil {
		return nil, fmt.Errorf("weightpert: SAM: %w", err)
	}
	if !(t.Rho >= 0 && t.Rho <= math.MaxFloat32) {
		return nil, fmt.Errorf("weightpert: SAM: Rho is %v, want a finite number of 0 or more", t.Rho)
	}
	ws := Matrices(net)
	grads := ascentGradients(p, net, ws, b)
	sq := 0.0
	for _, g := range grads {
		sq += frobenius(g) * frobenius(g)
	}
	if sq > 0 {
		for i, g := range grads {
			p.Use(ws[i], tensor.Add(p.Value(ws[i]), tensor.MulScalar(g, t.Rho/math.Sqrt(sq))))
		}
	}
	return crossEntropy(p, net, b), nil
}

// SignStep is training at weights that have all moved by Eps in the direction of
// their gradient's sign, which is taken as AWP takes it: a single step of the universal
// attack.
type SignStep struct {
	Eps float64 // size of the change of every weight; 0 trains at the weights themselves
}

// Loss is the cross-entropy at the changed weights, for nn.Trainer.
func (t *SignStep) Loss(_ context.Context, p *nn.Pass, net nn.Layer, b nn.Batch) (*tensor.Tensor, error) {
	if err := hasMatrices(net); err != nil {
		return nil, fmt.Errorf("weightpert: SignStep: %w", err)
	}
	if !(t.Eps >= 0 && t.Eps <= math.MaxFloat32) {
		return nil, fmt.Errorf("weightpert: SignStep: Eps is %v, want a finite number of 0 or more", t.Eps)
	}
	ws := Matrices(net)
	for i, g := range ascentGradients(p, net, ws, b) {
		p.Use(ws[i], tensor.Add(p.Value(ws[i]), tensor.MulScalar(tensor.Sign(g), t.Eps)))
	}
	return crossEntropy(p, net, b), nil
}

// WeightNoise is training at noisy weight matrices, with new noise in each step.
type WeightNoise struct {
	Eps   float64 // half-width of uniform noise; 0 for none
	Alpha float64 // normal noise, in standard deviations of each matrix; 0 for none
	Seed  uint64  // of the noise
}

// Loss is the cross-entropy at the noisy weights, for nn.Trainer.
func (t *WeightNoise) Loss(_ context.Context, p *nn.Pass, net nn.Layer, b nn.Batch) (*tensor.Tensor, error) {
	if err := hasMatrices(net); err != nil {
		return nil, fmt.Errorf("weightpert: WeightNoise: %w", err)
	}
	if !(t.Eps >= 0 && t.Eps <= math.MaxFloat32) || !(t.Alpha >= 0 && t.Alpha <= math.MaxFloat32) {
		return nil, fmt.Errorf("weightpert: WeightNoise: Eps is %v and Alpha %v, want finite numbers of 0 or more", t.Eps, t.Alpha)
	}
	rng := rand.New(rand.NewPCG(t.Seed^0x0153, uint64(b.Step)))
	for _, w := range Matrices(net) {
		if t.Eps > 0 {
			p.Use(w, tensor.Add(p.Value(w), tensor.Uniform(rng, w.DType(), -t.Eps, t.Eps, w.Shape()...)))
		}
		if t.Alpha > 0 {
			p.Use(w, tensor.Add(p.Value(w), tensor.Normal(rng, w.DType(), 0, t.Alpha*deviation(w), w.Shape()...)))
		}
	}
	return crossEntropy(p, net, b), nil
}

// QuantAware is quantisation-aware training: the forward pass sees rounded weight
// matrices, and the gradient passes through the rounding.
type QuantAware struct {
	Quantizer Quantizer // rounds the weights
}

// Loss is the cross-entropy of the quantised network, for nn.Trainer.
func (t *QuantAware) Loss(_ context.Context, p *nn.Pass, net nn.Layer, b nn.Batch) (*tensor.Tensor, error) {
	q, err := t.Quantizer.Quantize(net)
	if err != nil {
		return nil, err
	}
	for i := range q.Layers {
		w := q.Layers[i].param
		p.Use(w, tensor.Add(p.Value(w), tensor.Sub(q.Layers[i].value, w)))
	}
	return crossEntropy(p, net, b), nil
}

func crossEntropy(p *nn.Pass, net nn.Layer, b nn.Batch) *tensor.Tensor {
	return tensor.Mean(tensor.CrossEntropy(net.Forward(p, b.X), b.Y))
}

// like returns a pass in the mode of p. The batch statistics that it meets enter no
// running averages.
func like(p *nn.Pass) *nn.Pass { return &nn.Pass{Train: p.Train, Stats: p.Stats, Rand: p.Rand} }

// ascentGradients returns the gradients of the batch's loss, in the mode of p, at the
// weights as they are.
func ascentGradients(p *nn.Pass, net nn.Layer, ws []*tensor.Tensor, b nn.Batch) []*tensor.Tensor {
	tape := tensor.NewTape()
	pass := like(p)
	watched := pass.Watch(tape, ws)
	x := tape.Const(b.X.Clone())
	grads := tensor.Grad(tensor.Mean(tensor.CrossEntropy(net.Forward(pass, x), b.Y)), watched...)
	for i, g := range grads {
		grads[i] = g.Clone()
	}
	return grads
}
