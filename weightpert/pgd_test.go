package weightpert

import (
	"context"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/redoubt-ml/redoubt/tensor"
	"github.com/redoubt-ml/redoubt/tensor/nn"
)

func TestLeakyBackwardChangesGradientsOnly(t *testing.T) {
	tape := tensor.NewTape()
	x := tape.Watch(tensor.FromFloat32([]float32{-2, -.3, .7, 5}))
	y := leakyBackward(x, .3)
	require.Equal(t, tensor.ReLU(x).Values(), y.Values())
	g := tensor.Grad(tensor.Sum(y), x)[0]
	require.InDeltaSlice(t, []float64{.3, .3, 1, 1}, g.Values(), 1e-7)
	net := small(1)
	in := tensor.Uniform(rand.New(rand.NewPCG(1, 1)), tensor.Float32, 0, 1, 3, 28, 28, 1)
	leaks, found := leaky(net, .3)
	require.True(t, found)
	require.Equal(t, nn.Classifier{Net: net}.Logits(in).Values(), nn.Classifier{Net: leaks}.Logits(in).Values())
}

// ReLUs leak in Sequentials inside others, in residual blocks and behind changed
// weights; where none can, an attack that asks for it is refused.
func TestReLUsLeakInsideBlocks(t *testing.T) {
	rng := rand.New(rand.NewPCG(8, 1))
	conv := func(in, out, stride int) *nn.Conv2D {
		return nn.NewConv2DNoBias(rng, in, out, 3, tensor.Same(stride, 1))
	}
	block := &nn.BasicBlock{Conv1: conv(1, 2, 2), Conv2: conv(2, 2, 1), Norm1: nn.NewBatchNorm(2), Norm2: nn.NewBatchNorm(2), Shortcut: nn.NewSequential(conv(1, 2, 2))}
	net := nn.NewSequential(nn.NewSequential(block), nn.Flatten, nn.NewLinear(rng, 8, 3))
	x := tensor.Uniform(rng, tensor.Float32, 0, 1, 5, 4, 4, 1)
	ws := Matrices(net)
	changed := Perturbed{Net: net, Params: ws[:1], Values: []*tensor.Tensor{tensor.MulScalar(ws[0], 2)}}
	gradient := func(l nn.Layer, of *tensor.Tensor) (values, grad []float64) {
		p := &nn.Pass{}
		w := p.Watch(tensor.NewTape(), []*tensor.Tensor{of})[0]
		f := l.Forward(p, x)
		return f.Values(), tensor.Grad(tensor.Sum(tensor.CrossEntropy(f, []int{0, 1, 2, 0, 1})), w)[0].Values()
	}
	for _, l := range []nn.Layer{net, changed} {
		leaks, found := leaky(l, .3)
		require.True(t, found)
		of := nn.Params(l)[0]
		want, strict := gradient(l, of)
		got, grad := gradient(leaks, of)
		require.InDeltaSlice(t, want, got, 1e-6)
		require.NotEqual(t, strict, grad)
	}
	smooth := nn.NewSequential(nn.Flatten, nn.NewLinear(rng, 16, 4), nn.Sigmoid, nn.NewLinear(rng, 4, 3))
	_, err := PGD{Eps: .1, Steps: 1}.Run(context.Background(), smooth, x, []int{0, 1, 2, 0, 1})
	require.NoError(t, err)
	_, err = PGD{Eps: .1, Steps: 1, Leak: .2}.Run(context.Background(), smooth, x, []int{0, 1, 2, 0, 1})
	require.ErrorContains(t, err, "leak is 0.2, but no ReLU")
}

// Attacked weights stay in the budget, the network stays as it is, a seed decides
// the outcome, and more budget or a better objective never helps the network.
func TestUniversalAttacksKeepTheirBudget(t *testing.T) {
	net, x, y := trained(t, nil)
	before := snapshot(net)
	ctx := context.Background()
	clean, err := Accuracy(ctx, net, x, y)
	require.NoError(t, err)
	for _, ball := range []Ball{Linf, RelativeLinf, L2} {
		last := clean
		for _, eps := range []float64{0, 1e-9, .003, .01, .03, .1} {
			a := PGD{Eps: eps, Ball: ball, Steps: 8, Restarts: 2, Seed: 4, BatchSize: 128}
			out, err := a.Run(ctx, net, x, y)
			require.NoError(t, err)
			require.Equal(t, clean, out.Clean)
			require.LessOrEqual(t, out.Accuracy, last+.01, "%v %v", ball, eps)
			last = out.Accuracy
			for i, w := range out.Network.Params {
				sq := 0.0
				for k, v := range out.Network.Values[i].Values() {
					d := math.Abs(v - float64(w.Float32s()[k]))
					sq += d * d
					switch ball {
					case Linf:
						require.LessOrEqual(t, d, eps)
					case RelativeLinf:
						require.LessOrEqual(t, d, eps*math.Abs(float64(w.Float32s()[k])))
					}
				}
				if ball == L2 {
					require.LessOrEqual(t, math.Sqrt(sq), eps*frobenius(w)*(1+1e-12))
				}
			}
			acc, err := Accuracy(ctx, out.Network, x, y)
			require.NoError(t, err)
			require.InDelta(t, out.Accuracy, acc, 1e-9)
			again, err := a.Run(ctx, net, x, y)
			require.NoError(t, err)
			require.Equal(t, out.Network.Values[1].Values(), again.Network.Values[1].Values())
			if eps == 0 {
				require.Equal(t, clean, out.Accuracy)
			}
		}
		require.Less(t, last, clean-.3, ball.String())
	}
	none, err := PGD{Eps: .1, StartOnly: true}.Run(ctx, net, x, y)
	require.NoError(t, err)
	require.Equal(t, clean, none.Accuracy)
	n, v := g3(t)
	still, err := SamplePGD{StartOnly: true}.Run(ctx, n, grown(t, n, Absolute(), .2), v, 1)
	require.NoError(t, err)
	require.Equal(t, 2., still.Margin)
	require.Same(t, n, still.Network)
	require.Equal(t, before, snapshot(net))
}

// With momentum a step follows the decayed sum of the gradients, each relative to its
// mean modulus, and a new start forgets it.
func TestMomentumSumsGradients(t *testing.T) {
	w := tensor.FromFloat32([]float32{1, 1})
	u := &ascent{PGD: PGD{Momentum: .5, StepSize: .25}, params: []*tensor.Tensor{w}, at: []*tensor.Tensor{w.Clone()},
		grads: []*tensor.Tensor{tensor.FromFloat32([]float32{3, 1})}, pace: [][]float32{{0, 0}}, limits: []limits{{lo: []float32{0, 0}, hi: []float32{2, 2}}}}
	u.step(0)
	require.Equal(t, []float32{1.5, .5}, u.pace[0])
	require.Equal(t, []float32{1.25, 1.25}, u.at[0].Float32s())
	u.grads[0] = tensor.FromFloat32([]float32{-.2, -2})
	u.step(0)
	require.InDeltaSlice(t, []float64{.75 - 2./11, .25 - 20./11}, []float64{float64(u.pace[0][0]), float64(u.pace[0][1])}, 1e-6)
	require.Equal(t, []float32{1.5, 1}, u.at[0].Float32s())
	u.begin(0, false, nil)
	require.Equal(t, []float32{0, 0}, u.pace[0])

	net, x, y := trained(t, nil)
	out, err := PGD{Eps: .01, Steps: 8, Momentum: .9}.Run(context.Background(), net, x, y)
	require.NoError(t, err)
	require.Less(t, out.Accuracy, out.Clean-.05)
	_, err = PGD{Eps: .01, Momentum: 1.5}.Run(context.Background(), net, x, y)
	require.ErrorContains(t, err, "momentum is 1.5")
}

// Four examples, of which one is lost far beyond the margin of -0.5, worked out by
// hand.
func TestObjectivesSumWhatTheyName(t *testing.T) {
	logits := tensor.FromFloat64([]float64{2, 0, 1, 0, 3, 1, 1, .8, 0, -1, 4, 0}, 4, 3)
	y := []int{0, 1, 1, 0} // margins 1, 2, -0.2, -5
	ce := func(i, c int) float64 {
		f := logits.Values()[3*i : 3*i+3]
		return math.Log(math.Exp(f[0])+math.Exp(f[1])+math.Exp(f[2])) - f[c]
	}
	for _, c := range []struct {
		o    Objective
		want float64
		n    int
	}{
		{Objective{Kind: CrossEntropy}, ce(0, 0) + ce(1, 1) + ce(2, 1) + ce(3, 0), 4},
		{Objective{Kind: StillCorrect}, ce(0, 0) + ce(1, 1) + ce(2, 1), 3},
		{Objective{Kind: Hinge}, -1 - 2 + .2, 3},
		{Objective{Push, 2}, -ce(0, 2) - ce(1, 2) - ce(2, 2) - ce(3, 2), 4},
		{Objective{Kind: DLR}, -1./2 - 2./3 + .2/1 + 5./5, 4},
	} {
		v, n := c.o.sum(logits, y)
		require.InDelta(t, c.want, v.Item(), 1e-9, c.o)
		require.Equal(t, c.n, n, c.o)
	}
	v, n := Objective{Kind: Hinge}.sum(logits, []int{1, 0, 2, 0})
	require.Nil(t, v)
	require.Zero(t, n)
}

// Every objective moves what it names, and pushing to a class makes it more frequent.
func TestObjectivesGoUp(t *testing.T) {
	net, x, y := trained(t, nil)
	ctx := context.Background()
	cleanLogits := net.Forward(&nn.Pass{}, x)
	for _, o := range []Objective{{}, {Kind: StillCorrect}, {Kind: Hinge}, {Kind: DLR}, {Push, 0}, {Push, 4}, {Push, 9}} {
		out, err := PGD{Eps: .01, Steps: 5, Objective: o}.Run(ctx, net, x, y)
		require.NoError(t, err)
		require.Less(t, out.Accuracy, out.Clean, o)
		moved := out.Network.Forward(&nn.Pass{}, x)
		before, n := o.sum(cleanLogits, y)
		after, m := o.sum(moved, y)
		if o.Kind == StillCorrect || o.Kind == Hinge {
			// The mask shrinks; compare on examples that count before.
			require.Less(t, m, n, o)
			before, _ = Objective{Kind: CrossEntropy}.sum(cleanLogits, y)
			after, _ = Objective{Kind: CrossEntropy}.sum(moved, y)
		}
		require.Greater(t, after.Item(), before.Item(), o)
		if o.Kind == Push {
			require.Greater(t, count(tensor.ArgMax(moved), o.Class), count(tensor.ArgMax(cleanLogits), o.Class)+10, o)
		}
	}
}

func count(v []int, c int) (n int) {
	for _, x := range v {
		if x == c {
			n++
		}
	}
	return n
}

// Steps as large as the budget go to and fro: the outcome is the worst iterate, so more
// steps never help the network, and the worst one is not always the last.
func TestWorstIterateIsKept(t *testing.T) {
	net, x, y := trained(t, nil)
	before, early := 1., 0
	for steps := 1; steps <= 10; steps++ {
		out, err := PGD{Eps: .02, Steps: steps, StepSize: 2}.Run(context.Background(), net, x, y)
		require.NoError(t, err)
		require.LessOrEqual(t, out.Accuracy, before)
		before = out.Accuracy
		if out.Step < steps {
			early++
		}
	}
	require.Positive(t, early)
}

func TestEnsembleIsTheWorstOfItsObjectives(t *testing.T) {
	net, x, y := trained(t, nil)
	ctx := context.Background()
	a := PGD{Eps: .01, Steps: 5}
	all, err := a.Ensemble(ctx, net, x, y)
	require.NoError(t, err)
	require.Len(t, all, 14)
	names := map[string]bool{}
	for _, o := range all {
		require.LessOrEqual(t, all[0].Accuracy, o.Accuracy)
		names[o.Objective] = true
	}
	require.Len(t, names, 14)
	require.Contains(t, names, Objective{Kind: DLR}.String())
	one, err := a.Run(ctx, net, x, y)
	require.NoError(t, err)
	require.LessOrEqual(t, all[0].Accuracy, one.Accuracy)
	layer, err := PGD{Eps: .01, Steps: 5, Layers: []int{1}}.Run(ctx, net, x, y)
	require.NoError(t, err)
	require.Len(t, layer.Network.Params, 1)
	require.GreaterOrEqual(t, layer.Accuracy, one.Accuracy)
	biased, err := PGD{Eps: .01, Steps: 5, Biases: true}.Run(ctx, net, x, y)
	require.NoError(t, err)
	require.Len(t, biased.Network.Params, 6)
}

// No certified example is flipped, by an attack of its own or by a universal one, and
// the exact bound of the last two layers is what its witness has.
func TestCertifiedExamplesAreNeverFlipped(t *testing.T) {
	net, x, y := trained(t, nil)
	ctx := context.Background()
	n, err := FromNN(net, 28, 28, 1)
	require.NoError(t, err)
	rows := Examples(x)
	certified := 0
	for _, eps := range []float64{3e-4, 1e-3, 3e-3} {
		b := grown(t, n, Absolute(), eps)
		low, err := SamplePGD{Steps: 8, Rivals: 3}.Margins(ctx, n, b, rows[:60], y[:60])
		require.NoError(t, err)
		var broken []*Network
		for _, o := range []Objective{{}, {Kind: StillCorrect}, {Kind: Hinge}, {Push, 3}} {
			out, err := PGD{Eps: eps, Steps: 8, Objective: o}.Run(ctx, net, x, y)
			require.NoError(t, err)
			broken = append(broken, rebuilt(t, out.Network))
			require.True(t, b.Contains(broken[len(broken)-1]))
		}
		for _, m := range everyMethod {
			c, err := Certify(ctx, m, n, b, rows, y)
			require.NoError(t, err)
			for i, ok := range c.Certified {
				if !ok {
					continue
				}
				certified++
				if i < len(low) {
					require.Positive(t, low[i])
					require.GreaterOrEqual(t, low[i], c.Margin[i])
				}
				for _, net := range broken {
					require.Equal(t, y[i], argMax(net.Logits(rows[i])), "%s at %v", m.Name(), eps)
				}
			}
		}
		two := grown(t, n, Absolute(1, 2), 10*eps)
		for i := range 20 {
			out, err := Margins(IBP{}, n, two, rows[i], y[i])
			require.NoError(t, err)
			for j := range out {
				if j == y[i] {
					continue
				}
				w, err := LastTwo(n, two, rows[i], y[i], j)
				require.NoError(t, err)
				require.InDelta(t, w.Margin, out[j], 2e-12*(1+math.Abs(w.Margin)))
			}
		}
	}
	require.Greater(t, certified, 500)
}

// On the last two layers the exact margin is known; with true gradients the descent
// misses it more often than with a leak.
func TestLeakFindsWhatDeadUnitsHide(t *testing.T) {
	net, x, y := trained(t, nil)
	n, err := FromNN(net, 28, 28, 1)
	require.NoError(t, err)
	rows := Examples(x)
	b := grown(t, n, Absolute(1), .05)
	leaked, dead, exact := 0.0, 0.0, 0.0
	for i := range 40 {
		out, err := Margins(IBP{}, n, b, rows[i], y[i])
		require.NoError(t, err)
		l, err := SamplePGD{}.Run(context.Background(), n, b, rows[i], y[i])
		require.NoError(t, err)
		d, err := SamplePGD{Leak: -1}.Run(context.Background(), n, b, rows[i], y[i])
		require.NoError(t, err)
		require.True(t, b.Contains(l.Network))
		f := l.Network.Logits(rows[i])
		require.InDelta(t, l.Margin, f[y[i]]-f[l.Rival], 1e-12)
		require.GreaterOrEqual(t, l.Margin, least(out, y[i]))
		exact, leaked, dead = exact+least(out, y[i]), leaked+l.Margin, dead+d.Margin
	}
	require.Less(t, leaked, dead)
	require.InDelta(t, exact, leaked, .05*math.Abs(exact))
}

func TestBadAttacksAreErrors(t *testing.T) {
	net := small(1)
	ctx := context.Background()
	x := tensor.Zeros(tensor.Float32, 2, 28, 28, 1)
	y := []int{1, 2}
	for want, a := range map[string]PGD{
		"eps is -1":         {Eps: -1},
		"eps is NaN":        {Eps: math.NaN()},
		"unknown budget":    {Ball: 9},
		"unknown objective": {Objective: Objective{Kind: 9}},
		"step size":         {StepSize: -1},
		"restarts":          {Restarts: -1},
		"-1 steps":          {Steps: -1},
		"batch size":        {BatchSize: -1},
		"leak":              {Leak: 2},
		"weight matrix 3":   {Layers: []int{3}},
		"class to push to":  {Objective: Objective{Push, 10}},
		"biases":            {Biases: true, Layers: []int{0}},
	} {
		_, err := a.Run(ctx, net, x, y)
		require.ErrorContains(t, err, want)
	}
	_, err := PGD{}.Run(ctx, nil, x, y)
	require.ErrorContains(t, err, "no network")
	_, err = PGD{}.Run(ctx, net, nil, nil)
	require.ErrorContains(t, err, "0 inputs")
	_, err = PGD{}.Run(ctx, net, x, y[:1])
	require.ErrorContains(t, err, "1 labels")
	_, err = PGD{}.Run(ctx, net, x, []int{1, 10})
	require.ErrorContains(t, err, "label 1 is 10")
	_, err = PGD{}.Run(ctx, net, tensor.Zeros(tensor.Float32, 2, 3), y)
	require.ErrorContains(t, err, "[3]")
	x.Set(math.NaN(), 0, 0, 0, 0)
	_, err = PGD{}.Ensemble(ctx, net, x, y)
	require.ErrorContains(t, err, "finite")
	x.Set(0, 0, 0, 0, 0)
	nn.Params(net)[0].Set(math.NaN(), 0, 0)
	_, err = Accuracy(ctx, net, x, y)
	require.ErrorContains(t, err, "parameter 0")
	stopped, cancel := context.WithCancel(ctx)
	cancel()
	none, err := PGD{}.Run(stopped, small(1), x, y)
	require.ErrorIs(t, err, context.Canceled)
	require.Nil(t, none.Network.Net)
	_, err = Accuracy(stopped, small(1), x, y)
	require.ErrorIs(t, err, context.Canceled)
}

func TestThreadsDoNotMatter(t *testing.T) {
	net, x, y := trained(t, nil)
	ctx := context.Background()
	n, err := FromNN(net, 28, 28, 1)
	require.NoError(t, err)
	defer tensor.SetThreads(0)
	var margins [2][]float64
	var weights [2][]float64
	var bits [2][]BitFlip
	for i, threads := range []int{1, 3} {
		tensor.SetThreads(threads)
		c, err := Certify(ctx, CROWN{}, n, grown(t, n, Absolute(), .002), Examples(x)[:40], y[:40])
		require.NoError(t, err)
		out, err := PGD{Eps: .01, Steps: 5}.Run(ctx, net, x, y)
		require.NoError(t, err)
		q, err := Quantizer{}.Quantize(net)
		require.NoError(t, err)
		s, err := BitSearch{Flips: 3}.Run(ctx, q, x)
		require.NoError(t, err)
		margins[i], weights[i], bits[i] = c.Margin, out.Network.Values[0].Values(), s.Flips
	}
	require.Equal(t, margins[0], margins[1])
	require.Equal(t, weights[0], weights[1])
	require.Equal(t, bits[0], bits[1])
}

// A run that is stopped keeps what it has: the worst iterate, the outcomes of the
// objectives so far, the examples that are done.
func TestStoppedRunsReturnWhatTheyHave(t *testing.T) {
	net, x, y := trained(t, nil)
	a := PGD{Eps: .01, Steps: 3}
	full, err := a.Ensemble(context.Background(), net, x, y)
	require.NoError(t, err)
	for _, stop := range []int{2, 4, 6} {
		ctx, cancel := context.WithCancel(context.Background())
		steps := 0
		a.OnProgress = func(int, int) {
			if steps++; steps == stop {
				cancel()
			}
		}
		out, err := a.Ensemble(ctx, net, x, y)
		require.ErrorIs(t, err, context.Canceled)
		require.Len(t, out, (stop+3)/4, "stopped after %d of 4 iterates", stop)
		require.Equal(t, full[0].Clean, out[0].Clean)
		acc, err := Accuracy(context.Background(), out[0].Network, x, y)
		require.NoError(t, err)
		require.Equal(t, out[0].Accuracy, acc)
		require.Less(t, acc, out[0].Clean)
	}

	n, v := g3(t)
	box := grown(t, n, Absolute(), .01)
	ctx, cancel := context.WithCancel(context.Background())
	many, labels := make([][]float64, 1024), make([]int, 1024)
	for i := range many {
		many[i], labels[i] = v, 1
	}
	c, err := Certify(ctx, stopping{IBP{}, cancel}, n, box, many, labels)
	require.ErrorIs(t, err, context.Canceled)
	require.Positive(t, c.Count)
	require.Less(t, c.Count, c.Total)
	for i, m := range c.Margin {
		require.Equal(t, c.Certified[i], m > 0)
		require.Equal(t, !c.Certified[i], math.IsInf(m, -1))
	}
	low, err := SamplePGD{}.Margins(ctx, n, box, many, labels)
	require.ErrorIs(t, err, context.Canceled)
	require.Len(t, low, 1024)
	require.True(t, math.IsNaN(low[0]))
}

// stopping is a method that cancels its context while it bounds its first example.
type stopping struct {
	Method
	cancel func()
}

func (s stopping) prepare(n *Network, b *Box) (bounder, error) {
	f, err := s.Method.prepare(n, b)
	return func() margins {
		m := f()
		return func(out, x []float64, y int) {
			s.cancel()
			m(out, x, y)
		}
	}, err
}
