package advcl

import (
	"fmt"
	"math"

	"github.com/redoubt-ml/redoubt/tensor"
)

// NTXent is the contrastive loss of m views of b images. With the features of all m b
// anchors a scaled to length 1, s_ak = z_a·z_k / Temperature, and P(a) the other views
// of a's image, it is the mean over anchors, weighted by their view, of
//
//	1/(m-1) sum_{j in P(a)} -log( exp(s_aj) / sum_{k≠a} exp(s_ak) ).
//
// The denominator holds the positives. With two views it is SimCLR's loss; with more,
// SupCon's without labels.
//
// Eq. (4) and (5) of Fan et al., NeurIPS 2021, which sum where this averages: their
// value for one image is m (m-1) times this.
type NTXent struct {
	// Temperature divides the similarities; 0 means 0.5.
	Temperature float64
	// Base multiplies the loss by Temperature/Base; 0 leaves it as it is. AdvCL's
	// learning rate and weights are meant for a Base of 0.07.
	Base float64
	// Weights says how much each view counts as an anchor; nil means 1 each. A view
	// of weight 0 is compared with, but not an anchor.
	Weights []float64
	// StopKeys names views that get no gradient where anchors are compared with them,
	// only as anchors; nil means none.
	StopKeys []bool
	// Guard is added to each probability inside its logarithm and to each denominator.
	// RoCL's program has 1e-8; 0 adds nothing.
	Guard float64
}

// temperature is the one in use.
func (l NTXent) temperature() float64 {
	if l.Temperature == 0 {
		return 0.5
	}
	return l.Temperature
}

// scale multiplies the mean.
func (l NTXent) scale() float64 {
	if l.Base == 0 {
		return 1
	}
	return l.temperature() / l.Base
}

// Check returns an error unless the settings make sense for m views.
func (l NTXent) Check(m int) error {
	switch {
	case !(l.Temperature >= 0) || math.IsInf(l.Temperature, 0):
		return fmt.Errorf("advcl: NT-Xent: temperature is %v, want above 0, or 0 for 0.5", l.Temperature)
	case !(l.Base >= 0) || math.IsInf(l.Base, 0):
		return fmt.Errorf("advcl: NT-Xent: base temperature is %v, want above 0, or 0 for none", l.Base)
	case !(l.Guard >= 0 && l.Guard < 1):
		return fmt.Errorf("advcl: NT-Xent: guard is %v, want 0 to 1", l.Guard)
	case m < 2:
		return fmt.Errorf("advcl: NT-Xent: %d views, want at least 2", m)
	case l.Weights != nil && len(l.Weights) != m:
		return fmt.Errorf("advcl: NT-Xent: %d weights for %d views", len(l.Weights), m)
	case l.StopKeys != nil && len(l.StopKeys) != m:
		return fmt.Errorf("advcl: NT-Xent: StopKeys has %d values for %d views", len(l.StopKeys), m)
	}
	sum := 0.0
	for i, w := range l.Weights {
		if !(w >= 0) || math.IsInf(w, 0) {
			return fmt.Errorf("advcl: NT-Xent: weight of view %d is %v, want a finite number of 0 or more", i, w)
		}
		sum += w
	}
	if l.Weights != nil && !(sum > 0) {
		return fmt.Errorf("advcl: NT-Xent: weights %v, want one above 0", l.Weights)
	}
	return nil
}

// checkViews returns an error unless the views can be compared.
func (l NTXent) checkViews(views []*tensor.Tensor) error {
	if err := l.Check(len(views)); err != nil {
		return err
	}
	for v, u := range views {
		if u.Rank() != 2 || u.DType() != views[0].DType() || u.Dim(0) != views[0].Dim(0) || u.Dim(1) != views[0].Dim(1) {
			return fmt.Errorf("advcl: NT-Xent: view %d has features %v%v, view 0 %v%v, want matrices [images, features] of one form", v, u.DType(), u.Shape(), views[0].DType(), views[0].Shape())
		}
	}
	if b := views[0].Dim(0); b < 2 {
		return fmt.Errorf("advcl: NT-Xent: %d images, want at least 2: there are no negatives", b)
	}
	return nil
}

// Loss returns the loss, a tensor of one element, of views [b, D] of the same b images
// in the same order. Features are scaled to length 1 here; one shorter
// than 1e-12 is divided by that, so that a row of zeros stays one. Errors: settings
// that make no sense, views of different forms, fewer than 2 images.
func (l NTXent) Loss(views ...*tensor.Tensor) (*tensor.Tensor, error) {
	return l.loss(nil, views)
}

func (l NTXent) loss(d diagonals, views []*tensor.Tensor) (*tensor.Tensor, error) {
	each, err := l.anchors(d, views)
	if err != nil {
		return nil, err
	}
	if l.Weights == nil {
		return tensor.MulScalar(tensor.Mean(each), l.scale()), nil
	}
	b := views[0].Dim(0)
	weights, sum := tensor.Zeros(each.DType(), each.Len()), 0.0
	for a := range each.Len() {
		weights.Set(l.Weights[a/b], a)
		sum += l.Weights[a/b]
	}
	return tensor.MulScalar(tensor.Sum(tensor.Mul(each, weights)), l.scale()/sum), nil
}

// Anchors returns the loss [m b] of each anchor, view by view, before weights and
// scale.
func (l NTXent) Anchors(views ...*tensor.Tensor) (*tensor.Tensor, error) {
	return l.anchors(nil, views)
}

func (l NTXent) anchors(d diagonals, views []*tensor.Tensor) (*tensor.Tensor, error) {
	if err := l.checkViews(views); err != nil {
		return nil, err
	}
	m, b := len(views), views[0].Dim(0)
	units, keys := make([]*tensor.Tensor, m), make([]*tensor.Tensor, m)
	for v, u := range views {
		units[v] = unit(u)
		keys[v] = units[v]
		if l.StopKeys != nil && l.StopKeys[v] {
			keys[v] = units[v].Detach()
		}
	}
	z := tensor.Concat(0, units...)
	k := z
	if l.StopKeys != nil {
		k = tensor.Concat(0, keys...)
	}
	s := tensor.MulScalar(tensor.MatMulT(z, k, false, true), 1/l.temperature())
	others := tensor.Add(s, d.of(s.DType(), m*b))
	if l.Guard > 0 {
		return guarded(others, m, l.Guard), nil
	}
	// The similarities of an anchor to the other views of its image sum to its
	// similarity to the sum of those views.
	total := keys[0]
	for _, key := range keys[1:] {
		total = tensor.Add(total, key)
	}
	rest := make([]*tensor.Tensor, m)
	for v, key := range keys {
		rest[v] = tensor.Sub(total, key)
	}
	mean := tensor.MulScalar(tensor.Sum(tensor.Mul(z, tensor.Concat(0, rest...)), 1), 1/(l.temperature()*float64(m-1)))
	return tensor.Sub(tensor.LogSumExp(others), mean), nil
}

// guarded is the loss of each anchor with a guard against logarithms of 0.
func guarded(s *tensor.Tensor, m int, guard float64) *tensor.Tensor {
	// Each row is divided by the exponential of its largest value, the guard too.
	n := s.Dim(0)
	most := tensor.Reshape(tensor.Max(s.Detach(), 1), n, 1)
	e := tensor.Exp(tensor.Sub(s, most))
	floor := tensor.Reshape(tensor.MulScalar(tensor.Exp(tensor.Neg(most)), guard), n)
	total := tensor.Add(tensor.Sum(e, 1), floor)
	p := tensor.Div(e, tensor.Reshape(total, total.Len(), 1))
	logs := tensor.Log(tensor.AddScalar(p, guard))
	var sum *tensor.Tensor
	for v := 1; v < m; v++ {
		cols := make([]int, n)
		for a := range cols {
			cols[a] = (a + v*n/m) % n
		}
		if one := tensor.Pick(logs, cols); sum == nil {
			sum = one
		} else {
			sum = tensor.Add(sum, one)
		}
	}
	return tensor.MulScalar(sum, -1/float64(m-1))
}

// floor is the least length by which unit divides.
const floor = 1e-12

// unit scales each row of u [n, D] to length 1; one shorter than 1e-12 is divided by
// that, so that a row of zeros stays one. short counts such rows.
func unit(u *tensor.Tensor) *tensor.Tensor {
	square := tensor.Sum(tensor.Square(u), 1)
	// The root has no derivative at 0.
	square = tensor.Maximum(square, tensor.Full(u.DType(), floor*floor, square.Len()))
	return tensor.Mul(u, tensor.Reshape(tensor.Recip(tensor.Sqrt(square)), square.Len(), 1))
}

// short returns the number of rows of u [n, D] that are too short to have a direction,
// of length below 1e-12.
func short(u *tensor.Tensor) int {
	n := 0
	for _, s := range tensor.Sum(tensor.Square(u.Detach()), 1).Values() {
		if !(s >= floor*floor) {
			n++
		}
	}
	return n
}

// Bound returns the least value that any features of m views of b images in many
// dimensions can have, before Base and without Guard: that of views that agree and images
// that lie as far apart as b points can.
func (l NTXent) Bound(m, b int) float64 {
	// The similarities are 1 and -1/(b-1), and exp(1/t) is left out above and below.
	away := math.Exp(-(1 + 1/float64(b-1)) / l.temperature())
	return math.Log(float64(m-1) + float64(m*(b-1))*away)
}
