package conv

import (
	"github.com/redoubt-ml/redoubt/internal/kernel"
	"github.com/redoubt-ml/redoubt/internal/mem"
	"github.com/redoubt-ml/redoubt/internal/par"
)

// packedGradient is a BackwardFilter of many output channels in progress.
//
// It is a product of two matrices whose inner extent is the pixels of dy. They
// are taken a block at a time: dy as packed panels, and the image elements that
// each tile of dw needs as packed tiles, copied from images with their border.
// Copying pays because a tile meets many panels. Blocks are added in order.
type packedGradient[T kernel.Float] struct {
	g          Geometry
	dw, x, dy  []T
	padW       int
	mr, nr     int
	panels     int
	rowTiles   int // tiles along the S*C rows of one filter row
	tileStep   int // tiles of a chunk
	padded     []T
	packed     []T // panels of dy, each a row of nr for every pixel
	packedStep int // from one panel to the next

	// The block in progress: rows [o0, o1) of dy in images [n0, n1).
	n0, n1, o0, o1 int

	prepareBody, multiplyBody func(lo, hi int)
}

var (
	packedGradients32 mem.Objects[packedGradient[float32]]
	packedGradients64 mem.Objects[packedGradient[float64]]
)

func packedGradients[T kernel.Float]() *mem.Objects[packedGradient[T]] {
	return mem.Either[mem.Objects[packedGradient[T]]](&packedGradients32, &packedGradients64)
}

const (
	// packedChannels is the least number of output channels for which packing
	// tiles of image elements pays.
	packedChannels = 64
	// blockPixels is about how many pixels make a block.
	blockPixels = 256
	// chunkTiles is the most tiles that are packed together.
	chunkTiles = 16
)

func packedFilter[T kernel.Float](dw, x, dy []T, g Geometry) {
	f, fresh := packedGradients[T]().Get()
	if fresh {
		f.prepareBody, f.multiplyBody = f.prepare, f.multiply
	}
	f.g, f.dw, f.x, f.dy = g, dw, x, dy
	f.run()
	*f = packedGradient[T]{prepareBody: f.prepareBody, multiplyBody: f.multiplyBody}
	packedGradients[T]().Put(f)
}

func (f *packedGradient[T]) run() {
	g := &f.g
	f.mr, f.nr, _ = kernel.MaxTile[T]()
	f.padW = max(g.PadL+g.W, (g.OW-1)*g.StrideW+g.S)
	f.panels = (g.K + f.nr - 1) / f.nr
	f.rowTiles = (g.S*g.C + f.mr - 1) / f.mr
	tiles := g.R * f.rowTiles
	// Three chunks for each thread, as threads are not equally fast.
	f.tileStep = max(1, min(chunkTiles, tiles/max(minTileChunks, 3*par.Available())))
	images := max(1, min(g.N, blockPixels/(g.OH*g.OW)))
	bands := max(1, min(g.OH, (g.OH*g.OW+blockPixels/2)/blockPixels))
	rows := (g.OH + bands - 1) / bands
	padRows := (rows-1)*g.StrideH + g.R
	padded := scratch[T]().Borrow(images * padRows * f.padW * g.C)
	defer scratch[T]().Return(padded)
	f.padded = padded.Data
	// A line more, so that panels do not share cache sets.
	f.packedStep = images*rows*g.OW*f.nr + 16
	packed := scratch[T]().Borrow(f.packedStep * f.panels)
	defer scratch[T]().Return(packed)
	f.packed = packed.Data
	groups := (g.N + images - 1) / images
	for group := range groups {
		f.n0, f.n1 = group*g.N/groups, (group+1)*g.N/groups
		for band := range bands {
			f.o0, f.o1 = band*g.OH/bands, (band+1)*g.OH/bands
			par.For((f.n1-f.n0)*f.padRows(), max(1, (1<<12)/(f.padW*g.C)), f.prepareBody)
			par.For((tiles+f.tileStep-1)/f.tileStep, 1, f.multiplyBody)
		}
	}
}

// padRows is the number of image rows, border included, that the block needs of
// each image.
func (f *packedGradient[T]) padRows() int { return (f.o1-f.o0-1)*f.g.StrideH + f.g.R }

// prepare copies rows [lo, hi) of the block's images, with their border, and
// the rows of dy that bear the same numbers.
func (f *packedGradient[T]) prepare(lo, hi int) {
	g := &f.g
	row, line, left := f.padW*g.C, g.W*g.C, g.PadL*g.C
	padRows, rows := f.padRows(), f.o1-f.o0
	for i := lo; i < hi; i++ {
		n, p := i/padRows, i%padRows
		d := f.padded[i*row:][:row]
		if h := f.o0*g.StrideH - g.PadT + p; h < 0 || h >= g.H {
			clear(d)
		} else {
			clear(d[:left])
			copy(d[left:left+line], f.x[((f.n0+n)*g.H+h)*line:][:line])
			clear(d[left+line:])
		}
		// The last row of an image also takes rows of dy that go beyond the
		// image's, as they do when rows of the image are fewer.
		last := p + 1
		if p == padRows-1 {
			last = rows
		}
		for r := p; r < last && r < rows; r++ {
			kernel.SplitRows(f.packed[(n*rows+r)*g.OW*f.nr:], f.packedStep, f.nr,
				f.dy[((f.n0+n)*g.OH+f.o0+r)*g.OW*g.K:], g.K, g.OW, g.K)
		}
	}
}

// multiply adds the block to the tiles of chunks [lo, hi).
func (f *packedGradient[T]) multiply(lo, hi int) {
	g := &f.g
	tiles := g.R * f.rowTiles
	rows, row := f.o1-f.o0, f.padW*g.C
	perImage := rows * g.OW
	pixels := (f.n1 - f.n0) * perImage
	size := kernel.PackSize(pixels, f.mr)
	block := scratch[T]().Borrow(size * f.tileStep)
	defer scratch[T]().Return(block)
	t := kernel.Tile[T]{
		RS: 1, K0: pixels, K1: 1, K2: 1, B0: f.nr, LDC: g.K,
		Accumulate: f.n0 > 0 || f.o0 > 0, Padded: true,
	}
	// span is the part of the S*C rows of a filter row that a tile covers.
	span := func(tile int) (m0, m1 int) {
		at := tile % f.rowTiles
		return at * g.S * g.C / f.rowTiles, (at + 1) * g.S * g.C / f.rowTiles
	}
	for chunk := lo; chunk < hi; chunk++ {
		t0 := chunk * f.tileStep
		t1 := min(t0+f.tileStep, tiles)
		for tile := t0; tile < t1; tile++ {
			m0, m1 := span(tile)
			dst := block.Data[(tile-t0)*size:][:size]
			for n := range f.n1 - f.n0 {
				src := f.padded[(n*f.padRows()+tile/f.rowTiles)*row+m0:]
				kernel.PackGrid(dst[n*perImage*(m1-m0):], src, g.StrideW*g.C, g.OW, g.StrideH*row, rows, m1-m0)
			}
		}
		for panel := range f.panels {
			j0 := panel * f.nr
			t.Cols = min(f.nr, g.K-j0)
			t.B = f.packed[panel*f.packedStep:]
			for tile := t0; tile < t1; tile++ {
				m0, m1 := span(tile)
				t.Rows, t.KS = m1-m0, m1-m0
				t.A = block.Data[(tile-t0)*size:]
				t.C = f.dw[(tile/f.rowTiles*g.S*g.C+m0)*g.K+j0:]
				t.Run()
			}
		}
	}
}
