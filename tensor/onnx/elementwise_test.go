package onnx

import (
	"math"
	"math/rand/v2"
	"slices"
)

func drawActivation(r *rand.Rand) (*graph, array) {
	all := []struct {
		op    string
		since int
		attrs attrs
		f     func(v float64) float64
	}{
		{"Relu", 7, nil, func(v float64) float64 { return max(v, 0) }},
		{"Sigmoid", 7, nil, func(v float64) float64 { return 1 / (1 + math.Exp(-v)) }},
		{"Tanh", 7, nil, math.Tanh}, {"Exp", 7, nil, math.Exp}, {"Abs", 7, nil, math.Abs}, {"Erf", 9, nil, math.Erf},
		{"Softplus", 7, nil, func(v float64) float64 { return math.Log(1 + math.Exp(v)) }},
		{"Neg", 7, nil, func(v float64) float64 { return -v }},
		{"Log", 7, nil, math.Log}, {"Sqrt", 7, nil, math.Sqrt}, {"Reciprocal", 7, nil, func(v float64) float64 { return 1 / v }},
		{"LeakyRelu", 7, nil, func(v float64) float64 { return max(v, float64(float32(0.01))*v) }},
		{"LeakyRelu", 7, attrs{"alpha": 0.25}, func(v float64) float64 { return max(v, 0.25*v) }},
		{"Elu", 7, attrs{"alpha": 0.5}, func(v float64) float64 {
			if v > 0 {
				return v
			}
			return 0.5 * (math.Exp(v) - 1)
		}},
		{"HardSigmoid", 7, attrs{"alpha": 0.125, "beta": 0.25}, func(v float64) float64 { return min(max(v/8+0.25, 0), 1) }},
		{"HardSwish", 14, nil, func(v float64) float64 { return v * min(max(v/6+0.5, 0), 1) }},
		{"Gelu", 20, nil, func(v float64) float64 { return v / 2 * (1 + math.Erf(v/math.Sqrt2)) }},
		{"Gelu", 20, attrs{"approximate": "tanh"}, func(v float64) float64 {
			return v / 2 * (1 + math.Tanh(math.Sqrt(2/math.Pi)*(v+0.044715*v*v*v)))
		}},
	}
	c := all[r.IntN(len(all))]
	x := random(r, shape(r, between(r, 2, 5))...)
	if c.op == "Log" || c.op == "Sqrt" || c.op == "Reciprocal" {
		x = positive(r, x.dims...)
	}
	g := newGraph(between(r, c.since, MaxOpset), x)
	g.node(c.op, c.attrs, "x")
	return g, apply(x, c.f)
}

func drawClip(r *rand.Rand) (*graph, array) {
	x := random(r, shape(r, between(r, 2, 5))...)
	g := newGraph(anyOpset(r), x)
	lo, hi := math.Inf(-1), math.Inf(1)
	if coin(r) {
		lo = -0.5
	}
	if coin(r) {
		hi = 0.75
	}
	if g.opset < 11 {
		a := attrs{}
		if lo > -1 {
			a["min"] = lo
		}
		if hi < 1 {
			a["max"] = hi
		}
		g.node("Clip", a, "x")
	} else {
		in := []string{"x", "", ""}
		if lo > -1 {
			in[1] = g.constant(array{v: []float64{lo}})
		}
		if hi < 1 {
			in[2] = g.constant(array{v: []float64{hi}})
		}
		g.node("Clip", nil, in...)
	}
	return g, apply(x, func(v float64) float64 { return min(max(v, lo), hi) })
}

func drawPRelu(r *rand.Rand) (*graph, array) {
	x := random(r, shape(r, 4)...)
	s := positive(r, x.dims[1], 1, 1)
	g := newGraph(anyOpset(r), x)
	g.node("PRelu", nil, "x", g.constant(s))
	return g, fill(x.dims, func(idx []int) float64 {
		v := x.at(idx...)
		if v < 0 {
			return v * s.at(idx[1], 0, 0)
		}
		return v
	})
}

func drawSoftmax(r *rand.Rand) (*graph, array) {
	op := []string{"Softmax", "LogSoftmax"}[r.IntN(2)]
	x := random(r, shape(r, between(r, 2, 5))...)
	rank := len(x.dims)
	g := newGraph(anyOpset(r), x)
	axis := between(r, 1, rank-1)
	a := attrs{}
	switch {
	case coin(r) && g.opset >= 11:
		a["axis"] = axis - rank
	case coin(r) && g.opset < 13:
		axis = 1
	case coin(r) && g.opset >= 13:
		axis = rank - 1
	default:
		a["axis"] = axis
	}
	g.node(op, a, "x")
	last := axis
	if g.opset < 13 {
		last = rank - 1
	}
	return g, fill(x.dims, func(idx []int) float64 {
		sum := 0.0
		fill(x.dims, func(k []int) float64 {
			if slices.Equal(k[:axis], idx[:axis]) && slices.Equal(k[last+1:], idx[last+1:]) {
				sum += math.Exp(x.at(k...))
			}
			return 0
		})
		if op == "Softmax" {
			return math.Exp(x.at(idx...)) / sum
		}
		return x.at(idx...) - math.Log(sum)
	})
}

func drawArithmetic(r *rand.Rand) (*graph, array) {
	op := []string{"Add", "Sub", "Mul", "Div"}[r.IntN(4)]
	f := map[string]func(a, b float64) float64{
		"Add": func(a, b float64) float64 { return a + b }, "Sub": func(a, b float64) float64 { return a - b },
		"Mul": func(a, b float64) float64 { return a * b }, "Div": func(a, b float64) float64 { return a / b },
	}[op]
	x := positive(r, shape(r, between(r, 2, 5))...)
	g := newGraph(anyOpset(r), x)
	rank := len(x.dims)
	var b array
	var name string
	switch r.IntN(3) {
	case 0: // means of some axes, computed
		gone := make([]bool, rank)
		var axes []int
		for i := 1; i < rank; i++ {
			if gone[i] = coin(r); gone[i] {
				axes = append(axes, i)
			}
		}
		if len(axes) == 0 {
			axes, gone[1] = []int{1}, true
		}
		b = means(x, gone, true)
		name = g.withAxes("ReduceMean", attrs{}, 18, "x", axes)
	case 1: // other order in memory
		perm := inOrder(rank)
		if rank > 2 && x.dims[rank-1] == x.dims[rank-2] {
			perm[rank-1], perm[rank-2] = rank-2, rank-1
		}
		b = x.transposed(perm...)
		name = g.node("Transpose", attrs{"perm": perm}, "x")
	default: // constant, perhaps with fewer axes
		dims := slices.Clone(x.dims)
		dims[0] = 1
		for i := 1; i < rank; i++ {
			if coin(r) {
				dims[i] = 1
			}
		}
		b = positive(r, dims[r.IntN(rank+1):]...)
		name = g.constant(b)
	}
	if coin(r) {
		g.node(op, nil, "x", name)
		return g, fill(x.dims, func(idx []int) float64 { return f(x.at(idx...), b.stretched(idx)) })
	}
	g.node(op, nil, name, "x")
	return g, fill(x.dims, func(idx []int) float64 { return f(b.stretched(idx), x.at(idx...)) })
}

func drawPow(r *rand.Rand) (*graph, array) {
	x := positive(r, shape(r, between(r, 2, 5))...)
	g := newGraph(anyOpset(r), x)
	if coin(r) {
		p := []float64{2, 3, 0.5, -1}[r.IntN(4)]
		if p == 3 {
			g.node("Pow", nil, "x", g.constant(int64(3)))
		} else {
			g.node("Pow", nil, "x", g.constant(array{v: []float64{p}}))
		}
		return g, apply(x, func(v float64) float64 { return math.Pow(v, p) })
	}
	p := random(r, x.dims[len(x.dims)-1])
	g.node("Pow", nil, "x", g.constant(p))
	return g, fill(x.dims, func(idx []int) float64 { return math.Pow(x.at(idx...), p.stretched(idx)) })
}

func drawPassing(r *rand.Rand) (*graph, array) {
	x := random(r, shape(r, between(r, 2, 5))...)
	g := newGraph(anyOpset(r), x)
	y := g.node("Identity", nil, "x")
	a := attrs{}
	in := []string{y}
	if coin(r) {
		if g.opset < 12 {
			a["ratio"] = 0.25
		} else {
			in = append(in, g.constant(array{v: []float64{0.25}}))
		}
	}
	y = g.node("Dropout", a, in...)
	y = g.node("Cast", attrs{"to": int(typeFloat)}, y)
	if coin(r) {
		y = g.node("Relu", nil, y)
		x2 := g.node("Sub", nil, "x", y)
		g.node("Neg", nil, x2)
		return g, apply(x, func(v float64) float64 { return -min(v, 0) })
	}
	return g, x
}

func drawVariadic(r *rand.Rand) (*graph, array) {
	op := []string{"Sum", "Max", "Min"}[r.IntN(3)]
	f := map[string]func(a, b float64) float64{
		"Sum": func(a, b float64) float64 { return a + b }, "Max": func(a, b float64) float64 { return max(a, b) },
		"Min": func(a, b float64) float64 { return min(a, b) },
	}[op]
	x := random(r, shape(r, between(r, 2, 5))...)
	g := newGraph(anyOpset(r), x)
	all, in := []array{x}, []string{"x"}
	for range between(r, 0, 3) {
		if coin(r) {
			c := random(r, x.dims[between(r, 1, len(x.dims)):]...)
			all, in = append(all, c), append(in, g.constant(c))
		} else {
			all, in = append(all, apply(x, math.Tanh)), append(in, g.node("Tanh", nil, "x"))
		}
	}
	r.Shuffle(len(in), func(i, j int) { all[i], all[j], in[i], in[j] = all[j], all[i], in[j], in[i] })
	g.node(op, nil, in...)
	return g, fill(x.dims, func(idx []int) float64 {
		v := all[0].stretched(idx)
		for _, a := range all[1:] {
			v = f(v, a.stretched(idx))
		}
		return v
	})
}
