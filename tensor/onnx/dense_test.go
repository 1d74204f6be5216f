package onnx

import (
	"math"
	"math/rand/v2"
	"slices"
)

func drawGemm(r *rand.Rand) (*graph, array) {
	n, k, m := between(r, 1, 4), between(r, 1, 5), between(r, 1, 5)
	x, w := random(r, n, k), random(r, k, m)
	g := newGraph(anyOpset(r), x)
	a := attrs{}
	in := []string{"x"}
	if coin(r) {
		a["transA"] = 1
		in[0] = g.node("Transpose", nil, "x")
	}
	stored := w
	if coin(r) {
		a["transB"] = 1
		stored = w.transposed(1, 0)
	}
	in = append(in, g.constant(stored))
	alpha, beta := 1.0, 1.0
	if coin(r) {
		alpha, beta = 0.5, -1.5
		a["alpha"], a["beta"] = alpha, beta
	}
	c := zeros()
	if r.IntN(4) > 0 || g.opset < 11 {
		c = random(r, [][]int{{m}, {1, m}, {1, 1}, {}, {1}}[r.IntN(5)]...)
		in = append(in, g.constant(c))
	}
	g.node("Gemm", a, in...)
	return g, fill([]int{n, m}, func(idx []int) float64 {
		sum := 0.0
		for i := range k {
			sum += x.at(idx[0], i) * w.at(i, idx[1])
		}
		return alpha*sum + beta*c.stretched(idx)
	})
}

func matMul(a, b array) array {
	ra, rb := len(a.dims), len(b.dims)
	rank := max(ra, rb)
	dims := make([]int, rank)
	for i := range rank - 2 {
		dims[i] = 1
		for _, s := range [][]int{a.dims, b.dims} {
			if k := i - (rank - len(s)); k >= 0 && s[k] != 1 {
				dims[i] = s[k]
			}
		}
	}
	dims[rank-2], dims[rank-1] = a.dims[ra-2], b.dims[rb-1]
	return fill(dims, func(idx []int) float64 {
		sum := 0.0
		for k := range a.dims[ra-1] {
			p, q := slices.Clone(idx), slices.Clone(idx)
			p[rank-1], q[rank-2] = k, k
			sum += a.inner(p) * b.inner(q)
		}
		return sum
	})
}

// inner is stretched but for the last two axes.
func (a array) inner(idx []int) float64 {
	own := slices.Clone(idx[len(idx)-len(a.dims):])
	for i, d := range a.dims[:len(a.dims)-2] {
		if d == 1 {
			own[i] = 0
		}
	}
	return a.at(own...)
}

func drawMatMulWeights(r *rand.Rand) (*graph, array) {
	x := random(r, shape(r, between(r, 2, 5))...)
	w := random(r, x.dims[len(x.dims)-1], between(r, 1, 4))
	g := newGraph(anyOpset(r), x)
	g.node("MatMul", nil, "x", g.constant(w))
	return g, matMul(x, w)
}

// drawMatMulStacks multiplies the input with itself or a constant, both stacked.
func drawMatMulStacks(r *rand.Rand) (*graph, array) {
	x := random(r, shape(r, between(r, 3, 4))...)
	rank := len(x.dims)
	perm := inOrder(rank)
	perm[rank-1], perm[rank-2] = rank-2, rank-1
	g := newGraph(anyOpset(r), x)
	if coin(r) {
		g.node("MatMul", nil, g.node("Transpose", attrs{"perm": perm}, "x"), "x")
		return g, matMul(x.transposed(perm...), x)
	}
	dims := slices.Clone(x.dims)
	dims[0] = 1
	for i := 1; i < rank-2; i++ {
		if coin(r) {
			dims[i] = 1
		}
	}
	dims[rank-1], dims[rank-2] = x.dims[rank-2], between(r, 1, 4)
	w := random(r, dims...)
	g.node("MatMul", nil, g.constant(w), "x")
	return g, matMul(w, x)
}

func drawMatMulVector(r *rand.Rand) (*graph, array) {
	x := random(r, shape(r, between(r, 3, 4))...)
	rank := len(x.dims)
	g := newGraph(anyOpset(r), x)
	if coin(r) {
		w := random(r, x.dims[rank-1])
		g.node("MatMul", nil, "x", g.constant(w))
		return g, reshaped(matMul(x, array{[]int{len(w.v), 1}, w.v}), x.dims[:rank-1]...)
	}
	w := random(r, x.dims[rank-2])
	g.node("MatMul", nil, g.constant(w), "x")
	return g, reshaped(matMul(array{[]int{1, len(w.v)}, w.v}, x), append(slices.Clone(x.dims[:rank-2]), x.dims[rank-1])...)
}

func drawBatchNorm(r *rand.Rand) (*graph, array) {
	x := random(r, shape(r, between(r, 2, 5))...)
	c := x.dims[1]
	scale, shift, mean, variance := random(r, c), random(r, c), random(r, c), positive(r, c)
	g := newGraph(anyOpset(r), x)
	a := attrs{}
	eps := 1e-5
	if coin(r) {
		eps = 0.125
		a["epsilon"] = eps
	}
	if g.opset < 9 && coin(r) {
		a["spatial"] = 1
	}
	eps = float64(float32(eps))
	y := g.node("BatchNormalization", a, "x", g.constant(scale), g.constant(shift), g.constant(mean), g.constant(variance))
	relu := coin(r)
	if relu {
		g.node("Relu", nil, y)
	}
	return g, fill(x.dims, func(idx []int) float64 {
		k := idx[1]
		v := (x.at(idx...)-mean.at(k))/math.Sqrt(variance.at(k)+eps)*scale.at(k) + shift.at(k)
		if relu {
			return max(v, 0)
		}
		return v
	})
}

// drawFlattenGemm flattens images before dense layers, in ways that leave the
// features as they are in memory and in ways that do not.
func drawFlattenGemm(r *rand.Rand) (*graph, array) {
	x := random(r, shape(r, 4)...)
	d, m := len(x.v)/x.dims[0], between(r, 1, 4)
	flat := reshaped(x, x.dims[0], d)
	g := newGraph(anyOpset(r), x)
	var y string
	switch r.IntN(3) {
	case 0:
		y = g.node("Flatten", nil, "x")
	case 1:
		y = g.node("Reshape", nil, "x", g.constant([]int64{0, -1}))
	default:
		y = g.node("Reshape", nil, "x", g.constant([]int64{-1, int64(d)}))
	}
	switch r.IntN(4) {
	case 0:
		y = g.node("Relu", nil, y)
		flat = apply(flat, func(v float64) float64 { return max(v, 0) })
	case 1:
		y = g.node("Mul", nil, g.constant(array{v: []float64{2}}), y)
		flat = apply(flat, func(v float64) float64 { return 2 * v })
	case 2:
		b := random(r, d)
		y = g.node("Add", nil, y, g.constant(b))
		flat = fill(flat.dims, func(idx []int) float64 { return flat.at(idx...) + b.at(idx[1]) })
	}
	w := random(r, d, m)
	if coin(r) {
		g.node("MatMul", nil, y, g.constant(w))
		return g, matMul(flat, w)
	}
	g.node("Gemm", attrs{"transB": 1}, y, g.constant(w.transposed(1, 0)), g.constant(zeros(m)))
	return g, matMul(flat, w)
}

// drawFolded prepares weights by nodes on constants.
func drawFolded(r *rand.Rand) (*graph, array) {
	x := random(r, between(r, 1, 3), between(r, 1, 4))
	k, m := x.dims[1], between(r, 1, 4)
	w := random(r, m, k)
	g := newGraph(anyOpset(r), x)
	name := g.constant(w)
	if coin(r) {
		name = g.node("Constant", attrs{"value": initializer{data: w, dims: w.dims}})
	}
	turned := g.node("Transpose", attrs{"perm": []int{1, 0}}, name)
	scaled := g.node("Mul", nil, turned, g.constant(array{v: []float64{0.5}}))
	g.node("MatMul", nil, "x", scaled)
	half := apply(w, func(v float64) float64 { return v / 2 })
	return g, matMul(x, half.transposed(1, 0))
}

func drawLayerNorm(r *rand.Rand) (*graph, array) {
	x := random(r, shape(r, between(r, 2, 5))...)
	rank := len(x.dims)
	g := newGraph(between(r, 17, MaxOpset), x)
	first, a, eps := rank-1, attrs{}, float64(float32(1e-5))
	if coin(r) {
		first = between(r, 1, rank-1)
		a["axis"] = first - rank*r.IntN(2)
	}
	if coin(r) {
		eps = 0.25
		a["epsilon"] = eps
	}
	scale, bias := random(r, x.dims[first:]...), zeros(x.dims[first:]...)
	in := []string{"x", g.constant(scale)}
	if coin(r) {
		bias = random(r, x.dims[first:]...)
		in = append(in, g.constant(bias))
	}
	g.node("LayerNormalization", a, in...)
	gone := make([]bool, rank)
	for i := first; i < rank; i++ {
		gone[i] = true
	}
	mean := means(x, gone, true)
	off := fill(x.dims, func(idx []int) float64 { return x.at(idx...) - mean.stretched(idx) })
	variance := means(apply(off, func(v float64) float64 { return v * v }), gone, true)
	return g, fill(x.dims, func(idx []int) float64 {
		return off.at(idx...)/math.Sqrt(variance.stretched(idx)+eps)*scale.at(idx[first:]...) + bias.at(idx[first:]...)
	})
}
