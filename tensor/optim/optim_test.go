package optim_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/redoubt-ml/redoubt/tensor"
	. "github.com/redoubt-ml/redoubt/tensor/optim"
)

func optimizers() map[string]func() Optimizer {
	return map[string]func() Optimizer{
		"SGD":      func() Optimizer { return &SGD{} },
		"momentum": func() Optimizer { return &SGD{Momentum: 0.9, WeightDecay: 0.01} },
		"Nesterov": func() Optimizer { return &SGD{Momentum: 0.9, Nesterov: true} },
		"Adam":     func() Optimizer { return &Adam{} },
		"AdamW":    func() Optimizer { return &Adam{WeightDecay: 0.01, Decoupled: true} },
		"LARS":     func() Optimizer { return &LARS{Trust: 0.1} },
	}
}

// Two steps of each rule on one parameter w = 1 with gradients 0.5 and -0.25, at
// lr 0.1, worked out by hand from the formulas of the type comments.
func TestStepsFollowTheirFormulas(t *testing.T) {
	adam := func(wd, decoupled float64) float64 {
		w, m, v := 1.0, 0.0, 0.0
		for i, g := range []float64{0.5, -0.25} {
			if decoupled != 0 {
				w -= 0.1 * decoupled * w
			}
			g += wd * w
			m, v = 0.9*m+0.1*g, 0.999*v+0.001*g*g
			k := float64(i + 1)
			w -= 0.1 * m / (1 - math.Pow(0.9, k)) / (math.Sqrt(v/(1-math.Pow(0.999, k))) + 1e-8)
		}
		return w
	}
	for _, c := range []struct {
		o    Optimizer
		want float64
	}{
		{&SGD{}, 1 - 0.05 + 0.025},
		{&SGD{Momentum: 0.9}, 1 - 0.05 - 0.1*(0.9*0.5-0.25)},
		{&SGD{Momentum: 0.9, Nesterov: true}, 1 - 0.1*(0.5+0.9*0.5) - 0.1*(-0.25+0.9*(0.9*0.5-0.25))},
		{&SGD{WeightDecay: 0.1}, (1 - 0.1*(0.5+0.1)) - 0.1*(-0.25+0.1*(1-0.1*0.6))},
		{&Adam{}, adam(0, 0)},
		{&Adam{WeightDecay: 0.1}, adam(0.1, 0)},
		{&Adam{WeightDecay: 0.1, Decoupled: true}, adam(0, 0.1)},
	} {
		for _, d := range []tensor.DType{tensor.Float32, tensor.Float64} {
			w := []*tensor.Tensor{tensor.Full(d, 1, 1)}
			require.NoError(t, c.o.SetState(w, nil))
			for _, g := range []float64{0.5, -0.25} {
				c.o.Step(0.1, w, []*tensor.Tensor{tensor.Full(d, g, 1)})
			}
			require.InDelta(t, c.want, w[0].Item(), 1e-6, "%T%+v %v", c.o, c.o, d)
		}
	}
}

// A matrix moves by trust ‖w‖/‖g‖ lr g, a vector by lr g.
func TestLARSScalesMatricesOnly(t *testing.T) {
	w := []*tensor.Tensor{tensor.Full(tensor.Float64, 3, 2, 2), tensor.Full(tensor.Float64, 3, 2)}
	g := []*tensor.Tensor{tensor.Full(tensor.Float64, 0.5, 2, 2), tensor.Full(tensor.Float64, 0.5, 2)}
	(&LARS{Trust: 0.01}).Step(2, w, g)
	require.InDelta(t, 3-2*0.01*(6./1)*0.5, w[0].At(0, 0), 1e-12)
	require.InDelta(t, 3-2*0.5, w[1].At(0), 1e-12)
}

// An optimiser that takes over another's state goes on with the same bits.
func TestStateCarriesOver(t *testing.T) {
	for name, make := range optimizers() {
		r := rand.New(rand.NewPCG(1, 1))
		a := []*tensor.Tensor{tensor.Normal(r, tensor.Float32, 0, 1, 3, 2), tensor.Normal(r, tensor.Float32, 0, 1, 2)}
		b := []*tensor.Tensor{a[0].Clone(), a[1].Clone()}
		grads := func(seed uint64) []*tensor.Tensor {
			r := rand.New(rand.NewPCG(seed, 2))
			return []*tensor.Tensor{tensor.Normal(r, tensor.Float32, 0, 1, 3, 2), tensor.Normal(r, tensor.Float32, 0, 1, 2)}
		}
		first, second := make(), make()
		for s := range uint64(6) {
			if s == 3 {
				require.NoError(t, second.SetState(b, first.State()), name)
				b[0].CopyFrom(a[0])
				b[1].CopyFrom(a[1])
			}
			first.Step(0.1, a, grads(s))
			if s >= 3 {
				second.Step(0.1, b, grads(s))
			}
		}
		require.Equal(t, a[0].Values(), b[0].Values(), name)
		require.Equal(t, a[1].Values(), b[1].Values(), name)
		if len(first.State()) > 0 {
			bad := first.State()
			for k := range bad {
				bad[k] = tensor.Zeros(tensor.Float32, 9)
			}
			require.Error(t, second.SetState(b, bad), name)
			require.Error(t, second.SetState(b, map[string]*tensor.Tensor{"other": a[0]}), name)
		}
	}
}

func TestStepRefusesWrongGradients(t *testing.T) {
	w := []*tensor.Tensor{tensor.Zeros(tensor.Float32, 2)}
	for name, make := range optimizers() {
		require.Panics(t, func() { make().Step(1, w, nil) }, name)
		require.Panics(t, func() { make().Step(1, w, []*tensor.Tensor{tensor.Zeros(tensor.Float32, 3)}) }, name)
		require.Panics(t, func() { make().Step(1, w, []*tensor.Tensor{tensor.Zeros(tensor.Float64, 2)}) }, name)
	}
}

func TestSchedules(t *testing.T) {
	near := func(want, got float64) { t.Helper(); require.InDelta(t, want, got, 1e-12) }
	c := Cosine(2, 10)
	near(2, c(0))
	near(1, c(5))
	near(0, c(10))
	near(0, c(99))
	d := StepDecay(1, 0.1, 3, 6)
	near(1, d(2))
	near(0.1, d(3))
	near(0.01, d(6))
	w := WarmUp(4, Constant(2))
	near(0.5, w(0))
	near(2, w(3))
	near(2, w(4))
	tri := Triangle(1, 2, 6)
	near(0.5, tri(0))
	near(1, tri(1))
	near(1, tri(2))
	near(0.25, tri(5))
	near(0, tri(6))
}

func TestSchedulesRefuseStepsThatAreNone(t *testing.T) {
	for want, f := range map[string]func(){
		"optim: Cosine: number of steps is 0, want at least 1":   func() { Cosine(0.1, 0) },
		"optim: Cosine: number of steps is -1, want at least 1":  func() { Cosine(0.1, -1) },
		"optim: Triangle: number of steps is 0, want at least 1": func() { Triangle(0.1, 0, 0) },
		"optim: Triangle: peak is -1, want at least 0":           func() { Triangle(0.1, -1, 3) },
		"optim: WarmUp: number of steps is -2, want at least 0":  func() { WarmUp(-2, Constant(1)) },
		"optim: StepDecay: milestone is -1, want at least 0":     func() { StepDecay(1, 0.1, 3, -1) },
	} {
		require.PanicsWithValue(t, want, f)
	}
	require.Equal(t, 2., WarmUp(0, Constant(2))(0))
	// Whatever the shape, a rate is a finite number and 0 after the end.
	for _, peak := range []int{0, 1, 2, 5, 9} {
		tri := Triangle(1, peak, 5)
		for step := range 12 {
			v := tri(step)
			require.True(t, v >= 0 && v <= 1, "peak %d, step %d: %v", peak, step, v)
			require.Equal(t, step >= 5, v == 0, "peak %d, step %d: %v", peak, step, v)
		}
	}
	require.Equal(t, []float64{1, 0}, []float64{Cosine(1, 1)(0), Cosine(1, 1)(1)})
}

// Adam finds the minimum of a badly scaled bowl.
func ExampleAdam() {
	w := []*tensor.Tensor{tensor.FromFloat64([]float64{3, -2})}
	scale := tensor.FromFloat64([]float64{1, 100})
	opt := &Adam{}
	lr := Cosine(0.1, 500)
	for step := range 500 {
		opt.Step(lr(step), w, []*tensor.Tensor{tensor.Mul(w[0], scale)})
	}
	fmt.Println(tensor.MaxAbs(w[0]) < 1e-3)
	// Output: true
}

// A step allocates nothing once the optimiser has its memory.
func TestStepsMakeNoGarbage(t *testing.T) {
	for name, make := range optimizers() {
		for _, d := range []tensor.DType{tensor.Float32, tensor.Float64} {
			o := make()
			w := []*tensor.Tensor{tensor.Full(d, 1, 30, 20), tensor.Full(d, 1, 20)}
			g := []*tensor.Tensor{tensor.Full(d, 1e-3, 30, 20), tensor.Full(d, 1e-3, 20)}
			o.Step(0.1, w, g)
			require.Zero(t, testing.AllocsPerRun(10, func() { o.Step(0.1, w, g) }), "%s, %v", name, d)
		}
	}
}
