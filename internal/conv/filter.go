package conv

import (
	"github.com/redoubt-ml/redoubt/internal/gemm"
	"github.com/redoubt-ml/redoubt/internal/kernel"
	"github.com/redoubt-ml/redoubt/internal/mem"
	"github.com/redoubt-ml/redoubt/internal/par"
)

// filterGradient is one call of BackwardFilter in progress.
//
// For one filter row r, the S*C gradients of its taps lie side by side, and so
// do the image elements that they multiply: a tile's rows are taps and
// channels, its columns output channels, and its sums run over the pixels of
// many images, in place. Images with their border are prepared a block at a
// time, so that a block stays in the cache; every tile of dw adds up the blocks
// in order. Where dw has few tiles, the images of a block are dealt to parts
// with a dw of their own, which are added in order at the end.
type filterGradient[T kernel.Float] struct {
	g          Geometry
	dw, x, dy  []T
	padH, padW int
	mr, nr     int
	panels     int
	rowTiles   int // tiles along the S*C rows of one filter row
	sections   int // chunks that share the tiles of one panel
	parts      int
	partial    []T // parts times dw, or dw itself
	imageStep  int
	padded     []T
	n0, n1     int // images of the block in progress

	padBody, tileBody func(lo, hi int)
}

var (
	gradients32 mem.Objects[filterGradient[float32]]
	gradients64 mem.Objects[filterGradient[float64]]
)

func gradients[T kernel.Float]() *mem.Objects[filterGradient[T]] {
	return mem.Either[mem.Objects[filterGradient[T]]](&gradients32, &gradients64)
}

const (
	// blockSize is how many elements of padded images and of dy make a block,
	// unless one image has more.
	blockSize = 1 << 18
	// minTileChunks is how many chunks there should be at least.
	minTileChunks = 12
)

// BackwardFilter sets dw to the gradient with respect to Forward's w, given
// dy, the gradient with respect to y before bias and ReLU.
func BackwardFilter[T kernel.Float](dw, x, dy []T, g Geometry) {
	g.check("BackwardFilter", len(x), len(dw), len(dy))
	if g.N == 0 {
		kernel.Fill(dw, 0)
		return
	}
	if g.pointwise() {
		gemm.Gemm(true, false, g.C, g.K, g.N*g.OH*g.OW, x, g.C, dy, g.K, dw, g.K, gemm.Epilogue[T]{})
		return
	}
	if g.winograd() && g.N*winogradForms[g.R].squares(g.OH, g.OW) >= winogradFew {
		if dw32, ok := any(dw).([]float32); ok {
			winogradBackwardFilter(dw32, any(x).([]float32), any(dy).([]float32), g)
			return
		}
	}
	if g.K >= packedChannels && g.S*g.C >= packedChannels {
		packedFilter(dw, x, dy, g)
		return
	}
	f, fresh := gradients[T]().Get()
	if fresh {
		f.padBody, f.tileBody = f.pad, f.tiles
	}
	f.g, f.dw, f.x, f.dy = g, dw, x, dy
	f.run()
	*f = filterGradient[T]{padBody: f.padBody, tileBody: f.tileBody}
	gradients[T]().Put(f)
}

func (f *filterGradient[T]) run() {
	g := &f.g
	f.mr, f.nr, _ = kernel.MaxTile[T]()
	f.padH = max(g.PadT+g.H, (g.OH-1)*g.StrideH+g.R)
	f.padW = max(g.PadL+g.W, (g.OW-1)*g.StrideW+g.S)
	f.panels = (g.K + f.nr - 1) / f.nr
	f.rowTiles = (g.S*g.C + f.mr - 1) / f.mr
	tiles := g.R * f.rowTiles
	f.sections = min(tiles, (minTileChunks+f.panels-1)/f.panels)
	// Each image is worth its own part at most; the cut depends on sizes only.
	f.parts = max(1, min((minTileChunks+f.panels*f.sections-1)/(f.panels*f.sections), g.N))
	f.imageStep = f.padH * f.padW * g.C
	images := min(g.N, max(f.parts, blockSize/(f.imageStep+g.OH*g.OW*g.K)))
	block := scratch[T]().Borrow(f.imageStep * images)
	defer scratch[T]().Return(block)
	f.padded = block.Data
	f.partial = f.dw
	if f.parts > 1 {
		sums := scratch[T]().Borrow(f.parts * len(f.dw))
		defer scratch[T]().Return(sums)
		f.partial = sums.Data
	}
	blocks := (g.N + images - 1) / images
	for b := range blocks {
		f.n0, f.n1 = b*g.N/blocks, (b+1)*g.N/blocks
		par.For(f.n1-f.n0, max(1, (1<<14)/f.imageStep), f.padBody)
		par.For(f.panels*f.sections*f.parts, 1, f.tileBody)
	}
	if f.parts > 1 {
		size := len(f.dw)
		copy(f.dw, f.partial[:size])
		for p := 1; p < f.parts; p++ {
			kernel.Binary(kernel.Add, f.dw, f.dw, f.partial[p*size:(p+1)*size])
		}
	}
}

// pad prepares images [lo, hi) of the block.
func (f *filterGradient[T]) pad(lo, hi int) {
	g := &f.g
	row, line, left := f.padW*g.C, g.W*g.C, g.PadL*g.C
	for i := lo; i < hi; i++ {
		image := f.x[(f.n0+i)*g.H*line:]
		for p := range f.padH {
			d := f.padded[i*f.imageStep+p*row:][:row]
			h := p - g.PadT
			if h < 0 || h >= g.H {
				clear(d)
				continue
			}
			clear(d[:left])
			copy(d[left:left+line], image[h*line:(h+1)*line])
			clear(d[left+line:])
		}
	}
}

// tiles adds the block to the tiles of chunks [lo, hi).
func (f *filterGradient[T]) tiles(lo, hi int) {
	g := &f.g
	pixels := g.OH * g.OW
	row := f.padW * g.C
	count := g.R * f.rowTiles
	for chunk := lo; chunk < hi; chunk++ {
		panel := chunk % f.panels
		section := chunk / f.panels % f.sections
		part := chunk / f.panels / f.sections
		images := f.n1 - f.n0
		i0, i1 := part*images/f.parts, (part+1)*images/f.parts
		dw := f.partial[part*len(f.dw):][:len(f.dw)]
		j0 := panel * f.nr
		t := kernel.Tile[T]{
			Cols: min(f.nr, g.K-j0), LDC: g.K,
			RS: 1, KS: g.StrideW * g.C, K0: g.OW, K1: g.OH, K2: i1 - i0,
			A1: g.StrideH * row, A2: f.imageStep,
			Accumulate: f.n0 > 0,
		}
		first := (f.n0 + i0) * pixels
		var packed *mem.Block[T]
		t0, t1 := section*count/f.sections, (section+1)*count/f.sections
		if f.panels > 1 && t1-t0 >= 6 {
			// Rows of dy that lie a power of two apart share few cache
			// sets; a copy of the panel pays if several tiles read it.
			packed = scratch[T]().Borrow((i1 - i0) * pixels * f.nr)
			if i1 > i0 {
				kernel.CopyRows(packed.Data, f.nr, f.dy[first*g.K+j0:], g.K, (i1-i0)*pixels, t.Cols)
			}
			t.B, t.B0, t.Padded = packed.Data, f.nr, true
		} else if i1 > i0 {
			t.B, t.B0 = f.dy[first*g.K+j0:], g.K
		}
		t.B1, t.B2 = g.OW*t.B0, pixels*t.B0
		for tile := t0; tile < t1; tile++ {
			r, at := tile/f.rowTiles, tile%f.rowTiles
			m0, m1 := at*g.S*g.C/f.rowTiles, (at+1)*g.S*g.C/f.rowTiles
			t.Rows = m1 - m0
			if i1 > i0 {
				t.A = f.padded[i0*f.imageStep+r*row+m0:]
			}
			t.C = dw[(r*g.S*g.C+m0)*g.K+j0:]
			t.Run()
		}
		if packed != nil {
			scratch[T]().Return(packed)
		}
	}
}
