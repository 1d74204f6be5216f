package fedleak

import (
	"context"
	"fmt"
	"math"
	"slices"

	"github.com/redoubt-ml/redoubt/internal/par"
	"github.com/redoubt-ml/redoubt/tensor"
	"github.com/redoubt-ml/redoubt/tensor/nn"
)

// Inversion finds images from their features at the first dense layer: the
// representation term of the objective of Jin et al., NeurIPS 2021,
//
//	|h(x) - h|²/|h|² + TV(x) weighted,
//
// each slice by itself. First L-BFGS with strong Wolfe line searches; where that ends
// far from the features, as max-pooling makes it do, Adam in the box [0, 1] with a
// total variation that fades away, followed by L-BFGS again, a few times with
// different weights and starting points. The end with the least residual of the
// features is kept.
type Inversion struct {
	// Evaluations is the largest number of gradients that a run of L-BFGS takes;
	// 0 means 60.
	Evaluations int
	// Attempts is the largest number of runs of Adam; 0 means 3, -1 none.
	Attempts int
	// AdamSteps is the number of steps of each run; 0 means 600.
	AdamSteps int
	// LR is Adam's learning rate, which falls to 0 along half a cosine; 0 means
	// 0.2. Attempt a = 1, 2, ... begins with LR/a.
	LR float64
	// TV weighs the total variation at the start of the first attempt, for a unit
	// weight of |h(x) - h|²; it falls to 0 linearly over the first four fifths of
	// the steps. The second attempt has three times as much, the third and later
	// ones a tenth. 0 means 1e-3, -1 none.
	TV float64
	// Tolerance is the relative residual |h(x) - h|/|h| at which a slice is done;
	// 0 means 1e-4. It is raised to the error of the features that noise is estimated to
	// make.
	Tolerance float64
	// Noisy is the relative error from which features count as noisy; 0 means 0.02.
	Noisy float64
	// Seed is the source of starting points.
	Seed uint64
}

// Check says what is wrong with the settings.
func (v Inversion) Check() error {
	for _, c := range []struct {
		name  string
		value float64
		least float64
	}{{"LR", v.LR, 0}, {"TV", v.TV, -1}, {"Tolerance", v.Tolerance, 0}, {"Noisy", v.Noisy, 0}} {
		if !(c.value >= c.least) || math.IsInf(c.value, 0) {
			return fmt.Errorf("fedleak: Inversion: %s is %v, want finite and at least %v", c.name, c.value, c.least)
		}
	}
	if v.Evaluations < 0 || v.AdamSteps < 0 || v.Attempts < -1 {
		return fmt.Errorf("fedleak: Inversion: %d evaluations, %d steps of Adam, %d attempts, want at least 0, 0 and -1", v.Evaluations, v.AdamSteps, v.Attempts)
	}
	return nil
}

// contrast is the scale of differences of neighbouring pixels.
const contrast = 0.1

func (v Inversion) evaluations() int   { return defaultInt(v.Evaluations, 60) }
func (v Inversion) attempts() int      { return max(0, defaultInt(v.Attempts, 3)) }
func (v Inversion) adamSteps() int     { return defaultInt(v.AdamSteps, 600) }
func (v Inversion) lr() float64        { return defaultFloat(v.LR, 0.2) }
func (v Inversion) tv() float64        { return math.Max(0, defaultFloat(v.TV, 1e-3)) }
func (v Inversion) tolerance() float64 { return defaultFloat(v.Tolerance, 1e-4) }

func defaultInt(v, zero int) int {
	if v == 0 {
		return zero
	}
	return v
}

func defaultFloat(v, zero float64) float64 {
	if v == 0 {
		return zero
	}
	return v
}

// slice is a search for one image.
type slice struct {
	net    *nn.Sequential
	tape   *tensor.Tape
	target *tensor.Tensor // [1, d1]
	norm2  float64        // of the target, squared
	dims   []int
	dtype  tensor.DType
}

// at returns |h(x) - h|²/|h|² and its gradient, plus tv times the total variation
// over |h|².
func (s *slice) at(x []float64, tv float64, grad []float64) (feature float64) {
	defer s.tape.Reset()
	in := s.tape.Watch(fromValues(s.dtype, x, s.dims...))
	d := tensor.Sum(tensor.Square(tensor.Sub(s.net.Forward(&nn.Pass{}, in), s.target)))
	feature = d.Item() / s.norm2
	if grad == nil {
		return feature
	}
	if tv > 0 {
		d = tensor.Add(d, tensor.MulScalar(TotalVariation(in), tv))
	}
	g := tensor.Grad(tensor.MulScalar(d, 1/s.norm2), in)[0]
	copy(grad, g.Values())
	return feature
}

// fromValues converts float64 values to a tensor.
func fromValues(dtype tensor.DType, v []float64, dims ...int) *tensor.Tensor {
	if dtype == tensor.Float64 {
		return tensor.FromFloat64(v, dims...)
	}
	f := make([]float32, len(v))
	for i, x := range v {
		f[i] = float32(x)
	}
	return tensor.FromFloat32(f, dims...)
}

// lbfgs moves x to a minimum of the feature term.
func (s *slice) lbfgs(ctx context.Context, x []float64, evaluations int, tolerance float64) {
	best, _ := minimize(ctx, x, evaluations, tolerance*tolerance, func(x, grad []float64) float64 {
		return s.at(x, 0, grad)
	})
	copy(x, best)
}

func same(a, b []float64) bool {
	if len(a) != len(b) {
		return false
	}
	for i, v := range a {
		if v != b[i] {
			return false
		}
	}
	return true
}

// grey fills x with a mid-grey that is not quite even.
func (v Inversion) grey(x []float64, seed ...uint64) {
	rng := stream(v.Seed, seed...)
	for i := range x {
		x[i] = 0.5 + 0.01*rng.NormFloat64()
	}
}

// adam moves x by Adam in the box, with a total variation of weight tv(t) at the share t
// of the steps.
func (s *slice) adam(ctx context.Context, x []float64, n int, rate float64, tv func(t float64) float64) {
	grad, m1, m2 := make([]float64, len(x)), make([]float64, len(x)), make([]float64, len(x))
	for t := range n {
		if ctx.Err() != nil {
			return
		}
		s.at(x, tv(float64(t)/float64(n)), grad)
		lr := rate / 2 * (1 + math.Cos(math.Pi*float64(t)/float64(n)))
		c1, c2 := 1-math.Pow(0.9, float64(t+1)), 1-math.Pow(0.999, float64(t+1))
		for i, g := range grad {
			// Adam does not feel the scale 1/|h|² but through its epsilon.
			g *= s.norm2
			m1[i] = 0.9*m1[i] + 0.1*g
			m2[i] = 0.999*m2[i] + 0.001*g*g
			x[i] = math.Min(1, math.Max(0, x[i]-lr*m1[i]/c1/(math.Sqrt(m2[i]/c2)+1e-8)))
		}
	}
}

// invert finds the image of one row of features with the relative error epsilon.
func (v Inversion) invert(ctx context.Context, s *slice, epsilon float64, x []float64, seed ...uint64) (residual float64) {
	v.grey(x, append(seed, 0)...)
	if epsilon > defaultFloat(v.Noisy, 0.02) {
		epsilon = math.Min(epsilon, 1)
		weight := 2 * epsilon * epsilon * s.norm2 / (float64(s.target.Len()) * contrast)
		s.adam(ctx, x, v.adamSteps(), v.lr()/2, func(float64) float64 { return weight })
		return math.Sqrt(s.at(x, 0, nil))
	}
	tolerance := math.Max(v.tolerance(), epsilon)
	s.lbfgs(ctx, x, v.evaluations(), tolerance)
	clip(x)
	residual = math.Sqrt(s.at(x, 0, nil))
	other := make([]float64, len(x))
	for a := 1; a <= v.attempts() && residual > 10*tolerance && ctx.Err() == nil; a++ {
		tv := v.tv()
		switch {
		case a == 2:
			tv *= 3
		case a > 2:
			tv /= 10
		}
		v.grey(other, append(seed, uint64(a))...)
		s.adam(ctx, other, v.adamSteps(), v.lr()/float64(a), func(t float64) float64 { return tv * math.Max(0, 1-t/0.8) })
		s.lbfgs(ctx, other, v.evaluations(), tolerance)
		clip(other)
		if again := math.Sqrt(s.at(other, 0, nil)); again < residual {
			copy(x, other)
			residual = again
		}
	}
	return residual
}

func clip(x []float64) {
	for i, v := range x {
		x[i] = math.Min(1, math.Max(0, v))
	}
}

// stepThree inverts the features of the wanted ones of a party's recovered slices, whose
// relative errors by noise are given.
func (v Inversion) stepThree(ctx context.Context, m *Model, party int, l layer, out *PartyRecovery, noise []float64, wanted func(int) bool, done func(int)) {
	n, d1 := out.H.Dims()
	in := m.Inputs[party]
	size := in[0] * in[1] * in[2]
	out.Residual = make([]float64, n)
	plain := passesThrough(l.before, m.dtype(), in)
	// L-BFGS works in float64 whatever the network computes in.
	par.For(n, 1, func(lo, hi int) {
		tape := tensor.NewTape()
		for i := lo; i < hi; i++ {
			if out.Status[i] != Recovered {
				continue
			}
			if !wanted(i) {
				out.Status[i] = Unseen
				continue
			}
			h := out.H.RawRowView(i)
			x := make([]float64, size)
			if plain {
				copy(x, h)
				clip(x)
			} else {
				if ctx.Err() != nil {
					out.Status[i] = Unseen
					continue
				}
				s := &slice{
					net: l.before, tape: tape, target: fromValues(m.dtype(), append([]float64(nil), h...), 1, d1),
					dims: []int{1, in[0], in[1], in[2]}, dtype: m.dtype(),
				}
				for _, u := range h {
					s.norm2 += u * u
				}
				if s.norm2 > 0 {
					out.Residual[i] = v.invert(ctx, s, noise[i], x, uint64(party), uint64(i))
				}
			}
			setRow(out.X, i, x)
			if done != nil {
				done(1)
			}
		}
	})
}

// setRow stores values as row i of t, of which other goroutines may store other rows.
func setRow(t *tensor.Tensor, i int, v []float64) {
	if t.DType() == tensor.Float64 {
		copy(t.Float64s()[i*len(v):], v)
		return
	}
	to := t.Float32s()[i*len(v):]
	for j, u := range v {
		to[j] = float32(u)
	}
}

// passesThrough says whether a network without parameters only flattens its input,
// so that features are pixels.
func passesThrough(net *nn.Sequential, dtype tensor.DType, in [3]int) bool {
	if len(nn.Params(net)) > 0 {
		return false
	}
	x := tensor.Uniform(stream(1), dtype, 0, 1, 2, in[0], in[1], in[2])
	y := net.Forward(&nn.Pass{}, x)
	return y.Len() == x.Len() && same(y.Values(), x.Values())
}

// notNegative says whether the features of images can never be below 0: those of a
// network whose last activation is ReLU or a sigmoid, or that has neither activation nor
// tensors, with nothing behind it that makes negative values of others.
func notNegative(net *nn.Sequential, dtype tensor.DType, in [3]int) bool {
	layers := flat(net)
	last := -1
	for i, l := range layers {
		if l == nn.ReLU || l == nn.Sigmoid {
			last = i
		}
	}
	tail := nn.NewSequential(layers[last+1:]...)
	if len(nn.Params(tail)) > 0 || slices.Contains(layers[last+1:], nn.Layer(nn.Tanh)) {
		return false
	}
	// What is left are functions without tensors, such as pooling. Large and small
	// values show what they do.
	x := tensor.Zeros(dtype, 16, in[0], in[1], in[2])
	x = nn.NewSequential(layers[:last+1]...).Forward(&nn.Pass{}, x)
	rng := stream(2)
	v := make([]float64, x.Len())
	for i := range v {
		if rng.IntN(2) > 0 {
			v[i] = math.Exp(4 * rng.NormFloat64())
		}
	}
	if last < 0 {
		clip(v)
	}
	return slices.Min(tail.Forward(&nn.Pass{}, fromValues(dtype, v, x.Shape()...)).Values()) >= 0
}

// flat lists the layers of a network, those of networks inside it in their place.
func flat(net *nn.Sequential) []nn.Layer {
	var out []nn.Layer
	for _, l := range net.Layers() {
		if inner, ok := l.(*nn.Sequential); ok {
			out = append(out, flat(inner)...)
		} else {
			out = append(out, l)
		}
	}
	return out
}
