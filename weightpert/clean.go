package weightpert

import (
	"math"

	"gonum.org/v1/gonum/floats"
)

// clean follows the unchanged network through one example: its values in float64 and
// how far rounding can have taken them from those of real arithmetic. Activations must
// be 1-Lipschitz.
type clean struct {
	p        *prepared
	pre, act []values // act[0] is the example
	mod      [][]float64
	noise    []float64
	finite   bool
}

// values are each known to within an error.
type values struct{ at, err []float64 }

func newValues(n int) values { return values{make([]float64, n), make([]float64, n)} }

func (p *prepared) newClean() *clean {
	c := &clean{p: p, noise: make([]float64, p.width)}
	c.act = append(c.act, newValues(p.net.Inputs()))
	c.mod = append(c.mod, make([]float64, p.net.Inputs()))
	for i := range p.layers {
		rows := p.layers[i].Weight.Rows
		c.pre, c.act = append(c.pre, newValues(rows)), append(c.act, newValues(rows))
		c.mod = append(c.mod, make([]float64, rows))
	}
	return c
}

// run computes c for x. size, unless it is nil, bounds the sum of the moduli of each
// row's products in layer 0; otherwise that is computed here.
func (c *clean) run(x, size []float64) {
	copy(c.act[0].at, x)
	for k, v := range x {
		c.mod[0][k] = math.Abs(v)
	}
	c.finite = true
	for i := range c.p.layers {
		l := &c.p.layers[i]
		in, out := c.act[i], c.pre[i]
		g := gamma(l.longest + 1)
		if i == 0 && l.cols != nil {
			sums := size
			if sums == nil {
				sums = out.err
				l.columnProduct(sums, l.cols.size, x, math.Abs)
			}
			l.columnProduct(out.at, l.cols.val, x, func(v float64) float64 { return v })
			for r := range out.err {
				out.err[r] = g * sums[r]
			}
		} else {
			noise := c.noise[:len(in.at)]
			for k, m := range c.mod[i] {
				noise[k] = in.err[k] + g*m
			}
			l.rowProduct(out.at, out.err, in.at, noise)
		}
		next := c.act[i+1]
		for r := range out.at {
			if l.Bias != nil {
				out.at[r] += l.Bias[r]
				out.err[r] += g * math.Abs(l.Bias[r])
			}
			out.err[r] = out.err[r]*(1+g) + tiny
			v, e := l.Act.Value(out.at[r]), out.err[r]
			if !l.Act.exact() {
				e += 16*unit*math.Abs(v) + tiny
			}
			next.at[r], next.err[r] = v, e
			c.mod[i+1][r] = math.Abs(v) + e
			if !(c.mod[i+1][r] <= math.MaxFloat64 && math.Abs(out.at[r])+out.err[r] <= math.MaxFloat64) {
				c.finite = false
			}
			if v == 0 && out.at[r]+out.err[r] <= 0 && l.Act == ReLU {
				next.err[r], c.mod[i+1][r] = 0, 0
			}
		}
	}
}

// columnProduct computes the product of values that are laid out by columns with of(x):
// inputs that are 0 cost nothing.
func (l *boxedLayer) columnProduct(out, columns, x []float64, of func(float64) float64) {
	clear(out)
	rows := len(out)
	for k, v := range x {
		if v != 0 {
			floats.AddScaled(out, of(v), columns[k*rows:(k+1)*rows])
		}
	}
}

// rowProduct computes the product of the layer's weights with z, and that of their
// moduli with noise.
func (l *boxedLayer) rowProduct(out, err, z, noise []float64) {
	for r := range out {
		from, to := l.Weight.span(r)
		val := l.Weight.Val[from:to]
		sum, slip := 0.0, 0.0
		if l.Weight.Col == nil {
			sum = floats.Dot(val, z)
			for k, v := range val {
				slip += math.Abs(v) * noise[k]
			}
		} else {
			for k, c := range l.Weight.Col[from:to] {
				sum += val[k] * z[c]
				slip += math.Abs(val[k]) * noise[c]
			}
		}
		out[r], err[r] = sum, slip
	}
}

// margins fills in lower bounds of the margins of y without any change.
func (c *clean) margins(out []float64, y int) {
	f := c.pre[len(c.pre)-1]
	for j := range out {
		switch {
		case j == y:
			out[j] = 0
		case !c.finite:
			out[j] = math.Inf(-1)
		default:
			out[j] = minus(minus(f.at[y], f.at[j]), (f.err[y]+f.err[j])*(1+4*unit))
		}
	}
}
