package kernel

import (
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
)

var allTransforms = []Transform{
	WinogradImage, WinogradFilter3, WinogradOutput3, WinogradOutputAdjoint3, WinogradFilterAdjoint3,
	WinogradFilter5, WinogradOutput5, WinogradOutputAdjoint5, WinogradFilterAdjoint5,
}

func TestTransformsAreTheirMatrices(t *testing.T) {
	levels(t, func(t *testing.T) {
		rng := rand.New(rand.NewPCG(31, 31))
		for _, w := range allTransforms {
			to, from := w.Sizes()
			m := transformMatrices[w]
			for _, n := range []int{16, 32, 80} {
				srcCol, dstCol := n+rng.IntN(4), n+rng.IntN(4)
				srcRow, dstRow := from*srcCol+rng.IntN(4), to*dstCol+rng.IntN(4)
				src := make([]float32, (from-1)*(srcRow+srcCol)+n)
				for i := range src {
					src[i] = rng.Float32() - 0.5
				}
				dst := frame[float32]((to-1)*(dstRow+dstCol)+n, 3)
				w.Apply(dst.data, dstRow, dstCol, src, srcRow, srcCol, make([]float32, TransformScratch), n)
				dst.intact(t, "Transform")
				for c := range n {
					for i := range to {
						for j := range to {
							var s float64
							for a := range from {
								for b := range from {
									s += m[i][a] * m[j][b] * float64(src[a*srcRow+b*srcCol+c])
								}
							}
							require.InDelta(t, s, dst.data[i*dstRow+j*dstCol+c], 3e-5, "transform %d, element %d %d, channel %d of %d", w, i, j, c, n)
						}
					}
				}
			}
		}
	})
}

// The one-dimensional algorithms give the correlation of six with three or five numbers.
func TestTransformsMakeACorrelation(t *testing.T) {
	rng := rand.New(rand.NewPCG(32, 32))
	times := func(m [][]float64, x []float64) []float64 {
		y := make([]float64, len(m))
		for i := range m {
			for j, v := range m[i] {
				y[i] += v * x[j]
			}
		}
		return y
	}
	draw := func(n int) []float64 {
		x := make([]float64, n)
		for i := range x {
			x[i] = rng.NormFloat64()
		}
		return x
	}
	for _, form := range []struct{ filter, output [][]float64 }{{filterMatrix3, outputMatrix3}, {filterMatrix5, outputMatrix5}} {
		d, g := draw(6), draw(len(form.filter[0]))
		u, v := times(form.filter, g), times(imageMatrix, d)
		for i := range v {
			v[i] *= u[i]
		}
		got := times(form.output, v)
		require.Len(t, got, 6-len(g)+1)
		for i, y := range got {
			want := 0.0
			for j, w := range g {
				want += w * d[i+j]
			}
			require.InDelta(t, want, y, 1e-12)
		}
	}
}
