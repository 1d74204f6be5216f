package weightpert

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"slices"

	"github.com/redoubt-ml/redoubt/tensor"
	"github.com/redoubt-ml/redoubt/tensor/nn"
)

// BitSearch is the progressive bit search: it flips the few stored bits of a
// quantised network that raise its loss most. In each layer it tries the best bits
// by first order together, keeps the layer where the true loss is largest, and goes
// on. Labels are the network's own predictions, so no labels leak.
//
// Rakin, He and Fan, ICCV 2019, section 4, with the settings of the public
// implementation.
type BitSearch struct {
	// Flips is the largest number of bits to flip; 0 means 40.
	Flips int
	// TopWeights is the number of weights of the largest gradient to look at in
	// each layer; 0 means 10.
	TopWeights int
	// MaxBits is the number of bits up to which the search widens when fewer do
	// not raise the loss; 0 means 8.
	MaxBits int
	// Break ends the search when no more than this share of predictions is
	// left; 0 means 0.11, just above chance among 10 classes.
	Break float64
	// OnProgress is called after each commit with the number of flips so far and in
	// all, nil for none.
	OnProgress func(done, total int)
}

// BitFlip is a flipped bit.
type BitFlip struct {
	Layer int `json:"layer"`
	Index int `json:"index"`
	Bit   int `json:"bit"`
}

// Search is what a BitSearch has done.
type Search struct {
	Flips []BitFlip `json:"flips"` // in order
	// Loss is the mean cross-entropy before the first commit and after each.
	Loss []float64 `json:"loss"`
	// Kept is the share of predictions that are left on the images searched with.
	Kept float64 `json:"kept"`
	// Network is the network with its bits flipped.
	Network *Quantized `json:"-"`
}

// Run searches with inputs x [N, ...]; q does not change.
func (s BitSearch) Run(ctx context.Context, q *Quantized, x *tensor.Tensor) (Search, error) {
	fail := func(err error) (Search, error) { return Search{}, fmt.Errorf("weightpert: BitSearch: %w", err) }
	switch {
	case q == nil:
		return fail(fmt.Errorf("no quantised network"))
	case s.Flips < 0 || s.TopWeights < 0 || s.MaxBits < 0:
		return fail(fmt.Errorf("%d flips, %d weights and %d bits, want 0 or more", s.Flips, s.TopWeights, s.MaxBits))
	case !(s.Break >= 0 && s.Break <= 1):
		return fail(fmt.Errorf("break is %v, want 0 to 1", s.Break))
	case x == nil || x.Rank() < 2 || x.Dim(0) == 0:
		return fail(fmt.Errorf("0 inputs, want at least 1"))
	}
	s.Flips, s.TopWeights = cmp.Or(s.Flips, 40), cmp.Or(s.TopWeights, 10)
	s.MaxBits, s.Break = cmp.Or(s.MaxBits, 8), cmp.Or(s.Break, 0.11)
	if err := checkData(q.Net, x, make([]int, x.Dim(0))); err != nil {
		return fail(err)
	}
	r := &search{q: q.Clone(), x: x, tape: tensor.NewTape()}
	r.y = tensor.ArgMax(r.q.Network().Forward(&nn.Pass{}, x))
	out := Search{Network: r.q, Kept: 1, Flips: []BitFlip{}}
	loss, kept := r.measure()
	out.Loss = append(out.Loss, loss)
	for len(out.Flips) < s.Flips && kept > s.Break {
		best, flips, err := s.widen(ctx, r, loss, s.Flips-len(out.Flips))
		if err != nil {
			return out, fmt.Errorf("weightpert: BitSearch: stopped: %w", err)
		}
		if flips == nil {
			break
		}
		r.flip(flips)
		out.Flips = append(out.Flips, flips...)
		loss = best
		_, kept = r.measure()
		out.Loss, out.Kept = append(out.Loss, loss), kept
		if s.OnProgress != nil {
			s.OnProgress(len(out.Flips), s.Flips)
		}
	}
	return out, nil
}

// widen tries one bit in each layer, then two, until some raise the loss; it returns
// none if none do.
func (s BitSearch) widen(ctx context.Context, r *search, loss float64, left int) (float64, []BitFlip, error) {
	grads := r.gradients()
	for n := 1; n <= min(s.MaxBits, left); n++ {
		best, flips := loss, []BitFlip(nil)
		for layer := range r.q.Layers {
			if err := ctx.Err(); err != nil {
				return 0, nil, err
			}
			try := r.candidates(layer, grads[layer], s.TopWeights, n)
			if len(try) == 0 {
				continue
			}
			r.flip(try)
			// Ties go to the first layer.
			if v, _ := r.measure(); v > best {
				best, flips = v, try
			}
			r.flip(try)
		}
		if flips != nil {
			return best, flips, nil
		}
	}
	return loss, nil, nil
}

// search is a BitSearch under way.
type search struct {
	q    *Quantized
	x    *tensor.Tensor
	y    []int // the predictions at the start
	tape *tensor.Tape
}

func (r *search) flip(flips []BitFlip) {
	for _, f := range flips {
		r.q.flip(f.Layer, f.Index, f.Bit)
	}
}

// measure returns the mean loss and the share of predictions that are left.
func (r *search) measure() (loss, kept float64) {
	r.tape.Reset()
	f := r.q.Network().Forward(&nn.Pass{}, r.tape.Const(r.x))
	for i, c := range tensor.ArgMax(f) {
		if c == r.y[i] {
			kept += 1 / float64(len(r.y))
		}
	}
	return tensor.Mean(tensor.CrossEntropy(f, r.y)).Item(), kept
}

// gradients returns those of the loss with respect to the integers of each layer.
func (r *search) gradients() [][]float64 {
	r.tape.Reset()
	p := r.q.Network()
	watched := make([]*tensor.Tensor, len(p.Values))
	for i, w := range p.Values {
		watched[i] = r.tape.Watch(w)
	}
	p.Values = watched
	f := p.Forward(&nn.Pass{}, r.tape.Const(r.x))
	out := make([][]float64, len(watched))
	for i, g := range tensor.Grad(tensor.Mean(tensor.CrossEntropy(f, r.y)), watched...) {
		out[i] = g.Values()
		scale := r.q.Layers[i].Scale
		for k := range out[i] {
			out[i][k] *= scale[k%len(scale)]
		}
	}
	return out
}

// largest returns the positions of the n values of the largest moduli, the largest first
// and the first of equals before the others.
func largest(v []float64, n int) []int {
	top := make([]int, 0, n+1)
	for k, x := range v {
		at := len(top)
		for at > 0 && math.Abs(x) > math.Abs(v[top[at-1]]) {
			at--
		}
		if at == n {
			continue
		}
		top = slices.Insert(top, at, k)
		top = top[:min(n, len(top))]
	}
	return top
}

// candidates returns the n bits of a layer whose flips raise the loss most by first
// order, among the weights of the largest gradients.
func (r *search) candidates(layer int, g []float64, weights, n int) []BitFlip {
	type gain struct {
		BitFlip
		by float64
	}
	var gains []gain
	width := r.q.Width
	for _, k := range largest(g, weights) {
		c := r.q.Layers[layer].Code[k]
		for bit := width - 1; bit >= 0; bit-- {
			change := float64(flip(c, 1<<bit, width)) - float64(c)
			if by := g[k] * change; by > 0 {
				gains = append(gains, gain{BitFlip{layer, k, bit}, by})
			}
		}
	}
	slices.SortStableFunc(gains, func(a, b gain) int { return cmp.Compare(b.by, a.by) })
	var out []BitFlip
	for _, f := range gains[:min(n, len(gains))] {
		out = append(out, f.BitFlip)
	}
	return out
}
