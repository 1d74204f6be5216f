package minmax

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"

	"github.com/redoubt-ml/redoubt/internal/ask"
	"github.com/redoubt-ml/redoubt/tensor"
)

// Judge says how points [N, ...], such as those that were found against other
// domains, do in d: Fooled and Losses of Result, N rows of K. Random transformations
// are drawn with the seed. d must tell who is fooled. On an error, or when ctx is
// cancelled, rows that have not been judged are nil.
func Judge(ctx context.Context, d Domains, points *tensor.Tensor, seed uint64) (fooled [][]bool, losses [][]float64, err error) {
	if d == nil {
		return nil, nil, errors.New("minmax: no domains")
	}
	if err := d.Check(); err != nil {
		return nil, nil, err
	}
	centre := d.Center()
	if points == nil || fmt.Sprint(points.Shape()) != fmt.Sprint(centre.Shape()) || points.DType() != centre.DType() {
		return nil, nil, fmt.Errorf("minmax: points %v for centres %v%v, want the same shape and type", points, centre.DType(), centre.Shape())
	}
	points = ask.OffTape(points)
	names := d.Names()
	n := points.Dim(0)
	fooled, losses = make([][]bool, n), make([][]float64, n)
	err = ask.Batches(ctx, "minmax", n, rowsFor(d, judgeInputs), 1, nil, func(ctx context.Context, tape *tensor.Tape, lo, hi, _ int) error {
		rows := ask.Range(lo, hi)
		tape.Reset()
		at := Rows{Index: rows, Source: func(i int) *rand.Rand { return rowStream(seed, rows[i], 0, 0) }}
		out, err := d.Play(ctx, tape.Const(tensor.Slice(points, 0, lo, hi)), at)
		if err != nil {
			return err
		}
		if out.Fooled == nil {
			return errors.New("minmax: domains do not tell who is fooled")
		}
		if err := checkFinite(out.Losses, names, at); err != nil {
			return err
		}
		flat := out.Losses.Values()
		for i, row := range rows {
			fooled[row] = out.Fooled[i]
			losses[row] = flat[i*len(names) : (i+1)*len(names)]
		}
		return nil
	})
	return fooled, losses, err
}

// judgeInputs is the number of inputs in a forward pass that needs no gradient.
const judgeInputs = 64

// CleanLabels returns each domain's own answers to the inputs, for AttackLabels: the
// attack then works from what a model thinks instead of from the truth. On an error, or
// when ctx is cancelled, answers that have not been given are -1.
func (s *Situations) CleanLabels(ctx context.Context, seed uint64) ([][]int, error) {
	if err := s.Check(); err != nil {
		return nil, err
	}
	names, n := s.Names(), len(s.Y)
	out := make([][]int, len(names))
	for k := range out {
		out[k] = slices.Repeat([]int{-1}, n)
	}
	err := ask.Batches(ctx, "minmax", n, rowsFor(s, judgeInputs), 1, nil, func(ctx context.Context, tape *tensor.Tape, lo, hi, _ int) error {
		rows := ask.Range(lo, hi)
		tape.Reset()
		at := Rows{Index: rows, Source: func(i int) *rand.Rand { return rowStream(seed, rows[i], 0, 0) }}
		seen, err := s.look(tape.Const(pick(s.X, rows)), at)
		if err != nil {
			return err
		}
		all := tensor.Concat(0, seen...)
		for m, model := range s.Models {
			logits, err := query(ctx, model, s.modelName(m), all, at)
			if err != nil {
				return err
			}
			if err := checkLogits(logits, at, func(i int) (string, int) { return names[m*len(seen)+i/len(rows)], rows[i%len(rows)] }); err != nil {
				return err
			}
			for i, label := range tensor.ArgMax(logits) {
				out[m*len(seen)+i/len(rows)][rows[i%len(rows)]] = label
			}
		}
		return nil
	})
	return out, err
}
