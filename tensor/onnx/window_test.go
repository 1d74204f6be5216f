package onnx

import (
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/redoubt-ml/redoubt/tensor"
	"github.com/redoubt-ml/redoubt/tensor/nn"
)

// drawWindow draws the padding of an axis and the attributes that ask for it.
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

func drawGlobalPool(r *rand.Rand) (*graph, array) {
	x := random(r, shape(r, between(r, 3, 5))...)
	g := newGraph(anyOpset(r), x)
	if coin(r) {
		g.node("GlobalMaxPool", nil, "x")
		out := append(slices.Clone(x.dims[:2]), slices.Repeat([]int{1}, len(x.dims)-2)...)
		return g, fill(out, func(idx []int) float64 {
			most := math.Inf(-1)
			fill(x.dims, func(at []int) float64 {
				if slices.Equal(at[:2], idx[:2]) {
					most = max(most, x.at(at...))
				}
				return 0
			})
			return most
		})
	}
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

// However long a stride, it gives what one as long as the padded image gives, and so do
// its gradients.
func TestStridesBeyondTheImage(t *testing.T) {
	r := rand.New(rand.NewPCG(13, 1))
	results := func(m *Model, x *tensor.Tensor) [][]float64 {
		tape, pass := tensor.NewTape(), &nn.Pass{}
		watched := append(pass.Watch(tape, nn.Params(m)), tape.Watch(x))
		y := m.Forward(pass, watched[len(watched)-1])
		out := [][]float64{y.Values()}
		for _, g := range tensor.Grad(tensor.Sum(tensor.Square(y)), watched...) {
			out = append(out, g.Values())
		}
		return out
	}
	for _, channels := range []int{2, 12} {
		x := random(r, 2, channels, 5, 4)
		for name, node := range map[string]func(g *graph, a attrs){
			"Conv": func(g *graph, a attrs) { g.node("Conv", a, "x", g.constant(random(r, 3, channels, 3, 2))) },
			"depthwise": func(g *graph, a attrs) {
				a["group"] = channels
				g.node("Conv", a, "x", g.constant(random(r, channels, 1, 3, 2)))
			},
			"MaxPool": func(g *graph, a attrs) {
				a["kernel_shape"] = []int{2, 2}
				a["ceil_mode"] = 1
				g.node("MaxPool", a, "x")
			},
			"AveragePool": func(g *graph, a attrs) { a["kernel_shape"] = []int{2, 2}; g.node("AveragePool", a, "x") },
		} {
			for _, pads := range []attrs{{"pads": []int{1, 1, 1, 1}}, {"auto_pad": "SAME_UPPER"}, {}} {
				g := newGraph(13, x)
				a := maps.Clone(pads)
				a["strides"] = []int{7, 6} // the padded image at most
				node(g, a)
				want := results(read(t, g), toOurs(x, tensor.Float64))
				a["strides"] = []int{math.MaxInt32, math.MaxInt32}
				what := fmt.Sprintf("%s of %d channels, %v", name, channels, pads)
				require.Equal(t, want, results(read(t, g), toOurs(x, tensor.Float64)), what)
			}
		}
	}
}
