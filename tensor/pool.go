package tensor

import (
	"fmt"

	"github.com/redoubt-ml/redoubt/internal/kernel"
	"github.com/redoubt-ml/redoubt/internal/par"
)

// poolWindow checks a pooling of images x [N, H, W, C].
func poolWindow(name string, x shape, kh, kw int, win Window) kernel.Window {
	if x.rank() != 4 {
		panic(fmt.Sprintf("tensor: %s: images %v, want [N H W C]", name, x))
	}
	win = win.withDefaults()
	// A window must touch the image, which has pixels: its padding is smaller
	// than it is.
	if x.dim(1) < 1 || x.dim(2) < 1 || kh < 1 || kw < 1 || win.StrideH < 1 || win.StrideW < 1 ||
		min(win.Top, win.Left, win.Bottom, win.Right) < 0 ||
		max(win.Top, win.Bottom) >= kh || max(win.Left, win.Right) >= kw ||
		x.dim(1)+win.Top+win.Bottom < kh || x.dim(2)+win.Left+win.Right < kw {
		panic(fmt.Sprintf("tensor: %s: window %dx%d %+v does not fit images %v", name, kh, kw, win, x))
	}
	return kernel.Window{
		H: x.dim(1), W: x.dim(2), C: x.dim(3), KH: kh, KW: kw, SH: win.StrideH, SW: win.StrideW,
		PT: win.Top, PL: win.Left,
		OH: (x.dim(1)+win.Top+win.Bottom-kh)/win.StrideH + 1,
		OW: (x.dim(2)+win.Left+win.Right-kw)/win.StrideW + 1,
	}
}

// eachImage runs body over n images of the given size.
func eachImage(n, size int, body func(i int)) {
	par.For(n, max(1, grain/max(1, size)), func(lo, hi int) {
		for i := lo; i < hi; i++ {
			body(i)
		}
	})
}

// MaxPool returns the largest value in each kh by kw window of images x
// [N, H, W, C]. Padding never wins. The gradient goes to the first maximum of a
// window in row-major order.
func MaxPool(x *Tensor, kh, kw int, win Window) *Tensor {
	t := operandsOf("MaxPool", x)
	w := poolWindow("MaxPool", x.shape, kh, kw, win)
	n := x.shape.dim(0)
	out := shapeOf(n, w.OH, w.OW, w.C)
	y := newOn(t, x.dtype, out)
	idx := indicesOn(t, out.size())
	if x.dtype == Float32 {
		maxPoolOn(y.f32, idx, x.f32, n, w)
	} else {
		maxPoolOn(y.f64, idx, x.f64, n, w)
	}
	return t.record(node{op: opMaxPool, aux: winners{w, idx}}, y, x)
}

// winners are the pixels that a max-pooling chose: with them frozen it is linear, and
// its adjoint is maxUnpool.
type winners struct {
	kernel.Window
	idx []int32 // for each output the offset in its image
}

func (w winners) images(n int) shape { return shapeOf(n, w.H, w.W, w.C) }

func backMaxPool(b *back) { b.grads[0] = maxUnpool(b.g, b.aux.(winners)) }

// maxUnpool gives each value of y [N, OH, OW, C] to the pixel that won its window.
func maxUnpool(y *Tensor, w winners) *Tensor {
	t := operandsOf("MaxPool backward", y)
	x := newOn(t, y.dtype, w.images(y.shape.dim(0)))
	if y.dtype == Float32 {
		maxUnpoolOn(x.f32, y.f32, y.shape.dim(0), w)
	} else {
		maxUnpoolOn(x.f64, y.f64, y.shape.dim(0), w)
	}
	return t.record(node{op: opMaxUnpool, aux: w}, x, y)
}

func maxUnpoolOn[T kernel.Float](x, y []T, n int, w winners) {
	in, out := w.H*w.W*w.C, w.OH*w.OW*w.C
	eachImage(n, in, func(i int) {
		kernel.MaxUnpool(x[i*in:(i+1)*in], y[i*out:(i+1)*out], w.idx[i*out:(i+1)*out], w.Window)
	})
}

func backMaxUnpool(b *back) {
	w, n := b.aux.(winners), b.out.shape.dim(0)
	b.grads[0] = take(b.g, w.idx, n, b.in[0].shape)
}

func maxPoolOn[T kernel.Float](y []T, idx []int32, x []T, n int, w kernel.Window) {
	in, out := w.H*w.W*w.C, w.OH*w.OW*w.C
	eachImage(n, in, func(i int) {
		kernel.MaxPool(y[i*out:(i+1)*out], idx[i*out:(i+1)*out], x[i*in:(i+1)*in], w)
	})
}

// averaging describes a recorded average pooling.
type averaging struct {
	kernel.Window
	images   shape
	countPad bool
}

// AvgPool returns the mean of each kh by kw window of images x [N, H, W, C].
// countPad says whether padding counts towards the number of values in a
// window.
func AvgPool(x *Tensor, kh, kw int, win Window, countPad bool) *Tensor {
	w := poolWindow("AvgPool", x.shape, kh, kw, win)
	return avgPool(x, averaging{w, x.shape, countPad})
}

func avgPool(x *Tensor, a averaging) *Tensor {
	t := operandsOf("AvgPool", x)
	y := newOn(t, x.dtype, shapeOf(x.shape.dim(0), a.OH, a.OW, a.C))
	if x.dtype == Float32 {
		avgPoolOn(y.f32, x.f32, a)
	} else {
		avgPoolOn(y.f64, x.f64, a)
	}
	return t.record(node{op: opAvgPool, aux: a}, y, x)
}

func avgPoolOn[T kernel.Float](y, x []T, a averaging) {
	in, out := a.H*a.W*a.C, a.OH*a.OW*a.C
	eachImage(a.images.dim(0), in, func(i int) {
		kernel.AvgPool(y[i*out:(i+1)*out], x[i*in:(i+1)*in], a.Window, a.countPad)
	})
}

func backAvgPool(b *back) { b.grads[0] = avgUnpool(b.g, b.aux.(averaging)) }

// avgUnpool is the adjoint of avgPool: it spreads each value over its window.
func avgUnpool(dy *Tensor, a averaging) *Tensor {
	t := operandsOf("AvgPool backward", dy)
	dx := zerosOn(t, dy.dtype, a.images)
	if dy.dtype == Float32 {
		avgUnpoolOn(dx.f32, dy.f32, a)
	} else {
		avgUnpoolOn(dx.f64, dy.f64, a)
	}
	return t.record(node{op: opAvgUnpool, aux: a}, dx, dy)
}

func avgUnpoolOn[T kernel.Float](dx, dy []T, a averaging) {
	in, out := a.H*a.W*a.C, a.OH*a.OW*a.C
	eachImage(a.images.dim(0), in, func(i int) {
		kernel.AvgPoolBackward(dx[i*in:(i+1)*in], dy[i*out:(i+1)*out], a.Window, a.countPad)
	})
}

func backAvgUnpool(b *back) { b.grads[0] = avgPool(b.g, b.aux.(averaging)) }

// GlobalAvgPool returns the mean over the pixels of images x [N, H, W, C], of
// shape [N, C].
func GlobalAvgPool(x *Tensor) *Tensor {
	if x.shape.rank() != 4 {
		panic(fmt.Sprintf("tensor: GlobalAvgPool: images %v, want [N H W C]", x.shape))
	}
	return Mean(x, 1, 2)
}
