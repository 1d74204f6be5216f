package minmax

import "math"

// pace is the step control of one row: Auto-PGD's momentum and checkpoints, with the
// rule's Value as what is to fall.
type pace struct {
	step     float64
	previous []float64 // offset before the last step; nil at a fresh start
	bestAt   []float64 // offset of the least value

	value, best, bestThen float64 // last, least, and least at the last checkpoint
	falls                 int     // of the value since then
	since, every          int     // answers since then, and until the next checkpoint
	halved                bool    // at the last checkpoint
}

// Constants of Croce and Hein, ICML 2020: weight of the new direction, share of
// falls that keeps the step, length of the first period and its decrease, least
// length, as shares of all steps.
const (
	fresh       = 0.75
	fallsWanted = 0.75
	firstPeriod = 0.22
	shorter     = 0.03
	leastPeriod = 0.06
)

func newPaces(g *game) []pace {
	p := make([]pace, len(g.rows))
	for i := range p {
		p[i] = pace{
			step: g.StepSize, best: math.Inf(1), bestThen: math.Inf(1), value: math.Inf(1),
			every: max(1, int(firstPeriod*float64(g.Steps))),
		}
	}
	return p
}

// observe hears the value of row i after t steps.
func (m *mover) observe(i int, value float64, t int) {
	p := &m.pace[i]
	if t == 0 {
		p.bestThen = value
	} else {
		p.since++
		if value < p.value {
			p.falls++
		}
	}
	p.value = value
	if value < p.best || p.bestAt == nil {
		m.load(i)
		p.best, p.bestAt = value, append(p.bestAt[:0], m.point...)
	}
}

// checkpoint halves the step of row i if it has stalled and says whether the row went
// back to its best point.
func (m *mover) checkpoint(i, t int) bool {
	p := &m.pace[i]
	if p.since < p.every {
		return false
	}
	oscillates := float64(p.falls) < fallsWanted*float64(p.every)
	stuck := !p.halved && t > p.every && p.bestThen <= p.best
	p.halved = oscillates || stuck
	p.bestThen, p.since, p.falls = p.best, 0, 0
	steps := float64(m.game.Steps)
	p.every = max(p.every-max(1, int(shorter*steps)), max(1, int(leastPeriod*steps)))
	if !p.halved {
		return false
	}
	p.step /= 2
	p.previous = nil
	m.load(i)
	m.store(i, p.bestAt)
	return true
}

// accelerate makes a step of row i, whose point and direction are loaded, with
// momentum.
func (m *mover) accelerate(i int) {
	p := &m.pace[i]
	now := append([]float64(nil), m.point...)
	for k, v := range m.grad {
		m.point[k] -= p.step * v
	}
	m.p.project(m.ball, m.point, m.lo, m.hi)
	if p.previous != nil {
		for k, v := range now {
			m.point[k] = v + fresh*(m.point[k]-v) + (1-fresh)*(v-p.previous[k])
		}
		m.p.project(m.ball, m.point, m.lo, m.hi)
	}
	p.previous = now
}
