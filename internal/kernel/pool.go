package kernel

import "math"

// Window describes pooling over one image of [H, W, C] into [OH, OW, C]:
// windows of KH x KW pixels, SH and SW apart, the first PT rows above and PL
// columns left of the image. Every window must overlap the image.
type Window struct {
	H, W, C, KH, KW, SH, SW, PT, PL, OH, OW int
}

// span is the part of window (oh, ow) that lies in the image.
func (w *Window) span(oh, ow int) (h0, h1, w0, w1 int) {
	h0, w0 = oh*w.SH-w.PT, ow*w.SW-w.PL
	return max(h0, 0), min(h0+w.KH, w.H), max(w0, 0), min(w0+w.KW, w.W)
}

// MaxPool sets y[oh,ow,c] to the largest pixel of each window of x and idx to
// its offset in x. Of equal pixels the first in row-major order wins, and a
// NaN wins over everything; padding never does.
func MaxPool[T Float](y []T, idx []int32, x []T, w Window) {
	c := w.C
	if c == 0 {
		return
	}
	x = x[:w.H*w.W*c]
	for oh := range w.OH {
		for ow := range w.OW {
			lo := (oh*w.OW + ow) * c
			best, at := y[lo:lo+c], idx[lo:lo+c]
			h0, h1, w0, w1 := w.span(oh, ow)
			if single[T]() && maxWindowVector(ptr(best), &at[0], ptr(x[(h0*w.W+w0)*c:]), h1-h0, w1-w0, c, w.W*c, (h0*w.W+w0)*c) {
				continue
			}
			Fill(best, T(math.Inf(-1)))
			first := (h0*w.W + w0) * c
			for j := range at {
				at[j] = int32(first + j)
			}
			for h := h0; h < h1; h++ {
				for q := w0; q < w1; q++ {
					off := (h*w.W + q) * c
					for j, v := range x[off : off+c] {
						m := best[j]
						if v > m || v != v && m == m {
							best[j], at[j] = v, int32(off+j)
						}
					}
				}
			}
		}
	}
}

// disjoint says whether no two windows share a pixel.
func (w *Window) disjoint() bool { return w.SH >= w.KH && w.SW >= w.KW }

// covers says whether every pixel of the image lies in a window, if windows are
// disjoint.
func (w *Window) covers() bool {
	return w.SH == w.KH && w.SW == w.KW && w.OH*w.SH-w.PT >= w.H && w.OW*w.SW-w.PL >= w.W
}

// MaxUnpool is the adjoint of MaxPool: it sets dx to zero but for the pixels that won
// windows of theirs, whose values are the sums of these windows' dy. idx is from
// MaxPool.
func MaxUnpool[T Float](dx, dy []T, idx []int32, w Window) {
	c := w.C
	dx = dx[:w.H*w.W*c]
	if c == 0 || !w.disjoint() {
		clear(dx)
		ScatterAddIdx(dx, dy, idx)
		return
	}
	if !w.covers() {
		clear(dx)
	}
	for oh := range w.OH {
		for ow := range w.OW {
			lo := (oh*w.OW + ow) * c
			h0, h1, w0, w1 := w.span(oh, ow)
			first := (h0*w.W + w0) * c
			from, at := dy[lo:lo+c], idx[lo:lo+c]
			if single[T]() && unpoolWindowVector(ptr(from), &at[0], ptr(dx[first:]), h1-h0, w1-w0, c, w.W*c, first) {
				continue
			}
			for h := h0; h < h1; h++ {
				for q := w0; q < w1; q++ {
					off := (h*w.W + q) * c
					clear(dx[off : off+c])
				}
			}
			for j, i := range at {
				dx[i] = from[j]
			}
		}
	}
}

// share is what one pixel of a window weighs in its mean.
func (w *Window) share(h0, h1, w0, w1 int, countPad bool) int {
	if countPad {
		return w.KH * w.KW
	}
	return (h1 - h0) * (w1 - w0)
}

// AvgPool sets y[oh,ow,c] to the mean of each window of x. Padding counts as
// zeros if countPad is set and not at all otherwise.
func AvgPool[T Float](y, x []T, w Window, countPad bool) {
	c := w.C
	x = x[:w.H*w.W*c]
	for oh := range w.OH {
		for ow := range w.OW {
			out := y[(oh*w.OW+ow)*c:][:c]
			h0, h1, w0, w1 := w.span(oh, ow)
			count := w.share(h0, h1, w0, w1, countPad)
			if single[T]() && c > 0 && meanWindowVector(ptr(out), ptr(x[(h0*w.W+w0)*c:]), h1-h0, w1-w0, c, w.W*c, count) {
				continue
			}
			Fill(out, 0)
			for h := h0; h < h1; h++ {
				for q := w0; q < w1; q++ {
					Binary(Add, out, out, x[(h*w.W+q)*c:][:c])
				}
			}
			BinaryScalar(Div, out, out, T(count))
		}
	}
}

// AvgPoolBackward adds to dx what AvgPool's adjoint makes of dy.
func AvgPoolBackward[T Float](dx, dy []T, w Window, countPad bool) {
	c := w.C
	dx = dx[:w.H*w.W*c]
	for oh := range w.OH {
		for ow := range w.OW {
			g := dy[(oh*w.OW+ow)*c:][:c]
			h0, h1, w0, w1 := w.span(oh, ow)
			count := w.share(h0, h1, w0, w1, countPad)
			if single[T]() && c > 0 && spreadWindowVector(ptr(g), ptr(dx[(h0*w.W+w0)*c:]), h1-h0, w1-w0, c, w.W*c, count) {
				continue
			}
			for h := h0; h < h1; h++ {
				for q := w0; q < w1; q++ {
					Axpy(dx[(h*w.W+q)*c:][:c], 1/T(count), g)
				}
			}
		}
	}
}

// GatherIdx sets y[i] = x[idx[i]] for every index.
func GatherIdx[T Float](y, x []T, idx []int32) {
	y = y[:len(idx)]
	for i, j := range idx {
		y[i] = x[j]
	}
}

// ScatterAddIdx adds dy[i] to dx[idx[i]] for every index, in order.
func ScatterAddIdx[T Float](dx, dy []T, idx []int32) {
	dy = dy[:len(idx)]
	for i, j := range idx {
		dx[j] += dy[i]
	}
}
