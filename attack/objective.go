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

// CrossEntropy is the negative log-probability of the true label in nats, or,
// with targets, the log-probability of the target.
type CrossEntropy struct{}

// Values returns the objective of each row.
func (CrossEntropy) Values(logits *tensor.Tensor, rows Rows) *tensor.Tensor {
	if rows.Target != nil {
		return tensor.Neg(tensor.CrossEntropy(logits, rows.Target))
	}
	return tensor.CrossEntropy(logits, rows.Y)
}

// Margin is the lead of the best wrong class over the true label,
// max_{j≠y} z_j - z_y, or, with targets, that of the target over the best other
// class, limited to Confidence: it is positive exactly when the attack has won.
//
// Carlini and Wagner, S&P 2017, f_6, with the sign turned.
type Margin struct {
	// Confidence is the lead in logits beyond which nothing more is gained;
	// 0 means no limit.
	Confidence float64
}

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
