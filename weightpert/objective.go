package weightpert

import (
	"fmt"
	"slices"

	"github.com/redoubt-ml/redoubt/tensor"
)

// Objective is what a universal attack on weights climbs. No single one is always
// the strongest, see Ensemble.
type Objective struct {
	Kind  ObjectiveKind // the zero value is CrossEntropy
	Class int           // for Push
}

// ObjectiveKind selects an objective.
type ObjectiveKind uint8

// Objectives of universal attacks.
const (
	// CrossEntropy is the mean cross-entropy. It wastes effort on examples that
	// are lost already.
	CrossEntropy ObjectiveKind = iota
	// StillCorrect is the cross-entropy of the examples with a margin above -0.5.
	StillCorrect
	// Hinge is the negative margin of the examples with a margin above -0.5.
	Hinge
	// Push is the negative cross-entropy of one class for all examples.
	Push
	// DLR is the mean difference of logits ratio: the margin of the best rival over
	// the label, divided by the distance of the largest logit from the third, so that
	// the scale of the logits does not matter. It needs 3 classes.
	DLR
)

const numObjectives = DLR + 1

// lost is the margin below which StillCorrect and Hinge leave an example alone.
const lost = -0.5

// String names the objective.
func (o Objective) String() string {
	switch o.Kind {
	case CrossEntropy:
		return "cross-entropy"
	case StillCorrect:
		return "cross-entropy of the still correct"
	case Hinge:
		return "margin of the still correct"
	case Push:
		return fmt.Sprintf("push to class %d", o.Class)
	case DLR:
		return "difference of logits ratio"
	}
	return fmt.Sprintf("Objective(%d)", uint8(o.Kind))
}

// check says what is wrong with the objective for a number of classes.
func (o Objective) check(classes int) error {
	if o.Kind == Push && (o.Class < 0 || o.Class >= classes) {
		return fmt.Errorf("class to push to is %d, want 0 to %d", o.Class, classes-1)
	}
	if o.Kind == DLR && classes < 3 {
		return fmt.Errorf("%v needs 3 classes, the network has %d", o, classes)
	}
	return nil
}

// ratio returns the difference of logits ratio of each example.
func ratio(logits *tensor.Tensor, y []int) *tensor.Tensor {
	v, classes := logits.Values(), logits.Dim(1)
	rivals, first, third := make([]int, len(y)), make([]int, len(y)), make([]int, len(y))
	for i, c := range y {
		f := v[i*classes : (i+1)*classes]
		order := rivalsOf(f, c)
		rivals[i] = order[0]
		at := 0
		for at < len(order) && f[order[at]] > f[c] {
			at++
		}
		order = slices.Insert(order, at, c)
		first[i], third[i] = order[0], order[2]
	}
	up := tensor.Sub(tensor.Pick(logits, rivals), tensor.Pick(logits, y))
	return tensor.Div(up, tensor.AddScalar(tensor.Sub(tensor.Pick(logits, first), tensor.Pick(logits, third)), 1e-12))
}

// sum returns the objective summed over a batch, and the number of examples that
// take part.
func (o Objective) sum(logits *tensor.Tensor, y []int) (*tensor.Tensor, int) {
	switch o.Kind {
	case CrossEntropy:
		return tensor.Sum(tensor.CrossEntropy(logits, y)), len(y)
	case Push:
		to := make([]int, len(y))
		for i := range to {
			to[i] = o.Class
		}
		return tensor.Neg(tensor.Sum(tensor.CrossEntropy(logits, to))), len(y)
	}
	if o.Kind == DLR {
		return tensor.Sum(ratio(logits, y)), len(y)
	}
	v, classes := logits.Values(), logits.Dim(1)
	var idx, labels, rivals []int
	for i, c := range y {
		f := v[i*classes : (i+1)*classes]
		rival := rivalsOf(f, c)[0]
		if f[c]-f[rival] > lost {
			idx, labels, rivals = append(idx, i), append(labels, c), append(rivals, rival)
		}
	}
	if len(idx) == 0 {
		return nil, 0
	}
	part := tensor.Gather(logits, idx)
	if o.Kind == StillCorrect {
		return tensor.Sum(tensor.CrossEntropy(part, labels)), len(idx)
	}
	return tensor.Sum(tensor.Sub(tensor.Pick(part, rivals), tensor.Pick(part, labels))), len(idx)
}
