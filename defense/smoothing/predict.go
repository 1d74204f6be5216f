package smoothing

import (
	"context"

	"github.com/redoubt-ml/redoubt/tensor"
)

// Prediction is the smoothed classifier's answer to an input.
type Prediction struct {
	// Class is the answer, Abstain if it is not certain enough.
	Class int `json:"class"`
	// Top is the most frequent answer, certain or not.
	Top int `json:"top"`
	// PValue is that of the test whether the two most frequent answers are equally
	// probable: at most Alpha where Class is not Abstain.
	PValue float64 `json:"p_value"`
	// Counts says how often each class was the answer, up to the last one that was.
	Counts []int `json:"counts"`
}

// Predict returns the answers of the smoothed classifier to inputs x [N, ...]. An
// answer other than Abstain is g's with a probability of at least 1-Alpha over the
// noise. On an error, or when ctx is cancelled, it returns the answers to the first
// inputs, as far as it has come. An error names a setting out of its range, an input
// that is not finite, or what the model did.
//
// Cohen, Rosenfeld and Kolter, ICML 2019, PREDICT.
func (c *Classifier) Predict(ctx context.Context, x *tensor.Tensor) ([]Prediction, error) {
	s, err := c.settings(x)
	if err != nil {
		return nil, err
	}
	out := make([]Prediction, 0, x.Dim(0))
	for len(out) < x.Dim(0) {
		from := len(out)
		counts, err := s.votes(ctx, from, min(x.Dim(0), from+s.group(s.N)), s.N, counting)
		if err != nil {
			return out, err
		}
		for _, votes := range counts {
			out = append(out, s.judge(votes))
		}
		s.progress(len(out))
	}
	return out, nil
}

// judge is the answer that votes give.
func (s *settings) judge(votes []int) Prediction {
	first, second := topTwo(votes)
	a, b := votes[first], 0
	if second >= 0 {
		b = votes[second]
	}
	p := Prediction{Class: Abstain, Top: first, PValue: BinomialTest(a, a+b), Counts: votes}
	if p.PValue <= s.Alpha {
		p.Class = first
	}
	return p
}

func (s *settings) progress(done int) {
	if s.OnProgress != nil {
		s.OnProgress(done, s.x.Dim(0))
	}
}
