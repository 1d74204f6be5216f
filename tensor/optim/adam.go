package optim

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"slices"

	"github.com/redoubt-ml/redoubt/internal/kernel"
	"github.com/redoubt-ml/redoubt/internal/mem"
	"github.com/redoubt-ml/redoubt/internal/par"
	"github.com/redoubt-ml/redoubt/tensor"
)

var _ Optimizer = (*Adam)(nil)

// Adam scales each step by running moments of the gradient.
//
// Kingma and Ba, ICLR 2015, Algorithm 1; decoupled weight decay: Loshchilov and
// Hutter, ICLR 2019, Algorithm 2.
type Adam struct {
	Beta1       float64 // decay of the first moment; 0 means 0.9
	Beta2       float64 // decay of the second moment; 0 means 0.999
	Eps         float64 // added to the root of the second moment; 0 means 1e-8
	WeightDecay float64 // factor of w; 0 for none
	// Decoupled subtracts lr WeightDecay w from w (AdamW) instead of adding
	// WeightDecay w to the gradient.
	Decoupled bool

	memory memory // first and second moments
	steps  []int  // made with each parameter
}

var adamSlots = []slot{{name: "first"}, {name: "second", notNegative: true}}

// Step moves the parameters.
func (o *Adam) Step(lr float64, params, grads []*tensor.Tensor) {
	check("Adam", params, grads)
	o.memory.belongTo("Adam", params, len(adamSlots))
	if o.steps == nil {
		o.steps = make([]int, len(params))
	}
	first, second := o.memory.slots[0], o.memory.slots[1]
	for i, w := range params {
		if grads[i] == nil {
			continue
		}
		o.steps[i]++
		if w.DType() == tensor.Float32 {
			adamOn(w.Float32s(), first[i].Float32s(), second[i].Float32s(), grads[i].Float32s(), lr, o.steps[i], o)
		} else {
			adamOn(w.Float64s(), first[i].Float64s(), second[i].Float64s(), grads[i].Float64s(), lr, o.steps[i], o)
		}
		w.Touch()
	}
}

// withDefaults returns the decays and eps in use.
func (o *Adam) withDefaults() (beta1, beta2, eps float64) {
	return cmp.Or(o.Beta1, 0.9), cmp.Or(o.Beta2, 0.999), cmp.Or(o.Eps, 1e-8)
}

// adamStep is a step of one parameter in progress, whose parts threads share.
type adamStep[T kernel.Float] struct {
	w, m, v, g                    []T
	lr, beta1, beta2, eps, c1, c2 float64
	decay                         float64
	decoupled                     bool

	body func(lo, hi int)
}

var (
	adamSteps32 mem.Objects[adamStep[float32]]
	adamSteps64 mem.Objects[adamStep[float64]]
)

func adamOn[T kernel.Float](w, m, v, g []T, lr float64, step int, o *Adam) {
	steps := mem.Either[mem.Objects[adamStep[T]]](&adamSteps32, &adamSteps64)
	s, fresh := steps.Get()
	if fresh {
		s.body = s.part
	}
	s.w, s.m, s.v, s.g = w, m, v, g
	s.lr, s.decay, s.decoupled = lr, o.WeightDecay, o.Decoupled
	s.beta1, s.beta2, s.eps = o.withDefaults()
	s.c1, s.c2 = 1-math.Pow(s.beta1, float64(step)), 1-math.Pow(s.beta2, float64(step))
	par.For(len(w), grain, s.body)
	*s = adamStep[T]{body: s.body}
	steps.Put(s)
}

// part moves elements [lo, hi).
func (s *adamStep[T]) part(lo, hi int) {
	kernel.Adam(s.w[lo:hi], s.m[lo:hi], s.v[lo:hi], s.g[lo:hi], s.lr, s.beta1, s.beta2, s.eps, s.decay, s.c1, s.c2, s.decoupled)
}

// String describes the rule.
func (o *Adam) String() string {
	b1, b2, eps := o.withDefaults()
	return fmt.Sprintf("Adam(beta1 %v, beta2 %v, eps %v, weight decay %v, decoupled %v)", b1, b2, eps, o.WeightDecay, o.Decoupled)
}

// State returns both moments and the numbers of steps.
func (o *Adam) State() map[string]*tensor.Tensor {
	s := o.memory.state(adamSlots...)
	if len(s) > 0 {
		steps := tensor.Zeros(tensor.Float64, len(o.steps))
		for i, n := range o.steps {
			steps.Set(float64(n), i)
		}
		s["steps"] = steps
	}
	return s
}

// SetState takes over moments and the numbers of steps.
func (o *Adam) SetState(params []*tensor.Tensor, state map[string]*tensor.Tensor) error {
	if len(state) == 0 {
		o.memory, o.steps = memory{}, nil
		return nil
	}
	m, err := remember("Adam", params, state, adamSlots, "steps")
	if err != nil {
		return err
	}
	t := state["steps"]
	if t == nil {
		return errors.New(`optim: Adam: state has no tensor "steps"`)
	}
	if alike(t, tensor.Scalar(tensor.Float64, 0)) { // as written when all parameters had one number
		t = tensor.Full(tensor.Float64, t.Item(), len(params))
	}
	if want := tensor.Zeros(tensor.Float64, len(params)); !alike(t, want) {
		return fmt.Errorf(`optim: Adam: state tensor "steps" is %v%v, want %v%v`, t.DType(), t.Shape(), want.DType(), want.Shape())
	}
	steps := make([]int, len(params))
	for i, n := range t.Values() {
		if !(n >= 0 && n <= math.MaxInt32) || n != math.Trunc(n) {
			return fmt.Errorf("optim: Adam: state has made %v steps with parameter %d, want a whole number from 0 to %d", n, i, math.MaxInt32)
		}
		if n == 0 && !(isZero(m.slots[0][i]) && isZero(m.slots[1][i])) {
			return fmt.Errorf("optim: Adam: state has made 0 steps with parameter %d, and its moments are not 0", i)
		}
		steps[i] = int(n)
	}
	o.memory, o.steps = m, steps
	return nil
}

// isZero says whether all elements are 0.
func isZero(t *tensor.Tensor) bool {
	return !slices.ContainsFunc(t.Values(), func(v float64) bool { return v != 0 })
}
