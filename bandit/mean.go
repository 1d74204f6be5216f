package bandit

import (
	"fmt"
	"math"
)

// Mean is the sample mean of sigma-sub-Gaussian rewards, with radius
// Sigma sqrt(2 L_j / n). A single outlier can carry it anywhere, so an Eps above 0 is an
// error. It is for data known to be clean, and to show what happens to it otherwise.
type Mean struct {
	Sigma float64 // sub-Gaussian scale, positive
}

var _ Estimator = Mean{}

// Name implements Estimator.
func (Mean) Name() string { return "mean" }

// Prepare implements Estimator.
func (e Mean) Prepare(s Setting) (Family, error) {
	if err := checkSigma("Mean", e.Sigma); err != nil {
		return nil, err
	}
	if err := s.clean("Mean"); err != nil {
		return nil, err
	}
	return newMeanFamily(s, 2, e.Sigma), nil
}

// meanFamily is also what the robust means are when Eps is 0.
type meanFamily struct {
	shared
}

func newMeanFamily(s Setting, events int, sigma float64) *meanFamily {
	return &meanFamily{shared{radius: func(j int) float64 {
		return meanRadius(s.Grid.Size(j), s.level(j, events), sigma)
	}}}
}

// meanRadius is r with P(mean - mu >= r) <= exp(-L): exp(-n r²/(2 sigma²)) = exp(-L).
func meanRadius(n int, l, sigma float64) float64 { return sigma * math.Sqrt(2*l/float64(n)) }

func (f *meanFamily) NewSample() Sample { return &meanSample{radius: f.radius} }

// meanSample keeps a count and a sum: O(1) memory.
type meanSample struct {
	radius func(j int) float64
	n, sum float64
}

func (s *meanSample) Add(rewards []float64) error {
	sum := s.sum
	for i, x := range rewards {
		if math.IsInf(x, 0) {
			return fmt.Errorf("reward %d of %d is %v, want a finite number for a plain mean", i+1, len(rewards), x)
		}
		sum += x
	}
	if math.IsInf(sum, 0) {
		return fmt.Errorf("the sum of the rewards passes the largest float64")
	}
	s.sum = sum
	s.n += float64(len(rewards))
	return nil
}

func (s *meanSample) Len() int { return int(s.n) }

func (s *meanSample) mean() float64 { return s.sum / s.n }

func (s *meanSample) Interval(j int) Interval { return symmetric(s.mean(), s.radius(j), 0) }

func (s *meanSample) MarshalBinary() ([]byte, error) { return packFloats([]float64{s.n, s.sum}), nil }

func (s *meanSample) UnmarshalBinary(b []byte) error {
	head, rest, err := unpackFloats(b, 2)
	if err != nil {
		return err
	}
	if len(rest) != 0 || !(head[0] >= 0 && head[0] <= 1<<53) || head[0] != math.Trunc(head[0]) || math.IsInf(head[1], 0) {
		return fmt.Errorf("saved mean is count %v, sum %v and %d more numbers, want a count, a finite sum and no more", head[0], head[1], len(rest))
	}
	s.n, s.sum = head[0], head[1]
	return nil
}
