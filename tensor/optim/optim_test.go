package optim_test

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
	"gonum.org/v1/gonum/floats"

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
	adam := func(beta1, beta2, eps, wd, decoupled float64) float64 {
		w, m, v := 1.0, 0.0, 0.0
		for i, g := range []float64{0.5, -0.25} {
			if decoupled != 0 {
				w -= 0.1 * decoupled * w
			}
			g += wd * w
			m, v = beta1*m+(1-beta1)*g, beta2*v+(1-beta2)*g*g
			k := float64(i + 1)
			w -= 0.1 * m / (1 - math.Pow(beta1, k)) / (math.Sqrt(v/(1-math.Pow(beta2, k))) + eps)
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
		{&Adam{}, adam(0.9, 0.999, 1e-8, 0, 0)},
		{&Adam{Beta1: 0.5, Beta2: 0.75, Eps: 0.25}, adam(0.5, 0.75, 0.25, 0, 0)},
		{&Adam{WeightDecay: 0.1}, adam(0.9, 0.999, 1e-8, 0.1, 0)},
		{&Adam{WeightDecay: 0.1, Decoupled: true}, adam(0.9, 0.999, 1e-8, 0, 0.1)},
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

// Two steps of LARS on a vector, from the formulas by an independent program.
func TestLARSScalesVectorsWhenAsked(t *testing.T) {
	w, g := tensor.FromFloat64([]float64{3, 4}, 2), tensor.FromFloat64([]float64{0.6, 0.8}, 2)
	o := &LARS{WeightDecay: 1e-6, Vectors: true}
	for _, want := range [][]float64{{2.985, 3.980}, {2.956575, 3.942100}} {
		o.Step(5, []*tensor.Tensor{w}, []*tensor.Tensor{g})
		require.InDeltaSlice(t, want, w.Values(), 1e-6)
	}
}

// Decay adds to the gradient and takes from the rate: 5 · 0.001 · 5/(1 + 0.1 · 5) of
// (0.6, 0.8) + 0.1 (3, 4).
func TestLARSDecays(t *testing.T) {
	for d, digits := range map[tensor.DType]float64{tensor.Float32: 1e-6, tensor.Float64: 1e-12} {
		w, g := tensor.FromFloat64([]float64{3, 4}, 1, 2).To(d), tensor.FromFloat64([]float64{0.6, 0.8}, 1, 2).To(d)
		(&LARS{WeightDecay: 0.1}).Step(5, []*tensor.Tensor{w}, []*tensor.Tensor{g})
		require.InDeltaSlice(t, []float64{2.985, 3.980}, w.Values(), digits)
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

// A memory that no steps of the same rule on the same parameters can have led to
// is an error, and the optimiser goes on with the memory that it had.
func TestBadStatesAreRefused(t *testing.T) {
	form := func(d tensor.DType, v float64) []*tensor.Tensor {
		return []*tensor.Tensor{tensor.Full(d, v, 3, 2), tensor.Full(d, v, 2)}
	}
	stepped := func(o Optimizer, w []*tensor.Tensor) Optimizer {
		o.Step(0.1, w, form(tensor.Float32, 0.5))
		return o
	}
	steps := func(v ...float64) *tensor.Tensor { return tensor.FromFloat64(v) }
	vector := func(v ...float64) *tensor.Tensor { return tensor.FromFloat64(v).To(tensor.Float32) }
	type change = map[string]*tensor.Tensor
	for want, c := range map[string]struct {
		from, to Optimizer
		change   change // nil takes a tensor out
	}{
		"optim: Adam: state has made NaN steps":        {&Adam{}, &Adam{}, change{"steps": steps(math.NaN(), 1)}},
		"optim: Adam: state has made -3 steps":         {&Adam{}, &Adam{}, change{"steps": steps(-3, 1)}},
		"optim: Adam: state has made 0 steps":          {&Adam{}, &Adam{}, change{"steps": steps(0, 1)}},
		"optim: Adam: state has made 1.5 steps":        {&Adam{}, &Adam{}, change{"steps": steps(1.5, 1)}},
		"optim: Adam: state has made 1e+300 steps":     {&Adam{}, &Adam{}, change{"steps": steps(1e300, 1)}},
		"optim: Adam: state has made 2.5 steps":        {&Adam{}, &Adam{}, change{"steps": tensor.Scalar(tensor.Float64, 2.5)}},
		`state tensor "steps" is float64[3], want`:     {&Adam{}, &Adam{}, change{"steps": steps(1, 1, 1)}},
		`state tensor "steps" is float32[2], want`:     {&Adam{}, &Adam{}, change{"steps": steps(1, 1).To(tensor.Float32)}},
		`Adam: state has no tensor "steps"`:            {&Adam{}, &Adam{}, change{"steps": nil}},
		`tensor "second.1": value 1 is -1, want 0`:     {&Adam{}, &Adam{}, change{"second.1": vector(0, -1)}},
		`"first.1" holds a value that is not finite`:   {&Adam{}, &Adam{}, change{"first.1": vector(0, math.Inf(-1))}},
		`"second.1" holds a value that is not fin`:     {&Adam{}, &Adam{}, change{"second.1": vector(0, math.NaN())}},
		`"first.0" is float32[2 3], want float32[3 2`:  {&Adam{}, &Adam{}, change{"first.0": tensor.Zeros(tensor.Float32, 2, 3)}},
		`"first.0" is float32[6], want float32[3 2]`:   {&Adam{}, &Adam{}, change{"first.0": tensor.Zeros(tensor.Float32, 6)}},
		`"first.0" is float64[3 2], want float32[3`:    {&Adam{}, &Adam{}, change{"first.0": tensor.Zeros(tensor.Float64, 3, 2)}},
		`Adam: state has no tensor "first.1"`:          {&Adam{}, &Adam{}, change{"first.1": nil}},
		`has a tensor "first.2", which Adam with 2 p`:  {&Adam{}, &Adam{}, change{"first.2": vector(0)}},
		`Adam: state has no tensor "first.0"`:          {&SGD{Momentum: 0.9}, &Adam{}, nil},
		`SGD: state has no tensor "velocity.0"`:        {&Adam{}, &SGD{Momentum: 0.9}, nil},
		`SGD: state has a tensor "velocity.0", which`:  {&SGD{Momentum: 0.9}, &SGD{}, nil},
		`SGD: state has a tensor "first.0", which SGD`: {&Adam{}, &SGD{}, nil},
		`SGD: state tensor "velocity.1" holds a value`: {&SGD{Momentum: 0.9}, &SGD{Momentum: 0.9}, change{"velocity.1": vector(math.NaN(), 0)}},
		`LARS: state tensor "velocity.1" is float32[1`: {&LARS{}, &LARS{}, change{"velocity.1": vector(0)}},
	} {
		w := form(tensor.Float32, 1)
		state := stepped(c.from, form(tensor.Float32, 1)).State()
		for name, v := range c.change {
			state[name] = v
			if v == nil {
				delete(state, name)
			}
		}
		before := stepped(c.to, w).State()
		require.ErrorContains(t, c.to.SetState(w, state), want)
		require.Equal(t, before, c.to.State(), want)
		require.NotPanics(t, func() { c.to.Step(0.1, w, form(tensor.Float32, 0.5)) }, want)
	}
}

// An optimiser with a memory that gets other parameters says so.
func TestStepWantsTheParametersOfTheStepsBefore(t *testing.T) {
	zeros := func(dims ...int) *tensor.Tensor { return tensor.Zeros(tensor.Float32, dims...) }
	w := []*tensor.Tensor{zeros(3, 2), zeros(2)}
	for name, o := range map[string]Optimizer{"Adam": &Adam{}, "SGD": &SGD{Momentum: 0.5}, "LARS": &LARS{}} {
		step := func(params ...*tensor.Tensor) func() {
			return func() {
				var grads []*tensor.Tensor
				for _, w := range params {
					grads = append(grads, w.Clone())
				}
				o.Step(0.1, params, grads)
			}
		}
		step(w...)()
		require.PanicsWithValue(t, "optim: "+name+": 1 parameters, want the 2 of the steps before", step(w[0]))
		require.PanicsWithValue(t, "optim: "+name+": parameter 1 is float32[3], want float32[2] as in the steps before", step(w[0], zeros(3)))
		require.PanicsWithValue(t, "optim: "+name+": parameter 0 is float64[3 2], want float32[3 2] as in the steps before", step(w[0].To(tensor.Float64), w[1]))
		require.PanicsWithValue(t, "optim: "+name+": parameter 1 of shape [2] is not that of the steps before", step(w[0], zeros(2)))
		require.NotPanics(t, step(w...))
		require.NoError(t, o.SetState(w[:1], nil))
		require.NotPanics(t, step(zeros(5)))
	}
}

func TestOptimizersDescribeWhatTheyDependOn(t *testing.T) {
	require.Equal(t, (&Adam{}).String(), (&Adam{Beta1: 0.9, Beta2: 0.999, Eps: 1e-8}).String())
	require.Equal(t, (&LARS{}).String(), (&LARS{Momentum: 0.9, Trust: 0.001}).String())
	seen := map[string]bool{}
	for _, o := range []Optimizer{
		&SGD{}, &SGD{Momentum: 0.1}, &SGD{WeightDecay: 0.1}, &SGD{Nesterov: true},
		&Adam{}, &Adam{Beta1: 0.1}, &Adam{Beta2: 0.1}, &Adam{Eps: 0.1}, &Adam{WeightDecay: 0.1}, &Adam{Decoupled: true},
		&LARS{}, &LARS{Vectors: true}, &LARS{Momentum: 0.1}, &LARS{WeightDecay: 0.1}, &LARS{Trust: 0.1},
	} {
		require.False(t, seen[o.String()], o.String())
		seen[o.String()] = true
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

func TestNesterovWantsMomentum(t *testing.T) {
	w := []*tensor.Tensor{tensor.Full(tensor.Float32, 1, 2)}
	require.PanicsWithValue(t, "optim: SGD: Nesterov with Momentum 0, want another", func() { (&SGD{Nesterov: true}).Step(0.1, w, w) })
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

// A parameter without a gradient stays as it is, whatever the decay, and so does what is
// remembered of it: its own steps are those of a fresh optimiser.
func TestParametersWithoutAGradientAreLeftAlone(t *testing.T) {
	decaying := optimizers()
	decaying["decaying Adam"] = func() Optimizer { return &Adam{WeightDecay: 1e-6} }
	decaying["decaying LARS"] = func() Optimizer { return &LARS{WeightDecay: 0.1, Vectors: true} }
	for name, make := range decaying {
		for _, d := range []tensor.DType{tensor.Float32, tensor.Float64} {
			full := func(v float64) *tensor.Tensor { return tensor.Full(d, v, 3, 2) }
			o := make()
			w := []*tensor.Tensor{full(1), full(1)}
			for range 3 {
				o.Step(0.1, w, []*tensor.Tensor{full(0.5), nil})
			}
			require.Equal(t, full(1).Values(), w[1].Values(), name)
			require.NotEqual(t, full(1).Values(), w[0].Values(), name)
			require.NoError(t, o.SetState(w, o.State()), name)

			fresh, alone := make(), []*tensor.Tensor{full(1)}
			for range 3 {
				before := w[0].Values()
				o.Step(0.1, w, []*tensor.Tensor{nil, full(0.5)})
				fresh.Step(0.1, alone, []*tensor.Tensor{full(0.5)})
				require.Equal(t, alone[0].Values(), w[1].Values(), name)
				require.Equal(t, before, w[0].Values(), name)
			}
		}
	}
}

// A step allocates nothing once the optimiser has its memory.
func TestStepsMakeNoGarbage(t *testing.T) {
	for name, make := range optimizers() {
		for _, d := range []tensor.DType{tensor.Float32, tensor.Float64} {
			o := make()
			w := []*tensor.Tensor{tensor.Full(d, 1, 300, 200), tensor.Full(d, 1, 20)}
			g := []*tensor.Tensor{tensor.Full(d, 1e-3, 300, 200), tensor.Full(d, 1e-3, 20)}
			o.Step(0.1, w, g)
			require.Zero(t, testing.AllocsPerRun(10, func() { o.Step(0.1, w, g) }), "%s, %v", name, d)
		}
	}
}

// The norms of long parameters are those of the whole.
func TestLARSScalesLongMatrices(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	w, g := tensor.Normal(rng, tensor.Float64, 0, 1, 400, 300), tensor.Normal(rng, tensor.Float64, 0, 2, 400, 300)
	was := w.Clone()
	(&LARS{Trust: 0.1}).Step(0.5, []*tensor.Tensor{w}, []*tensor.Tensor{g})
	want, slope := was.Values(), g.Values()
	floats.AddScaled(want, -0.5*0.1*floats.Norm(want, 2)/floats.Norm(slope, 2), slope)
	require.Less(t, floats.Distance(want, w.Values(), math.Inf(1)), 1e-12)
}

// A long parameter, which threads share, moves like its short pieces, on any number of
// threads. LARS, which looks at the whole, keeps to the number of threads only.
func TestLongParametersMoveLikeTheirPieces(t *testing.T) {
	const piece, pieces = 1 << 13, 13
	defer tensor.SetThreads(0)
	for name, make := range optimizers() {
		for _, d := range []tensor.DType{tensor.Float32, tensor.Float64} {
			steps := func(n, size int) (moved []float64) {
				rng := rand.New(rand.NewPCG(1, 2))
				w, g := tensor.Normal(rng, d, 0, 1, n*size), tensor.Normal(rng, d, 0, 1, n*size)
				var ws, gs []*tensor.Tensor
				for i := range n {
					ws, gs = append(ws, tensor.Slice(w, 0, i*size, (i+1)*size).Clone()), append(gs, tensor.Slice(g, 0, i*size, (i+1)*size))
				}
				o := make()
				for range 2 {
					o.Step(0.1, ws, gs)
				}
				for _, w := range ws {
					moved = append(moved, w.Values()...)
				}
				return moved
			}
			tensor.SetThreads(1)
			want := steps(pieces, piece)
			if name == "LARS" {
				want = steps(1, piece*pieces)
			}
			for _, threads := range []int{1, 2, 5} {
				tensor.SetThreads(threads)
				require.Equal(t, want, steps(1, piece*pieces), "%s, %v, %d threads", name, d, threads)
			}
		}
	}
}
