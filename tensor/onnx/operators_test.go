package onnx

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

// cases holds, for each operator, what draws a graph that uses it with random
// shapes and attributes, and the output by the operator's plain definition.
var cases = []struct {
	name string
	draw func(r *rand.Rand) (*graph, array)
}{
	{"Conv", drawConv}, {"Gemm", drawGemm},
	{"MatMul of weights", drawMatMulWeights}, {"MatMul of stacks", drawMatMulStacks}, {"MatMul of vectors", drawMatMulVector},
	{"BatchNormalization", drawBatchNorm}, {"activations", drawActivation}, {"Clip", drawClip}, {"PRelu", drawPRelu},
	{"MaxPool", drawPool}, {"AveragePool", drawPool}, {"GlobalAveragePool", drawGlobalPool}, {"ReduceMean", drawReduceMean},
	{"Softmax", drawSoftmax}, {"Flatten", drawFlatten}, {"Flatten and Gemm", drawFlattenGemm}, {"Reshape", drawReshape},
	{"Transpose", drawTranspose}, {"Squeeze", drawSqueeze}, {"Unsqueeze", drawUnsqueeze},
	{"Concat", drawConcat}, {"Slice", drawSlice}, {"Pad", drawPad}, {"Gather", drawGather},
	{"arithmetic", drawArithmetic}, {"Pow", drawPow}, {"Dropout, Identity and Cast", drawPassing},
	{"shape computation", drawShapeChain}, {"folded constants", drawFolded}, {"images last", drawImagesLast},
}

func TestOperatorsAreTheirDefinitions(t *testing.T) {
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			for seed := range uint64(60) {
				ok := t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
					r := rand.New(rand.NewPCG(seed, uint64(len(c.name))))
					g, want := c.draw(r)
					g.check(t, want)
				})
				if !ok {
					break
				}
			}
		})
	}
}

func between(r *rand.Rand, lo, hi int) int { return lo + r.IntN(hi-lo+1) }

func coin(r *rand.Rand) bool { return r.IntN(2) == 0 }

func anyOpset(r *rand.Rand) int { return between(r, MinOpset, MaxOpset) }

// shape draws extents of which the first is the batch.
func shape(r *rand.Rand, rank int) []int {
	dims := make([]int, rank)
	for i := range dims {
		dims[i] = between(r, 1, 4)
	}
	return dims
}

func apply(a array, f func(v float64) float64) array {
	return fill(a.dims, func(idx []int) float64 { return f(a.at(idx...)) })
}

// padding draws the padding of an axis and the attributes that ask for it.
func drawWindow(r *rand.Rand, a attrs, extent, size, stride, dilation [2]int, most int) (before, out [2]int) {
	a["strides"] = stride[:]
	reach := [2]int{(size[0]-1)*dilation[0] + 1, (size[1]-1)*dilation[1] + 1}
	switch auto := []string{"NOTSET", "SAME_UPPER", "SAME_LOWER", "VALID"}[max(0, r.IntN(7)-3)]; auto {
	case "NOTSET":
		pads := []int{between(r, 0, most), between(r, 0, most), between(r, 0, most), between(r, 0, most)}
		a["pads"] = pads
		for i := range 2 {
			before[i] = pads[i]
			out[i] = (extent[i]+pads[i]+pads[2+i]-reach[i])/stride[i] + 1
		}
	case "VALID":
		a["auto_pad"] = auto
		for i := range 2 {
			out[i] = (extent[i]-reach[i])/stride[i] + 1
		}
	default:
		a["auto_pad"] = auto
		for i := range 2 {
			out[i] = int(math.Ceil(float64(extent[i]) / float64(stride[i])))
			total := max(0, (out[i]-1)*stride[i]+reach[i]-extent[i])
			before[i] = total / 2
			if auto == "SAME_LOWER" {
				before[i] = (total + 1) / 2
			}
		}
	}
	return before, out
}

func drawConv(r *rand.Rand) (*graph, array) {
	groups, per, kper := between(r, 1, 3), between(r, 1, 3), between(r, 1, 3)
	size := [2]int{between(r, 1, 3), between(r, 1, 3)}
	stride := [2]int{between(r, 1, 3), between(r, 1, 3)}
	dilation := [2]int{between(r, 1, 2), between(r, 1, 2)}
	x := random(r, between(r, 1, 3), groups*per, between(r, 5, 8), between(r, 5, 8))
	w := random(r, groups*kper, per, size[0], size[1])
	a := attrs{"group": groups, "dilations": dilation[:]}
	before, out := drawWindow(r, a, [2]int(x.dims[2:]), size, stride, dilation, 3)
	if coin(r) {
		a["kernel_shape"] = size[:]
	}
	g := newGraph(anyOpset(r), x)
	in := []string{"x", g.constant(w)}
	bias := zeros(groups * kper)
	if coin(r) {
		bias = random(r, groups*kper)
		in = append(in, g.constant(bias))
	}
	y := g.node("Conv", a, in...)
	relu := coin(r)
	if relu {
		g.node("Relu", nil, y)
	}
	return g, fill([]int{x.dims[0], groups * kper, out[0], out[1]}, func(idx []int) float64 {
		sum := bias.at(idx[1])
		for c := range per {
			for i := range size[0] {
				for j := range size[1] {
					h, l := idx[2]*stride[0]-before[0]+i*dilation[0], idx[3]*stride[1]-before[1]+j*dilation[1]
					if h >= 0 && h < x.dims[2] && l >= 0 && l < x.dims[3] {
						sum += w.at(idx[1], c, i, j) * x.at(idx[0], idx[1]/kper*per+c, h, l)
					}
				}
			}
		}
		if relu {
			return max(sum, 0)
		}
		return sum
	})
}

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

func reshaped(a array, dims ...int) array { return array{dims, a.v} }

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

func drawPool(r *rand.Rand) (*graph, array) {
	op := []string{"MaxPool", "AveragePool"}[r.IntN(2)]
	size := [2]int{between(r, 1, 3), between(r, 1, 3)}
	stride := [2]int{between(r, 1, 3), between(r, 1, 3)}
	x := random(r, between(r, 1, 3), between(r, 1, 3), between(r, 5, 8), between(r, 5, 8))
	a := attrs{"kernel_shape": size[:]}
	before, out := drawWindow(r, a, [2]int(x.dims[2:]), size, stride, [2]int{1, 1}, min(size[0], size[1])-1)
	after := before
	if pads, ok := a["pads"].([]int); ok {
		after = [2]int{pads[2], pads[3]}
	} else {
		for i := range 2 {
			after[i] = max(0, (out[i]-1)*stride[i]+size[i]-x.dims[2+i]-before[i])
		}
		if a["auto_pad"] == "VALID" {
			after = before
		}
	}
	g := newGraph(anyOpset(r), x)
	if _, ok := a["pads"]; ok && g.opset >= 10 && coin(r) {
		a["ceil_mode"] = 1
		for i := range 2 {
			out[i] = int(math.Ceil(float64(x.dims[2+i]+before[i]+after[i]-size[i])/float64(stride[i]))) + 1
			if (out[i]-1)*stride[i] >= x.dims[2+i]+before[i] {
				out[i]--
			}
		}
	}
	countPad := op == "AveragePool" && coin(r)
	if countPad {
		a["count_include_pad"] = 1
	}
	g.node(op, a, "x")
	return g, fill([]int{x.dims[0], x.dims[1], out[0], out[1]}, func(idx []int) float64 {
		sum, n, top := 0.0, 0, math.Inf(-1)
		for i := range size[0] {
			for j := range size[1] {
				h, w := idx[2]*stride[0]-before[0]+i, idx[3]*stride[1]-before[1]+j
				if h >= 0 && h < x.dims[2] && w >= 0 && w < x.dims[3] {
					v := x.at(idx[0], idx[1], h, w)
					sum, n, top = sum+v, n+1, max(top, v)
				} else if countPad && h < x.dims[2]+after[0] && w < x.dims[3]+after[1] {
					n++
				}
			}
		}
		if op == "MaxPool" {
			return top
		}
		return sum / float64(n)
	})
}

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

func drawGlobalPool(r *rand.Rand) (*graph, array) {
	x := random(r, shape(r, between(r, 3, 5))...)
	g := newGraph(anyOpset(r), x)
	y := g.node("GlobalAveragePool", nil, "x")
	gone := make([]bool, len(x.dims))
	for i := 2; i < len(gone); i++ {
		gone[i] = true
	}
	if coin(r) {
		g.node("Flatten", nil, y)
		return g, means(x, gone, false)
	}
	return g, means(x, gone, true)
}

func drawReduceMean(r *rand.Rand) (*graph, array) {
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
	g.withAxes("ReduceMean", a, 18, "x", axes)
	return g, means(x, gone, keep)
}

// withAxes gives a node axes as an attribute or, since a version, as an input.
func (g *graph) withAxes(op string, a attrs, since int, x string, axes []int) string {
	if g.opset < since {
		a["axes"] = axes
		return g.node(op, a, x)
	}
	return g.node(op, a, x, g.list(axes))
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
			e = math.MaxInt64
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
		g.node("Pow", nil, "x", g.constant(array{v: []float64{p}}))
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
