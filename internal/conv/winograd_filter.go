package conv

import (
	"github.com/redoubt-ml/redoubt/internal/kernel"
	"github.com/redoubt-ml/redoubt/internal/par"
)

// winogradGradSquares is how many squares of the gradient of the filter are
// transformed between two visits to the products.
const winogradGradSquares = 128

// winogradBackwardFilter is the adjoint of winogradForward in the filter: the
// image is transformed as there, dy by the adjoint of the output transform, and
// the sum over all squares of their products by that of the filter's.
func winogradBackwardFilter(dw, x, dy []float32, g Geometry) {
	v := newSquares(&g)
	v.src, v.dst, v.w = x, dy, dw
	v.n, v.srcH, v.srcW, v.srcC = g.N, g.H, g.W, g.C
	v.dstH, v.dstW, v.dstC = g.OH, g.OW, g.K
	v.padT, v.padL = g.PadT, g.PadL
	v.cut()
	v.blocks = max(1, v.lines*v.across/winogradGradSquares)
	most := (v.lines + v.blocks - 1) / v.blocks * v.across
	v.imagePoint, v.gradPoint = most*v.srcC+winogradGap, most*v.dstC+winogradGap
	v.filterPoint = v.srcC*v.dstC + winogradGap
	block := scratch32.Borrow(winogradPoints * (v.imagePoint + v.gradPoint + v.filterPoint))
	rest := block.Data
	v.images, rest = rest[:winogradPoints*v.imagePoint], rest[winogradPoints*v.imagePoint:]
	v.grads, v.product = rest[:winogradPoints*v.gradPoint], rest[winogradPoints*v.gradPoint:]
	for b := range v.blocks {
		l0, l1 := v.lineRange(b)
		v.l0, v.lineCount = l0, l1-l0
		par.For(v.lineCount, 1, v.transformBody)
		par.For(winogradPoints, 1, v.productBody)
	}
	par.For(v.srcC, max(1, (1<<12)/v.dstC), v.backBody)
	scratch32.Return(block)
	v.free()
}

// transformLines transforms lines [lo, hi) of the block: images square by
// square, gradients as panels.
func (v *squares) transformLines(lo, hi int) {
	count := v.lineCount * v.across
	padSize, edgeSize := winogradIn*v.padWidth(), v.out*v.out*v.dstC
	block := scratch32.Borrow(padSize + edgeSize + kernel.TransformScratch)
	defer scratch32.Return(block)
	rows, edge, tmp := block.Data[:padSize], block.Data[padSize:padSize+edgeSize], block.Data[padSize+edgeSize:]
	for i := lo; i < hi; i++ {
		line := v.l0 + i
		v.padLine(rows, line)
		n, h := line/v.down, line%v.down*v.out
		for q := range v.across {
			at := i*v.across + q
			kernel.WinogradImage.Apply(v.images[at*v.srcC:], winogradIn*v.imagePoint, v.imagePoint,
				rows[q*v.out*v.srcC:], v.padWidth(), v.srcC, tmp, v.srcC)
			w := q * v.out
			row := v.dstW * v.dstC
			src, srcRow := v.dst[(n*v.dstH+h)*row+w*v.dstC:], row
			if down, across := v.dstH-h, v.dstW-w; down < v.out || across < v.out {
				clear(edge)
				kernel.CopyRows(edge, v.out*v.dstC, src, row, min(down, v.out), min(across, v.out)*v.dstC)
				src, srcRow = edge, v.out*v.dstC
			}
			for panel := range v.panels {
				v.outputAdjoint.Apply(v.grads[(panel*count+at)*v.nr:], winogradIn*v.gradPoint, v.gradPoint,
					src[panel*v.nr:], srcRow, v.dstC, tmp, v.nr)
			}
		}
	}
}

// multiplyPoints adds the products of the block at points [lo, hi).
func (v *squares) multiplyPoints(lo, hi int) {
	count := v.lineCount * v.across
	t := kernel.Tile[float32]{RS: 1, KS: v.srcC, K0: count, K1: 1, K2: 1, B0: v.nr, LDC: v.dstC, Cols: v.nr, Accumulate: v.l0 > 0}
	for p := lo; p < hi; p++ {
		for panel := range v.panels {
			t.B = v.grads[p*v.gradPoint+panel*count*v.nr:]
			t.A, t.C = v.images[p*v.imagePoint:], v.product[p*v.filterPoint+panel*v.nr:]
			t.RunRows(v.srcC)
		}
	}
}

// transformBack makes the gradients of input channels [lo, hi).
func (v *squares) transformBack(lo, hi int) {
	block := scratch32.Borrow(kernel.TransformScratch)
	defer scratch32.Return(block)
	point, at := v.srcC*v.dstC, lo*v.dstC
	v.filterAdjoint.Apply(v.w[at:], v.taps*point, point, v.product[at:], winogradIn*v.filterPoint, v.filterPoint, block.Data, (hi-lo)*v.dstC)
}
