package conv

import (
	"github.com/redoubt-ml/redoubt/internal/kernel"
	"github.com/redoubt-ml/redoubt/internal/mem"
	"github.com/redoubt-ml/redoubt/internal/par"
)

// phase is a set of output pixels on a regular grid and the filter taps that
// make them.
type phase struct {
	r, s   int // filter rows and columns
	oh, ow int // output pixels
	// dst is the offset of the first output pixel in its image; rowStep and
	// pixelStep lead to the next row and pixel.
	dst, rowStep, pixelStep int
	// row0 and col0 are where the first window begins in the padded source.
	row0, col0 int
	// tapR, tapS is the filter tap at the start of a window; stepR and stepS
	// lead to the taps of the next window row and column.
	tapR, tapS, stepR, stepS int
	// filter is the offset of the phase's packed filter.
	filter int
}

// correlation is one call of Forward or BackwardData in progress: source
// images, given a border of zeros in scratch memory, under a moving window.
//
// A tile's rows are output pixels: their windows lie a fixed distance apart,
// and each filter row of a window is contiguous, so the tile runs over the
// image in place. Where a map is too narrow to fill a tile, its rows are the
// same pixel of several images instead.
type correlation[T kernel.Float] struct {
	src, dst, w             []T
	n                       int
	srcH, srcW, srcC, dstC  int
	dstSize                 int
	strideH, strideW        int
	bias                    []T
	relu                    bool
	turned                  bool // the filter is used with C and K exchanged
	clear                   bool // some output pixels belong to no phase
	filterS                 int
	padT, padL, padH, padW  int
	phases                  []phase
	mr, nr, panels          int
	filters                 []T // packed, or w itself
	filterStep              int // from one packed filter row to the next
	packed                  bool
	group                   int // images of a chunk
	bands                   int // chunks that share the rows of an image
	panelParts              int // chunks that share the panels of a group or band
	across                  bool
	pooled                  bool
	pool                    pooling[T]
	packBody, correlateBody func(lo, hi int)
}

// pooling is where the largest values in windows of each image of a correlation go,
// if only these are wanted.
type pooling[T kernel.Float] struct {
	window kernel.Window
	y      []T
	idx    []int32
}

// take pools image n, given its correlation.
func (p *pooling[T]) take(n int, image []T) {
	size := p.window.OH * p.window.OW * p.window.C
	kernel.MaxPool(p.y[n*size:(n+1)*size], p.idx[n*size:(n+1)*size], image, p.window)
}

var (
	correlations32 mem.Objects[correlation[float32]]
	correlations64 mem.Objects[correlation[float64]]
	scratch32      mem.Scratch[float32]
	scratch64      mem.Scratch[float64]
)

func scratch[T kernel.Float]() *mem.Scratch[T] {
	return mem.Either[mem.Scratch[T]](&scratch32, &scratch64)
}

func correlations[T kernel.Float]() *mem.Objects[correlation[T]] {
	return mem.Either[mem.Objects[correlation[T]]](&correlations32, &correlations64)
}

func newCorrelation[T kernel.Float]() *correlation[T] {
	v, fresh := correlations[T]().Get()
	if fresh {
		v.packBody, v.correlateBody = v.pack, v.correlate
	}
	return v
}

// free drops the operands, so that a kept correlation keeps nothing else alive.
func (v *correlation[T]) free() {
	*v = correlation[T]{packBody: v.packBody, correlateBody: v.correlateBody, phases: v.phases[:0]}
	correlations[T]().Put(v)
}

// bandWork is the least number of multiply-adds of a chunk, and bandSize the
// most elements of padded source that a chunk should read.
const (
	bandWork  = 1 << 19
	bandSize  = 1 << 17
	minChunks = 16
	// padCost is what copying an element of padded source costs, in multiply-adds.
	padCost = 8
)

func (v *correlation[T]) run() {
	var narrow int
	v.mr, v.nr, narrow = kernel.MaxTile[T]()
	v.panels = (v.dstC + v.nr - 1) / v.nr
	taps, work, narrowest := 0, 0, v.phases[0].ow
	for i := range v.phases {
		p := &v.phases[i]
		p.filter = taps * v.srcC * v.nr * v.panels
		taps += p.r * p.s
		work += p.r * p.s * v.srcC * v.dstC * p.oh * p.ow
		narrowest = min(narrowest, p.ow)
	}
	// A filter that is no wider than a tile is already in the packed order; one whose
	// rows are no whole vectors gets room behind them.
	v.packed = v.turned || v.panels > 1 || v.dstC%narrow != 0
	v.filters, v.filterStep = v.w, v.dstC
	if v.packed {
		block := scratch[T]().Borrow(taps * v.srcC * v.nr * v.panels)
		defer scratch[T]().Return(block)
		v.filters, v.filterStep = block.Data, v.nr
		if len(v.w) > 1<<15 {
			par.For(v.panels, 1, v.packBody)
		} else {
			v.pack(0, v.panels)
		}
	}
	parts := (narrowest + v.mr - 1) / v.mr
	v.across = 2*narrowest < v.mr*parts && v.n >= v.mr/2 && !v.pooled
	v.group, v.bands = 1, 1
	if v.across {
		groups := (v.n + v.mr - 1) / v.mr
		v.group = (v.n + groups - 1) / groups
	} else {
		rows := v.phases[0].oh
		want := max((minChunks+v.n-1)/v.n, v.padH*v.padW*v.srcC/bandSize)
		v.bands = max(1, min(want, rows, work/bandWork))
		if v.clear || v.pooled {
			// Only one chunk may clear or pool an image.
			v.bands = 1
		}
		// Small images: several to a chunk.
		if v.bands == 1 {
			v.group = max(1, min(bandWork/max(work, 1), v.n))
		}
	}
	groups := (v.n + v.group - 1) / v.group
	v.panelParts = 1
	if !v.clear && !v.pooled {
		copied := 0 // elements of padded source, by each part again
		if v.across || v.bordered() {
			copied = v.padH * v.padW * v.srcC
		}
		v.panelParts = panelParts(groups*v.bands, v.panels, copied*padCost, work/v.panels)
	}
	par.For(groups*v.bands*v.panelParts, 1, v.correlateBody)
}

// panelParts is in how many parts the panels of chunks are cut, so that the last thread
// ends soonest: a panel of a chunk costs perPanel, and each part of it fixed again. Parts
// that gain little are not worth it.
func panelParts(chunks, panels, fixed, perPanel int) int {
	threads := par.Available()
	time := func(parts int) float64 {
		return (float64(fixed) + float64(perPanel)*float64((panels+parts-1)/parts)) * par.Rounds(chunks*parts, threads)
	}
	best, least := 1, 0.95*time(1)
	for parts := 2; threads > 1 && parts <= panels; parts++ {
		if t := time(parts); t < least {
			best, least = parts, t
		}
	}
	return best
}

// pack copies panels [lo, hi) of the filter of every phase.
func (v *correlation[T]) pack(lo, hi int) {
	for i := range v.phases {
		p := &v.phases[i]
		size := p.r * p.s * v.srcC * v.nr
		for panel := lo; panel < hi; panel++ {
			j0 := panel * v.nr
			cols := min(v.nr, v.dstC-j0)
			dst := v.filters[p.filter+panel*size:][:size]
			if !v.turned {
				kernel.CopyRows(dst, v.nr, v.w[j0:], v.dstC, p.r*p.s*v.srcC, cols)
				continue
			}
			for r := range p.r {
				for s := range p.s {
					tap := (p.tapR+r*p.stepR)*v.filterS + p.tapS + s*p.stepS
					kernel.Transpose(dst[(r*p.s+s)*v.srcC*v.nr:], v.nr,
						v.w[(tap*v.dstC+j0)*v.srcC:], v.srcC, cols, v.srcC)
				}
			}
		}
	}
}

// bordered says whether windows reach beyond the source.
func (v *correlation[T]) bordered() bool {
	return v.padT > 0 || v.padL > 0 || v.padH > v.srcH || v.padW > v.srcW
}

// correlate computes chunks [lo, hi).
func (v *correlation[T]) correlate(lo, hi int) {
	row := v.padW * v.srcC
	imageStep := v.padH * row
	if v.across {
		// An odd number of cache lines apart, images share no cache set.
		imageStep = (imageStep+15)/16*16 + 16
		imageStep |= 16
	}
	border := v.across || v.bordered()
	var block *mem.Block[T]
	if border {
		images := 1
		if v.across {
			images = v.group
		}
		block = scratch[T]().Borrow(imageStep * images)
		defer scratch[T]().Return(block)
	}
	var maps *mem.Block[T]
	if v.pooled {
		maps = scratch[T]().Borrow(v.dstSize)
		defer scratch[T]().Return(maps)
	}
	srcSize := v.srcH * v.srcW * v.srcC
	for chunk := lo; chunk < hi; chunk++ {
		part, place := chunk%v.panelParts, chunk/v.panelParts
		p0, p1 := part*v.panels/v.panelParts, (part+1)*v.panels/v.panelParts
		first := place / v.bands * v.group
		last := min(first+v.group, v.n)
		band := place % v.bands
		if v.clear {
			kernel.Fill(v.dst[first*v.dstSize:last*v.dstSize], 0)
		}
		if v.across {
			for n := first; n < last; n++ {
				v.pad(block.Data[(n-first)*imageStep:], v.src[n*srcSize:][:srcSize], 0, v.padH)
			}
			v.tilesAcross(block.Data, imageStep, first, last, p0, p1)
			continue
		}
		for n := first; n < last; n++ {
			image := v.src[n*srcSize:][:srcSize]
			top := 0
			if border {
				var bottom int
				top, bottom = v.bandRows(band)
				v.pad(block.Data, image, top, bottom)
				image = block.Data
			}
			if v.pooled {
				v.tilesAlong(image, top, maps.Data, band, p0, p1)
				v.pool.take(n, maps.Data)
				continue
			}
			v.tilesAlong(image, top, v.dst[n*v.dstSize:], band, p0, p1)
		}
	}
}

// cutRows is the part of oh output rows that belongs to a band.
func (v *correlation[T]) cutRows(oh, band int) (lo, hi int) {
	return oh * band / v.bands, oh * (band + 1) / v.bands
}

// bandRows is the range of padded source rows that a band reads.
func (v *correlation[T]) bandRows(band int) (top, bottom int) {
	top = v.padH
	for i := range v.phases {
		p := &v.phases[i]
		lo, hi := v.cutRows(p.oh, band)
		if lo == hi {
			continue
		}
		top = min(top, p.row0+lo*v.strideH)
		bottom = max(bottom, p.row0+(hi-1)*v.strideH+p.r)
	}
	return top, max(bottom, top)
}

// pad writes rows [top, bottom) of the image with its border of zeros to dst.
func (v *correlation[T]) pad(dst, image []T, top, bottom int) {
	row, line := v.padW*v.srcC, v.srcW*v.srcC
	left := v.padL * v.srcC
	for p := top; p < bottom; p++ {
		d := dst[(p-top)*row:][:row]
		h := p - v.padT
		if h < 0 || h >= v.srcH {
			clear(d)
			continue
		}
		clear(d[:left])
		copy(d[left:left+line], image[h*line:(h+1)*line])
		clear(d[left+line:])
	}
}

// panelTile sets what the tiles of one panel of one phase have in common.
func (v *correlation[T]) panelTile(t *kernel.Tile[T], p *phase, panel int) {
	j0 := panel * v.nr
	t.Cols = min(v.nr, v.dstC-j0)
	t.K0, t.K1, t.K2 = p.s*v.srcC, p.r, 1
	t.KS, t.A1 = 1, v.padW*v.srcC
	t.B, t.Padded = v.filters, v.packed
	if v.packed {
		t.B = v.filters[p.filter+panel*p.r*p.s*v.srcC*v.nr:]
	}
	t.B0, t.B1 = v.filterStep, p.s*v.srcC*v.filterStep
	t.ReLU = v.relu
	if v.bias != nil {
		t.Bias = v.bias[j0:]
	}
}

// tilesAlong computes panels [p0, p1) of a band of one image with output pixels of a
// row as rows of tiles, and the rows of the band as a run of them. image begins at
// padded row top, and dst is the image's output.
func (v *correlation[T]) tilesAlong(image []T, top int, dst []T, band, p0, p1 int) {
	var t kernel.Tile[T]
	row := v.padW * v.srcC
	t.RS = v.strideW * v.srcC
	for i := range v.phases {
		p := &v.phases[i]
		lo, hi := v.cutRows(p.oh, band)
		if lo == hi {
			continue
		}
		parts := (p.ow + v.mr - 1) / v.mr
		t.LDC = p.pixelStep
		t.Count, t.ANext, t.CNext = hi-lo, v.strideH*row, p.rowStep
		for panel := p0; panel < p1; panel++ {
			v.panelTile(&t, p, panel)
			out := dst[p.dst+panel*v.nr+lo*p.rowStep:]
			window := image[(p.row0+lo*v.strideH-top)*row+p.col0*v.srcC:]
			for part := range parts {
				q0, q1 := part*p.ow/parts, (part+1)*p.ow/parts
				t.Rows = q1 - q0
				t.A = window[q0*t.RS:]
				t.C = out[q0*p.pixelStep:]
				t.Run()
			}
		}
	}
}

// tilesAcross computes panels [p0, p1) of images [first, last), whose padded forms lie
// imageStep apart, with the images as rows of tiles.
func (v *correlation[T]) tilesAcross(images []T, imageStep, first, last, p0, p1 int) {
	var t kernel.Tile[T]
	row := v.padW * v.srcC
	t.RS, t.LDC = imageStep, v.dstSize
	t.Rows = last - first
	for i := range v.phases {
		p := &v.phases[i]
		t.Count, t.ANext, t.CNext = p.ow, v.strideW*v.srcC, p.pixelStep
		for panel := p0; panel < p1; panel++ {
			v.panelTile(&t, p, panel)
			out := v.dst[first*v.dstSize+p.dst+panel*v.nr:]
			for oh := range p.oh {
				t.A = images[(p.row0+oh*v.strideH)*row+p.col0*v.srcC:]
				t.C = out[oh*p.rowStep:]
				t.Run()
			}
		}
	}
}
