package tensor

import (
	"fmt"

	"github.com/redoubt-ml/redoubt/internal/conv"
	"github.com/redoubt-ml/redoubt/internal/kernel"
)

// Window describes how a filter or pooling window moves over an image. The zero
// value is a stride of 1 without padding.
type Window struct {
	StrideH, StrideW         int // 0 means 1
	Top, Left, Bottom, Right int // zero padding in pixels
}

// Same returns the window with the given stride and padding on all sides.
func Same(stride, pad int) Window {
	return Window{StrideH: stride, StrideW: stride, Top: pad, Left: pad, Bottom: pad, Right: pad}
}

func (w Window) withDefaults() Window {
	if w.StrideH == 0 {
		w.StrideH = 1
	}
	if w.StrideW == 0 {
		w.StrideW = 1
	}
	return w
}

// convolution describes a recorded convolution.
type convolution struct {
	conv.Geometry
	act Activation
}

// convGeometry checks a convolution of images x [N, H, W, C] with filters
// [R, S, C, K].
func convGeometry(name string, x, filter shape, win Window) conv.Geometry {
	if x.rank() != 4 || filter.rank() != 4 || x.dim(3) != filter.dim(2) {
		panic(fmt.Sprintf("tensor: %s: images %v and filters %v, want [N H W C] and [R S C K]", name, x, filter))
	}
	win = win.withDefaults()
	g := conv.Geometry{
		N: x.dim(0), H: x.dim(1), W: x.dim(2), C: x.dim(3),
		R: filter.dim(0), S: filter.dim(1), K: filter.dim(3),
		StrideH: win.StrideH, StrideW: win.StrideW,
		PadT: win.Top, PadL: win.Left, PadB: win.Bottom, PadR: win.Right,
	}
	if err := g.Complete(); err != nil {
		panic(fmt.Sprintf("tensor: %s: images %v, filters %v, window %+v: %v", name, x, filter, win, err))
	}
	return g
}

func imageShape(g conv.Geometry) shape  { return shapeOf(g.N, g.H, g.W, g.C) }
func filterShape(g conv.Geometry) shape { return shapeOf(g.R, g.S, g.C, g.K) }
func outputShape(g conv.Geometry) shape { return shapeOf(g.N, g.OH, g.OW, g.K) }

// Conv2D returns act(x * filter + bias): the cross-correlation, as in all
// machine-learning libraries, of images x [N, H, W, C] with filters
// [R, S, C, K] and bias [K] (nil for none). The result is [N, OH, OW, K] with
// OH = (H + Top + Bottom - R)/StrideH + 1, rounded down. See Tape.DirectConv for
// its rounding errors.
func Conv2D(x, filter, bias *Tensor, win Window, act Activation) *Tensor {
	act.check("Conv2D")
	t := operandsOf("Conv2D", x, filter, bias)
	g := convGeometry("Conv2D", x.shape, filter.shape, win)
	checkBias("Conv2D", bias, g.K)
	g.Winograd = t != nil && !t.DirectConv && x.dtype == Float32
	return conv2D(t, x, filter, bias, convolution{g, act})
}

func conv2D(t *Tape, x, filter, bias *Tensor, c convolution) *Tensor {
	y := newOn(t, x.dtype, outputShape(c.Geometry))
	if x.dtype == Float32 {
		convOn[float32](y, x, filter, bias, c)
	} else {
		convOn[float64](y, x, filter, bias, c)
	}
	if !t.records() {
		return y
	}
	return t.record(node{op: opConv, aux: c}, y, x, filter, bias)
}

func convOn[T kernel.Float](y, x, filter, bias *Tensor, c convolution) {
	conv.Forward(data[T](y), data[T](x), data[T](filter), c.Geometry, biasOf[T](bias), c.act == Rectify)
}

// biasOf is the values of a bias, nil for none.
func biasOf[T kernel.Float](bias *Tensor) []T {
	if bias == nil {
		return nil
	}
	return data[T](bias)
}

// Convolution is bilinear in images and filters. Its two adjoints, convImages
// (dy, filter) and convFilters (x, dy), are bilinear too, and each one's
// derivatives are the other two: the family is closed.

func backConv(b *back) {
	c := b.aux.(convolution)
	g := backActivation(b, c.act)
	if b.need[0] {
		b.grads[0] = convImages(g, b.in[1], c.Geometry)
	}
	if b.need[1] {
		b.grads[1] = convFilters(b.in[0], g, c.Geometry)
	}
	if b.need[2] {
		b.grads[2] = sumTo(g, b.in[2].shape)
	}
}

// convImages is the adjoint of convolution with a fixed filter.
func convImages(dy, filter *Tensor, g conv.Geometry) *Tensor {
	t := operandsOf("Conv2D backward", dy, filter)
	dx := newOn(t, dy.dtype, imageShape(g))
	if dy.dtype == Float32 {
		conv.BackwardData(dx.f32, dy.f32, filter.f32, g)
	} else {
		conv.BackwardData(dx.f64, dy.f64, filter.f64, g)
	}
	if !t.records() {
		return dx
	}
	return t.record(node{op: opConvImages, aux: g}, dx, dy, filter)
}

func backConvImages(b *back) {
	g := b.aux.(conv.Geometry)
	if b.need[0] {
		b.grads[0] = conv2D(operandsOf("Conv2D", b.g, b.in[1]), b.g, b.in[1], nil, convolution{g, Identity})
	}
	if b.need[1] {
		b.grads[1] = convFilters(b.g, b.in[0], g)
	}
}

// convFilters is the adjoint of convolution of a fixed image.
func convFilters(x, dy *Tensor, g conv.Geometry) *Tensor {
	t := operandsOf("Conv2D backward", x, dy)
	dw := newOn(t, x.dtype, filterShape(g))
	if x.dtype == Float32 {
		conv.BackwardFilter(dw.f32, x.f32, dy.f32, g)
	} else {
		conv.BackwardFilter(dw.f64, x.f64, dy.f64, g)
	}
	if !t.records() {
		return dw
	}
	return t.record(node{op: opConvFilters, aux: g}, dw, x, dy)
}

func backConvFilters(b *back) {
	g := b.aux.(conv.Geometry)
	if b.need[0] {
		b.grads[0] = convImages(b.in[1], b.g, g)
	}
	if b.need[1] {
		b.grads[1] = conv2D(operandsOf("Conv2D", b.in[0], b.g), b.in[0], b.g, nil, convolution{g, Identity})
	}
}
