package weightpert

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
)

// SamplePGD looks, for one example, for weights of a box that make its margin
// small: signed gradient descent on the margin over each rival apart. It is what a
// certificate, which is of one example too, is to be compared with; weights that
// break many examples at once are what PGD looks for.
//
// Units of ReLU that are off pass no gradient, and with true gradients the descent
// misses weights that would switch them on; so the backward pass gives them a
// slope. The entries of a convolution that is laid out move apart, as they do for the
// bounds: the weights found need not be a convolution's.
type SamplePGD struct {
	// Steps is the number of steps for each rival and start; 0 means 20.
	Steps int
	// StartOnly takes no steps: only the starts are looked at.
	StartOnly bool
	// StepSize is the size of a step, relative to the radius of each weight; 0
	// means 2.5/Steps.
	StepSize float64
	// Restarts is the number of starts: the weights themselves, then random
	// points of the box; 0 means 1.
	Restarts int
	// Leak is the slope of ReLU below 0 in the backward pass; 0 means 0.3, and
	// a negative one true gradients.
	Leak float64
	// Rivals is the number of rivals to try, those of the smallest clean
	// margins; 0 means all.
	Rivals int
	// Seed selects the random starts.
	Seed uint64
}

func (a SamplePGD) fill() (SamplePGD, error) {
	if a.Rivals < 0 {
		return a, fmt.Errorf("%d rivals, want 0 or more", a.Rivals)
	}
	err := fillDescent(&a.Steps, &a.Restarts, &a.StepSize, &a.Leak, a.StartOnly)
	a.Leak = max(a.Leak, 0)
	return a, err
}

// fillDescent checks the settings that PGD and SamplePGD share and fills in defaults.
func fillDescent(steps, restarts *int, stepSize, leak *float64, startOnly bool) error {
	switch {
	case *steps < 0:
		return fmt.Errorf("%d steps, want 0 or more", *steps)
	case *restarts < 0:
		return fmt.Errorf("%d restarts, want 0 or more", *restarts)
	case !(*stepSize >= 0 && *stepSize <= math.MaxFloat64):
		return fmt.Errorf("step size is %v, want a finite number of 0 or more", *stepSize)
	case math.IsNaN(*leak) || *leak > 1:
		return fmt.Errorf("leak is %v, want at most 1", *leak)
	}
	if *steps == 0 {
		*steps = 20
	}
	if *stepSize == 0 {
		*stepSize = 2.5 / float64(*steps)
	}
	if startOnly {
		*steps = 0
	}
	if *restarts == 0 {
		*restarts = 1
	}
	if *leak == 0 {
		*leak = 0.3
	}
	return nil
}

// Run attacks one example and returns the smallest margin that it has seen, that
// of the unchanged weights included, with its weights. The network does not change.
// When ctx is cancelled it returns what it has seen and ctx's error.
func (a SamplePGD) Run(ctx context.Context, n *Network, b *Box, x []float64, y int) (Worst, error) {
	p, err := prepare(n, b)
	if err != nil {
		return Worst{}, err
	}
	if a, err = a.fill(); err == nil {
		err = n.checkInput(x, y)
	}
	if err == nil {
		err = p.checkEnds()
	}
	if err != nil {
		return Worst{}, fmt.Errorf("weightpert: SamplePGD: %w", err)
	}
	return a.finish(ctx, p.newDescent(a.Leak), x, y)
}

// RunFrobenius is Run for a change of one layer by a matrix of at most eps in the
// Frobenius norm, the budget of FrobeniusBound: descent along the gradient, of steps
// relative to eps, pulled back into the ball. Of a convolution that is laid out the
// entries move apart, by at most eps together: FrobeniusBound covers that too, but a
// change of the filters by eps, which it also covers, can move the entries further.
func (a SamplePGD) RunFrobenius(ctx context.Context, n *Network, layer int, eps float64, x []float64, y int) (Worst, error) {
	fail := func(err error) (Worst, error) { return Worst{}, fmt.Errorf("weightpert: SamplePGD: %w", err) }
	if _, err := (RowBall{layer, eps, 2}).check(n); err != nil {
		return fail(err)
	}
	a, err := a.fill()
	if err == nil {
		err = n.checkInput(x, y)
	}
	if err != nil {
		return fail(err)
	}
	p, err := prepare(n, NewBox(n))
	if err != nil {
		return Worst{}, err
	}
	p.layers[layer].moves = true
	d := p.newDescent(a.Leak)
	d.ball = &ball{layer, eps}
	return a.finish(ctx, d, x, y)
}

// finish runs the attack and says whether it was stopped.
func (a SamplePGD) finish(ctx context.Context, d *descent, x []float64, y int) (Worst, error) {
	w := a.run(ctx, d, x, y, rand.New(rand.NewPCG(a.Seed, 0)))
	if err := ctx.Err(); err != nil {
		return w, fmt.Errorf("weightpert: SamplePGD: stopped: %w", err)
	}
	return w, nil
}

// Margins attacks every example on several threads and returns the smallest
// margins that were seen: an example with a positive one has resisted. When ctx is
// cancelled it returns ctx's error and what it has, with NaN for the examples that it has
// not come to the end of.
func (a SamplePGD) Margins(ctx context.Context, n *Network, b *Box, x [][]float64, y []int) ([]float64, error) {
	p, err := prepare(n, b)
	if err != nil {
		return nil, err
	}
	if a, err = a.fill(); err == nil {
		err = n.checkSet(x, y)
	}
	if err == nil {
		err = p.checkEnds()
	}
	if err != nil {
		return nil, fmt.Errorf("weightpert: SamplePGD: %w", err)
	}
	out := make([]float64, len(x))
	for i := range out {
		out[i] = math.NaN()
	}
	err = overSamples(ctx, len(x), func() func(int) {
		d := p.newDescent(a.Leak)
		return func(i int) {
			w := a.run(ctx, d, x[i], y[i], rand.New(rand.NewPCG(a.Seed, uint64(i))))
			if ctx.Err() == nil {
				out[i] = w.Margin
			}
		}
	})
	return out, err
}

// checkEnds returns an error if the box has an end that overflowed.
func (p *prepared) checkEnds() error {
	for i := range p.layers {
		l := &p.layers[i]
		for _, v := range [][]float64{l.lo, l.hi, l.biasLo, l.biasHi} {
			if err := finite("end of the interval of weight", v); err != nil {
				return fmt.Errorf("layer %d: %w", i, err)
			}
		}
	}
	return nil
}

func (a SamplePGD) run(ctx context.Context, d *descent, x []float64, y int, rng *rand.Rand) Worst {
	d.reset(nil)
	d.forward(x)
	f := d.acts[len(d.acts)-1]
	rivals := rivalsOf(f, y)
	if a.Rivals > 0 {
		rivals = rivals[:min(a.Rivals, len(rivals))]
	}
	best := Worst{Rival: rivals[0], Margin: f[y] - f[rivals[0]], Network: d.p.net}
	for _, j := range rivals {
		for start := range a.Restarts {
			if start == 0 {
				d.reset(nil)
			} else {
				d.reset(rng)
			}
			for step := 0; ctx.Err() == nil; step++ {
				d.forward(x)
				f := d.acts[len(d.acts)-1]
				if m := f[y] - f[j]; m < best.Margin {
					best = Worst{Rival: j, Margin: m, Network: d.net.Clone()}
				}
				if step == a.Steps {
					break
				}
				d.descend(y, j, a.StepSize)
			}
		}
	}
	return best
}

// rivalsOf returns the classes but y by falling logit.
func rivalsOf(f []float64, y int) []int {
	var out []int
	for j := range f {
		if j != y {
			out = append(out, j)
		}
	}
	for i := range out {
		for k := i; k > 0 && f[out[k]] > f[out[k-1]]; k-- {
			out[k], out[k-1] = out[k-1], out[k]
		}
	}
	return out
}

// descent is a network under way in its box.
type descent struct {
	p     *prepared
	net   *Network // the point of the box; layers that do not move share memory
	leak  float64
	pre   [][]float64
	acts  [][]float64
	delta [][]float64
	ball  *ball // the budget in place of the box, nil for the box
}

func (p *prepared) newDescent(leak float64) *descent {
	d := &descent{p: p, net: &Network{layers: append([]Layer(nil), p.net.layers...)}, leak: leak, acts: [][]float64{nil}}
	for i := range p.layers {
		l := &d.net.layers[i]
		if p.layers[i].moves {
			l.Weight.Val = append([]float64(nil), l.Weight.Val...)
			if l.Bias != nil {
				l.Bias = append([]float64(nil), l.Bias...)
			}
		}
		rows := l.Weight.Rows
		d.pre, d.acts, d.delta = append(d.pre, make([]float64, rows)), append(d.acts, make([]float64, rows)), append(d.delta, make([]float64, rows))
	}
	return d
}

// reset goes back to the network's weights, or to a random point of the box.
func (d *descent) reset(rng *rand.Rand) {
	for i := range d.p.layers {
		l := &d.p.layers[i]
		if !l.moves {
			continue
		}
		if d.ball != nil {
			d.ball.place(d.net.layers[i].Weight.Val, l.Weight.Val, rng)
			continue
		}
		place(d.net.layers[i].Weight.Val, l.Weight.Val, l.lo, l.hi, rng)
		place(d.net.layers[i].Bias, l.Bias, l.biasLo, l.biasHi, rng)
	}
}

func place(at, val, lo, hi []float64, rng *rand.Rand) {
	for k := range at {
		at[k] = val[k]
		if rng != nil {
			at[k] = min(max(lo[k]+rng.Float64()*(hi[k]-lo[k]), lo[k]), hi[k])
		}
	}
}

func (d *descent) forward(x []float64) {
	d.acts[0] = x
	for i := range d.net.layers {
		l := &d.net.layers[i]
		l.Weight.times(d.pre[i], l.Weight.Val, l.Bias, d.acts[i])
		for k, v := range d.pre[i] {
			d.acts[i+1][k] = l.Act.Value(v)
		}
	}
}

// descend makes one step against the gradient of f_y - f_j.
func (d *descent) descend(y, j int, step float64) {
	last := len(d.net.layers) - 1
	clear(d.delta[last])
	d.delta[last][y], d.delta[last][j] = 1, -1
	for i := last; i >= 0; i-- {
		l, lb := &d.net.layers[i], &d.p.layers[i]
		delta, in := d.delta[i], d.acts[i]
		if i > 0 {
			back := d.delta[i-1]
			clear(back)
			for r, g := range delta {
				if g == 0 {
					continue
				}
				from, to := l.Weight.span(r)
				for k := from; k < to; k++ {
					back[l.Weight.column(k, from)] += g * l.Weight.Val[k]
				}
			}
			act := d.net.layers[i-1].Act
			for k := range back {
				s := act.slope(d.pre[i-1][k])
				if s == 0 {
					s = d.leak
				}
				back[k] *= s
			}
		}
		if !lb.moves {
			continue
		}
		if d.ball != nil {
			d.ball.descend(&l.Weight, lb.Weight.Val, delta, in, step)
			continue
		}
		for r, g := range delta {
			if g == 0 {
				continue
			}
			from, to := l.Weight.span(r)
			for k := from; k < to; k++ {
				z := in[l.Weight.column(k, from)]
				if z == 0 {
					continue
				}
				move(l.Weight.Val, lb.lo, lb.hi, k, g*z, step)
			}
			if l.Bias != nil {
				move(l.Bias, lb.biasLo, lb.biasHi, r, g, step)
			}
		}
	}
}

// move goes against a gradient by step half-widths of the interval.
func move(at, lo, hi []float64, k int, g, step float64) {
	s := step * (hi[k]/2 - lo[k]/2)
	if g > 0 {
		at[k] = max(at[k]-s, lo[k])
	} else {
		at[k] = min(at[k]+s, hi[k])
	}
}
