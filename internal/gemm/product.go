package gemm

import (
	"math"

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
	// tilesAtOnce bounds the part of A that meets it likewise.
	tilesAtOnce = 12
	// alone is the number of multiply-adds below which waking other threads
	// costs more than it saves.
	alone = 1 << 18
	// What other work costs, in multiply-adds: an element packed, one read in
	// place, a chunk, and the threads' meeting.
	packCost, readCost, chunkCost, meetingCost = 16, 2, 1 << 17, 1 << 18
	// mostChunks bounds the time that the choice of the chunks takes. More threads
	// than that are of no use to a product.
	mostChunks = 256
)

// product is one call of Gemm in progress.
//
// C is cut into panels of columns and tiles of rows, the reduction into blocks.
// Chunks of tiles and panels run in parallel. Each goes through the blocks by
// itself: of a block, A is packed, where that pays, tile by tile, and B, a group of
// panels at a time, into panels of contiguous rows. Several chunks may pack the same
// elements, but none waits for another or reads what another has just written, which
// costs many cores more.
type product[T kernel.Float] struct {
	transA, transB bool
	m, n, k        int
	a, b, c        []T
	lda, ldb, ldc  int
	ep             Epilogue[T]

	mr, nr             int
	tiles              int // row tiles of C
	panels             int // column panels of C
	packA              bool
	kc                 int // reduction steps of a block; the last may have fewer
	rowParts, colParts int // chunks along the tiles and along the panels

	chunksBody func(lo, hi int)
}

// chunk is a part of C in progress.
type chunk[T kernel.Float] struct {
	t0, t1     int // tiles
	p0, p1     int // panels
	k0, kc     int // the block: reduction steps [k0, k0+kc)
	packB      bool
	q0, q1     int // the group of panels, packed if packB is set
	packed     []T // each kc rows of nr columns
	packedStep int // from one of them to the next
	packedA    []T // the tiles, each kc steps of its rows
	tileSize   int // from one of them to the next
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
		p.chunksBody = p.chunks
	}
	return p
}

// free drops the operands, so that a kept product keeps nothing else alive.
func (p *product[T]) free() {
	*p = product[T]{chunksBody: p.chunksBody}
	products[T]().Put(p)
}

func (p *product[T]) run() {
	p.mr, p.nr, _ = kernel.MaxTile[T]()
	p.tiles = (p.m + p.mr - 1) / p.mr
	p.panels = (p.n + p.nr - 1) / p.nr
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
	p.kc = (p.k + blocks - 1) / blocks
	p.kc = (p.kc + 15) / 16 * 16
	if p.k <= depth*3/2 {
		p.kc = p.k
	}
	p.rowParts, p.colParts = 1, 1
	if p.m*p.n*max(p.k, 1) < alone {
		p.chunks(0, 1)
		return
	}
	p.cut(par.Available())
	par.For(p.rowParts*p.colParts, 1, p.chunksBody)
}

// packsB says whether a chunk with some tiles packs B: a plain one is read in place when
// few tiles share it, or when its rows are no longer than a panel; a transposed one never
// has its columns side by side.
func (p *product[T]) packsB(tiles int) bool {
	return p.transB || tiles > 3 && (p.panels > 1 || p.n%p.nr != 0)
}

// cut chooses the chunks that threads share: those with which the last thread should end
// first.
func (p *product[T]) cut(threads int) {
	if threads == 1 {
		return
	}
	costA, costB := float64(readCost), float64(readCost)
	if p.packA {
		costA = packCost
	}
	// A chunk that reads B in place although others pack it jumps from row to row: it is
	// not taken to be faster for it.
	if p.packsB(p.tiles) {
		costB = packCost
	}
	least := math.Inf(1)
	most := int(min(float64(8*threads), mostChunks, 1+float64(p.m)*float64(p.n)*float64(p.k)/chunkCost))
	for r := 1; r <= min(p.tiles, most); r++ {
		rows := float64((p.tiles + r - 1) / r * p.mr)
		for c, last := 1, min(p.panels, most/r); c <= last; c++ {
			cols := float64((p.panels + c - 1) / c * p.nr)
			time := (rows*cols+rows*costA+cols*costB)*float64(p.k) + chunkCost
			if r*c > 1 {
				time = time*par.Rounds(r*c, threads) + meetingCost
			}
			if time < least {
				least, p.rowParts, p.colParts = time, r, c
			}
		}
	}
}

// chunks computes chunks [lo, hi).
func (p *product[T]) chunks(lo, hi int) {
	for i := lo; i < hi; i++ {
		row, col := i/p.colParts, i%p.colParts
		p.chunk(&chunk[T]{
			t0: row * p.tiles / p.rowParts, t1: (row + 1) * p.tiles / p.rowParts,
			p0: col * p.panels / p.colParts, p1: (col + 1) * p.panels / p.colParts,
		})
	}
}

func (p *product[T]) chunk(x *chunk[T]) {
	x.packB = p.packsB(x.t1 - x.t0)
	if x.packB {
		// A line more, so that panels do not share cache sets.
		x.packedStep = p.kc*p.nr + 16
		block := scratch[T]().Borrow(x.packedStep * min(x.p1-x.p0, panelsAtOnce))
		defer scratch[T]().Return(block)
		x.packed = block.Data
	}
	if p.packA {
		x.tileSize = kernel.PackSize(p.kc, p.mr)
		block := scratch[T]().Borrow(x.tileSize * (x.t1 - x.t0))
		defer scratch[T]().Return(block)
		x.packedA = block.Data
	}
	for x.k0 = 0; x.k0 == 0 || x.k0 < p.k; x.k0 += max(p.kc, 1) {
		x.kc = min(p.kc, p.k-x.k0)
		if p.packA {
			p.packTiles(x)
		}
		for x.q0 = x.p0; x.q0 < x.p1; x.q0 = x.q1 {
			x.q1 = min(x.q0+panelsAtOnce, x.p1)
			if x.packB {
				p.packPanels(x)
			}
			for tile := x.t0; tile < x.t1; tile += tilesAtOnce {
				p.multiply(x, tile, min(tile+tilesAtOnce, x.t1))
			}
		}
	}
}

// packPanels copies the block's part of B: a transposed B panel by panel, a plain one in
// the order in which it lies in memory.
func (p *product[T]) packPanels(x *chunk[T]) {
	if x.kc == 0 {
		return
	}
	if !p.transB {
		first, last := x.q0*p.nr, min(x.q1*p.nr, p.n)
		kernel.SplitRows(x.packed, x.packedStep, p.nr, p.b[x.k0*p.ldb+first:], p.ldb, x.kc, last-first)
		return
	}
	for i := range x.q1 - x.q0 {
		j0 := (x.q0 + i) * p.nr
		cols := min(p.nr, p.n-j0)
		dst := x.packed[i*x.packedStep:][:x.kc*p.nr]
		kernel.Transpose(dst, p.nr, p.b[j0*p.ldb+x.k0:], p.ldb, cols, x.kc)
	}
}

// rowOf is the first row of a tile. The first taller tiles have one row more than
// the others.
func (p *product[T]) rowOf(tile int) int { return tile*(p.m/p.tiles) + min(tile, p.taller()) }

func (p *product[T]) taller() int { return p.m % p.tiles }

// multiply computes tiles [t0, t1) of the group of panels for the block.
func (p *product[T]) multiply(x *chunk[T], t0, t1 int) {
	t := kernel.Tile[T]{
		K0: x.kc, K1: 1, K2: 1, LDC: p.ldc,
		Accumulate: p.ep.Accumulate || x.k0 > 0,
		ReLU:       p.ep.ReLU && x.k0+x.kc >= p.k,
	}
	bias := p.ep.Bias
	if x.k0+x.kc < p.k {
		bias = nil
	}
	for panel := x.q0; panel < x.q1; panel++ {
		j0 := panel * p.nr
		t.Cols = min(p.nr, p.n-j0)
		if bias != nil {
			t.Bias = bias[j0:]
		}
		if x.packB {
			t.B, t.B0, t.Padded = x.packed[(panel-x.q0)*x.packedStep:], p.nr, true
		} else if x.kc > 0 {
			t.B, t.B0 = p.b[x.k0*p.ldb+j0:], p.ldb
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
				t.A, t.RS, t.KS = x.packedA[(tile-x.t0)*x.tileSize:], 1, t.Rows
				t.ANext = x.tileSize
			case x.kc == 0:
			case p.transA:
				t.A, t.RS, t.KS = p.a[x.k0*p.lda+i0:], 1, p.lda
				t.ANext = t.Rows
			default:
				t.A, t.RS, t.KS = p.a[i0*p.lda+x.k0:], p.lda, 1
				t.ANext = t.Rows * p.lda
			}
			t.C, t.CNext = p.c[i0*p.ldc+j0:], t.Rows*p.ldc
			t.Run()
		}
	}
}

// packTiles copies the block's part of A, each tile as kc steps of as many elements as
// the tile has rows.
func (p *product[T]) packTiles(x *chunk[T]) {
	for tile := x.t0; tile < x.t1; tile++ {
		i0 := p.rowOf(tile)
		rows := p.rowOf(tile+1) - i0
		dst := x.packedA[(tile-x.t0)*x.tileSize:][:x.tileSize]
		if p.transA {
			kernel.PackRows(dst, p.a[x.k0*p.lda+i0:], p.lda, x.kc, rows)
		} else {
			kernel.PackCols(dst, p.a[i0*p.lda+x.k0:], p.lda, rows, x.kc)
		}
	}
}
