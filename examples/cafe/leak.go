package main

import (
	"context"
	"fmt"
	"math"
	"slices"
	"time"

	"gonum.org/v1/gonum/mat"

	"github.com/redoubt-ml/redoubt/fedleak"
	"github.com/redoubt-ml/redoubt/tensor"
)

// released attacks the released setting.
func (e *experiment) released(ctx context.Context) error {
	start := time.Now()
	x, y := e.draw("released", e.train, e.samples)
	m := fedleak.NewQuadrants(e.env.Rand("released network"), 28, 1, 10, e.net)
	f := &fedleak.Federation{Model: m, X: fedleak.Quadrants(x), Labels: y, Schedule: fedleak.Uniform{K: e.batch, Seed: e.env.Seed}}
	o, err := f.Observe(e.rounds)
	if err != nil {
		return err
	}
	stage := e.env.Stage("recovering slices", 4*e.samples)
	a := fedleak.CAFE{Inversion: e.inversion(), OnProgress: func(done, of int) { stage.Done(done) }}
	r, err := a.Run(ctx, m, o)
	if r == nil {
		return err
	}
	out := new(leak)
	e.out.CAFE = out
	out.Seconds = time.Since(start).Seconds()
	out.Labels = fedleak.LabelAccuracy(y, r.Labels)
	out.Rounds, out.Cond = r.Rounds, r.Identifiability.Cond
	var vs, hs []float64
	var firstV *mat.Dense
	dead := make([]bool, len(y))
	for p := range r.Parties {
		part := &r.Parties[p]
		if part.H == nil {
			continue
		}
		v, h, terr := f.Truth(p, e.batch)
		if terr != nil {
			return terr
		}
		var off, size float64
		for i, s := range part.Status {
			switch s {
			case fedleak.Recovered:
				var d mat.VecDense
				d.SubVec(v.RowView(i), part.V.RowView(i))
				off, size = math.Hypot(off, mat.Norm(&d, 2)), math.Hypot(size, mat.Norm(v.RowView(i), 2))
				vs, hs = append(vs, distance(v, part.V, i)), append(hs, distance(h, part.H, i))
			case fedleak.Dead:
				dead[i] = true
				out.Slices++
			}
		}
		if size > 0 {
			out.V = max(out.V, off/size)
		}
		if p == 0 {
			firstV = v
		}
	}
	for _, d := range dead {
		if d {
			out.Dead++
		}
	}
	if len(vs) > 0 {
		out.VMid, out.H, out.VMax = middle(vs), middle(hs), slices.Max(vs)
	}
	whole := r.Complete()
	if s := fedleak.NewScore(f.X, r.Images(nil), whole); s.Samples > 0 {
		out.PSNR, out.Mean, out.SSIM, out.Paper = s.Median, s.Mean, s.SSIM, s.SliceMean
		// What was not recovered is not above 40 dB; what cannot be seen does not count.
		out.Above = s.Above40 * float64(s.Samples) / float64(len(y)-out.Dead)
		ids := first(whole, 10)
		e.pictures = append(e.pictures, picture{"digits", fmt.Sprintf("MNIST, %d of %d samples in a batch", e.batch, e.samples), []pictureRow{
			{"private", tensor.Gather(x, ids), nil},
			{"recovered", tensor.Gather(fedleak.JoinQuadrants(r.Images(nil)), ids), s.Each[:len(ids)]},
		}})
	}
	if err != nil {
		return err
	}
	return e.law(ctx, m, o, firstV, out)
}

// law runs Step I by the paper's gradient descent on the same rounds and compares its
// error with the law.
func (e *experiment) law(ctx context.Context, m *fedleak.Model, o fedleak.Observations, v *mat.Dense, out *leak) error {
	a := fedleak.Published{Iterations: e.plan.law, Seed: e.env.Seed}
	if e.batch < 100 && e.samples < 100 {
		a.LR1 = 0.02
	}
	before, after, err := fedleak.StepOneErrors(ctx, a, m, o, 0, v)
	if err != nil {
		return err
	}
	lr := a.LR1
	if lr == 0 {
		lr = 5e-3
	}
	out.LawRounds = e.plan.law
	out.LawError = after / before
	out.LawRatio = after / before / math.Sqrt(fedleak.StepOneDecay(e.samples, e.batch, lr, e.plan.law))
	return nil
}

// distance is the relative distance of row i.
func distance(want, got *mat.Dense, i int) float64 {
	var d mat.VecDense
	d.SubVec(want.RowView(i), got.RowView(i))
	size := mat.Norm(want.RowView(i), 2)
	if size == 0 {
		return mat.Norm(&d, 2)
	}
	return mat.Norm(&d, 2) / size
}

func middle(v []float64) float64 {
	s := slices.Sorted(slices.Values(v))
	return s[len(s)/2]
}

// colors attacks CIFAR-10.
func (e *experiment) colors(ctx context.Context) error {
	start := time.Now()
	x, y := e.draw("cifar", e.cifar, e.plan.cifar)
	m := fedleak.NewQuadrants(e.env.Rand("cifar network"), 32, 3, 10, e.net)
	f := &fedleak.Federation{Model: m, X: fedleak.Quadrants(x), Labels: y, Schedule: fedleak.Uniform{K: e.cifarBatch, Seed: e.env.Seed}}
	o, err := f.Observe(3 * e.plan.cifar / 2)
	if err != nil {
		return err
	}
	stage := e.env.Stage("recovering slices of CIFAR-10", 4*e.plan.cifar)
	r, err := fedleak.CAFE{Inversion: e.inversion(), OnProgress: func(done, of int) { stage.Done(done) }}.Run(ctx, m, o)
	if err != nil {
		return err
	}
	s := fedleak.NewScore(f.X, r.Images(nil), r.Complete())
	e.out.CIFAR = &color{PSNR: s.Median, Least: slices.Min(s.Each), Labels: fedleak.LabelAccuracy(y, r.Labels), Seconds: time.Since(start).Seconds()}
	ids := first(r.Complete(), 10)
	e.pictures = append(e.pictures, picture{"colours", fmt.Sprintf("CIFAR-10, %d of %d samples in a batch", e.cifarBatch, e.plan.cifar), []pictureRow{
		{"private", tensor.Gather(x, ids), nil},
		{"recovered", tensor.Gather(fedleak.JoinQuadrants(r.Images(nil)), ids), s.Each[:len(ids)]},
	}})
	return nil
}
