package fedleak

import (
	"context"
	"slices"
)

// adam goes through the rounds in turn.
func (s *search) adam(ctx context.Context) {
	adams := make([]*RowAdam, len(s.x))
	for i := range adams {
		adams[i] = &RowAdam{}
	}
	labels := &RowAdam{}
	for t := range s.Steps {
		if ctx.Err() != nil {
			return
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
		for seed := range s.Seeds {
			f, gs := s.value(seed, round, tv)
			total += f
			for i, g := range gs {
				v := g.Values()
				if s.Method == SignAdam {
					for j, u := range v {
						v[j] = sign(u)
					}
				}
				table, opt := s.y, labels
				if i < s.parties {
					table, opt = s.x[seed*s.parties+i], adams[seed*s.parties+i]
				}
				opt.LR = lr
				opt.Step(table, len(s.ids), s.rounds[round], v)
				if s.Box && i < s.parties {
					clip(table)
				}
			}
			s.tape.Reset()
		}
		if s.Progress != nil {
			s.Progress(t, total/float64(s.Seeds))
		}
	}
}

func sign(v float64) float64 {
	switch {
	case v > 0:
		return 1
	case v < 0:
		return -1
	}
	return 0
}

// lbfgs minimises the sum over all rounds, from each seed by itself.
func (s *search) lbfgs(ctx context.Context) {
	for seed := range s.Seeds {
		tables := append(slices.Clone(s.x[seed*s.parties:(seed+1)*s.parties]), s.y)
		load := func(x []float64) {
			for _, t := range tables {
				x = x[copy(t, x):]
			}
		}
		at := func(x, grad []float64) float64 {
			load(x)
			total := 0.0
			clear(grad)
			for round, rows := range s.rounds {
				f, gs := s.value(seed, round, s.TV)
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
		x := slices.Concat(tables...)
		load(minimize(ctx, x, s.Steps, -1, at))
	}
}

// recovery returns the mean over the seeds.
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
			for seed := range s.Seeds {
				for j, v := range s.x[seed*s.parties+p][row*size : (row+1)*size] {
					x[j] += v / float64(s.Seeds)
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
