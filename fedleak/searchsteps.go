package fedleak

import (
	"context"
	"fmt"
	"math"
	"slices"

	"github.com/redoubt-ml/redoubt/tensor"
)

// broken says that an objective is of no more use.
func (s *search) broken(step int, f float64) error {
	return fmt.Errorf("fedleak: %s: the objective, %v, or its gradient is not finite at step %d", s.Name(), f, step)
}

// finite says whether an objective and its gradients are.
func finite(f float64, gs []*tensor.Tensor) bool {
	for _, g := range gs {
		if !tensor.AllFinite(g) {
			return false
		}
	}
	return !math.IsNaN(f) && !math.IsInf(f, 0)
}

// keeper holds the tables of the least objective.
type keeper struct {
	best   float64
	tables [][]float64
}

// keep stores tables if their objective is a number and the least so far.
func (k *keeper) keep(f float64, tables [][]float64) {
	if k.tables == nil {
		k.best = math.Inf(1)
		for _, t := range tables {
			k.tables = append(k.tables, make([]float64, len(t)))
		}
	}
	if !(f < k.best) {
		return
	}
	k.best = f
	for i, t := range tables {
		copy(k.tables[i], t)
	}
}

// restore puts the stored tables back.
func (k *keeper) restore(tables [][]float64) {
	if math.IsInf(k.best, 1) {
		return
	}
	for i, t := range k.tables {
		copy(tables[i], t)
	}
}

// adam goes through the rounds in turn.
func (s *search) adam(ctx context.Context) error {
	tables := s.tables()
	kept := keeper{best: math.Inf(1)}
	steady := s.Rounds == 1 && s.runs == 1 && !s.Fade
	adams := make([]*rowAdam, len(s.x))
	for i := range adams {
		adams[i] = &rowAdam{}
	}
	labels := &rowAdam{}
	for t := range s.Steps {
		if ctx.Err() != nil {
			kept.restore(tables)
			return nil
		}
		lr := s.LR
		if s.Decay {
			for _, mark := range []int{3, 5, 7} {
				if 8*t >= mark*s.Steps {
					lr *= 0.1
				}
			}
		}
		tv := s.TV
		if s.Fade {
			tv *= 1 - float64(t)/float64(s.Steps)
		}
		round := t % s.Rounds
		total := 0.0
		for run := range s.runs {
			f, gs := s.value(run, round, tv)
			if !finite(f, gs) {
				kept.restore(tables)
				return s.broken(t, f)
			}
			total += f
			if steady {
				kept.keep(f, tables)
			}
			for i, g := range gs {
				if s.Method == SignAdam {
					g = tensor.Sign(g)
				}
				v := g.Values()
				table, opt := s.y, labels
				if i < s.parties {
					table, opt = s.x[run*s.parties+i], adams[run*s.parties+i]
				}
				opt.LR = lr
				opt.Step(table, len(s.ids), s.rounds[round], v)
				if s.Box && i < s.parties {
					clip(table)
				}
			}
			s.tape.Reset()
		}
		if s.OnStep != nil {
			s.OnStep(t, total/float64(s.runs))
		}
	}
	return nil
}

// lbfgs minimises the sum over all rounds.
func (s *search) lbfgs(ctx context.Context) error {
	tables := s.tables()
	load := func(x []float64) {
		for _, t := range tables {
			x = x[copy(t, x):]
		}
	}
	evaluated := -1
	at := func(x, grad []float64) float64 {
		evaluated++
		load(x)
		total := 0.0
		clear(grad)
		for round, rows := range s.rounds {
			f, gs := s.value(0, round, s.TV)
			if !finite(f, gs) {
				f = math.NaN()
			}
			total += f
			from := 0
			for i, t := range tables {
				if i < len(gs) {
					width := len(t) / len(s.ids)
					v := gs[i].Values()
					for j, r := range rows {
						for k := range width {
							grad[from+r*width+k] += v[j*width+k]
						}
					}
				}
				from += len(t)
			}
			s.tape.Reset()
		}
		return total
	}
	x, last := minimize(ctx, slices.Concat(tables...), s.Steps, -1, at)
	load(x)
	if math.IsNaN(last) || math.IsInf(last, 0) {
		return s.broken(evaluated, last)
	}
	return nil
}

// recovery returns the mean over the runs.
func (s *search) recovery(o Observations) *Recovery {
	n := o.Setting().Samples
	r := newRecovery(s.Name(), s.m, n)
	r.Rounds = s.Rounds
	r.Labels = make([]int, n)
	for i := range r.Labels {
		r.Labels[i] = -1
	}
	for p := range r.Parties {
		size := len(s.x[p]) / len(s.ids)
		for row, id := range s.ids {
			x := make([]float64, size)
			for run := range s.runs {
				for j, v := range s.x[run*s.parties+p][row*size : (row+1)*size] {
					x[j] += v / float64(s.runs)
				}
			}
			clip(x)
			setRow(r.Parties[p].X, id, x)
			r.Parties[p].Status[id] = Recovered
		}
	}
	for row, id := range s.ids {
		if s.given != nil {
			r.Labels[id] = s.given[row]
			continue
		}
		y := s.y[row*s.m.Classes : (row+1)*s.m.Classes]
		r.Labels[id] = slices.Index(y, slices.Max(y))
	}
	return r
}
