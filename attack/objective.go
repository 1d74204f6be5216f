package attack

import (
	"fmt"
	"math"

	"github.com/redoubt-ml/redoubt/tensor"
)

// Objective is what an attacker maximises: a differentiable function of each
// row of logits [N, classes] that is larger the nearer the row is to what the
// attacker wants. Values returns it as a tensor [N].
type Objective interface {
	Values(logits *tensor.Tensor, rows Rows) *tensor.Tensor
}

// CrossEntropy climbs the cross-entropy, or, with targets, descends that of the
// target, in the form of log-odds: with the logits z of one input,
//
//	log((1-p_y)/p_y) = log sum_{j≠y} exp(z_j) - z_y,
//
// and with a target t the negative of the same for t. It rises and falls with the
// cross-entropy -log p_y, and its gradient has the same direction, but where the
// model is sure, and the cross-entropy and its gradient round to 0, this keeps
// both. It is positive when the true label has a probability below 1/2.
type CrossEntropy struct{}

// String returns "cross-entropy".
func (CrossEntropy) String() string { return "cross-entropy" }

// Values returns the objective of each row.
func (CrossEntropy) Values(logits *tensor.Tensor, rows Rows) *tensor.Tensor {
	own, sign := rows.Y, 1.0
	if rows.Target != nil {
		own, sign = rows.Target, -1
	}
	mask := tensor.OneHot(logits.DType(), own, logits.Dim(1))
	none := tensor.Full(logits.DType(), math.Inf(-1), logits.Shape()...)
	others := tensor.LogSumExp(tensor.Where(mask, none, logits))
	return tensor.MulScalar(tensor.Sub(others, tensor.Pick(logits, own)), sign)
}

// Margin is the lead of the best wrong class over the true label,
// max_{j≠y} z_j - z_y, or, with targets, that of the target over the best other
// class, limited to Confidence. The attack has won when it is positive, and
// perhaps when it is 0: then two classes are equal and the lower one is the answer.
//
// Carlini and Wagner, S&P 2017, f_6, with the sign turned.
type Margin struct {
	// Confidence is the lead in logits that an attack is to reach: it goes on
	// after its first success until then. 0 means to stop at the first success.
	Confidence float64
}

// String returns "margin", with the confidence if there is one.
func (o Margin) String() string {
	if o.Confidence > 0 {
		return fmt.Sprintf("margin up to %v", o.Confidence)
	}
	return "margin"
}

// enough says whether a value leaves nothing more to gain.
func (o Margin) enough(v float64) bool { return v >= o.Confidence }

// Values returns the objective of each row.
func (o Margin) Values(logits *tensor.Tensor, rows Rows) *tensor.Tensor {
	own, sign := rows.Y, 1.0
	if rows.Target != nil {
		own, sign = rows.Target, -1
	}
	z := logits.Detach()
	rival := make([]int, len(own))
	for i, c := range own {
		rival[i] = ranked(z, i, c)[0]
	}
	m := tensor.MulScalar(tensor.Sub(tensor.Pick(logits, rival), tensor.Pick(logits, own)), sign)
	if o.Confidence > 0 {
		return tensor.Minimum(m, tensor.Full(m.DType(), o.Confidence))
	}
	return m
}

// DLR is the difference-of-logits ratio, which does not change when the logits
// are scaled or shifted. With z_π1 >= z_π2 >= ... it is
// -(z_y - max_{i≠y} z_i)/(z_π1 - z_π3), and with a target t
// -(z_y - z_t)/(z_π1 - (z_π3 + z_π4)/2). It needs 3 classes, 4 with targets.
//
// Croce and Hein, ICML 2020, Eq. (6) and (7).
type DLR struct{}

// String returns "DLR".
func (DLR) String() string { return "DLR" }

// dlrFloor is added to the denominator, which is 0 for constant logits.
const dlrFloor = 1e-12

// Values returns the objective of each row.
func (DLR) Values(logits *tensor.Tensor, rows Rows) *tensor.Tensor {
	least := 3
	if rows.Target != nil {
		least = 4
	}
	if logits.Dim(1) < least {
		panic(fmt.Sprintf("attack: DLR: %d classes, want at least %d", logits.Dim(1), least))
	}
	z := logits.Detach()
	n := len(rows.Y)
	first, third, fourth, rival := make([]int, n), make([]int, n), make([]int, n), make([]int, n)
	for i, y := range rows.Y {
		order := ranked(z, i, -1)
		first[i], third[i], fourth[i] = order[0], order[2], order[least-1]
		switch {
		case rows.Target != nil:
			rival[i] = rows.Target[i]
		case order[0] == y:
			rival[i] = order[1]
		default:
			rival[i] = order[0]
		}
	}
	low := tensor.Pick(logits, third)
	if rows.Target != nil {
		low = tensor.MulScalar(tensor.Add(low, tensor.Pick(logits, fourth)), 0.5)
	}
	lead := tensor.Sub(tensor.Pick(logits, rival), tensor.Pick(logits, rows.Y))
	return tensor.Div(lead, tensor.AddScalar(tensor.Sub(tensor.Pick(logits, first), low), dlrFloor))
}

// ranked returns the (up to four) classes of the largest logits of a row, largest
// first and the lower class first among equals, leaving out one class.
func ranked(z *tensor.Tensor, row, except int) []int {
	var best [4]int
	n := 0
	value := func(c int) float64 { return z.At(row, c) }
	for c := range z.Dim(1) {
		if c == except {
			continue
		}
		k := n
		for k > 0 && (value(best[k-1]) < value(c) || math.IsNaN(value(best[k-1]))) {
			k--
		}
		if k == len(best) {
			continue
		}
		n = min(n+1, len(best))
		copy(best[k+1:n], best[k:n-1])
		best[k] = c
	}
	return best[:n]
}
