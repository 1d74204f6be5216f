package optim

import (
	"cmp"
	"fmt"
	"math"
	"slices"

	"github.com/redoubt-ml/redoubt/internal/kernel"
	"github.com/redoubt-ml/redoubt/internal/mem"
	"github.com/redoubt-ml/redoubt/internal/par"
	"github.com/redoubt-ml/redoubt/tensor"
)

var _ Optimizer = (*SGD)(nil)

var velocity = []slot{{name: "velocity"}}

// SGD is stochastic gradient descent with momentum, as in PyTorch:
// g += WeightDecay w; v = Momentum v + g; w -= lr v, or with Nesterov
// w -= lr (g + Momentum v). The zero SGD is plain gradient descent. Step panics if
// Nesterov is set without Momentum, as it would look nowhere.
type SGD struct {
	Momentum    float64 // 0 keeps no memory
	WeightDecay float64 // factor of w added to its gradient
	Nesterov    bool    // looks ahead by the velocity

	memory memory // velocities
}

// Step moves the parameters.
func (o *SGD) Step(lr float64, params, grads []*tensor.Tensor) {
	check("SGD", params, grads)
	if o.Nesterov && o.Momentum == 0 {
		panic("optim: SGD: Nesterov with Momentum 0, want another")
	}
	if o.Momentum != 0 {
		o.memory.belongTo("SGD", params, len(velocity))
	}
	for i, w := range params {
		if grads[i] == nil {
			continue
		}
		if w.DType() == tensor.Float32 {
			var v []float32
			if o.Momentum != 0 {
				v = o.memory.slots[0][i].Float32s()
			}
			sgdOn(w.Float32s(), v, grads[i].Float32s(), lr, o)
		} else {
			var v []float64
			if o.Momentum != 0 {
				v = o.memory.slots[0][i].Float64s()
			}
			sgdOn(w.Float64s(), v, grads[i].Float64s(), lr, o)
		}
		w.Touch()
	}
}

// sgdStep is a step of one parameter in progress, whose parts threads share.
type sgdStep[T kernel.Float] struct {
	w, v, g             []T // v is nil without momentum
	lr, momentum, decay T
	nesterov            bool

	body func(lo, hi int)
}

var (
	sgdSteps32 mem.Objects[sgdStep[float32]]
	sgdSteps64 mem.Objects[sgdStep[float64]]
)

func sgdOn[T kernel.Float](w, v, g []T, lr float64, o *SGD) {
	steps := mem.Either[mem.Objects[sgdStep[T]]](&sgdSteps32, &sgdSteps64)
	s, fresh := steps.Get()
	if fresh {
		s.body = s.part
	}
	s.w, s.v, s.g = w, v, g
	s.lr, s.momentum, s.decay, s.nesterov = T(lr), T(o.Momentum), T(o.WeightDecay), o.Nesterov
	par.For(len(w), grain, s.body)
	*s = sgdStep[T]{body: s.body}
	steps.Put(s)
}

// part moves elements [lo, hi).
func (s *sgdStep[T]) part(lo, hi int) {
	var v []T
	if s.v != nil {
		v = s.v[lo:hi]
	}
	kernel.SGD(s.w[lo:hi], v, s.g[lo:hi], s.lr, s.momentum, s.decay, s.nesterov)
}

// String describes the rule.
func (o *SGD) String() string {
	return fmt.Sprintf("SGD(momentum %v, weight decay %v, Nesterov %v)", o.Momentum, o.WeightDecay, o.Nesterov)
}

// State returns the velocities, none without momentum.
func (o *SGD) State() map[string]*tensor.Tensor {
	if o.Momentum == 0 {
		return make(map[string]*tensor.Tensor)
	}
	return o.memory.state(velocity...)
}

// SetState takes over velocities.
func (o *SGD) SetState(params []*tensor.Tensor, state map[string]*tensor.Tensor) error {
	kinds := velocity
	if o.Momentum == 0 {
		kinds = nil
	}
	return o.memory.set("SGD", params, state, kinds)
}

var _ Optimizer = (*LARS)(nil)

// LARS scales the step of each parameter tensor by the ratio of its norm to that
// of its gradient, so that large batches train with one learning rate. Vectors
// (biases, normalisation) are neither scaled nor decayed, unless asked for.
//
// You, Gitman and Ginsburg, arXiv 1708.03888, Algorithm 1.
type LARS struct {
	Momentum    float64 // 0 means 0.9
	WeightDecay float64 // factor of w added to its gradient
	Trust       float64 // trust coefficient; 0 means 0.001
	// Vectors scales and decays vectors like all other parameters; one whose norm
	// or gradient is 0 is not scaled.
	Vectors bool

	memory memory // velocities
}

// Step moves the parameters.
func (o *LARS) Step(lr float64, params, grads []*tensor.Tensor) {
	check("LARS", params, grads)
	o.memory.belongTo("LARS", params, len(velocity))
	momentum, trust := o.withDefaults()
	for i, w := range params {
		g, v := grads[i], o.memory.slots[0][i]
		if g == nil {
			continue
		}
		decay, trust := o.WeightDecay, trust
		if w.Rank() < 2 && !o.Vectors {
			decay, trust = 0, 0
		}
		if w.DType() == tensor.Float32 {
			larsOn(w.Float32s(), v.Float32s(), g.Float32s(), lr, momentum, decay, trust)
		} else {
			larsOn(w.Float64s(), v.Float64s(), g.Float64s(), lr, momentum, decay, trust)
		}
		w.Touch()
	}
}

// withDefaults returns momentum and trust coefficient in use.
func (o *LARS) withDefaults() (momentum, trust float64) {
	return cmp.Or(o.Momentum, 0.9), cmp.Or(o.Trust, 0.001)
}

// larsStep is a step of one parameter in progress, whose parts threads share.
type larsStep[T kernel.Float] struct {
	w, v, g               []T
	momentum, rate, decay T
	norms                 []float64 // sums of squares of each part of w and of g

	normBody, body func(lo, hi int)
}

var (
	larsSteps32 mem.Objects[larsStep[float32]]
	larsSteps64 mem.Objects[larsStep[float64]]
)

// larsOn computes v = momentum v + rate (g + decay w) and w -= v, with the rate
// scaled by the ratio of norms unless trust is 0.
func larsOn[T kernel.Float](w, v, g []T, lr, momentum, decay, trust float64) {
	steps := mem.Either[mem.Objects[larsStep[T]]](&larsSteps32, &larsSteps64)
	s, fresh := steps.Get()
	if fresh {
		s.normBody, s.body = s.partNorms, s.part
	}
	s.w, s.v, s.g = w, v, g
	rate := lr
	if trust != 0 {
		if nw, ng := s.sumNorms(); nw > 0 && ng > 0 {
			rate *= trust * nw / (ng + decay*nw)
		}
	}
	s.momentum, s.rate, s.decay = T(momentum), T(rate), T(rate*decay)
	par.For(len(w), grain, s.body)
	*s = larsStep[T]{norms: s.norms, normBody: s.normBody, body: s.body}
	steps.Put(s)
}

// part moves elements [lo, hi).
func (s *larsStep[T]) part(lo, hi int) {
	w, v := s.w[lo:hi], s.v[lo:hi]
	kernel.Affine(v, v, s.momentum, 0)
	kernel.Axpy(v, s.rate, s.g[lo:hi])
	kernel.Axpy(v, s.decay, w)
	kernel.Axpy(w, -1, v)
}

// sumNorms returns the Euclidean norms of w and g, sums over parts in order.
func (s *larsStep[T]) sumNorms() (nw, ng float64) {
	parts := (len(s.w) + grain - 1) / grain
	s.norms = slices.Grow(s.norms[:0], 2*parts)[:2*parts]
	par.For(len(s.w), grain, s.normBody)
	for i := range parts {
		nw += s.norms[2*i]
		ng += s.norms[2*i+1]
	}
	return math.Sqrt(nw), math.Sqrt(ng)
}

func (s *larsStep[T]) partNorms(lo, hi int) {
	i := lo / grain
	s.norms[2*i], s.norms[2*i+1] = sumSquares(s.w[lo:hi]), sumSquares(s.g[lo:hi])
}

// sumSquares sums in blocks, as single precision would not do for all.
func sumSquares[T kernel.Float](v []T) float64 {
	const block = 1 << 12
	sum := 0.0
	for ; len(v) > 0; v = v[min(block, len(v)):] {
		b := v[:min(block, len(v))]
		sum += float64(kernel.Dot(b, b))
	}
	return sum
}

// String describes the rule.
func (o *LARS) String() string {
	momentum, trust := o.withDefaults()
	text := fmt.Sprintf("LARS(momentum %v, weight decay %v, trust %v", momentum, o.WeightDecay, trust)
	if o.Vectors {
		text += ", vectors too"
	}
	return text + ")"
}

// State returns the velocities.
func (o *LARS) State() map[string]*tensor.Tensor { return o.memory.state(velocity...) }

// SetState takes over velocities.
func (o *LARS) SetState(params []*tensor.Tensor, state map[string]*tensor.Tensor) error {
	return o.memory.set("LARS", params, state, velocity)
}
