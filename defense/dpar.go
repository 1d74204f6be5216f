package defense

import (
	"github.com/redoubt-ml/redoubt/tensor"
	"github.com/redoubt-ml/redoubt/tensor/nn"
)

// LogDet is the diversity of K gradients of each of n examples, log det(GᵀG + ridge I)
// with G's columns scaled to length 1: 0 (but for the ridge) where they are orthogonal,
// and less elsewhere. gradients are K tensors [n, ...]; the result is [n] and can be
// differentiated in them. The ridge, without which the determinant of two parallel
// gradients is 0, is above 0; 0 means 1e-6.
//
// "Towards a unified min-max framework for adversarial exploration and
// robustness", the earlier version of Wang et al., NeurIPS 2021.
func LogDet(ridge float64, gradients ...*tensor.Tensor) *tensor.Tensor {
	if ridge == 0 {
		ridge = 1e-6
	}
	k := len(gradients)
	unit := make([]*tensor.Tensor, k)
	for i, g := range gradients {
		g = tensor.Flatten(g)
		square := tensor.Sum(tensor.Square(g), 1)
		// A gradient of 0 stays 0.
		mask := tensor.Step(square.Detach())
		length := tensor.Sqrt(tensor.Add(square, tensor.Affine(mask, -1, 1)))
		unit[i] = tensor.Div(g, tensor.Reshape(length, g.Dim(0), 1))
	}
	gram := make([][]*tensor.Tensor, k)
	for i := range gram {
		gram[i] = make([]*tensor.Tensor, k)
		for j := range i + 1 {
			gram[i][j] = tensor.Sum(tensor.Mul(unit[i], unit[j]), 1)
			gram[j][i] = gram[i][j]
		}
		gram[i][i] = tensor.AddScalar(gram[i][i], ridge)
	}
	// Elimination without pivoting, which positive matrices do not need: the
	// determinant is the product of the pivots.
	var sum *tensor.Tensor
	for p := range k {
		// Rounding must not make a pivot negative.
		pivot := tensor.Maximum(gram[p][p], tensor.Full(gram[p][p].DType(), ridge/2, gram[p][p].Shape()...))
		if l := tensor.Log(pivot); p == 0 {
			sum = l
		} else {
			sum = tensor.Add(sum, l)
		}
		for i := p + 1; i < k; i++ {
			factor := tensor.Div(gram[i][p], pivot)
			for j := p + 1; j < k; j++ {
				gram[i][j] = tensor.Sub(gram[i][j], tensor.Mul(factor, gram[p][j]))
			}
		}
	}
	return sum
}

// diversity is LogDet of the input gradients of the cross-entropy at the attacked
// copies, differentiable in the network's parameters.
func diversity(net nn.Layer, p *nn.Pass, tape *tensor.Tape, copies []*tensor.Tensor, y []int) *tensor.Tensor {
	watched := make([]*tensor.Tensor, len(copies))
	var losses []*tensor.Tensor
	for k, x := range copies {
		watched[k] = tape.Watch(x)
		losses = append(losses, tensor.CrossEntropy(net.Forward(p, watched[k]), y))
	}
	g := tensor.Gradients(sumAll(losses), tensor.GradOptions{CreateGraph: true}, watched...)
	return LogDet(0, g...)
}
