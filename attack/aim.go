package attack

import "math"

// aim is what counts as a success for one input.
type aim struct {
	y      int // true label
	target int // class to reach, -1 for any but y
}

func (a aim) hit(answer int) bool {
	if a.target >= 0 {
		return answer == a.target
	}
	return answer != a.y
}

// class is the class that an objective is about.
func (a aim) class() int { return max(a.target, 0) }

// shortfall is what is missing in logits for a success: the lead of the true label
// over the others, or that of the others over the target. Below 0 nothing is.
func shortfall[T float](a aim, z []T) float64 {
	own, sign := a.y, 1.0
	if a.target >= 0 {
		own, sign = a.target, -1
	}
	rival := math.Inf(-1)
	for c, v := range z {
		if c != own {
			rival = max(rival, float64(v))
		}
	}
	return sign * (float64(z[own]) - rival)
}

// aim returns that of input i.
func (r *relay) aim(i int, y []int) aim {
	if r.goals != nil {
		return aim{y[i], r.goals[i]}
	}
	return aim{y[i], -1}
}

// catch keeps the nearest success of one input.
type catch[T float] struct {
	threat   Threat
	x0       []T
	point    []T // nil for none
	label    int
	distance float64
}

// offer looks at a point that is a success.
func (c *catch[T]) offer(x []T, label int) {
	d := distance(c.threat.Norm, x, c.x0)
	if d > c.threat.Eps || c.point != nil && d >= c.distance {
		return
	}
	c.point = append(c.point[:0], x...)
	c.label, c.distance = label, d
}

func (c *catch[T]) found() ([]T, int) { return c.point, c.label }
