package weightpert

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/redoubt-ml/redoubt/tensor"
	"github.com/redoubt-ml/redoubt/tensor/nn"
)

// filtered is a network whose first layer is a convolution, with the values of its filter
// for the taking.
type filtered struct {
	h, w, c int
	conv    *nn.Conv2D
	rest    []nn.Layer
}

func (f *filtered) network(t testing.TB, filter []float64) *Network {
	conv := &nn.Conv2D{Filter: tensor.FromFloat64(filter, f.conv.Filter.Shape()...), Window: f.conv.Window}
	n, err := FromNN(nn.NewSequential(append([]nn.Layer{conv}, f.rest...)...), f.h, f.w, f.c)
	require.NoError(t, err)
	return n
}

// The filter (1, 1) on an image of four ones has a margin of 6, which a change of norm 1.5
// takes away: each of its two weights falls by 1.06, at all three places.
func TestFrobeniusBoundCountsEveryPlaceOfAFilter(t *testing.T) {
	f := &filtered{h: 1, w: 4, c: 1,
		conv: &nn.Conv2D{Filter: tensor.FromFloat64([]float64{1, 1}, 1, 2, 1, 1), Window: tensor.Same(1, 0)},
		rest: []nn.Layer{nn.ReLU, nn.Flatten, &nn.Linear{Weight: tensor.FromFloat64([]float64{1, 0, 1, 0, 1, 0}, 3, 2)}}}
	x := []float64{1, 1, 1, 1}
	n := f.network(t, []float64{1, 1})
	require.Equal(t, []float64{6, 0}, n.Logits(x))
	const fall = 1.06 // 1.06² + 1.06² <= 1.5²
	require.Equal(t, []float64{0, 0}, f.network(t, []float64{1 - fall, 1 - fall}).Logits(x))
	out, err := FrobeniusBound(n, 0, 1.5, x, 0)
	require.NoError(t, err)
	require.LessOrEqual(t, out[1], 0.)
	require.Greater(t, out[1], -.4, "eps times the norm of all windows, √6, times √3")
	// Of the dense layer behind it the entries are weights.
	out, err = FrobeniusBound(n, 1, .1, x, 0)
	require.NoError(t, err)
	require.InDelta(t, 6-.1*math.Sqrt2*math.Sqrt(12), out[1], 1e-12)
}

// No change of a filter takes a margin below the bound: not a random one, nor one along the
// gradient, which comes close.
func TestNoChangeOfAFilterExceedsTheFrobeniusBound(t *testing.T) {
	rng := rand.New(rand.NewPCG(20, 27))
	near, last := 0, 0
	for trial := range 120 {
		f := &filtered{h: 1 + rng.IntN(4), w: 1 + rng.IntN(4), c: 1 + rng.IntN(2)}
		pad, channels := rng.IntN(3), 1+rng.IntN(2)
		size := 1 + rng.IntN(min(f.h, f.w)+2*pad)
		f.conv = nn.NewConv2D(rng, f.c, channels, size, tensor.Same(1+rng.IntN(2), pad))
		rows := channels * ((f.h+2*pad-size)/f.conv.Window.StrideH + 1) * ((f.w+2*pad-size)/f.conv.Window.StrideW + 1)
		if trial%4 > 0 || rows < 2 {
			f.rest = []nn.Layer{nn.ReLU, nn.Flatten, nn.NewLinear(rng, rows, 3)}
		} else {
			last++ // the convolution gives the logits
		}
		filter := draws(rng, f.conv.Filter.Len())
		n := f.network(t, filter)
		x, y := draws(rng, n.Inputs()), rng.IntN(n.Classes())
		eps := 2 * rng.Float64()
		low, err := FrobeniusBound(n, 0, eps, x, y)
		require.NoError(t, err)
		logits := func(d []float64) []float64 {
			at := make([]float64, len(filter))
			for k := range at {
				at[k] = filter[k] + d[k]
			}
			return f.network(t, at).Logits(x)
		}
		// to shortens a change to eps and returns the margins of y there.
		to := func(d []float64) []float64 {
			if s := norm(d, 2); s > 0 {
				for k := range d {
					d[k] *= eps / s * (1 - 1e-12)
				}
			}
			out := logits(d)
			z := out[y]
			for j := range out {
				out[j] = z - out[j]
				require.GreaterOrEqual(t, out[j], low[j], "trial %d", trial)
			}
			return out
		}
		for range 20 {
			to(draws(rng, len(filter)))
		}
		clean := n.Logits(x)
		for j := range clean {
			if j == y {
				continue
			}
			d := make([]float64, len(filter))
			for range 5 {
				g := make([]float64, len(filter))
				for k := range g {
					const h = 1e-6
					d[k] += h
					up := logits(d)
					d[k] -= 2 * h
					down := logits(d)
					d[k] += h
					g[k] = up[j] - up[y] - down[j] + down[y]
				}
				d = g
				if m := to(d)[j]; clean[y]-clean[j]-m > .7*(clean[y]-clean[j]-low[j]) {
					near++
				}
			}
		}
	}
	require.Greater(t, near, 50)
	require.Greater(t, last, 5)
}
