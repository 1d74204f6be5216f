package main

import (
	"context"
	"math"
	"time"

	"github.com/redoubt-ml/redoubt/fedleak"
	"github.com/redoubt-ml/redoubt/tensor"
)

// publish runs CAFE with its paper's iterations on a small federation: the nested
// loops, the single loop, and the single loop with the quirks of the released code.
func (e *experiment) publish(ctx context.Context) error {
	samples, batch := e.paper, e.paperBatch
	x, y := e.draw("published", e.train, samples)
	for _, c := range []struct {
		name string
		a    fedleak.Published
		twin bool // double softmax
	}{
		{"nested loops", fedleak.Published{Nested: true, LR1: 1 / (2 * float64(batch))}, false},
		{"single loop", fedleak.Published{LR1: 1 / (2 * float64(batch))}, false},
		{"released setting", fedleak.Released(), true},
	} {
		start := time.Now()
		m := fedleak.NewQuadrants(e.env.Rand("published network"), 28, 1, 10, e.small)
		m.DoubleSoftmax = c.twin
		f := &fedleak.Federation{Model: m, X: fedleak.Quadrants(x), Labels: y, Schedule: fedleak.Uniform{K: batch, Seed: e.env.Seed}}
		c.a.Iterations, c.a.Seed = e.plan.published, e.env.Seed
		o, err := f.Observe(c.a.Iterations)
		if err != nil {
			return err
		}
		row := publishedRow{Name: c.name, Rounds: c.a.Iterations}
		stage := e.env.Stage("CAFE as published, "+c.name, c.a.Iterations)
		c.a.OnIteration = func(i int, t *fedleak.Tables) {
			stage.Done(i + 1)
			if i%max(1, c.a.Iterations/30) == 0 && !c.a.Nested {
				row.curve[0] = append(row.curve[0], float64(i+1))
				row.curve[1] = append(row.curve[1], fedleak.NewScore(f.X, images(t, f.X), nil).OfMean)
			}
		}
		r, err := c.a.Run(ctx, m, o)
		if r == nil {
			return err
		}
		v, h, terr := f.Truth(0, batch)
		if terr != nil {
			return terr
		}
		var up, down float64
		var hs []float64
		for i := range samples {
			n, d := v.RowView(i), r.Parties[0].V.RowView(i)
			for j := range n.Len() {
				up += (n.AtVec(j) - d.AtVec(j)) * (n.AtVec(j) - d.AtVec(j))
				down += n.AtVec(j) * n.AtVec(j)
			}
			hs = append(hs, distance(h, r.Parties[0].H, i))
		}
		row.V, row.H = math.Sqrt(up/down), middle(hs)
		row.PSNR = fedleak.NewScore(f.X, r.Images(nil), nil).OfMean
		row.Seconds = time.Since(start).Seconds()
		e.out.Published = append(e.out.Published, row)
		if err != nil {
			return err
		}
	}
	return nil
}

// images returns the state of tables as slices like those of x.
func images(t *fedleak.Tables, x []*tensor.Tensor) []*tensor.Tensor {
	out := make([]*tensor.Tensor, len(x))
	for p := range x {
		out[p] = tensor.FromFloat64(t.X[p], x[p].Shape()...).To(tensor.Float32)
	}
	return out
}
