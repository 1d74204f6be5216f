package conv

import (
	"fmt"

	"github.com/redoubt-ml/redoubt/internal/kernel"
	"github.com/redoubt-ml/redoubt/internal/par"
)

// taps calls visit for every output pixel (oh, ow) and filter tap (r, s) whose
// image pixel (h, w) is not padding, in row-major order.
func (g *Geometry) taps(visit func(oh, ow, r, s, h, w int)) {
	for oh := range g.OH {
		for ow := range g.OW {
			for r := range g.R {
				h := oh*g.StrideH - g.PadT + r
				if h < 0 || h >= g.H {
					continue
				}
				for s := range g.S {
					if w := ow*g.StrideW - g.PadL + s; w >= 0 && w < g.W {
						visit(oh, ow, r, s, h, w)
					}
				}
			}
		}
	}
}

// Forward sets y[n,oh,ow,k] to the sum over r, s, c of
// x[n, oh*StrideH-PadT+r, ow*StrideW-PadL+s, c] * w[r,s,c,k], plus bias[k]
// unless bias is nil, bounded below by 0 if relu is set.
func Forward[T kernel.Float](y, x, w []T, g Geometry, bias []T, relu bool) {
	g.check("Forward", len(x), len(w), len(y))
	if bias != nil && len(bias) != g.K {
		panic(fmt.Sprintf("conv: Forward: bias of length %d, want %d", len(bias), g.K))
	}
	xs, ys := g.H*g.W*g.C, g.OH*g.OW*g.K
	par.For(g.N, 1, func(lo, hi int) {
		for n := lo; n < hi; n++ {
			xn, yn := x[n*xs:(n+1)*xs], y[n*ys:(n+1)*ys]
			kernel.Fill(yn, 0)
			g.taps(func(oh, ow, r, s, h, q int) {
				out := yn[(oh*g.OW+ow)*g.K:][:g.K]
				for c, v := range xn[(h*g.W+q)*g.C:][:g.C] {
					kernel.Axpy(out, v, w[((r*g.S+s)*g.C+c)*g.K:][:g.K])
				}
			})
			if bias != nil {
				kernel.BinaryRow(kernel.Add, yn, yn, bias)
			}
			if relu {
				kernel.Unary(kernel.ReLU, yn, yn)
			}
		}
	})
}

// BackwardData sets dx to the gradient with respect to Forward's x, given dy,
// the gradient with respect to y before bias and ReLU.
func BackwardData[T kernel.Float](dx, dy, w []T, g Geometry) {
	g.check("BackwardData", len(dx), len(w), len(dy))
	xs, ys := g.H*g.W*g.C, g.OH*g.OW*g.K
	par.For(g.N, 1, func(lo, hi int) {
		for n := lo; n < hi; n++ {
			dxn, dyn := dx[n*xs:(n+1)*xs], dy[n*ys:(n+1)*ys]
			kernel.Fill(dxn, 0)
			g.taps(func(oh, ow, r, s, h, q int) {
				d := dyn[(oh*g.OW+ow)*g.K:][:g.K]
				out := dxn[(h*g.W+q)*g.C:][:g.C]
				for c := range out {
					out[c] += kernel.Dot(d, w[((r*g.S+s)*g.C+c)*g.K:][:g.K])
				}
			})
		}
	})
}

// BackwardFilter sets dw to the gradient with respect to Forward's w, given
// dy, the gradient with respect to y before bias and ReLU.
func BackwardFilter[T kernel.Float](dw, x, dy []T, g Geometry) {
	g.check("BackwardFilter", len(x), len(dw), len(dy))
	xs, ys := g.H*g.W*g.C, g.OH*g.OW*g.K
	kernel.Fill(dw, 0)
	for n := range g.N {
		xn, dyn := x[n*xs:(n+1)*xs], dy[n*ys:(n+1)*ys]
		g.taps(func(oh, ow, r, s, h, q int) {
			d := dyn[(oh*g.OW+ow)*g.K:][:g.K]
			for c, v := range xn[(h*g.W+q)*g.C:][:g.C] {
				kernel.Axpy(dw[((r*g.S+s)*g.C+c)*g.K:][:g.K], v, d)
			}
		})
	}
}
