package conv

import (
	"fmt"

	"github.com/redoubt-ml/redoubt/internal/gemm"
	"github.com/redoubt-ml/redoubt/internal/kernel"
)

// Forward sets y[n,oh,ow,k] to the sum over r, s, c of
// x[n, oh*StrideH-PadT+r, ow*StrideW-PadL+s, c] * w[r,s,c,k], plus bias[k]
// unless bias is nil, bounded below by 0 if relu is set.
func Forward[T kernel.Float](y, x, w []T, g Geometry, bias []T, relu bool) {
	g.check("Forward", len(x), len(w), len(y))
	if bias != nil && len(bias) != g.K {
		panic(fmt.Sprintf("conv: Forward: bias of length %d, want %d", len(bias), g.K))
	}
	if g.N == 0 {
		return
	}
	if g.pointwise() {
		gemm.Gemm(false, false, g.N*g.OH*g.OW, g.K, g.C, x, g.C, w, g.K, y, g.K, gemm.Epilogue[T]{Bias: bias, ReLU: relu})
		return
	}
	if g.winogradForward() {
		if y32, ok := any(y).([]float32); ok {
			b32, _ := any(bias).([]float32)
			winogradForward(y32, any(x).([]float32), any(w).([]float32), g, b32, relu)
			return
		}
	}
	v := forward(x, w, g, bias, relu)
	v.dst = y
	v.run()
	v.free()
}

// forward returns the correlation that is a convolution, without a place to go.
func forward[T kernel.Float](x, w []T, g Geometry, bias []T, relu bool) *correlation[T] {
	v := newCorrelation[T]()
	v.src, v.w = x, w
	v.n, v.srcH, v.srcW, v.srcC, v.dstC = g.N, g.H, g.W, g.C, g.K
	v.dstSize = g.OH * g.OW * g.K
	v.strideH, v.strideW = g.StrideH, g.StrideW
	v.bias, v.relu = bias, relu
	v.padT, v.padL = g.PadT, g.PadL
	v.padH = max(g.PadT+g.H, (g.OH-1)*g.StrideH+g.R)
	v.padW = max(g.PadL+g.W, (g.OW-1)*g.StrideW+g.S)
	v.phases = append(v.phases, phase{
		r: g.R, s: g.S, oh: g.OH, ow: g.OW,
		rowStep: g.OW * g.K, pixelStep: g.K,
		tapR: 0, tapS: 0, stepR: 1, stepS: 1,
	})
	v.filterS = g.S
	return v
}

// BackwardData sets dx to the gradient with respect to Forward's x, given dy,
// the gradient with respect to y before bias and ReLU.
//
// An image row h receives from filter rows r = (h+PadT) mod StrideH, then every
// StrideH-th: the rows and columns of dx fall into StrideH*StrideW phases, each
// of which is a convolution of dy at stride one with a part of the filter,
// turned around.
func BackwardData[T kernel.Float](dx, dy, w []T, g Geometry) {
	g.check("BackwardData", len(dx), len(w), len(dy))
	if g.N == 0 {
		return
	}
	if g.pointwise() {
		gemm.Gemm(false, true, g.N*g.OH*g.OW, g.C, g.K, dy, g.K, w, g.K, dx, g.C, gemm.Epilogue[T]{})
		return
	}
	if g.winograd() {
		if dx32, ok := any(dx).([]float32); ok {
			winogradBackwardData(dx32, any(dy).([]float32), any(w).([]float32), g)
			return
		}
	}
	if g.C <= spreadChannels {
		spreadBack(dx, dy, w, g)
		return
	}
	v := newCorrelation[T]()
	v.src, v.dst, v.w = dy, dx, w
	v.n, v.srcH, v.srcW, v.srcC, v.dstC = g.N, g.OH, g.OW, g.K, g.C
	v.dstSize = g.H * g.W * g.C
	v.strideH, v.strideW = 1, 1
	v.turned = true
	v.filterS = g.S
	v.padT, v.padL, v.padH, v.padW = 0, 0, g.OH, g.OW
	for a := range g.StrideH {
		rows := axisPhase(a, g.StrideH, g.R, g.PadT, g.H)
		for b := range g.StrideW {
			cols := axisPhase(b, g.StrideW, g.S, g.PadL, g.W)
			if rows.count <= 0 || cols.count <= 0 {
				continue
			}
			if rows.taps == 0 || cols.taps == 0 {
				v.clear = true
				continue
			}
			v.padT, v.padL = max(v.padT, -rows.start), max(v.padL, -cols.start)
			v.phases = append(v.phases, phase{
				r: rows.taps, s: cols.taps, oh: rows.count, ow: cols.count,
				rowStep: g.StrideH * g.W * g.C, pixelStep: g.StrideW * g.C,
				dst:  (rows.first*g.W + cols.first) * g.C,
				row0: rows.start, col0: cols.start,
				tapR: a + g.StrideH*(rows.taps-1), tapS: b + g.StrideW*(cols.taps-1),
				stepR: -g.StrideH, stepS: -g.StrideW,
			})
		}
	}
	for i := range v.phases {
		p := &v.phases[i]
		p.row0 += v.padT
		p.col0 += v.padL
		v.padH = max(v.padH, p.row0+p.oh-1+p.r)
		v.padW = max(v.padW, p.col0+p.ow-1+p.s)
	}
	v.padH, v.padW = max(v.padH, v.padT+g.OH), max(v.padW, v.padL+g.OW)
	if len(v.phases) == 0 {
		kernel.Fill(dx, 0)
	} else {
		v.run()
	}
	v.free()
}

// axis is one phase of one axis of a strided gradient.
type axis struct {
	taps  int // filter taps that reach the phase
	first int // first image row of the phase
	count int // number of image rows
	start int // output row that meets the last tap at the first image row
}

func axisPhase(phase, stride, taps, pad, size int) axis {
	a := axis{taps: max(0, (taps-phase+stride-1)/stride)}
	q0 := max(0, (pad-phase+stride-1)/stride)
	a.first = q0*stride + phase - pad
	if a.first < size {
		a.count = (size-1-a.first)/stride + 1
	}
	a.start = q0 - (a.taps - 1)
	return a
}

// pointwise says whether the convolution is a product of plain matrices.
func (g *Geometry) pointwise() bool {
	return g.R == 1 && g.S == 1 && g.StrideH == 1 && g.StrideW == 1 &&
		g.OH == g.H && g.OW == g.W
}
