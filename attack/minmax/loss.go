package minmax

import (
	"errors"
	"fmt"
	"math"

	"github.com/redoubt-ml/redoubt/attack"
	"github.com/redoubt-ml/redoubt/tensor"
)

// Loss is what the attacker makes small: a differentiable function of each row of
// logits [n, classes] that is smaller the nearer the row is to what the attacker
// wants. Values returns it as a tensor [n].
type Loss interface {
	Values(logits *tensor.Tensor, rows attack.Rows) *tensor.Tensor
}

var (
	_ Loss = Margin{}
	_ Loss = Against{}
)

// Margin is the lead of the true label over the best other class, as far as it is
// above -Kappa:
//
//	max( z_y - max_{j≠y} z_j + Kappa, 0 ),
//
// or, with a target t, max( max_{j≠t} z_j - z_t + Kappa, 0 ). It is 0, and so is its
// gradient, once the model is wrong by Kappa logits; of several best other classes
// the gradient goes to the first.
//
// Carlini and Wagner, S&P 2017, f_6, which Wang et al., NeurIPS 2021, use with Kappa
// 50.
type Margin struct {
	// Kappa is the confidence in logits, from 0 on. 0 lets go of a model once it
	// is fooled.
	Kappa float64
}

// PaperMargin is the margin with the confidence of the paper.
var PaperMargin = Margin{Kappa: 50}

// String returns "margin, kappa 50".
func (m Margin) String() string { return fmt.Sprintf("margin, kappa %v", m.Kappa) }

// Check returns an error unless Kappa is a finite number from 0 on.
func (m Margin) Check() error {
	if !(m.Kappa >= 0) || math.IsInf(m.Kappa, 0) {
		return fmt.Errorf("minmax: the margin's kappa is %v, want a finite number from 0 on", m.Kappa)
	}
	return nil
}

// Values implements Loss.
func (m Margin) Values(logits *tensor.Tensor, rows attack.Rows) *tensor.Tensor {
	own, sign := rows.Y, 1.0
	if rows.Target != nil {
		own, sign = rows.Target, -1
	}
	mask := tensor.OneHot(logits.DType(), own, logits.Dim(1))
	none := tensor.Full(logits.DType(), math.Inf(-1), logits.Shape()...)
	best := tensor.Max(tensor.Where(mask, none, logits), 1)
	lead := tensor.Sub(tensor.Pick(logits, own), best)
	return tensor.ReLU(tensor.Affine(lead, sign, m.Kappa))
}

// Against turns what an attacker maximises into a loss, its negative. With
// attack.CrossEntropy it stands for the other loss that the paper names, in the form of
// log-odds: where a model is sure of the true label it is about linear in the logits,
// and the paper's -CE is flat, so that weights and figures are not those of -CE.
type Against struct{ Objective attack.Objective }

// String names the objective.
func (a Against) String() string { return fmt.Sprintf("negative %v", a.Objective) }

// Check returns an error if there is no objective.
func (a Against) Check() error {
	if a.Objective == nil {
		return errors.New("minmax: loss against no objective")
	}
	return nil
}

// Values implements Loss.
func (a Against) Values(logits *tensor.Tensor, rows attack.Rows) *tensor.Tensor {
	return tensor.Neg(a.Objective.Values(logits, rows))
}
