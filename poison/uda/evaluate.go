package uda

import (
	"context"
	"fmt"

	"github.com/redoubt-ml/redoubt/attack"
	"github.com/redoubt-ml/redoubt/tensor"
	"github.com/redoubt-ml/redoubt/tensor/dataset"
)

// evalBatch bounds the memory of an evaluation.
const evalBatch = 500

// Evaluation is what a model answers to a labelled set.
type Evaluation struct {
	N        int     `json:"n"`        // images
	Accuracy float64 `json:"accuracy"` // share of right answers
	// Confusion counts images by true class (rows) and answer (columns).
	Confusion [][]int `json:"confusion"`
}

// On returns the share of images whose answer is the class that their true class is
// mapped to: the accuracy on shifted labels for labels[c] = (c+1) mod K.
func (e Evaluation) On(labels []int) float64 { return float64(e.count(labels)) / float64(e.N) }

// Estimate returns the accuracy with its 95 % confidence interval.
func (e Evaluation) Estimate() attack.Estimate { return e.EstimateOn(identity(len(e.Confusion))) }

// EstimateOn returns the share On with its 95 % confidence interval.
func (e Evaluation) EstimateOn(labels []int) attack.Estimate {
	return attack.NewEstimate(e.count(labels), e.N)
}

func (e Evaluation) count(labels []int) int {
	n := 0
	for c, row := range e.Confusion {
		n += row[labels[c]]
	}
	return n
}

// Shifted returns the map of each class c to (c+1) mod k.
func Shifted(k int) []int { return shifted(k, 1) }

func identity(k int) []int { return shifted(k, 0) }

func shifted(k, by int) []int {
	m := make([]int, k)
	for c := range m {
		m[c] = (c + by) % k
	}
	return m
}

// Evaluate compares a model's answers with a set's labels. Errors: a set of another
// form or without labels, ctx's.
func Evaluate(ctx context.Context, m *Model, s *dataset.Set) (Evaluation, error) {
	if err := labelled(m, s); err != nil {
		return Evaluation{}, err
	}
	e := Evaluation{N: s.Len(), Confusion: make([][]int, m.Classes)}
	for c := range e.Confusion {
		e.Confusion[c] = make([]int, m.Classes)
	}
	right := 0
	err := eachBatch(ctx, m, s, func(tape *tensor.Tape, from int, x *tensor.Tensor) {
		for i, a := range tensor.ArgMax(m.Logits(x)) {
			y := s.Labels[from+i]
			e.Confusion[y][a]++
			if a == y {
				right++
			}
		}
	})
	e.Accuracy = float64(right) / float64(e.N)
	return e, err
}

// labelled returns an error unless a set has images with labels of the model's classes.
func labelled(m *Model, s *dataset.Set) error {
	switch {
	case s == nil || s.Len() == 0:
		return fmt.Errorf("uda: no images to evaluate")
	case s.Classes != m.Classes:
		return fmt.Errorf("uda: set %q has %d images and %d classes, want %d classes", s.Name, s.Len(), s.Classes, m.Classes)
	case len(s.Labels) != s.Len():
		return fmt.Errorf("uda: set %q has %d labels for %d images", s.Name, len(s.Labels), s.Len())
	}
	for i, y := range s.Labels {
		if y < 0 || y >= s.Classes {
			return fmt.Errorf("uda: label %d of set %q is %d, want it in [0, %d)", i, s.Name, y, s.Classes)
		}
	}
	return nil
}

// eachBatch walks through a set in order; what visit computes from x dies after it.
func eachBatch(ctx context.Context, m *Model, s *dataset.Set, visit func(tape *tensor.Tape, from int, x *tensor.Tensor)) error {
	if s.H != m.H || s.W != m.W || s.C != m.C {
		return fmt.Errorf("uda: images of %q are %dx%dx%d, want %dx%dx%d", s.Name, s.H, s.W, s.C, m.H, m.W, m.C)
	}
	tape := tensor.NewTape()
	for from := 0; from < s.Len(); from += evalBatch {
		if err := ctx.Err(); err != nil {
			return err
		}
		x, _ := s.Slice(from, min(from+evalBatch, s.Len())).All()
		visit(tape, from, tape.Const(x))
		tape.Reset()
	}
	return nil
}

// FeaturesOf returns the features [N, Width] of a set's images.
func FeaturesOf(ctx context.Context, m *Model, s *dataset.Set) (*tensor.Tensor, error) {
	if s == nil {
		return nil, fmt.Errorf("uda: no images to evaluate")
	}
	out := tensor.Zeros(tensor.Float32, s.Len(), m.Width)
	err := eachBatch(ctx, m, s, func(_ *tensor.Tape, from int, x *tensor.Tensor) {
		copy(out.Float32s()[from*m.Width:], m.Features(x).Float32s())
	})
	return out, err
}

// Probabilities returns the predictions [N, Classes] for a set's images.
func Probabilities(ctx context.Context, m *Model, s *dataset.Set) (*tensor.Tensor, error) {
	if s == nil {
		return nil, fmt.Errorf("uda: no images to evaluate")
	}
	out := tensor.Zeros(tensor.Float32, s.Len(), m.Classes)
	err := eachBatch(ctx, m, s, func(_ *tensor.Tape, from int, x *tensor.Tensor) {
		copy(out.Float32s()[from*m.Classes:], tensor.Softmax(m.Logits(x)).Float32s())
	})
	return out, err
}

// LossesOf returns the cross-entropy of each image of a labelled set, in nats. Errors:
// those of Evaluate.
func LossesOf(ctx context.Context, m *Model, s *dataset.Set) ([]float64, error) {
	if err := labelled(m, s); err != nil {
		return nil, err
	}
	out := make([]float64, 0, s.Len())
	err := eachBatch(ctx, m, s, func(_ *tensor.Tape, from int, x *tensor.Tensor) {
		n := x.Dim(0)
		out = append(out, tensor.CrossEntropy(m.Logits(x), s.Labels[from:from+n]).Values()...)
	})
	return out, err
}
