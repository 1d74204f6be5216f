package weightpert

import (
	"context"
	"fmt"
	"math"

	"github.com/redoubt-ml/redoubt/tensor"
	"github.com/redoubt-ml/redoubt/tensor/nn"
)

// Clustering is training that draws the positive weights of each matrix together, and
// the negative ones, so that no single bit of a quantised weight matters much:
//
//	CE + Coefficient Σ (‖W⁺ - mean W⁺‖² + ‖W⁻ - mean W⁻‖²).
//
// He et al., CVPR 2020, section 4.2.
type Clustering struct {
	Coefficient float64 // 1e-3 is customary, 0 is training without it
}

// Loss is the loss of a batch, for nn.Trainer.
func (t *Clustering) Loss(_ context.Context, p *nn.Pass, net nn.Layer, b nn.Batch) (*tensor.Tensor, error) {
	if err := hasMatrices(net); err != nil {
		return nil, fmt.Errorf("weightpert: Clustering: %w", err)
	}
	if !(t.Coefficient >= 0 && t.Coefficient <= math.MaxFloat32) {
		return nil, fmt.Errorf("weightpert: Clustering: Coefficient is %v, want a finite number of 0 or more", t.Coefficient)
	}
	loss := crossEntropy(p, net, b)
	for _, w := range Matrices(net) {
		v := p.Value(w)
		for _, side := range []*tensor.Tensor{v, tensor.Neg(v)} {
			on := tensor.Step(side.Detach())
			count := tensor.Sum(on).Item()
			if count == 0 {
				continue
			}
			mean := tensor.MulScalar(tensor.Dot(side, on), 1/count)
			spread := tensor.Mul(tensor.Sub(side, mean), on)
			loss = tensor.Add(loss, tensor.MulScalar(tensor.Dot(spread, spread), t.Coefficient))
		}
	}
	return loss, nil
}
