package weightpert

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"

	"github.com/redoubt-ml/redoubt/tensor"
	"github.com/redoubt-ml/redoubt/tensor/nn"
)

// Ball says in which norm PGD's budget is.
type Ball uint8

// Budgets of PGD.
const (
	Linf         Ball = iota // |ŵ - w| <= Eps
	RelativeLinf             // |ŵ - w| <= Eps |w|
	L2                       // ‖Ŵ - W‖_F <= Eps ‖W‖_F, for each matrix
)

// String names the budget.
func (b Ball) String() string {
	switch b {
	case Linf:
		return "Linf"
	case RelativeLinf:
		return "relative Linf"
	case L2:
		return "relative L2"
	}
	return fmt.Sprintf("Ball(%d)", uint8(b))
}

// PGD looks for one change of the weights that breaks as many of a set of inputs as
// possible: projected gradient ascent on the whole set. Accuracy under it is an
// upper bound of what any certificate says, and of the accuracy when each input may
// have weights of its own. It is the worst accuracy of all iterates, the unchanged
// weights included.
type PGD struct {
	Eps  float64 // size of the change, see Ball; from 0 on
	Ball Ball    // the zero value is Linf
	// Steps is the number of steps of a start; 0 means 20.
	Steps int
	// StartOnly takes no steps: only the starts are measured.
	StartOnly bool
	// StepSize is the size of a step relative to the budget; 0 means 2.5/Steps.
	StepSize float64
	// Momentum is the decay of the gradients of earlier steps, each divided by its
	// mean modulus before it is added (Dong et al., Boosting adversarial attacks
	// with momentum, CVPR 2018); 0 means none. It is below 1 or, to keep all, 1.
	Momentum float64
	// Restarts is the number of starts: the weights themselves, then random
	// points of the budget; 0 means 1.
	Restarts int
	// Leak is the slope of ReLU below 0 in the backward pass, see SamplePGD; 0
	// means 0.3, and a negative one true gradients. It is that of the ReLUs in
	// Sequentials and nn.BasicBlocks; those inside other layers have true gradients,
	// and a slope above 0 that no ReLU would have is an error.
	Leak      float64
	Objective Objective // the zero value is CrossEntropy
	// Layers are the positions in Matrices of what may change; nil means all.
	Layers []int
	// Biases lets the vectors among the parameters change too. It goes with all
	// layers.
	Biases bool
	Seed   uint64 // of the random starts
	// BatchSize is the number of inputs in a forward pass; 0 means 1000. The
	// gradient is that of the whole set in any case.
	BatchSize int
	// OnProgress is called with the number of steps done and the number in all,
	// nil for none.
	OnProgress func(done, total int)
}

// Outcome is what a universal attack on weights has found.
type Outcome struct {
	Objective string  `json:"objective"`
	Clean     float64 `json:"clean"`    // accuracy of the unchanged weights
	Accuracy  float64 `json:"accuracy"` // the worst seen
	Step      int     `json:"step"`     // where it was seen, 0 for a start
	// Network has the weights of the worst accuracy.
	Network Perturbed `json:"-"`
}

// Run attacks the network, which does not change, on inputs x [N, ...] with labels
// y. When ctx is cancelled it returns ctx's error and the worst that it has seen; if that
// is nothing, the outcome's Network has no Net.
func (a PGD) Run(ctx context.Context, net nn.Layer, x *tensor.Tensor, y []int) (Outcome, error) {
	fail := func(err error) (Outcome, error) { return Outcome{}, fmt.Errorf("weightpert: PGD: %w", err) }
	asked := a.Leak
	if err := a.fill(); err != nil {
		return fail(err)
	}
	if err := checkData(net, x, y); err != nil {
		return fail(err)
	}
	if x.DType() != tensor.Float32 {
		return fail(fmt.Errorf("network is %v, want %v", x.DType(), tensor.Float32))
	}
	params, err := chosen(Matrices(net), a.Layers)
	if err == nil && a.Biases {
		if params = nn.Params(net); a.Layers != nil {
			err = errors.New("biases go with all layers, not with some")
		}
	}
	if err == nil {
		err = a.Objective.check(net.Forward(&nn.Pass{}, tensor.Slice(x, 0, 0, 1)).Dim(1))
	}
	if err != nil {
		return fail(err)
	}
	u := &ascent{PGD: a, net: net, params: params, tape: tensor.NewTape()}
	if a.Leak > 0 {
		var found bool
		if u.net, found = leaky(net, a.Leak); !found && asked > 0 {
			return fail(fmt.Errorf("leak is %v, but no ReLU of the network is one of a Sequential or a BasicBlock; want 0", asked))
		}
	}
	for _, w := range params {
		u.at = append(u.at, w.Clone())
		u.grads = append(u.grads, tensor.Zeros(tensor.Float32, w.Shape()...))
		u.limits = append(u.limits, a.limits(w))
		if a.Momentum > 0 {
			u.pace = append(u.pace, make([]float32, w.Len()))
		}
	}
	out := Outcome{Objective: a.Objective.String()}
	rng := rand.New(rand.NewPCG(a.Seed, 0x9d))
	total := a.Restarts * (a.Steps + 1)
	for start := range a.Restarts {
		for i := range params {
			u.begin(i, start > 0, rng)
		}
		for step := 0; step <= a.Steps; step++ {
			if err := ctx.Err(); err != nil {
				return out, fmt.Errorf("weightpert: PGD: stopped: %w", err)
			}
			acc := u.measure(x, y, step < a.Steps)
			if start == 0 && step == 0 {
				out.Clean = acc
			}
			if out.Network.Net == nil || acc < out.Accuracy {
				out.Accuracy, out.Step = acc, step
				out.Network = Perturbed{Net: net, Params: params}
				for _, w := range u.at {
					out.Network.Values = append(out.Network.Values, w.Clone())
				}
			}
			if step < a.Steps {
				for i := range params {
					u.step(i)
				}
			}
			if a.OnProgress != nil {
				a.OnProgress(start*(a.Steps+1)+step+1, total)
			}
		}
	}
	return out, nil
}

func (a *PGD) fill() error {
	switch {
	case !(a.Eps >= 0 && a.Eps <= math.MaxFloat32):
		return fmt.Errorf("eps is %v, want a finite number of 0 or more", a.Eps)
	case a.Ball > L2:
		return fmt.Errorf("unknown budget %v", a.Ball)
	case a.Objective.Kind >= numObjectives:
		return fmt.Errorf("unknown objective %v", a.Objective)
	case a.StepSize > math.MaxFloat32:
		return fmt.Errorf("step size is %v, want a finite number of 0 or more", a.StepSize)
	case !(a.Momentum >= 0 && a.Momentum <= 1):
		return fmt.Errorf("momentum is %v, want 0 to 1", a.Momentum)
	case a.BatchSize < 0:
		return fmt.Errorf("batch size is %d, want 0 or more", a.BatchSize)
	}
	if a.BatchSize == 0 {
		a.BatchSize = 1000
	}
	return fillDescent(&a.Steps, &a.Restarts, &a.StepSize, &a.Leak, a.StartOnly)
}

// limits hold how far a tensor may move: ends for each value, or a radius.
type limits struct {
	lo, hi []float32
	radius float64
}

func (a *PGD) limits(w *tensor.Tensor) limits {
	if a.Ball == L2 {
		return limits{radius: a.Eps * frobenius(w)}
	}
	l := limits{lo: make([]float32, w.Len()), hi: make([]float32, w.Len())}
	for i, v := range w.Float32s() {
		r := a.Eps
		if a.Ball == RelativeLinf {
			r *= math.Abs(float64(v))
		}
		l.lo[i], l.hi[i] = inward(float64(v)-r, v), inward(float64(v)+r, v)
	}
	return l
}

// inward rounds an end of v's interval to float32, never out of the interval.
func inward(end float64, v float32) float32 {
	f := float32(end)
	if math.Abs(float64(f)-float64(v)) > math.Abs(end-float64(v)) {
		f = math.Nextafter32(f, v)
	}
	return f
}

// ascent is PGD under way.
type ascent struct {
	PGD
	net    nn.Layer
	params []*tensor.Tensor
	at     []*tensor.Tensor // the perturbed values
	grads  []*tensor.Tensor
	pace   [][]float32 // sums of gradients, nil without momentum
	limits []limits
	tape   *tensor.Tape
}

// begin puts a tensor at its own value or at a random point of its budget.
func (u *ascent) begin(i int, random bool, rng *rand.Rand) {
	if u.pace != nil {
		clear(u.pace[i])
	}
	u.at[i].CopyFrom(u.params[i])
	if !random {
		return
	}
	v, l := u.at[i].Float32s(), &u.limits[i]
	if u.Ball != L2 {
		for k := range v {
			v[k] = min(max(l.lo[k]+float32(rng.Float64())*(l.hi[k]-l.lo[k]), l.lo[k]), l.hi[k])
		}
		u.at[i].Touch()
		return
	}
	d := make([]float64, len(v))
	for k := range d {
		d[k] = rng.NormFloat64()
	}
	scale := l.radius * math.Pow(rng.Float64(), 1/float64(len(d))) / norm(d, 2)
	for k := range v {
		v[k] += float32(d[k] * scale)
	}
	u.project(i)
}

// measure returns the accuracy at the perturbed values and, if asked to, leaves the
// gradient of the mean objective in grads.
func (u *ascent) measure(x *tensor.Tensor, y []int, gradient bool) float64 {
	for _, g := range u.grads {
		g.Fill(0)
	}
	hits := 0
	for lo := 0; lo < len(y); lo += u.BatchSize {
		hi := min(len(y), lo+u.BatchSize)
		u.tape.Reset()
		pass := &nn.Pass{}
		watched := make([]*tensor.Tensor, len(u.at))
		for i, w := range u.at {
			watched[i] = u.tape.Watch(w)
			pass.Use(u.params[i], watched[i])
		}
		logits := u.net.Forward(pass, u.tape.Const(tensor.Slice(x, 0, lo, hi)))
		for i, c := range tensor.ArgMax(logits) {
			if c == y[lo+i] {
				hits++
			}
		}
		if !gradient {
			continue
		}
		// The scale of the sum does not matter: a step has the gradient's sign
		// or direction only.
		value, n := u.Objective.sum(logits, y[lo:hi])
		if n == 0 {
			continue
		}
		for i, g := range tensor.Grad(value, watched...) {
			into := u.grads[i].Float32s()
			for k, v := range g.Float32s() {
				into[k] += v
			}
		}
	}
	return float64(hits) / float64(len(y))
}

// gather adds the gradient of a tensor to the decayed earlier ones and leaves the sum
// in its place. Without momentum it does nothing.
func (u *ascent) gather(i int) {
	if u.pace == nil {
		return
	}
	g, pace := u.grads[i].Float32s(), u.pace[i]
	mean := norm(u.grads[i].Values(), 1) / float64(len(g))
	for k := range pace {
		pace[k] *= float32(u.Momentum)
		if mean > 0 {
			pace[k] += float32(float64(g[k]) / mean)
		}
	}
	copy(g, pace)
	u.grads[i].Touch()
}

// step moves a tensor up its gradient inside its budget.
func (u *ascent) step(i int) {
	u.gather(i)
	v, g, l := u.at[i].Float32s(), u.grads[i].Float32s(), &u.limits[i]
	if u.Ball == L2 {
		if size := frobenius(u.grads[i]); size > 0 {
			scale := u.StepSize * l.radius / size
			for k := range v {
				v[k] += float32(float64(g[k]) * scale)
			}
		}
		u.project(i)
		return
	}
	half := float32(u.StepSize) / 2
	for k, s := range g {
		switch {
		case s > 0:
			v[k] = min(v[k]+half*(l.hi[k]-l.lo[k]), l.hi[k])
		case s < 0:
			v[k] = max(v[k]-half*(l.hi[k]-l.lo[k]), l.lo[k])
		}
	}
	u.at[i].Touch()
}

// project pulls a tensor back into its L2 budget.
func (u *ascent) project(i int) {
	v, w, radius := u.at[i].Float32s(), u.params[i].Float32s(), u.limits[i].radius
	u.at[i].Touch()
	// Rounding to float32 can leave the result just outside; then it goes in
	// further, and in the end back to the weights.
	for margin := 1e-8; margin <= 1; margin *= 10 {
		sq := 0.0
		for k := range v {
			d := float64(v[k]) - float64(w[k])
			sq += d * d
		}
		size := math.Sqrt(sq)
		if size <= radius {
			return
		}
		for k := range v {
			v[k] = float32(float64(w[k]) + (float64(v[k])-float64(w[k]))*(radius/size)*(1-margin))
		}
	}
	copy(v, w)
}

// Ensemble runs the attack with every objective, Push with every class, DLR if there are
// at least 3, and returns their outcomes with the worst one first. A number from one
// objective alone can be several points too high. When ctx is cancelled it returns ctx's
// error and what it has, the worst of the objective under way included.
func (a PGD) Ensemble(ctx context.Context, net nn.Layer, x *tensor.Tensor, y []int) ([]Outcome, error) {
	if err := checkData(net, x, y); err != nil {
		return nil, fmt.Errorf("weightpert: PGD: %w", err)
	}
	objectives := []Objective{{Kind: CrossEntropy}, {Kind: StillCorrect}, {Kind: Hinge}}
	classes := net.Forward(&nn.Pass{}, tensor.Slice(x, 0, 0, 1)).Dim(1)
	if classes >= 3 {
		objectives = append(objectives, Objective{Kind: DLR})
	}
	for c := range classes {
		objectives = append(objectives, Objective{Push, c})
	}
	var out []Outcome
	for _, o := range objectives {
		a.Objective = o
		r, err := a.Run(ctx, net, x, y)
		if r.Network.Net != nil {
			out = append(out, r)
			if last := len(out) - 1; r.Accuracy < out[0].Accuracy {
				out[0], out[last] = out[last], out[0]
			}
		}
		if err != nil {
			return out, err
		}
	}
	return out, nil
}
