package weightpert

import (
	"math"
	"math/bits"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/redoubt-ml/redoubt/tensor"
	"github.com/redoubt-ml/redoubt/tensor/nn"
)

// anyNet draws a network and an input: small networks of any form, structures that
// bounds with a mistake get wrong, and convolutions.
func anyNet(t testing.TB, rng *rand.Rand, act Activation) (*Network, []float64) {
	var n *Network
	positive := rng.IntN(2) == 0
	switch kind := rng.IntN(8); {
	case kind < 4:
		n = randomNet(t, rng, act)
	case kind < 7:
		n, positive = trapNet(t, rng), true
	default:
		n = convNet(t, rng)
	}
	x := draws(rng, n.Inputs())
	if positive {
		for k := range x {
			x[k] = math.Abs(x[k])
		}
	}
	return n, x
}

// trapNet draws networks whose worst weights come close to the bounds by norms: few
// weights, units that stay on, gains that are 0 or cancel until weights move, and
// units that fan out and come together again.
func trapNet(t testing.TB, rng *rand.Rand) *Network {
	size := func() float64 { return .5 + rng.Float64() }
	var w []Matrix
	fan := 1 + rng.IntN(4)
	first := Matrix{Rows: fan, Cols: 1}
	for range fan {
		first.Val = append(first.Val, size())
	}
	w = append(w, first)
	second := Matrix{Rows: 1, Cols: fan}
	for k := range fan {
		switch rng.IntN(3) {
		case 0:
			second.Val = append(second.Val, 0)
		case 1:
			second.Val = append(second.Val, size())
		default:
			second.Val = append(second.Val, size()*float64(1-2*(k%2)))
		}
	}
	w = append(w, second)
	for range rng.IntN(2) {
		w = append(w, rows([]float64{float64(rng.IntN(2)) * size()}))
	}
	top := float64(rng.IntN(3)/2) * size()
	if rng.IntN(2) == 0 {
		top = size()
	}
	w = append(w, rows([]float64{top}, []float64{0}))
	return mlp(t, ReLU, w...)
}

// convNet draws a convolution on a small image, sometimes with more padding than
// image, and one or two dense layers.
func convNet(t testing.TB, rng *rand.Rand) *Network {
	h, w, channels, pad := 1+rng.IntN(3), 1+rng.IntN(3), 1+rng.IntN(2), rng.IntN(3)
	size := 1 + rng.IntN(min(h, w)+2*pad)
	conv := nn.NewConv2D(rng, 1, channels, size, tensor.Same(1, pad))
	units := channels * (h + 2*pad - size + 1) * (w + 2*pad - size + 1)
	layers := []nn.Layer{conv, nn.ReLU, nn.Flatten}
	if rng.IntN(2) == 0 {
		layers = append(layers, nn.NewLinear(rng, units, 3), nn.ReLU)
		units = 3
	}
	net := nn.NewSequential(append(layers, nn.NewLinear(rng, units, 2))...)
	for _, w := range nn.Params(net) {
		w.CopyFrom(tensor.Normal(rng, tensor.Float32, 0, 1, w.Shape()...))
	}
	n, err := FromNN(net, h, w, 1)
	require.NoError(t, err)
	return n
}

// randomised is a box with the definition of its budget: where a weight is at u, which
// goes from -1, its least value, to 1, its largest.
type randomised struct {
	name   string
	box    *Box
	layers []int
	bias   bool
	at     func(i, k int, u float64) float64
	biasAt func(i, k int, u float64) float64
}

// place moves every weight of the budget to where u says.
func (r *randomised) place(n *Network, u func() float64) {
	for _, i := range r.layers {
		for k := range n.layers[i].Weight.Val {
			n.layers[i].Weight.Val[k] = r.at(i, k, u())
		}
		if r.bias {
			for k := range n.layers[i].Bias {
				n.layers[i].Bias[k] = r.biasAt(i, k, u())
			}
		}
	}
}

// follow moves every weight all the way in the direction of a sign.
func (r *randomised) follow(n *Network, sign func(i, k int) float64) {
	for _, i := range r.layers {
		for k := range n.layers[i].Weight.Val {
			if s := sign(i, k); s != 0 {
				n.layers[i].Weight.Val[k] = r.at(i, k, math.Copysign(1, s))
			}
		}
	}
}

// randomBudget draws a budget of one of the kinds that there are.
func randomBudget(t testing.TB, rng *rand.Rand, n *Network) *randomised {
	var named []int
	if rng.IntN(3) == 0 {
		named = []int{rng.IntN(n.Depth())}
	}
	r := &randomised{layers: named}
	if named == nil {
		for i := range n.layers {
			r.layers = append(r.layers, i)
		}
	}
	w := func(i, k int) float64 { return n.layers[i].Weight.Val[k] }
	eps := math.Pow(10, -3+2.5*rng.Float64())
	build := func(name string, b Budget) {
		r.name, r.box = name, grown(t, n, b, eps)
	}
	switch rng.IntN(8) {
	case 0:
		build("absolute", Absolute(named...))
		r.at = func(i, k int, u float64) float64 { return w(i, k) + u*eps }
	case 1:
		build("absolute with biases", AbsoluteWithBias(named...))
		r.bias = true
		r.at = func(i, k int, u float64) float64 { return w(i, k) + u*eps }
		r.biasAt = func(i, k int, u float64) float64 { return n.layers[i].Bias[k] + u*eps }
	case 2:
		build("relative", Relative(named...))
		r.at = func(i, k int, u float64) float64 { return w(i, k) + u*(eps*math.Abs(w(i, k))) }
	case 3:
		build("range", PerRange(named...))
		r.at = func(i, k int, u float64) float64 {
			v := n.layers[i].Weight.Val
			return w(i, k) + u*(eps*(slices.Max(v)-slices.Min(v)))
		}
	case 4:
		value := eps * rng.NormFloat64()
		b, err := StuckAt(n, value, named...)
		require.NoError(t, err)
		r.name, r.box = "stuck", b
		r.at = func(i, k int, u float64) float64 {
			lo, hi := min(w(i, k), value), max(w(i, k), value)
			return min(max(lo+(u+1)/2*(hi-lo), lo), hi)
		}
	case 5, 6:
		r.quantised(t, rng, n)
	default:
		r.ends(t, rng, n, eps)
	}
	return r
}

// quantised is the budget of rounding, or of bits that flip after it.
func (r *randomised) quantised(t testing.TB, rng *rand.Rand, n *Network) {
	r.layers = nil
	for i := range n.layers {
		r.layers = append(r.layers, i)
	}
	q := Quantizer{Bits: 4 + rng.IntN(5), PerRow: rng.IntN(2) == 0}
	flips := rng.IntN(3) - 1
	var err error
	if r.name = "rounding"; flips < 0 {
		r.box, err = q.Rounding(n)
	} else {
		r.name = "bit flips"
		r.box, err = q.BitFlips(n, flips)
	}
	require.NoError(t, err)
	values := make([][][]float64, n.Depth()) // that each weight can take
	for i := range n.layers {
		l := &n.layers[i]
		for row := range l.Weight.Rows {
			largest := l.extent().size()
			if q.PerRow {
				largest = l.unitExtent(row).size()
			}
			scale := scaleFor(largest, q.Bits)
			from, to := l.Weight.span(row)
			for _, v := range l.Weight.Val[from:to] {
				c := code(v, scale, q.Bits)
				if flips < 0 && largest == 0 {
					values[i] = append(values[i], []float64{0})
					continue
				}
				if flips < 0 {
					values[i] = append(values[i], []float64{v - scale/2, float64(c) * scale, v + scale/2})
					continue
				}
				var all []float64
				for mask := range 1 << q.Bits {
					if bits.OnesCount(uint(mask)) <= flips {
						all = append(all, float64(flip(c, uint8(mask), q.Bits))*scale)
					}
				}
				slices.Sort(all)
				values[i] = append(values[i], all)
			}
		}
	}
	r.at = func(i, k int, u float64) float64 {
		v := values[i][k]
		return v[int(math.Round((u+1)/2*float64(len(v)-1)))]
	}
}

// ends is the budget of intervals that are given one by one.
func (r *randomised) ends(t testing.TB, rng *rand.Rand, n *Network, eps float64) {
	r.name, r.box, r.bias = "intervals", NewBox(n), true
	r.layers = nil
	type interval struct{ lo, hi []float64 }
	var weights, biases []interval
	oneSided := rng.IntN(3)
	draw := func(v []float64) (e interval) {
		for _, w := range v {
			if oneSided == 0 {
				e.lo, e.hi = append(e.lo, w), append(e.hi, w+eps)
				continue
			}
			e.lo, e.hi = append(e.lo, w-eps*rng.Float64()), append(e.hi, w+eps*rng.Float64())
		}
		return e
	}
	for i, l := range n.layers {
		r.layers = append(r.layers, i)
		weights, biases = append(weights, draw(l.Weight.Val)), append(biases, draw(l.Bias))
		require.NoError(t, r.box.SetLayer(i, weights[i].lo, weights[i].hi))
		if l.Bias != nil {
			require.NoError(t, r.box.SetBias(i, biases[i].lo, biases[i].hi))
		}
	}
	between := func(e interval, k int, u float64) float64 {
		return min(max(e.lo[k]+(u+1)/2*(e.hi[k]-e.lo[k]), e.lo[k]), e.hi[k])
	}
	r.at = func(i, k int, u float64) float64 { return between(weights[i], k, u) }
	r.biasAt = func(i, k int, u float64) float64 { return between(biases[i], k, u) }
}
