package conv

import (
	"github.com/redoubt-ml/redoubt/internal/kernel"
	"github.com/redoubt-ml/redoubt/internal/mem"
	"github.com/redoubt-ml/redoubt/internal/par"
)

const (
	// winogradGradSquares is how many squares of the gradient of the filter are
	// transformed between two visits to the products.
	winogradGradSquares = 128
	// winogradPartSquares is the least number of squares of a part that has products
	// of its own, winogradParts the most parts, and winogradPartSize the most
	// elements of products that several parts may have each.
	winogradPartSquares = 256
	winogradParts       = 32
	winogradPartSize    = winogradPoints * 64 * 128
)

// squaresGradient is a BackwardFilter by Winograd's algorithm in progress: the adjoint of
// winogradForward in the filter. The image is transformed as there, dy by the adjoint of
// the output transform, and the sum over all squares of their products by that of the
// filter's. Lines are taken a block at a time.
//
// Where products are small, parts of the lines have their own, which are added in order
// at the end, and threads take parts: then they find in their cache what they have
// transformed themselves. Where parts are fewer than threads, these share the blocks, one
// after the other. The cut depends on sizes only.
type squaresGradient struct {
	*squares
	parts                 int
	products              []float32 // of all parts
	imagePoint, gradPoint int       // from one point to the next
	size                  int       // of transformed images and gradients
	shared                gradientBlock

	partBody, transformBody, productBody, backBody func(lo, hi int)
}

// gradientBlock is a block of lines, transformed.
type gradientBlock struct {
	l0, l1        int
	images, grads []float32
	product       []float32 // that the block's are added to
	first         bool      // of its part: it sets the product
}

var squaresGradientFree mem.Objects[squaresGradient]

func winogradBackwardFilter(dw, x, dy []float32, g Geometry) {
	f, fresh := squaresGradientFree.Get()
	if fresh {
		f.partBody, f.transformBody, f.productBody, f.backBody = f.sumParts, f.transformShared, f.multiplyShared, f.transformBack
	}
	v := newSquares(&g)
	v.src, v.dst, v.w = x, dy, dw
	v.n, v.srcH, v.srcW, v.srcC = g.N, g.H, g.W, g.C
	v.dstH, v.dstW, v.dstC = g.OH, g.OW, g.K
	v.padT, v.padL = g.PadT, g.PadL
	v.cut()
	f.squares = v
	f.run()
	v.free()
	*f = squaresGradient{partBody: f.partBody, transformBody: f.transformBody, productBody: f.productBody, backBody: f.backBody}
	squaresGradientFree.Put(f)
}

func (f *squaresGradient) run() {
	f.parts = 1
	if winogradPoints*f.srcC*f.dstC <= winogradPartSize {
		f.parts = max(1, min(winogradParts, f.lines*f.across/winogradPartSquares, f.lines))
	}
	most := 0
	for part := range f.parts {
		for b, blocks := 0, f.blocksOf(part); b < blocks; b++ {
			l0, l1 := f.linesOf(part, b, blocks)
			most = max(most, (l1-l0)*f.across)
		}
	}
	f.imagePoint, f.gradPoint = most*f.srcC+winogradGap, most*f.dstC+winogradGap
	f.size = winogradPoints * (f.imagePoint + f.gradPoint)
	f.filterPoint = f.srcC*f.dstC + winogradGap
	block := scratch32.Borrow(f.parts * winogradPoints * f.filterPoint)
	f.products = block.Data
	if f.parts >= par.Available() {
		par.For(f.parts, 1, f.partBody)
	} else {
		f.shareBlocks()
	}
	par.For(f.srcC, max(1, (1<<9)/f.dstC), f.backBody)
	scratch32.Return(block)
}

// shareBlocks makes the products of all parts, of which there are fewer than threads.
func (f *squaresGradient) shareBlocks() {
	own := scratch32.Borrow(f.size)
	defer scratch32.Return(own)
	for part := range f.parts {
		for b, blocks := 0, f.blocksOf(part); b < blocks; b++ {
			f.shared = f.block(own.Data, part, b, blocks)
			par.For(f.shared.l1-f.shared.l0, 1, f.transformBody)
			par.For(winogradPoints*f.panels, 1, f.productBody)
		}
	}
}

// partLines is the range of lines of a part.
func (f *squaresGradient) partLines(part int) (lo, hi int) {
	return part * f.lines / f.parts, (part + 1) * f.lines / f.parts
}

// blocksOf is the number of blocks of a part.
func (f *squaresGradient) blocksOf(part int) int {
	lo, hi := f.partLines(part)
	return max(1, min((hi-lo)*f.across/winogradGradSquares, hi-lo))
}

// linesOf is the range of lines of a block of a part.
func (f *squaresGradient) linesOf(part, b, blocks int) (lo, hi int) {
	first, last := f.partLines(part)
	return first + b*(last-first)/blocks, first + (b+1)*(last-first)/blocks
}

// block is a block of a part, to be transformed to data.
func (f *squaresGradient) block(data []float32, part, b, blocks int) gradientBlock {
	l0, l1 := f.linesOf(part, b, blocks)
	return gradientBlock{l0: l0, l1: l1,
		images: data[:winogradPoints*f.imagePoint], grads: data[winogradPoints*f.imagePoint : f.size],
		product: f.products[part*winogradPoints*f.filterPoint:][:winogradPoints*f.filterPoint],
		first:   b == 0}
}

// sumParts makes the products of parts [lo, hi).
func (f *squaresGradient) sumParts(lo, hi int) {
	own := scratch32.Borrow(f.size)
	defer scratch32.Return(own)
	for part := lo; part < hi; part++ {
		for b, blocks := 0, f.blocksOf(part); b < blocks; b++ {
			x := f.block(own.Data, part, b, blocks)
			f.transform(&x, 0, x.l1-x.l0)
			f.multiply(&x, 0, winogradPoints*f.panels)
		}
	}
}

func (f *squaresGradient) transformShared(lo, hi int) { f.transform(&f.shared, lo, hi) }

func (f *squaresGradient) multiplyShared(lo, hi int) { f.multiply(&f.shared, lo, hi) }

// transform transforms lines [lo, hi) of the block: images square by square, gradients
// as panels.
func (f *squaresGradient) transform(x *gradientBlock, lo, hi int) {
	count := (x.l1 - x.l0) * f.across
	padSize, edgeSize := winogradIn*f.padWidth(), f.out*f.out*f.dstC
	block := scratch32.Borrow(padSize + edgeSize + kernel.TransformScratch)
	defer scratch32.Return(block)
	rows, edge, tmp := block.Data[:padSize], block.Data[padSize:padSize+edgeSize], block.Data[padSize+edgeSize:]
	for i := lo; i < hi; i++ {
		line := x.l0 + i
		f.padLine(rows, line)
		n, h := line/f.down, line%f.down*f.out
		for q := range f.across {
			at := i*f.across + q
			kernel.WinogradImage.Apply(x.images[at*f.srcC:], winogradIn*f.imagePoint, f.imagePoint,
				rows[q*f.out*f.srcC:], f.padWidth(), f.srcC, tmp, f.srcC)
			w := q * f.out
			row := f.dstW * f.dstC
			src, srcRow := f.dst[(n*f.dstH+h)*row+w*f.dstC:], row
			if down, across := f.dstH-h, f.dstW-w; down < f.out || across < f.out {
				clear(edge)
				kernel.CopyRows(edge, f.out*f.dstC, src, row, min(down, f.out), min(across, f.out)*f.dstC)
				src, srcRow = edge, f.out*f.dstC
			}
			for panel := range f.panels {
				f.outputAdjoint.Apply(x.grads[(panel*count+at)*f.nr:], winogradIn*f.gradPoint, f.gradPoint,
					src[panel*f.nr:], srcRow, f.dstC, tmp, f.nr)
			}
		}
	}
}

// multiply adds the block's products of chunks [lo, hi), each of which is a panel at a
// point.
func (f *squaresGradient) multiply(x *gradientBlock, lo, hi int) {
	count := (x.l1 - x.l0) * f.across
	t := kernel.Tile[float32]{RS: 1, KS: f.srcC, K0: count, K1: 1, K2: 1, B0: f.nr, LDC: f.dstC, Cols: f.nr, Accumulate: !x.first}
	for chunk := lo; chunk < hi; chunk++ {
		p, panel := chunk/f.panels, chunk%f.panels
		t.B = x.grads[p*f.gradPoint+panel*count*f.nr:]
		t.A, t.C = x.images[p*f.imagePoint:], x.product[p*f.filterPoint+panel*f.nr:]
		t.RunRows(f.srcC)
	}
}

// transformBack adds the products of the parts and makes the gradients of input channels
// [lo, hi).
func (f *squaresGradient) transformBack(lo, hi int) {
	block := scratch32.Borrow(kernel.TransformScratch)
	defer scratch32.Return(block)
	point, at, n := f.srcC*f.dstC, lo*f.dstC, (hi-lo)*f.dstC
	for p := range winogradPoints {
		sum := f.products[p*f.filterPoint+at:][:n]
		for part := 1; part < f.parts; part++ {
			kernel.Binary(kernel.Add, sum, sum, f.products[(part*winogradPoints+p)*f.filterPoint+at:][:n])
		}
	}
	f.filterAdjoint.Apply(f.w[at:], f.taps*point, point, f.products[at:], winogradIn*f.filterPoint, f.filterPoint, block.Data, n)
}
