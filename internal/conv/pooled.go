package conv

import (
	"fmt"

	"github.com/redoubt-ml/redoubt/internal/kernel"
)

// pooledImages is the least number of images for which ForwardMaxPool pays: an image
// is one piece of work.
const pooledImages = 8

// PoolingPays says whether ForwardMaxPool is faster than Forward and then a pooling:
// not where Forward has a better way than to run the filter over each image.
func (g *Geometry) PoolingPays() bool {
	return g.N >= pooledImages && !g.pointwise() && !g.winogradForward()
}

// ForwardMaxPool is Forward followed by kernel.MaxPool with window p on every image:
// y [N, p.OH, p.OW, K] gets the largest values and idx their offsets in the image's
// [OH, OW, K]. The convolution itself is never whole in memory.
func ForwardMaxPool[T kernel.Float](y []T, idx []int32, x, w []T, g Geometry, bias []T, relu bool, p kernel.Window) {
	g.check("ForwardMaxPool", len(x), len(w), g.N*g.OH*g.OW*g.K)
	if bias != nil && len(bias) != g.K {
		panic(fmt.Sprintf("conv: ForwardMaxPool: bias of length %d, want %d", len(bias), g.K))
	}
	if size := p.OH * p.OW * p.C; p.H != g.OH || p.W != g.OW || p.C != g.K || len(y) != g.N*size || len(idx) != len(y) {
		panic(fmt.Sprintf("conv: ForwardMaxPool: window %+v and outputs of %d and %d for %d images of %dx%dx%d",
			p, len(y), len(idx), g.N, g.OH, g.OW, g.K))
	}
	if g.N == 0 {
		return
	}
	v := forward(x, w, g, bias, relu)
	v.pooled, v.pool = true, pooling[T]{p, y, idx}
	v.run()
	v.free()
}
