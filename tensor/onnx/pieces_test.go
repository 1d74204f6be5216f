package onnx

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
)

func drawConcat(r *rand.Rand) (*graph, array) {
	x := random(r, shape(r, between(r, 2, 5))...)
	rank := len(x.dims)
	g := newGraph(anyOpset(r), x)
	axis := between(r, 1, rank-1)
	perm := inOrder(rank)
	if rank > 3 {
		perm[rank-1], perm[rank-2] = rank-2, rank-1
	}
	// A second part that is laid out in another order in memory.
	second := x
	name := g.node("Neg", nil, "x")
	if slices.Equal(x.transposed(perm...).dims, x.dims) {
		name = g.node("Transpose", attrs{"perm": perm}, name)
		second = x.transposed(perm...)
	}
	a := attrs{"axis": axis}
	if g.opset >= 11 && coin(r) {
		a["axis"] = axis - rank
	}
	g.node("Concat", a, name, "x", name)
	dims := slices.Clone(x.dims)
	dims[axis] *= 3
	return g, fill(dims, func(idx []int) float64 {
		k := slices.Clone(idx)
		k[axis] %= x.dims[axis]
		if idx[axis]/x.dims[axis] == 1 {
			return x.at(k...)
		}
		return -second.at(k...)
	})
}

func drawSlice(r *rand.Rand) (*graph, array) {
	x := random(r, shape(r, between(r, 2, 5))...)
	for i := range x.dims[1:] {
		x.dims[1+i] += 2
	}
	x = random(r, x.dims...)
	rank := len(x.dims)
	g := newGraph(anyOpset(r), x)
	var starts, ends, axes, steps []int
	from, step := make([]int, rank), slices.Repeat([]int{1}, rank)
	dims := slices.Clone(x.dims)
	for _, a := range r.Perm(rank - 1)[:between(r, 1, rank-1)] {
		a++
		d := x.dims[a]
		lo := r.IntN(d)
		hi := between(r, lo+1, d)
		s, e := lo, hi
		by := 1
		if g.opset >= 10 {
			by = between(r, 1, 3)
			if coin(r) {
				// Backwards from hi-1 down to lo.
				by = -by
				s, e = hi-1, lo-1
			}
		}
		step[a], from[a] = by, s
		dims[a] = (hi-lo-1)/max(by, -by) + 1
		if e < 0 {
			e = -1000
		} else if e == d && coin(r) {
			e = math.MaxInt
		} else if coin(r) && e < d && e > 0 {
			e -= d
		}
		if coin(r) {
			s -= d
		}
		axis := a
		if coin(r) && g.opset >= 10 {
			axis -= rank
		}
		starts, ends, axes, steps = append(starts, s), append(ends, e), append(axes, axis), append(steps, by)
	}
	if g.opset < 10 {
		g.node("Slice", attrs{"starts": starts, "ends": ends, "axes": axes}, "x")
	} else {
		g.node("Slice", nil, "x", g.list(starts), g.list(ends), g.list(axes), g.list(steps))
	}
	return g, fill(dims, func(idx []int) float64 {
		k := make([]int, rank)
		for i := range k {
			k[i] = from[i] + idx[i]*step[i]
		}
		return x.at(k...)
	})
}

func drawPad(r *rand.Rand) (*graph, array) {
	x := random(r, shape(r, between(r, 2, 5))...)
	for i := range x.dims[1:] {
		x.dims[1+i]++
	}
	x = random(r, x.dims...)
	rank := len(x.dims)
	g := newGraph(anyOpset(r), x)
	mode := []string{"constant", "edge", "reflect"}[r.IntN(3)]
	pads := make([]int, 2*rank)
	dims := slices.Clone(x.dims)
	for i := 1; i < rank; i++ {
		pads[i], pads[rank+i] = between(r, 0, x.dims[i]-1), between(r, 0, x.dims[i]-1)
		if mode == "constant" && x.dims[i] > 2 && coin(r) {
			pads[i] = -1
		}
		dims[i] += pads[i] + pads[rank+i]
	}
	value := 0.0
	if coin(r) && mode == "constant" {
		value = 1.5
	}
	a := attrs{}
	if mode != "constant" || coin(r) {
		a["mode"] = mode
	}
	switch {
	case g.opset < 11:
		a["pads"] = pads
		if value != 0 {
			a["value"] = value
		}
		g.node("Pad", a, "x")
	case g.opset >= 18 && coin(r):
		var few, axes []int
		for i := rank - 1; i > 0; i-- {
			axes, few = append(axes, i-rank*r.IntN(2)), append(few, pads[i])
		}
		for i := rank - 1; i > 0; i-- {
			few = append(few, pads[rank+i])
		}
		g.node("Pad", a, "x", g.list(few), g.constant(array{v: []float64{value}}), g.list(axes))
	case value == 0:
		g.node("Pad", a, "x", g.list(pads))
	default:
		g.node("Pad", a, "x", g.list(pads), g.constant(array{v: []float64{value}}))
	}
	return g, fill(dims, func(idx []int) float64 {
		k := make([]int, rank)
		for i := range k {
			p, d := idx[i]-pads[i], x.dims[i]
			if p < 0 || p >= d {
				switch mode {
				case "constant":
					return value
				case "edge":
					p = min(max(p, 0), d-1)
				default:
					if p < 0 {
						p = -p
					} else {
						p = 2*(d-1) - p
					}
				}
			}
			k[i] = p
		}
		return x.at(k...)
	})
}

func drawGather(r *rand.Rand) (*graph, array) {
	x := random(r, shape(r, between(r, 2, 4))...)
	rank := len(x.dims)
	g := newGraph(anyOpset(r), x)
	axis := between(r, 1, rank-1)
	d := x.dims[axis]
	index := func() int {
		i := r.IntN(d)
		if g.opset >= 11 && coin(r) {
			return i - d
		}
		return i
	}
	with := [][]int{{}, {between(r, 1, 3)}, {between(r, 1, 2), between(r, 1, 2)}}[r.IntN(3)]
	list := make([]int64, len(zeros(with...).v))
	for i := range list {
		list[i] = int64(index())
	}
	name := g.constant(list)
	g.inits[len(g.inits)-1].dims = with
	a := attrs{"axis": axis}
	if coin(r) {
		a["axis"] = axis - rank
	}
	g.node("Gather", a, "x", name)
	dims := slices.Concat(x.dims[:axis], with, x.dims[axis+1:])
	return g, fill(dims, func(idx []int) float64 {
		at := array{dims: with}.offset(idx[axis:])
		k := slices.Concat(idx[:axis], []int{(int(list[at]) + d) % d}, idx[axis+len(with):])
		return x.at(k...)
	})
}

// drawComputedPads pads by numbers that other nodes put in order, as PyTorch does:
// pairs for the last axes first, filled up with zeros, turned round and split.
func drawComputedPads(r *rand.Rand) (*graph, array) {
	x := random(r, shape(r, 4)...)
	g := newGraph(between(r, 11, MaxOpset), x)
	last := []int{between(r, 0, 2), between(r, 0, 2), between(r, 0, 2), between(r, 0, 2)}
	zero := initializer{data: []int64{0}, dims: []int{1}}
	y := g.node("Concat", attrs{"axis": 0}, g.list(last), g.node("ConstantOfShape", attrs{"value": zero}, g.list([]int{4})))
	y = g.node("Reshape", nil, y, g.list([]int{-1, 2}))
	y = g.node("Slice", nil, y, g.list([]int{-1}), g.list([]int{-1000}), g.list([]int{0}), g.list([]int{-1}))
	y = g.node("Reshape", nil, g.node("Transpose", attrs{"perm": []int{1, 0}}, y), g.list([]int{-1}))
	y = g.node("Pad", nil, "x", g.node("Cast", attrs{"to": int(typeInt64)}, y))
	one := g.node("ConstantOfShape", attrs{"value": initializer{data: array{v: []float64{1}}, dims: []int{1}}}, g.list([]int{x.dims[1], 1, 1}))
	g.node("Add", nil, y, one)
	d := x.dims
	return g, fill([]int{d[0], d[1], d[2] + last[2] + last[3], d[3] + last[0] + last[1]}, func(idx []int) float64 {
		h, w := idx[2]-last[2], idx[3]-last[0]
		if h < 0 || h >= d[2] || w < 0 || w >= d[3] {
			return 1
		}
		return x.at(idx[0], idx[1], h, w) + 1
	})
}

// Split, and the parts together again in the other order.
func drawSplit(r *rand.Rand) (*graph, array) {
	x := random(r, shape(r, between(r, 2, 5))...)
	rank := len(x.dims)
	axis := between(r, 1, rank-1)
	g := newGraph(anyOpset(r), x)
	n := between(r, 1, x.dims[axis])
	each := (x.dims[axis] + n - 1) / n
	sizes := slices.Repeat([]int{each}, n)
	sizes[n-1] = x.dims[axis] - each*(n-1)
	given := sizes[n-1] < 1 || g.opset < 18 && sizes[n-1] != each || coin(r)
	if given {
		sizes = slices.Repeat([]int{1}, n)
		sizes[r.IntN(n)] += x.dims[axis] - n
	}
	a, in := attrs{"axis": axis - rank*r.IntN(2)}, []string{"x"}
	switch {
	case given && g.opset < 13:
		a["split"] = sizes
	case given:
		in = append(in, g.list(sizes))
	case g.opset >= 18:
		a["num_outputs"] = n
	}
	var out, back []string
	for i := range n {
		out = append(out, fmt.Sprint("part", i))
	}
	g.nodes = append(g.nodes, node{"Split", in, out, a})
	for i := n - 1; i >= 0; i-- {
		back = append(back, out[i])
	}
	g.node("Concat", attrs{"axis": axis}, back...)
	var from []int // positions of the axis
	end := x.dims[axis]
	for i := n - 1; i >= 0; i-- {
		for k := range sizes[i] {
			from = append(from, end-sizes[i]+k)
		}
		end -= sizes[i]
	}
	return g, fill(x.dims, func(idx []int) float64 {
		at := slices.Clone(idx)
		at[axis] = from[idx[axis]]
		return x.at(at...)
	})
}
