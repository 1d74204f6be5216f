package gemm

import (
	"github.com/redoubt-ml/redoubt/internal/kernel"
	"github.com/redoubt-ml/redoubt/internal/mem"
	"github.com/redoubt-ml/redoubt/internal/par"
)

const (
	// depth is the most steps of the reduction between two visits to C: a
	// panel of B of this depth stays in the first-level cache.
	depth = 256
	// panelsAtOnce bounds the packed part of B, so that it stays in the
	// second-level cache.
	panelsAtOnce = 16
	// tilesAtOnce bounds the packed part of A likewise.
	tilesAtOnce = 12
	// alone is the number of multiply-adds below which waking other threads
	// costs more than it saves.
	alone = 1 << 18
)

// product is one call of Gemm in progress.
//
// C is cut into panels of columns and tiles of rows, the reduction into blocks.
// Of each block, A is packed, where that pays, tile by tile, and B, a group of
// panels at a time, into panels of contiguous rows; then chunks of tiles and
// panels run in parallel.
type product[T kernel.Float] struct {
	transA, transB bool
	m, n, k        int
	a, b, c        []T
	lda, ldb, ldc  int
	ep             Epilogue[T]

	mr, nr       int
	tiles        int // row tiles of C
	panels       int // column panels of C
	packA, packB bool

	// The block in progress.
	k0, kc     int // reduction steps [k0, k0+kc)
	p0, p1     int // panels
	tileStep   int // tiles of a chunk
	panelStep  int // panels of a chunk
	panelParts int // chunks along the panels
	packed     []T // panels p0 to p1 of B, each kc rows of nr columns
	packedStep int // from one of them to the next
	packedA    []T // all tiles of A, each kc steps of its rows
	tileSize   int // from one of them to the next

	packBody, packABody, multiplyBody func(lo, hi int)
}

var (
	products32 mem.Objects[product[float32]]
	products64 mem.Objects[product[float64]]
	scratch32  mem.Scratch[float32]
	scratch64  mem.Scratch[float64]
)

func scratch[T kernel.Float]() *mem.Scratch[T] {
	return mem.Either[mem.Scratch[T]](&scratch32, &scratch64)
}

func products[T kernel.Float]() *mem.Objects[product[T]] {
	return mem.Either[mem.Objects[product[T]]](&products32, &products64)
}

func newProduct[T kernel.Float]() *product[T] {
	p, fresh := products[T]().Get()
	if fresh {
		p.packBody, p.packABody, p.multiplyBody = p.pack, p.packTiles, p.multiply
	}
	return p
}

// free drops the operands, so that a kept product keeps nothing else alive.
func (p *product[T]) free() {
	*p = product[T]{packBody: p.packBody, packABody: p.packABody, multiplyBody: p.multiplyBody}
	products[T]().Put(p)
}

func (p *product[T]) run() {
	p.mr, p.nr, _ = kernel.MaxTile[T]()
	p.tiles = (p.m + p.mr - 1) / p.mr
	p.panels = (p.n + p.nr - 1) / p.nr
	// A plain B is read in place when few tiles share it, or when its rows
	// are no longer than a panel; a transposed one never has its columns
	// side by side.
	p.packB = p.transB || p.tiles > 3 && (p.panels > 1 || p.n%p.nr != 0)
	// A transposed A costs a page per step; the rows of a plain one that lie
	// a large power of two apart fight over a few cache sets. An A without
	// elements has nothing to pack.
	wide := p.panels >= 8 && p.k > 0
	if p.transA {
		p.packA = wide && p.lda >= 256
	} else {
		p.packA = wide && (p.lda%256 == 0 || p.lda >= 1024)
	}

	blocks := max(1, (p.k+depth-1)/depth)
	kc := (p.k + blocks - 1) / blocks
	kc = (kc + 15) / 16 * 16
	if p.k <= depth*3/2 {
		kc = p.k
	}
	if p.packB {
		// A line more, so that panels do not share cache sets.
		p.packedStep = kc*p.nr + 16
		block := scratch[T]().Borrow(p.packedStep * min(p.panels, panelsAtOnce))
		defer scratch[T]().Return(block)
		p.packed = block.Data
	}
	if p.packA {
		p.tileSize = kernel.PackSize(kc, p.mr)
		block := scratch[T]().Borrow(p.tileSize * p.tiles)
		defer scratch[T]().Return(block)
		p.packedA = block.Data
	}
	serial := p.m*p.n*max(p.k, 1) < alone
	for p.k0 = 0; p.k0 == 0 || p.k0 < p.k; p.k0 += max(kc, 1) {
		p.kc = min(kc, p.k-p.k0)
		switch {
		case !p.packA:
		case serial:
			p.packTiles(0, p.tiles)
		default:
			par.For(p.tiles, max(1, (1<<14)/(p.kc*p.mr)), p.packABody)
		}
		for p.p0 = 0; p.p0 < p.panels; p.p0 = p.p1 {
			p.p1 = min(p.p0+panelsAtOnce, p.panels)
			p.cut()
			chunks := (p.tiles + p.tileStep - 1) / p.tileStep * p.panelParts
			// A transposed B is packed panel by panel, a plain one row by row,
			// in the order in which it lies in memory.
			parts, grain := p.p1-p.p0, max(1, (1<<14)/(p.kc*p.nr+1))
			if !p.transB {
				parts, grain = p.kc, max(1, (1<<14)/((p.p1-p.p0)*p.nr))
			}
			switch {
			case serial:
				if p.packB {
					p.pack(0, parts)
				}
				p.multiply(0, chunks)
				continue
			case p.packB:
				par.For(parts, grain, p.packBody)
			}
			par.For(chunks, 1, p.multiplyBody)
		}
	}
}

// cut chooses the chunks that threads share: at least about a dozen of them,
// unless that makes a chunk smaller than a few microseconds of work.
func (p *product[T]) cut() {
	panels := p.p1 - p.p0
	p.tileStep, p.panelParts = tilesAtOnce, 1
	work := func() int { return p.tileStep * p.mr * panels * p.nr * p.k / p.panelParts }
	count := func() int { return (p.tiles + p.tileStep - 1) / p.tileStep * p.panelParts }
	for p.tileStep > 2 && count() < 12 && work() > 1<<20 {
		p.tileStep = (p.tileStep + 1) / 2
	}
	for p.panelParts*2 <= panels && count() < 12 && work() > 1<<20 {
		p.panelParts *= 2
	}
	p.panelStep = (panels + p.panelParts - 1) / p.panelParts
}

// pack copies part of the reduction block of B: panels [lo, hi), counted from
// p0, of a transposed B, rows [lo, hi) of a plain one.
func (p *product[T]) pack(lo, hi int) {
	if p.kc == 0 {
		return
	}
	if !p.transB {
		first, last := p.p0*p.nr, min(p.p1*p.nr, p.n)
		kernel.SplitRows(p.packed[lo*p.nr:], p.packedStep, p.nr, p.b[(p.k0+lo)*p.ldb+first:], p.ldb, hi-lo, last-first)
		return
	}
	for i := lo; i < hi; i++ {
		j0 := (p.p0 + i) * p.nr
		cols := min(p.nr, p.n-j0)
		dst := p.packed[i*p.packedStep:][:p.kc*p.nr]
		kernel.Transpose(dst, p.nr, p.b[j0*p.ldb+p.k0:], p.ldb, cols, p.kc)
	}
}

// rowOf is the first row of a tile. The first taller tiles have one row more than
// the others.
func (p *product[T]) rowOf(tile int) int { return tile*(p.m/p.tiles) + min(tile, p.taller()) }

func (p *product[T]) taller() int { return p.m % p.tiles }

// multiply computes chunks [lo, hi) of the block.
func (p *product[T]) multiply(lo, hi int) {
	t := kernel.Tile[T]{
		K0: p.kc, K1: 1, K2: 1, LDC: p.ldc,
		Accumulate: p.ep.Accumulate || p.k0 > 0,
		ReLU:       p.ep.ReLU && p.k0+p.kc >= p.k,
	}
	bias := p.ep.Bias
	if p.k0+p.kc < p.k {
		bias = nil
	}
	for chunk := lo; chunk < hi; chunk++ {
		t0 := chunk / p.panelParts * p.tileStep
		t1 := min(t0+p.tileStep, p.tiles)
		first := p.p0 + chunk%p.panelParts*p.panelStep
		last := min(first+p.panelStep, p.p1)
		for panel := first; panel < last; panel++ {
			j0 := panel * p.nr
			t.Cols = min(p.nr, p.n-j0)
			if bias != nil {
				t.Bias = bias[j0:]
			}
			if p.packB {
				t.B, t.B0, t.Padded = p.packed[(panel-p.p0)*p.packedStep:], p.nr, true
			} else if p.kc > 0 {
				t.B, t.B0 = p.b[p.k0*p.ldb+j0:], p.ldb
			}
			for tile := t0; tile < t1; tile += t.Count {
				i0 := p.rowOf(tile)
				t.Rows = p.rowOf(tile+1) - i0
				t.Count = t1 - tile
				if taller := p.taller(); tile < taller {
					t.Count = min(t.Count, taller-tile)
				}
				switch {
				case p.packA:
					t.A, t.RS, t.KS = p.packedA[tile*p.tileSize:], 1, t.Rows
					t.ANext = p.tileSize
				case p.kc == 0:
				case p.transA:
					t.A, t.RS, t.KS = p.a[p.k0*p.lda+i0:], 1, p.lda
					t.ANext = t.Rows
				default:
					t.A, t.RS, t.KS = p.a[i0*p.lda+p.k0:], p.lda, 1
					t.ANext = t.Rows * p.lda
				}
				t.C, t.CNext = p.c[i0*p.ldc+j0:], t.Rows*p.ldc
				t.Run()
			}
		}
	}
}

// packTiles copies tiles [lo, hi) of the reduction block of A, each as kc steps
// of as many elements as the tile has rows.
func (p *product[T]) packTiles(lo, hi int) {
	for tile := lo; tile < hi; tile++ {
		i0 := p.rowOf(tile)
		rows := p.rowOf(tile+1) - i0
		dst := p.packedA[tile*p.tileSize : (tile+1)*p.tileSize]
		if p.transA {
			kernel.PackRows(dst, p.a[p.k0*p.lda+i0:], p.lda, p.kc, rows)
		} else {
			kernel.PackCols(dst, p.a[i0*p.lda+p.k0:], p.lda, rows, p.kc)
		}
	}
}
