package main

import (
	"context"
	"fmt"
	"time"

	"github.com/redoubt-ml/redoubt/fedleak"
	"github.com/redoubt-ml/redoubt/tensor"
)

// compare attacks one batch of each size by CAFE, which sees further rounds over twice
// as many samples, and by attacks that match gradients.
func (e *experiment) compare(ctx context.Context) error {
	for _, k := range e.sizes {
		start := time.Now()
		x, y := e.draw("compare", e.train, 2*k)
		m := fedleak.NewQuadrants(e.env.Rand("compare network"), 28, 1, 10, e.small)
		f := &fedleak.Federation{Model: m, X: fedleak.Quadrants(x), Labels: y, Schedule: fedleak.Uniform{K: k, Seed: e.env.Seed}}
		row := sizeRow{K: k, Rounds: 3*k + 20}
		o, err := f.Observe(row.Rounds)
		if err != nil {
			return err
		}
		ids := o.Batch(0)
		truth := make([]*tensor.Tensor, len(f.X))
		for p := range f.X {
			truth[p] = tensor.Gather(f.X[p], ids)
		}
		rows := []pictureRow{{"private", fedleak.JoinQuadrants(truth), nil}}
		attack := func(a fedleak.Attack, name string) (float64, error) {
			r, err := a.Run(ctx, m, o)
			if err != nil {
				return 0, err
			}
			guess := r.Images(nil)
			for p := range guess {
				guess[p] = tensor.Gather(guess[p], ids)
			}
			guess, _ = fedleak.Match(truth, guess)
			s := fedleak.NewScore(truth, guess, nil)
			rows = append(rows, pictureRow{name, fedleak.JoinQuadrants(guess), s.Each})
			return s.Median, nil
		}
		for _, c := range []struct {
			name string
			a    fedleak.Attack
			to   *float64
		}{
			{"CAFE", fedleak.CAFE{Samples: ids, Inversion: e.inversion()}, &row.CAFE},
			{"DLG", e.matching(fedleak.Matching{Title: "DLG"}, k), &row.DLG},
			{"cosine", e.matching(fedleak.InvertingGradients(), k), &row.Cosine},
			{"SAPAG", e.matching(fedleak.SAPAGAttack(), k), &row.SAPAG},
			{"L2, all rounds", e.matching(fedleak.Matching{Rounds: row.Rounds}, k), &row.Many},
		} {
			if *c.to, err = attack(c.a, c.name); err != nil {
				return err
			}
		}
		public, _ := e.draw("public", e.test, min(e.test.Len(), 1000))
		row.Mean = fedleak.NewScore(truth, fedleak.MeanImage(fedleak.Quadrants(public), k), nil).Median
		row.Seconds = time.Since(start).Seconds()
		e.out.Batches = append(e.out.Batches, row)
		for i := range rows {
			var show []int
			for j := range min(k, 10) {
				show = append(show, j)
			}
			rows[i].images = tensor.Gather(rows[i].images, show)
			if rows[i].psnr != nil {
				rows[i].psnr = rows[i].psnr[:len(show)]
			}
		}
		e.pictures = append(e.pictures, picture{fmt.Sprintf("batch-%d", k), fmt.Sprintf("One batch of %d, by attack", k), rows})
	}
	return nil
}

// matching gives an attack its budget, and what helps it most on these networks: the
// box, a uniform starting point, Adam, and a rate for a few hundred steps.
func (e *experiment) matching(a fedleak.Matching, k int) fedleak.Matching {
	a.Steps, a.LR, a.Seed, a.Box, a.Init = e.steps, 0.1, e.env.Seed, true, fedleak.UniformInit
	stage := e.env.Stage(a.Name(), a.Steps)
	a.OnStep = func(step int, f float64) {
		stage.Done(step + 1)
		stage.Note("K = %d, %.3g", k, f)
	}
	return a
}
