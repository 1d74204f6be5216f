package onnx

import (
	"bytes"
	"maps"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/redoubt-ml/redoubt/tensor"
	"github.com/redoubt-ml/redoubt/tensor/nn"
)

// corrupt changes something in a graph that its form as a file leaves intact.
func (g *graph) corrupt(r *rand.Rand, ops []string) {
	odd := func() int {
		return int([]int64{-3, -2, -1, 0, 1, 2, 3, 4, 5, 7, 13, 1 << 20, 1 << 31, 1 << 40, math.MaxInt64, math.MinInt64}[r.IntN(16)])
	}
	n := &g.nodes[r.IntN(len(g.nodes))]
	n.attrs = maps.Clone(n.attrs)
	names := []string{"x", ""}
	for _, in := range g.inits {
		names = append(names, in.name)
	}
	for i := range g.nodes {
		if &g.nodes[i] == n {
			break
		}
		names = append(names, g.nodes[i].out[0])
	}
	switch r.IntN(9) {
	case 0, 1:
		keys := slices.Sorted(maps.Keys(n.attrs))
		if len(keys) == 0 {
			return
		}
		key := keys[r.IntN(len(keys))]
		switch v := n.attrs[key].(type) {
		case int:
			n.attrs[key] = odd()
		case float64:
			n.attrs[key] = []float64{0, -1, math.NaN(), math.Inf(1), 1e30}[r.IntN(5)]
		case []int:
			v = slices.Clone(v)
			if len(v) == 0 || r.IntN(4) == 0 {
				v = append(v, odd())
			} else if r.IntN(4) == 0 {
				v = v[1:]
			} else {
				v[r.IntN(len(v))] = odd()
			}
			n.attrs[key] = v
		default:
			delete(n.attrs, key)
		}
	case 2:
		n.op = ops[r.IntN(len(ops))]
	case 3:
		if len(n.in) > 0 {
			n.in = slices.Clone(n.in)
			n.in[r.IntN(len(n.in))] = names[r.IntN(len(names))]
		}
	case 4:
		n.in = append(slices.Clone(n.in), names[r.IntN(len(names))])
	case 5:
		g.opset = between(r, MinOpset, MaxOpset)
	case 6:
		g.x.dims = slices.Clone(g.x.dims)
		g.x.dims[between(r, 1, len(g.x.dims)-1)] = []int{1, 2, 3, 5, 1000, 1 << 30}[r.IntN(6)]
	case 7:
		if len(g.inits) == 0 {
			return
		}
		in := &g.inits[r.IntN(len(g.inits))]
		if v, ok := in.data.([]int64); ok && len(v) > 0 {
			v = slices.Clone(v)
			v[r.IntN(len(v))] = int64(odd())
			in.data = v
		} else if len(in.dims) > 1 {
			in.dims = slices.Clone(in.dims)
			slices.Reverse(in.dims)
		}
	default:
		op := ops[r.IntN(len(ops))]
		in := []string{g.nodes[len(g.nodes)-1].out[0]}
		for range r.IntN(3) {
			in = append(in, names[r.IntN(len(names))])
		}
		g.node(op, attrs{}, in...)
	}
}

// Graphs that are well-formed as files but wrong in one or more places are read,
// and then run as they announce, or refused; nothing panics.
func TestCorruptedGraphs(t *testing.T) {
	r := rand.New(rand.NewPCG(11, 12))
	ops := slices.Sorted(maps.Keys(operators))
	accepted, refused := 0, 0
	for i := range 12000 {
		g, _ := cases[i%len(cases)].draw(r)
		for range between(r, 1, 3) {
			g.corrupt(r, ops)
		}
		file := g.file()
		func() {
			defer func() {
				if p := recover(); p != nil {
					t.Fatalf("graph %d: %v\n%+v", i, p, *g)
				}
			}()
			m, err := Read(bytes.NewReader(file))
			if err != nil {
				refused++
				return
			}
			accepted++
			if m.largest > 1<<14 {
				return
			}
			y := m.Forward(&nn.Pass{}, tensor.Zeros(m.DType(), append([]int{3}, m.InputShape()...)...))
			require.Equal(t, append([]int{3}, m.OutputShape()...), y.Shape())
		}()
	}
	t.Log(accepted, "accepted", refused, "refused")
	require.Greater(t, accepted, 2000)
	require.Greater(t, refused, 2000)
}
