package represent

import (
	"context"
	"errors"
	"fmt"
	"math"

	"github.com/redoubt-ml/redoubt/attack"
	"github.com/redoubt-ml/redoubt/tensor"
)

// Inversion changes images so that one neuron of an encoder fires as much as it can:
// what the neuron looks for, in an encoder whose gradients mean something.
//
// Fan et al., NeurIPS 2021, Figure 5, print a minimum over the change; the method that
// they cite maximises, and so does this. Steps and step size are chosen here.
type Inversion struct {
	Neuron int // of the features, from 0; the paper shows 502
	// Minimize makes the neuron fire as little as it can.
	Minimize bool
	// Steps is the number of gradient steps; 0 means 500.
	Steps int
	// StepSize is the L2 length of a step on an image, in pixel units; 0 means 0.1.
	StepSize float64
}

// Inverted is what Inversion finds. All of it belongs to the same images, also when
// Inversion is stopped.
type Inverted struct {
	X *tensor.Tensor `json:"-"` // the images, of the shape of those at the start
	// Start and End are the neuron's values for each image before and after; nil when
	// Inversion ended before the first ones were known.
	Start []float64 `json:"start"`
	End   []float64 `json:"end"`
	// Mean holds the mean value over the images before each step and after the last.
	Mean []float64 `json:"mean"`
}

// Run starts from images x [N, ...] with pixels in [0, 1], where it stays. Errors: no
// such neuron, pixels outside, a setting out of its range, an encoder that panics or
// whose gradient is not finite, and ctx's; on the last three with the images whose values
// were found last.
func (v Inversion) Run(ctx context.Context, enc Encoder, x *tensor.Tensor) (Inverted, error) {
	steps, size := v.Steps, v.StepSize
	if steps == 0 {
		steps = 500
	}
	if size == 0 {
		size = 0.1
	}
	switch {
	case enc == nil:
		return Inverted{}, errors.New("represent: Inversion: no encoder")
	case x == nil || x.Rank() < 2 || x.Len() == 0:
		return Inverted{}, fmt.Errorf("represent: Inversion: inputs are %s, want a batch [N, ...] of at least one", form(x))
	case steps < 0:
		return Inverted{}, fmt.Errorf("represent: Inversion: %d steps, want 0 (for the default) or more", steps)
	case !(size > 0) || math.IsInf(size, 0):
		return Inverted{}, fmt.Errorf("represent: Inversion: StepSize is %v, want 0 (for the default) or a number above 0", size)
	}
	for i, p := range x.Values() {
		if !(p >= 0 && p <= 1) {
			d := x.Len() / x.Dim(0)
			return Inverted{}, fmt.Errorf("represent: Inversion: pixel %d of image %d is %v, want 0 to 1", i%d, i/d, p)
		}
	}
	// No point of the box is outside of the ball.
	th := attack.Threat{Norm: attack.L2, Eps: 1 + math.Sqrt(float64(x.Len()/x.Dim(0)))}
	out := Inverted{X: x.Clone()}
	x0, now := x.Clone(), x.Clone()
	tape := tensor.NewTape()
	for s := 0; ; s++ {
		if err := ctx.Err(); err != nil {
			return out, fmt.Errorf("represent: Inversion: stopped at step %d of %d: %w", s, steps, err)
		}
		tape.Reset()
		var g *tensor.Tensor
		var values []float64
		err := guarded(func() (err error) {
			values, g, err = v.slope(enc, tape.Watch(now))
			return err
		})
		if err != nil {
			return out, fmt.Errorf("represent: Inversion: step %d: %w", s, err)
		}
		out.X.CopyFrom(now)
		out.End = values
		if s == 0 {
			out.Start = out.End
		}
		mean := 0.0
		for _, e := range out.End {
			mean += e / float64(len(out.End))
		}
		out.Mean = append(out.Mean, mean)
		if s == steps {
			return out, nil
		}
		th.Step(now, g, x0, size)
	}
}

// slope returns the neuron's value for each image and the direction to go.
func (v Inversion) slope(enc Encoder, x *tensor.Tensor) (values []float64, g *tensor.Tensor, err error) {
	f := enc(x)
	if f == nil || f.Rank() != 2 || f.Dim(0) != x.Dim(0) || v.Neuron < 0 || v.Neuron >= f.Dim(1) {
		return nil, nil, fmt.Errorf("encoder returned %s for %d inputs, want features [%d, D] with neuron %d", form(f), x.Dim(0), x.Dim(0), v.Neuron)
	}
	neuron := tensor.Slice(f, 1, v.Neuron, v.Neuron+1)
	values = neuron.Values()
	if neuron.Tape() == nil {
		return nil, nil, errors.New("features are on no tape, want them computed from the images")
	}
	goal := tensor.Sum(neuron)
	if v.Minimize {
		goal = tensor.Neg(goal)
	}
	g = tensor.Grad(goal, x)[0]
	if !tensor.AllFinite(g) || !tensor.AllFinite(neuron) {
		return nil, nil, errors.New("neuron or its gradient is not finite")
	}
	return values, g, nil
}
