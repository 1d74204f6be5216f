package weightpert

import (
	"context"
	"fmt"
	"math"

	"github.com/redoubt-ml/redoubt/tensor"
	"github.com/redoubt-ml/redoubt/tensor/nn"
)

// TheoryLoss is training with the margin bound and the norms of the generalization
// bound,
//
//	CE(f(x), y) + Lambda max_{j≠y} η_yj(x) + Mu Σ_m (‖W_m‖∞ + ‖W_m‖₁),
//
// for networks of dense layers with ReLU between them. The form of the loss is that
// reported for Tsai et al., NeurIPS 2021; see Eta for the choices of η.
type TheoryLoss struct {
	Lambda, Mu float64 // 0 leaves a term out
	// Eps is the change of each weight that η is for; 0 means 0.01.
	Eps float64
	Eta Eta // the zero value is FirstOrder
	// RampSteps is the number of training steps over which Lambda and Mu grow
	// linearly from 0; 0 takes them in full from the first step. Three tenths
	// of all steps are a good choice.
	RampSteps int
}

// Eta selects the bound of TheoryLoss.
type Eta uint8

// Bounds of TheoryLoss.
const (
	// FirstOrder is Σ_m eps ‖z_{m-1}‖₁ S_m, the common limit of T1 and T2 for
	// small eps: cheap and stable, but no bound.
	FirstOrder Eta = iota
	EtaT1          // the bound T1 of Product
	EtaT2          // the bound T2 of Product
)

// Loss is the loss of a batch, for nn.Trainer.
func (t *TheoryLoss) Loss(_ context.Context, p *nn.Pass, net nn.Layer, b nn.Batch) (*tensor.Tensor, error) {
	layers, err := denseLayers(net)
	if err == nil {
		err = t.check()
	}
	if err != nil {
		return nil, fmt.Errorf("weightpert: TheoryLoss: %w", err)
	}
	eps := t.Eps
	if eps == 0 {
		eps = 0.01
	}
	ramp := rampAt(b.Step, 0, t.RampSteps)
	acts := []*tensor.Tensor{tensor.Flatten(b.X)}
	last := len(layers) - 1
	for i, l := range layers {
		act := tensor.Rectify
		if i == last {
			act = tensor.Identity
		}
		acts = append(acts, tensor.Linear(acts[i], p.Value(l.Weight), optional(p, l.Bias), act))
	}
	loss := tensor.Mean(tensor.CrossEntropy(acts[last+1], b.Y))
	if t.Lambda != 0 {
		if t.Eta == EtaT1 {
			acts = envelope(p, layers, acts[0], eps)
		}
		loss = tensor.Add(loss, tensor.MulScalar(t.eta(p, layers, acts, b.Y, eps), ramp*t.Lambda))
	}
	if t.Mu != 0 {
		for _, l := range layers {
			w := p.Value(l.Weight)
			loss = tensor.Add(loss, tensor.MulScalar(tensor.Add(rowSum(w), columnSum(w)), ramp*t.Mu))
		}
	}
	return loss, nil
}

func (t *TheoryLoss) check() error {
	switch {
	case !(t.Lambda >= 0 && t.Lambda <= math.MaxFloat32):
		return fmt.Errorf("factor Lambda is %v, want a finite number of 0 or more", t.Lambda)
	case !(t.Mu >= 0 && t.Mu <= math.MaxFloat32):
		return fmt.Errorf("factor Mu is %v, want a finite number of 0 or more", t.Mu)
	case !(t.Eps >= 0 && t.Eps <= math.MaxFloat32):
		return fmt.Errorf("change Eps is %v, want a finite number of 0 or more", t.Eps)
	case t.Eta > EtaT2:
		return fmt.Errorf("unknown bound %d", t.Eta)
	case t.RampSteps < 0:
		return fmt.Errorf("RampSteps is %d, want 0 or more", t.RampSteps)
	}
	return nil
}

// eta returns the mean over the batch of max_j η_yj. Only the norm of the rows'
// difference depends on j, so its largest value decides.
func (t *TheoryLoss) eta(p *nn.Pass, layers []*nn.Linear, acts []*tensor.Tensor, y []int, eps float64) *tensor.Tensor {
	last := len(layers) - 1
	mean := func(i int) *tensor.Tensor { return tensor.MulScalar(l1(acts[i]), eps) } // [N, 1]
	total := tensor.MulScalar(mean(last), 2)
	if last == 0 {
		return tensor.Mean(total)
	}
	top := p.Value(layers[last].Weight)
	k := top.Dim(1)
	pair := tensor.Max(tensor.Sum(tensor.Abs(differences(top)), 0), 1)
	if t.Eta == EtaT2 {
		pair = tensor.AddScalar(pair, 2*eps*float64(top.Dim(0)))
	}
	var sum *tensor.Tensor
	gain := tensor.Scalar(top.DType(), 1)
	for i := last - 1; i >= 0; i-- {
		term := tensor.Mul(mean(i), gain)
		if sum == nil {
			sum = term
		} else {
			sum = tensor.Add(sum, term)
		}
		if i > 0 {
			w := p.Value(layers[i].Weight)
			norm := rowSum(w)
			if t.Eta == EtaT2 {
				norm = tensor.AddScalar(norm, eps*float64(w.Dim(0)))
			}
			gain = tensor.Mul(gain, norm)
		}
	}
	return tensor.Mean(tensor.Add(total, tensor.Mul(sum, tensor.Gather(tensor.Reshape(pair, k, 1), y))))
}

// envelope returns the enlarged activations of T1, the input in front.
func envelope(p *nn.Pass, layers []*nn.Linear, x *tensor.Tensor, eps float64) []*tensor.Tensor {
	acts := []*tensor.Tensor{x}
	for i, l := range layers[:len(layers)-1] {
		w := p.Value(l.Weight)
		if i > 0 {
			w = tensor.ReLU(w)
		}
		a := tensor.Linear(acts[i], w, optional(p, l.Bias), tensor.Identity)
		acts = append(acts, tensor.ReLU(tensor.Add(a, tensor.MulScalar(l1(acts[i]), eps))))
	}
	return acts
}
