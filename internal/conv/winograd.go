package conv

import (
	"github.com/redoubt-ml/redoubt/internal/kernel"
	"github.com/redoubt-ml/redoubt/internal/mem"
	"github.com/redoubt-ml/redoubt/internal/par"
)

const (
	// winogradIn is the side of the squares of input pixels of Winograd's
	// F(4x4, 3x3) and F(2x2, 5x5), and winogradPoints the number of products of a pair.
	winogradIn     = 6
	winogradPoints = winogradIn * winogradIn
	// winogradChannels is the least number of input and output channels for
	// which the transforms cost less than they save.
	winogradChannels = 32
	// winogradResults is the same for the forward pass.
	winogradResults = 64
	// winogradFew is how many squares of a batch are worth transforming the
	// gradient of the filters for.
	winogradFew = 16
	// winogradBlock is how many elements of transformed images and results
	// make a block, unless that is fewer squares than winogradLeast, too few
	// for the transformed filters to be worth reading.
	winogradBlock = 1 << 19
	winogradLeast = 48
	// winogradDepth is the most input channels of a tile's product.
	winogradDepth = 256
	// winogradGap keeps points that are a power of two apart from sharing
	// cache sets.
	winogradGap = 48
	// winogradTransform is what the transform of a square of one channel costs, in
	// multiply-adds.
	winogradTransform = 600
	// winogradFilterRows is how many input channels of filters are transformed at a
	// time.
	winogradFilterRows = 64
)

// winogradForm is one of Winograd's algorithms.
type winogradForm struct {
	out, taps                                    int // sides of squares of output pixels, and of filters
	filter, output, outputAdjoint, filterAdjoint kernel.Transform
}

// winogradForms has the algorithm for each side of filters that has one.
var winogradForms = map[int]*winogradForm{
	3: {4, 3, kernel.WinogradFilter3, kernel.WinogradOutput3, kernel.WinogradOutputAdjoint3, kernel.WinogradFilterAdjoint3},
	5: {2, 5, kernel.WinogradFilter5, kernel.WinogradOutput5, kernel.WinogradOutputAdjoint5, kernel.WinogradFilterAdjoint5},
}

// winograd says whether the passes of g run as Winograd's: there are channels enough,
// and the squares that cover the map lie at most half outside it. The number of images
// is not asked, as results of an image do not depend on those beside it.
func (g *Geometry) winograd() bool {
	form := winogradForms[g.R]
	return g.Winograd && form != nil && g.S == g.R && g.StrideH == 1 && g.StrideW == 1 &&
		g.C >= winogradChannels && g.K >= winogradChannels && g.C%32 == 0 && g.K%32 == 0 &&
		g.PadT < g.R && g.PadL < g.R &&
		form.out*form.out*form.squares(g.OH, g.OW) <= 2*g.OH*g.OW
}

// winogradForward says whether the forward pass runs as Winograd's. Equal windows of an
// image then give results that differ by rounding, and a max-pooling behind no longer
// finds ties: networks for digits, with few channels or 5x5 filters, have flat grounds and
// such poolings, and are left alone.
func (g *Geometry) winogradForward() bool {
	return g.winograd() && g.R == 3 && g.C >= winogradResults && g.K >= winogradResults
}

// squares is the number of squares that cover a map.
func (f *winogradForm) squares(h, w int) int {
	return ((h + f.out - 1) / f.out) * ((w + f.out - 1) / f.out)
}

// squares is a pass of Winograd's convolution in progress: the product of
// transformed images and transformed filters at each of 36 points, or, for the
// gradient of the filter, of transformed images and output gradients.
//
// Output maps fall into squares of 4x4 or 2x2 pixels, which see 6x6 pixels of the
// image. A line is a row of squares of one image.
type squares struct {
	*winogradForm
	src, dst, w      []float32
	n                int
	srcH, srcW, srcC int
	dstH, dstW, dstC int
	padT, padL       int
	turned           bool // the filter is used with C and K exchanged
	bias             []float32
	relu             bool
	down, across     int // squares of an image
	lines            int // of all images
	blocks           int
	nr, panels       int
	panelParts       int       // chunks that share the panels of a block
	filters          []float32 // [point][panel][srcC][nr], points filterPoint apart
	filterPoint      int

	filterBody, forwardBody func(lo, hi int)
}

var squaresFree mem.Objects[squares]

func newSquares(g *Geometry) *squares {
	v, fresh := squaresFree.Get()
	v.winogradForm = winogradForms[g.R]
	if fresh {
		v.filterBody, v.forwardBody = v.transformFilters, v.forward
	}
	return v
}

func (v *squares) free() {
	*v = squares{filterBody: v.filterBody, forwardBody: v.forwardBody}
	squaresFree.Put(v)
}

// cut divides the output map into squares and the lines into blocks, which do
// not depend on the number of threads.
func (v *squares) cut() {
	_, v.nr, _ = kernel.MaxTile[float32]()
	v.panels = v.dstC / v.nr
	v.down = (v.dstH + v.out - 1) / v.out
	v.across = (v.dstW + v.out - 1) / v.out
	v.lines = v.n * v.down
	size := max(winogradLeast, winogradBlock/(winogradPoints*(v.srcC+v.dstC)))
	v.blocks = max(1, v.lines*v.across/size)
	if v.blocks > 1 {
		v.blocks += v.blocks % 2
	}
}

func winogradForward(y, x, w []float32, g Geometry, bias []float32, relu bool) {
	v := newSquares(&g)
	v.src, v.dst, v.w = x, y, w
	v.n, v.srcH, v.srcW, v.srcC = g.N, g.H, g.W, g.C
	v.dstH, v.dstW, v.dstC = g.OH, g.OW, g.K
	v.padT, v.padL = g.PadT, g.PadL
	v.bias, v.relu = bias, relu
	v.run()
}

func winogradBackwardData(dx, dy, w []float32, g Geometry) {
	v := newSquares(&g)
	v.src, v.dst, v.w = dy, dx, w
	v.n, v.srcH, v.srcW, v.srcC = g.N, g.OH, g.OW, g.K
	v.dstH, v.dstW, v.dstC = g.H, g.W, g.C
	v.padT, v.padL = v.taps-1-g.PadT, v.taps-1-g.PadL
	v.turned = true
	v.run()
}

func (v *squares) run() {
	v.cut()
	v.filterPoint = v.srcC*v.dstC + winogradGap
	block := scratch32.Borrow(winogradPoints * v.filterPoint)
	v.filters = block.Data
	par.For(v.panels*v.filterParts(), 1, v.filterBody)
	// Each part of the panels transforms the images of its block again.
	perPanel := v.nr * (v.srcC*winogradPoints + winogradTransform)
	v.panelParts = panelParts(v.blocks, v.panels, v.srcC*winogradTransform, perPanel)
	par.For(v.blocks*v.panelParts, 1, v.forwardBody)
	scratch32.Return(block)
	v.free()
}

// filterParts is how many chunks share a panel of the filters.
func (v *squares) filterParts() int {
	return (v.srcC + winogradFilterRows - 1) / winogradFilterRows
}

// transformFilters prepares chunks [lo, hi) of the filters.
func (v *squares) transformFilters(lo, hi int) {
	point := v.srcC * v.dstC
	count := v.taps * v.taps
	block := scratch32.Borrow(count*winogradFilterRows*v.nr + kernel.TransformScratch)
	defer scratch32.Return(block)
	for chunk := lo; chunk < hi; chunk++ {
		panel, c0 := chunk/v.filterParts(), chunk%v.filterParts()*winogradFilterRows
		rows := min(winogradFilterRows, v.srcC-c0)
		size := rows * v.nr
		taps, tmp := block.Data[:count*size], block.Data[count*size:]
		for tap := range count {
			if v.turned {
				kernel.Transpose(taps[(count-1-tap)*size:], v.nr, v.w[tap*point+panel*v.nr*v.srcC+c0:], v.srcC, v.nr, rows)
			} else {
				kernel.CopyRows(taps[tap*size:], v.nr, v.w[tap*point+c0*v.dstC+panel*v.nr:], v.dstC, rows, v.nr)
			}
		}
		v.filter.Apply(v.filters[(panel*v.srcC+c0)*v.nr:], winogradIn*v.filterPoint, v.filterPoint, taps, v.taps*size, size, tmp, size)
	}
}

// padLine copies the six rows of the image that a line of squares sees, with
// their border, to rows.
func (v *squares) padLine(rows []float32, line int) {
	n, first := line/v.down, line%v.down*v.out-v.padT
	width, length, left := v.padWidth(), v.srcW*v.srcC, v.padL*v.srcC
	for r := range winogradIn {
		d := rows[r*width:][:width]
		h := first + r
		if h < 0 || h >= v.srcH {
			clear(d)
			continue
		}
		clear(d[:left])
		right := left + copy(d[left:], v.src[(n*v.srcH+h)*length:][:length])
		clear(d[right:])
	}
}

// padWidth is the length of a row of the image with its border.
func (v *squares) padWidth() int { return (v.across*v.out + v.taps - 1) * v.srcC }

// lineRange is the range of lines of a block.
func (v *squares) lineRange(block int) (lo, hi int) {
	return block * v.lines / v.blocks, (block + 1) * v.lines / v.blocks
}

// forward computes chunks [lo, hi) of the result.
func (v *squares) forward(lo, hi int) {
	most := ((v.lines + v.blocks - 1) / v.blocks) * v.across
	mostCols := (v.panels + v.panelParts - 1) / v.panelParts * v.nr
	imagePoint, resultPoint := most*v.srcC+winogradGap, most*mostCols+winogradGap
	padSize := winogradIn * v.padWidth()
	square := v.out * v.out * mostCols
	block := scratch32.Borrow(winogradPoints*(imagePoint+resultPoint) + padSize + square + kernel.TransformScratch)
	defer scratch32.Return(block)
	rest := block.Data
	take := func(n int) []float32 {
		s := rest[:n]
		rest = rest[n:]
		return s
	}
	images, results := take(winogradPoints*imagePoint), take(winogradPoints*resultPoint)
	rows, edge, tmp := take(padSize), take(square), take(kernel.TransformScratch)
	width := v.padWidth()
	for chunk := lo; chunk < hi; chunk++ {
		l0, l1 := v.lineRange(chunk / v.panelParts)
		part := chunk % v.panelParts
		p0, p1 := part*v.panels/v.panelParts, (part+1)*v.panels/v.panelParts
		for line := l0; line < l1; line++ {
			v.padLine(rows, line)
			for q := range v.across {
				at := ((line-l0)*v.across + q) * v.srcC
				kernel.WinogradImage.Apply(images[at:], winogradIn*imagePoint, imagePoint,
					rows[q*v.out*v.srcC:], width, v.srcC, tmp, v.srcC)
			}
		}
		v.multiply(results, resultPoint, images, imagePoint, (l1-l0)*v.across, p0, p1)
		cols := (p1 - p0) * v.nr
		for line := l0; line < l1; line++ {
			for q := range v.across {
				at := ((line-l0)*v.across + q) * cols
				v.write(results[at:], resultPoint, line, q, p0*v.nr, cols, edge, tmp)
			}
		}
	}
}

// multiply computes the products of count squares with panels [p0, p1) at every point.
func (v *squares) multiply(results []float32, resultPoint int, images []float32, imagePoint, count, p0, p1 int) {
	t := kernel.Tile[float32]{KS: 1, RS: v.srcC, K1: 1, K2: 1, B0: v.nr, LDC: (p1 - p0) * v.nr, Cols: v.nr}
	size := v.srcC * v.nr
	for p := range winogradPoints {
		for c0 := 0; c0 < v.srcC; c0 += winogradDepth {
			t.K0 = min(winogradDepth, v.srcC-c0)
			t.Accumulate = c0 > 0
			for panel := p0; panel < p1; panel++ {
				t.B = v.filters[p*v.filterPoint+panel*size+c0*v.nr:]
				t.A, t.C = images[p*imagePoint+c0:], results[p*resultPoint+(panel-p0)*v.nr:]
				t.RunRows(count)
			}
		}
	}
}

// write transforms output channels [c0, c0+channels) of a square of results back and
// writes the part of it that lies on the map.
func (v *squares) write(results []float32, point, line, q, c0, channels int, edge, tmp []float32) {
	n, h, w := line/v.down, line%v.down*v.out, q*v.out
	rows, cols := min(v.out, v.dstH-h), min(v.out, v.dstW-w)
	row := v.dstW * v.dstC
	at := n*v.dstH*row + h*row + w*v.dstC + c0
	if rows == v.out && cols == v.out {
		v.output.Apply(v.dst[at:], row, v.dstC, results, winogradIn*point, point, tmp, channels)
	} else {
		v.output.Apply(edge, v.out*channels, channels, results, winogradIn*point, point, tmp, channels)
		for r := range rows {
			kernel.CopyRows(v.dst[at+r*row:], v.dstC, edge[r*v.out*channels:], channels, cols, channels)
		}
	}
	if v.bias == nil && !v.relu {
		return
	}
	pixels := 1 // at a time
	if channels == v.dstC {
		pixels = cols
	}
	for r := range rows {
		for c := 0; c < cols; c += pixels {
			d := v.dst[at+r*row+c*v.dstC:][:pixels*channels]
			if v.bias != nil {
				kernel.BinaryRow(kernel.Add, d, d, v.bias[c0:c0+channels])
			}
			if v.relu {
				kernel.Unary(kernel.ReLU, d, d)
			}
		}
	}
}
