package minmax

import (
	"math"

	"github.com/redoubt-ml/redoubt/attack"
	"github.com/redoubt-ml/redoubt/tensor"
)

// mover makes the steps of the points of one batch. It works on offsets from the
// centre in float64; rounding to the point's type goes towards the centre, so that
// a point is in the ball and the box exactly.
type mover struct {
	game *game
	ball Ball
	p    projector

	centre, point, grad, lo, hi []float64 // of one row
	pace                        []pace    // by row; nil without step control
}

func newMover(g *game) mover {
	d := g.point.Len() / g.point.Dim(0)
	m := mover{game: g, ball: Ball{Norm: g.Threat.Norm, Eps: g.Threat.Eps, Approximate: g.Approximate}}
	for _, v := range []*[]float64{&m.centre, &m.point, &m.grad, &m.lo, &m.hi} {
		*v = make([]float64, d)
	}
	if g.StepControl {
		m.pace = newPaces(g)
	}
	return m
}

// load reads row i: its centre, the box around that and the point, as offsets.
func (m *mover) load(i int) {
	readRow(m.centre, m.game.centre, i)
	readRow(m.point, m.game.point, i)
	m.game.domains.Box(m.game.rows[i], m.lo, m.hi)
	for k, c := range m.centre {
		m.point[k] -= c
		m.lo[k] -= c
		m.hi[k] -= c
	}
}

// store writes an offset to row i of the points.
func (m *mover) store(i int, offset []float64) {
	x, d := m.game.point, len(offset)
	if x.DType() == tensor.Float32 {
		place(x.Float32s()[i*d:(i+1)*d], m.centre, offset)
	} else {
		place(x.Float64s()[i*d:(i+1)*d], m.centre, offset)
	}
}

// place writes centre + offset, rounded towards the centre, which x's type holds.
func place[T float32 | float64](x []T, centre, offset []float64) {
	for k, c := range centre {
		v := T(c + offset[k])
		if math.Abs(float64(v)-c) > math.Abs(offset[k]) {
			v = next(v, T(c))
		}
		x[k] = v
	}
}

// next is the number after v on the way to w.
func next[T float32 | float64](v, w T) T {
	if f, ok := any(v).(float32); ok {
		return T(math.Nextafter32(f, float32(w)))
	}
	return T(math.Nextafter(float64(v), float64(w)))
}

// step moves all points of the game by their gradients, after t steps.
func (g *game) step(grad *tensor.Tensor, t int) {
	m := &g.mover
	for i := range g.rows {
		m.load(i)
		readRow(m.grad, grad, i)
		if g.Normalize {
			direct(m.ball.Norm, m.grad)
		}
		if g.StepControl {
			if m.control(i, t) {
				m.accelerate(i)
			}
		} else {
			for k, v := range m.grad {
				m.point[k] -= g.StepSize * v
			}
			m.p.project(m.ball, m.point, m.lo, m.hi)
		}
		m.store(i, m.point)
	}
	g.point.Touch()
}

// direct replaces a gradient by its direction in a norm, of length 1 however small or
// large the gradient is; one of 0 stays as it is.
func direct(n attack.Norm, g []float64) {
	if n == attack.Linf {
		for k, v := range g {
			g[k] = sign(v)
		}
		return
	}
	largest := 0.0
	for _, v := range g {
		largest = max(largest, math.Abs(v))
	}
	if largest == 0 {
		return
	}
	// Of values up to 1 neither a square nor the sum leaves the range of numbers.
	length := 0.0
	for k, v := range g {
		v /= largest
		g[k] = v
		if n == attack.L2 {
			length += v * v
		} else {
			length += math.Abs(v)
		}
	}
	if n == attack.L2 {
		length = math.Sqrt(length)
	}
	for k := range g {
		g[k] /= length
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

// scatter puts all points at random starts.
func (g *game) scatter(start Start) {
	m := &g.mover
	for i := range g.rows {
		m.load(i)
		rng := g.stream(i, 0)
		if start == NormalStart {
			for k := range m.point {
				m.point[k] = 0.1 * rng.NormFloat64()
			}
		} else {
			inBall(m.ball, rng, m.point)
		}
		m.p.project(m.ball, m.point, m.lo, m.hi)
		m.store(i, m.point)
	}
	g.point.Touch()
}

// measure records the stationarity of the points, with the gradient of the weighted
// losses there: in the point and, if the weights play, in them,
//
//	‖v - proj_X(v - ∇)‖² + ‖w - proj_P(w + F - gamma (w - 1/K))‖².
func (g *game) measure(grad *tensor.Tensor, losses [][]float64) {
	m := &g.mover
	p, plays := g.Rule.(player)
	for i := range g.rows {
		m.load(i)
		readRow(m.grad, grad, i)
		r := m.residual()
		if plays {
			_, gamma := p.plays()
			r += weightResidual(g.weights[i], losses[i], gamma)
		}
		g.residual[i] = append(g.residual[i], r)
	}
}

// residual is ‖v - proj_X(v - ∇)‖² of the loaded row.
func (m *mover) residual() float64 {
	for k, v := range m.point {
		m.grad[k] = v - m.grad[k]
	}
	m.p.project(m.ball, m.grad, m.lo, m.hi)
	r := 0.0
	for k, v := range m.point {
		d := v - m.grad[k]
		r += d * d
	}
	return r
}

// weightResidual is ‖w - proj_P(w + F - gamma (w - 1/K))‖².
func weightResidual(w, f []float64, gamma float64) float64 {
	to := append([]float64(nil), w...)
	ascend(to, f, 1, gamma)
	r := 0.0
	for i, v := range to {
		d := v - w[i]
		r += d * d
	}
	return r
}
