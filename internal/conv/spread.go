package conv

import (
	"github.com/redoubt-ml/redoubt/internal/kernel"
	"github.com/redoubt-ml/redoubt/internal/mem"
	"github.com/redoubt-ml/redoubt/internal/par"
)

// spreadChannels is the largest number of image channels for which
// BackwardData turns the problem around: as columns of a tile, so few channels
// would leave most of its lanes empty.
const spreadChannels = 8

// spreading is one call of BackwardData in progress for images of few
// channels, such as the input of a network.
//
// One matrix product per image, filter times transposed dy, gives what every
// tap adds to the image, as one row per tap (r, s, c) and one column per output
// pixel. A row is added to the image in one piece: pixels with the same
// remainders by the strides lie together in a plane, and rows of dy are
// separated by zero columns that take up what runs over the edge of a plane.
type spreading[T kernel.Float] struct {
	g            Geometry
	dx, dy, w    []T
	width        int // columns of a plane, and of a row of dy with its zeros
	columns      int // all columns of the product
	plane        int // elements of a plane
	nr           int
	transposed   int // offsets in the scratch of an image
	products     int
	planes, size int

	body func(lo, hi int)
}

var (
	spreadings32 mem.Objects[spreading[float32]]
	spreadings64 mem.Objects[spreading[float64]]
)

func spreadings[T kernel.Float]() *mem.Objects[spreading[T]] {
	return mem.Either[mem.Objects[spreading[T]]](&spreadings32, &spreadings64)
}

func spreadBack[T kernel.Float](dx, dy, w []T, g Geometry) {
	v, fresh := spreadings[T]().Get()
	if fresh {
		v.body = v.images
	}
	v.g, v.dx, v.dy, v.w = g, dx, dy, w
	_, v.nr, _ = kernel.MaxTile[T]()
	v.width = g.OW + (g.S-1)/g.StrideW
	v.columns = g.OH * v.width
	v.plane = (g.OH+(g.R-1)/g.StrideH)*v.width + (g.S-1)/g.StrideW
	v.transposed = 0
	v.products = v.transposed + g.K*v.columns
	v.planes = v.products + g.R*g.S*g.C*v.columns
	v.size = v.planes + g.C*g.StrideH*g.StrideW*v.plane
	work := g.R * g.S * g.C * g.K * v.columns
	par.For(g.N, max(1, bandWork/max(work, 1)), v.body)
	*v = spreading[T]{body: v.body}
	spreadings[T]().Put(v)
}

func (v *spreading[T]) images(lo, hi int) {
	block := scratch[T]().Borrow(v.size)
	defer scratch[T]().Return(block)
	for n := lo; n < hi; n++ {
		v.multiply(block.Data, n)
		v.add(block.Data)
		v.collect(block.Data, n)
	}
}

// multiply fills the rows of products for image n.
func (v *spreading[T]) multiply(s []T, n int) {
	g := &v.g
	dyT := s[v.transposed:v.products]
	if gap := v.width - g.OW; gap > 0 {
		for at := g.OW; at < len(dyT); at += v.width {
			clear(dyT[at : at+gap])
		}
		for oh := range g.OH {
			kernel.Transpose(dyT[oh*v.width:], v.columns, v.dy[(n*g.OH+oh)*g.OW*g.K:], g.K, g.OW, g.K)
		}
	} else {
		kernel.Transpose(dyT, v.columns, v.dy[n*v.columns*g.K:], g.K, v.columns, g.K)
	}
	taps := g.R * g.S * g.C
	t := kernel.Tile[T]{RS: g.K, KS: 1, K0: g.K, K1: 1, K2: 1, B0: v.columns, LDC: v.columns}
	for j := 0; j < v.columns; j += v.nr {
		t.Cols = min(v.nr, v.columns-j)
		t.B = dyT[j:]
		t.A, t.C = v.w, s[v.products+j:]
		t.RunRows(taps)
	}
}

// add sums the rows of products into the planes.
func (v *spreading[T]) add(s []T) {
	g := &v.g
	planes := s[v.planes:v.size]
	clear(planes)
	at := v.products
	for r := range g.R {
		for q := range g.S {
			phase := r%g.StrideH*g.StrideW + q%g.StrideW
			offset := r/g.StrideH*v.width + q/g.StrideW
			for c := range g.C {
				plane := planes[(phase*g.C+c)*v.plane+offset:][:v.columns]
				kernel.Binary(kernel.Add, plane, plane, s[at:at+v.columns])
				at += v.columns
			}
		}
	}
}

// collect interleaves the planes into image n of dx.
func (v *spreading[T]) collect(s []T, n int) {
	g := &v.g
	planes := s[v.planes:v.size]
	rows := v.g.OH + (g.R-1)/g.StrideH
	for h := range g.H {
		out := v.dx[(n*g.H+h)*g.W*g.C:][:g.W*g.C]
		u := h + g.PadT
		if u/g.StrideH >= rows {
			clear(out)
			continue
		}
		for b := range g.StrideW {
			phase := u%g.StrideH*g.StrideW + b
			q := (b - g.PadL%g.StrideW + g.StrideW) % g.StrideW
			for c := range g.C {
				row := planes[(phase*g.C+c)*v.plane+u/g.StrideH*v.width:][:v.width]
				p := (q + g.PadL) / g.StrideW
				for w := q; w < g.W; w += g.StrideW {
					var value T
					if p < len(row) {
						value = row[p]
					}
					out[w*g.C+c] = value
					p++
				}
			}
		}
	}
}
