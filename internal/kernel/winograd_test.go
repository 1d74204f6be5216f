package kernel

import (
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
)

var allTransforms = []Transform{WinogradImage, WinogradFilter, WinogradOutput, WinogradOutputAdjoint, WinogradFilterAdjoint}

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

// The one-dimensional algorithm gives the correlation of six with three numbers.
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
	d, g := make([]float64, 6), make([]float64, 3)
	for i := range d {
		d[i] = rng.NormFloat64()
	}
	for i := range g {
		g[i] = rng.NormFloat64()
	}
	u, v := times(filterMatrix, g), times(imageMatrix, d)
	for i := range v {
		v[i] *= u[i]
	}
	for i, y := range times(outputMatrix, v) {
		require.InDelta(t, d[i]*g[0]+d[i+1]*g[1]+d[i+2]*g[2], y, 1e-12)
	}
}
