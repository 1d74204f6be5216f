package minmax

import (
	"math"
	"slices"
)

// pace is the step control of one row: Auto-PGD's momentum and checkpoints, with the
// rule's Value as what is to fall.
type pace struct {
	step     float64
	previous []float64 // offset before the last step; nil at a fresh start
	best     found     // the least value, whose offset and direction are
	bestAt   []float64
	bestGrad []float64
	improved bool // the last answer was the best
	again    bool // the row went back to the best point and asks about it anew

	value, bestThen float64 // where the next step begins, and the least at the last checkpoint
	falls           int     // of the value since then
	since, every    int     // answers since then, and until the next checkpoint
	halved          bool    // at the last checkpoint
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
			step: g.StepSize, best: found{value: math.Inf(1)}, bestThen: math.Inf(1), value: math.Inf(1),
			every: max(1, int(firstPeriod*float64(g.Steps))),
		}
	}
	return p
}

// observe hears how row i does after t steps.
func (m *mover) observe(i int, now found, t int) {
	p := &m.pace[i]
	switch {
	case t == 0:
		p.bestThen = now.value
	case !p.again:
		p.since++
		if now.value < p.value {
			p.falls++
		}
	}
	if p.improved = p.again || now.value < p.best.value || p.best.losses == nil; p.improved {
		p.best = now
	}
	p.value, p.again = now.value, false
}

// control keeps the loaded point of row i and its direction if they are the best so far,
// after t steps. At a checkpoint it halves a step size that has stalled and loads the
// best point instead, with the direction that was found there. If the weights there have
// changed since, so has the direction: it returns false, and the next answer is to tell.
func (m *mover) control(i, t int) (known bool) {
	p := &m.pace[i]
	if p.improved {
		p.bestAt, p.bestGrad = append(p.bestAt[:0], m.point...), append(p.bestGrad[:0], m.grad...)
	}
	if p.since < p.every {
		return true
	}
	oscillates := float64(p.falls) < fallsWanted*float64(p.every)
	stuck := !p.halved && t > p.every && p.bestThen <= p.best.value
	p.halved = oscillates || stuck
	p.bestThen, p.since, p.falls = p.best.value, 0, 0
	steps := float64(m.game.Steps)
	p.every = max(p.every-max(1, int(shorter*steps)), max(1, int(leastPeriod*steps)))
	if !p.halved {
		return true
	}
	p.step /= 2
	p.previous, p.value = nil, p.best.value
	copy(m.point, p.bestAt)
	copy(m.grad, p.bestGrad)
	w := slices.Clone(m.game.weights[i])
	m.game.Rule.Update(w, p.best.losses, t+1)
	p.again = !slices.Equal(w, p.best.weights)
	return !p.again
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
