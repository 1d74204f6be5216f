package fedleak

import (
	"slices"

	"github.com/redoubt-ml/redoubt/tensor"
)

// value returns the objective of one run in one round, and its gradients by the
// slices of each party and the labels.
func (s *search) value(run, round int, tv float64) (float64, []*tensor.Tensor) {
	d := s.at(run, round, true)
	f := tensor.MulScalar(s.distance().Between(d.grads, s.want[round]), s.Scale)
	if tv > 0 {
		for _, x := range d.xs {
			v := TotalVariation(x)
			if v.Item() >= s.Xi*float64(x.Dim(0)) {
				f = tensor.Add(f, tensor.MulScalar(v, tv/float64(x.Len())))
			}
		}
	}
	if s.BatchNorm > 0 {
		f = tensor.Add(f, s.statistics(d))
	}
	if s.Group > 0 && s.runs > 1 {
		for p, x := range d.xs {
			f = tensor.Add(f, tensor.MulScalar(tensor.Sum(tensor.Square(tensor.Sub(x, s.mean(p, round, x.Shape())))), s.Group))
		}
	}
	wrt := d.xs
	if d.labels != nil {
		wrt = append(slices.Clone(wrt), d.labels)
	}
	return f.Item(), tensor.Grad(f, wrt...)
}

// statistics is the term of normalisation layers.
func (s *search) statistics(d *dummy) *tensor.Tensor {
	return sumOf(make([]*tensor.Tensor, len(d.norms)), func(i int) *tensor.Tensor {
		n := d.norms[i]
		weight := s.BatchNorm
		if n.first {
			weight *= 10
		}
		e := tensor.Add(distance2(n.mean, n.wantMean), distance2(n.variance, n.wantVar))
		return tensor.MulScalar(e, weight)
	})
}

// distance2 is the Euclidean distance, with a gradient where it vanishes.
func distance2(a, b *tensor.Tensor) *tensor.Tensor {
	return tensor.Sqrt(tensor.AddScalar(tensor.Sum(tensor.Square(tensor.Sub(a, b))), 1e-12))
}

// mean is the mean of a round's slices over the runs.
func (s *search) mean(party, round int, shape []int) *tensor.Tensor {
	size := len(s.x[party]) / len(s.ids)
	sum := make([]float64, len(s.rounds[round])*size)
	for run := range s.runs {
		for i, v := range rowsOf(s.x[run*s.parties+party], s.rounds[round], size).RawMatrix().Data {
			sum[i] += v / float64(s.runs)
		}
	}
	return fromValues(s.m.dtype(), sum, shape...)
}
