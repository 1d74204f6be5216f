package weightpert

import (
	"context"
	"fmt"
	"math"
)

// RowBall says that each row of one layer may change by a vector of at most Eps in
// the P-norm. A row of a convolution laid out by FromNN is a filter at one place, so
// changes of each filter by at most Eps are among these.
type RowBall struct {
	Layer int     // from 0
	Eps   float64 // from 0 on
	P     float64 // 1 or more; +Inf is the element-wise box
}

// check says what is wrong with the ball, and returns the order of the dual norm.
func (b RowBall) check(n *Network) (dual float64, err error) {
	if err := n.check(); err != nil {
		return 0, err
	}
	switch {
	case b.Layer < 0 || b.Layer >= len(n.layers):
		return 0, fmt.Errorf("no layer %d, want 0 to %d", b.Layer, len(n.layers)-1)
	case !(b.Eps >= 0 && b.Eps <= math.MaxFloat64):
		return 0, fmt.Errorf("eps is %v, want a finite number of 0 or more", b.Eps)
	case !(b.P >= 1):
		return 0, fmt.Errorf("norm is of order %v, want 1 or more", b.P)
	}
	return dualOrder(b.P), nil
}

// WengBound returns lower bounds of the margins f_y(x) - f_j(x) of a ReLU network
// of which one layer moves in a RowBall: the pre-activations of that layer move by
// Eps ‖z‖_q, later layers are bounded backwards with the same slope u/(u-l) for the
// lower and the upper line of each unstable ReLU. Unless merge is set the logits
// are bounded apart, as in the original, which loses much; otherwise the rows of
// label and rival are joined first. Bounds of inner layers are intersected with one
// step of interval propagation, which the original does without. The result for y
// itself is 0. When ctx is cancelled the error is ctx's.
//
// Proof. The box of pre-activations is that of RowBallBound's proof. An unstable ReLU
// lies between the line from the origin and the parallel line through (l, 0), both of
// the slope u/(u-l), so a linear form of its outputs is bounded by one of its inputs,
// whichever sign its coefficients have; the layers behind the moving one are clean,
// and going back through them is exact.
//
// Weng et al., "Towards Certificated Model Robustness Against Weight
// Perturbations", AAAI 2020.
func WengBound(ctx context.Context, n *Network, ball RowBall, merge bool, x []float64, y int) ([]float64, error) {
	fail := func(err error) ([]float64, error) { return nil, fmt.Errorf("weightpert: WengBound: %w", err) }
	q, err := ball.check(n)
	if err != nil {
		return fail(err)
	}
	if err := n.checkInput(x, y); err != nil {
		return fail(err)
	}
	for i := range len(n.layers) - 1 {
		if a := n.layers[i].Act; a != ReLU {
			return fail(fmt.Errorf("layer %d has activation %v, want ReLU: the linear bounds are of ReLU", i, a))
		}
	}
	p, err := prepare(n, NewBox(n))
	if err != nil {
		return nil, err
	}
	r := p.newReach()
	p.propagate(r, x)
	in := r.act[ball.Layer]
	mod := make([]float64, len(in.lo))
	for k := range mod {
		mod[k] = max(math.Abs(in.lo[k]), math.Abs(in.hi[k]))
	}
	shift := mulUp(ball.Eps, normAbove(mod, q))
	last := len(n.layers) - 1
	out := make([]float64, n.Classes())
	if ball.Layer == last {
		p.mergedMargins(out, r, y)
		for j := range out {
			if j != y {
				out[j] = minus(out[j], 2*shift*(1+4*unit))
			}
		}
		return out, nil
	}
	p.first = ball.Layer
	for k := range r.pre[p.first].lo {
		r.pre[p.first].lo[k] = minus(r.pre[p.first].lo[k], shift)
		r.pre[p.first].hi[k] = -minus(-r.pre[p.first].hi[k], shift)
	}
	p.activate(r, p.first)
	for i := p.first + 1; i < last; i++ {
		p.interval(r, i)
		p.activate(r, i)
	}
	if !r.finite {
		p.mergedMargins(out, r, y)
		return out, nil
	}
	bw := p.newBackward(true)
	bw.tighten(ctx, r, p.first)
	if err := ctx.Err(); err != nil {
		return fail(fmt.Errorf("stopped: %w", err))
	}
	if merge {
		bw.margins(out, r, p.first, y)
		return out, nil
	}
	bw.lines(r, last-1)
	p.interval(r, last)
	low := bw.unit(r, p.first, last, y, 1)
	for j := range out {
		if j != y {
			out[j] = minus(low, -bw.unit(r, p.first, last, j, -1))
		}
	}
	return out, nil
}
