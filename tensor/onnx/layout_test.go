package onnx

import (
	"math/rand/v2"
	"slices"
)

// means averages over marked axes.
func means(x array, gone []bool, keep bool) array {
	var dims []int
	for i, d := range x.dims {
		if !gone[i] {
			dims = append(dims, d)
		} else if keep {
			dims = append(dims, 1)
		}
	}
	out, n := zeros(dims...), 1
	for i, d := range x.dims {
		if gone[i] {
			n *= d
		}
	}
	fill(x.dims, func(idx []int) float64 {
		var to []int
		for i, k := range idx {
			if !gone[i] {
				to = append(to, k)
			} else if keep {
				to = append(to, 0)
			}
		}
		out.v[out.offset(to)] += x.at(idx...) / float64(n)
		return 0
	})
	return out
}

func drawReduce(r *rand.Rand) (*graph, array) {
	x := random(r, shape(r, between(r, 2, 5))...)
	rank := len(x.dims)
	gone := make([]bool, rank)
	var axes []int
	for _, a := range r.Perm(rank - 1)[:between(r, 1, rank-1)] {
		gone[a+1] = true
		if coin(r) {
			axes = append(axes, a+1)
		} else {
			axes = append(axes, a+1-rank)
		}
	}
	g := newGraph(anyOpset(r), x)
	a := attrs{}
	keep := coin(r)
	if !keep {
		a["keepdims"] = 0
	} else if coin(r) {
		a["keepdims"] = 1
	}
	out := means(x, gone, keep)
	if coin(r) {
		g.withAxes("ReduceMean", a, 18, "x", axes)
		return g, out
	}
	g.withAxes("ReduceSum", a, 13, "x", axes)
	return g, apply(out, func(v float64) float64 { return v * float64(len(x.v)/len(out.v)) })
}

// withAxes gives a node axes as an attribute or, since a version, as an input.
func (g *graph) withAxes(op string, a attrs, since int, x string, axes []int) string {
	if g.opset < since {
		a["axes"] = axes
		return g.node(op, a, x)
	}
	return g.node(op, a, x, g.list(axes))
}

func drawFlatten(r *rand.Rand) (*graph, array) {
	x := random(r, shape(r, between(r, 2, 5))...)
	g := newGraph(anyOpset(r), x)
	a := attrs{}
	if coin(r) {
		a["axis"] = 1
	}
	y := g.node("Flatten", a, "x")
	if coin(r) {
		g.node("Relu", nil, g.node("Neg", nil, y))
		x = apply(x, func(v float64) float64 { return max(-v, 0) })
	}
	return g, reshaped(x, x.dims[0], len(x.v)/x.dims[0])
}

func drawReshape(r *rand.Rand) (*graph, array) {
	x := random(r, shape(r, between(r, 2, 5))...)
	g := newGraph(anyOpset(r), x)
	// Split or join neighbouring extents.
	dims := slices.Clone(x.dims)
	if i := between(r, 1, len(dims)-1); coin(r) && i+1 < len(dims) {
		dims[i] *= dims[i+1]
		dims = slices.Delete(dims, i+1, i+2)
	} else if dims[i]%2 == 0 && len(dims) < 5 {
		dims[i] /= 2
		dims = slices.Insert(dims, i, 2)
	}
	target := slices.Clone(dims)
	switch r.IntN(4) {
	case 0:
		target[0] = 0
	case 1:
		target[0] = -1
	case 2:
		target[0] = 0
		target[between(r, 1, len(dims)-1)] = -1
	default:
		g.batch = x.dims[0]
	}
	g.node("Reshape", nil, "x", g.list(target))
	return g, reshaped(x, dims...)
}

func drawTranspose(r *rand.Rand) (*graph, array) {
	x := random(r, shape(r, between(r, 2, 5))...)
	g := newGraph(anyOpset(r), x)
	perm := append([]int{0}, r.Perm(len(x.dims)-1)...)
	for i := range perm[1:] {
		perm[1+i]++
	}
	// Behind an Identity, lest the input pass for images that come last.
	y := g.node("Transpose", attrs{"perm": perm}, g.node("Identity", nil, "x"))
	x = x.transposed(perm...)
	if coin(r) {
		d := len(x.v) / x.dims[0]
		g.node("Reshape", nil, y, g.constant([]int64{0, int64(d)}))
		return g, reshaped(x, x.dims[0], d)
	}
	return g, x
}

func drawSqueeze(r *rand.Rand) (*graph, array) {
	x := random(r, shape(r, between(r, 3, 5))...)
	x.dims[0] = between(r, 2, 3)
	var axes, kept []int
	for i, d := range x.dims {
		if i > 0 && (d == 1 || coin(r)) && len(x.dims)-len(axes) > 2 {
			x.dims[i] = 1
			axes = append(axes, i)
		} else {
			kept = append(kept, d)
		}
	}
	x = random(r, x.dims...)
	g := newGraph(anyOpset(r), x)
	if len(axes) > 0 {
		if coin(r) {
			axes[0] -= len(x.dims)
		}
		if g.opset < 11 {
			axes[0] = (axes[0] + len(x.dims)) % len(x.dims)
		}
		g.withAxes("Squeeze", attrs{}, 13, "x", axes)
	} else {
		g.node("Identity", nil, "x")
	}
	return g, reshaped(x, kept...)
}

func drawUnsqueeze(r *rand.Rand) (*graph, array) {
	x := random(r, shape(r, between(r, 2, 4))...)
	g := newGraph(anyOpset(r), x)
	n := between(r, 1, 5-len(x.dims))
	rank := len(x.dims) + n
	axes := r.Perm(rank - 1)[:n]
	var dims []int
	old := x.dims
	for i := range axes {
		axes[i]++
	}
	for i := range rank {
		if slices.Contains(axes, i) {
			dims = append(dims, 1)
		} else {
			dims, old = append(dims, old[0]), old[1:]
		}
	}
	g.withAxes("Unsqueeze", attrs{}, 13, "x", axes)
	return g, reshaped(x, dims...)
}

// drawShapeChain reshapes by what other nodes compute from the shape.
func drawShapeChain(r *rand.Rand) (*graph, array) {
	x := random(r, shape(r, 4)...)
	g := newGraph(anyOpset(r), x)
	s := g.node("Shape", nil, "x")
	at := func(i int64) string {
		one := g.node("Gather", attrs{"axis": 0}, s, g.constant(i))
		return g.withAxes("Unsqueeze", attrs{}, 13, one, []int{0})
	}
	n, c, h, w := x.dims[0], x.dims[1], x.dims[2], x.dims[3]
	var target string
	var dims []int
	switch r.IntN(4) {
	case 0: // [n, -1]
		target = g.node("Concat", attrs{"axis": 0}, at(0), g.constant([]int64{-1}))
		dims = []int{n, c * h * w}
	case 1: // [n, c h, w]
		target = g.node("Concat", attrs{"axis": 0}, at(0), g.node("Mul", nil, at(1), at(2)), at(3))
		dims = []int{n, c * h, w}
	case 2: // [n c, h w], and back by division
		target = g.node("Concat", attrs{"axis": 0}, g.node("Mul", nil, at(0), at(1)), g.constant([]int64{-1}))
		y := g.node("Reshape", nil, "x", target)
		y = g.node("Relu", nil, y)
		x = apply(x, func(v float64) float64 { return max(v, 0) })
		nc := g.node("Gather", attrs{"axis": 0}, g.node("Shape", nil, y), g.constant([]int64{0}))
		target = g.node("Concat", attrs{"axis": 0}, g.node("Div", nil, nc, at(1)), at(1), g.constant([]int64{-1}))
		g.node("Reshape", nil, y, target)
		return g, reshaped(x, n, c, h*w)
	default: // [n, c, w h] by slices
		var lead string
		if g.opset < 10 {
			lead = g.node("Slice", attrs{"starts": []int{0}, "ends": []int{2}}, s)
		} else {
			lead = g.node("Slice", nil, s, g.constant([]int64{0}), g.constant([]int64{-2}))
		}
		target = g.node("Concat", attrs{"axis": 0}, lead, g.constant([]int64{-1}))
		dims = []int{n, c, h * w}
	}
	g.node("Reshape", nil, "x", g.node("Cast", attrs{"to": int(typeInt64)}, target))
	return g, reshaped(x, dims...)
}

// drawImagesLast is a file whose images are [N, H, W, C] already.
func drawImagesLast(r *rand.Rand) (*graph, array) {
	ours := random(r, shape(r, 4)...)
	g := newGraph(anyOpset(r), ours)
	y := g.node("Transpose", attrs{"perm": []int{0, 3, 1, 2}}, "x")
	y = g.node("GlobalAveragePool", nil, y)
	g.node("Flatten", nil, y)
	g.lastAlready = true
	return g, means(ours, []bool{false, true, true, false}, false)
}
