package poison

import (
	"context"
	"fmt"

	"github.com/redoubt-ml/redoubt/attack"
	"github.com/redoubt-ml/redoubt/tensor"
)

// Embedding maps images [N, H, W, C] to features [N, d], differentiably.
// (*uda.Model).Features is one.
type Embedding func(x *tensor.Tensor) *tensor.Tensor

// Collision moves images towards one image in the feature spaces of M models, within
// a ball around where they start, by plain gradient descent on
//
//	J(u) = 1/M sum_m sum_i |g_m(u_i) - g_m(x)|² + c sum_i |u_i - base_i|²
//
// each step followed by projection. J is a sum over images: the number of them does
// not change any one's way.
//
// Mehra et al., NeurIPS 2021, Eq. (4), with the penalty of Shafahi et al., NeurIPS
// 2018, Eq. (1).
type Collision struct {
	Eps      float64 // radius of the Linf ball, in [0, 1]; 0 moves nothing
	Steps    int     // 0 means 100
	StepSize float64 // 0 means 0.01
	Penalty  float64 // c, 0 or more
	// Bullseye replaces the first term by the squared distance of g_m(x) from the
	// mean of g_m(u_i), over |g_m(x)|² (Aghakhani et al., EuroS&P 2021), which is no
	// sum over images, and makes steps along the gradient's sign. That paper has no
	// penalty: one image among many has little part in the mean, and where the
	// penalty's gradient is the larger one the sign leads back to the base.
	Bullseye bool
}

// Value returns J. The tensors are of one element type; x is [1, H, W, C], u and
// base are [N, H, W, C].
func (c Collision) Value(models []Embedding, u, base, x *tensor.Tensor) float64 {
	v, _ := c.gradient(models, u, base, goals(models, x), nil)
	return v
}

// Gradient returns J and its gradient with respect to u.
func (c Collision) Gradient(models []Embedding, u, base, x *tensor.Tensor) (float64, *tensor.Tensor) {
	g := tensor.Zeros(u.DType(), u.Shape()...)
	v, _ := c.gradient(models, u, base, goals(models, x), g)
	return v, g
}

// Run returns the images after all steps from u, with J before each of them. u is
// brought into the ball around base first; the pixels of base lie in [0, 1]. Errors:
// settings out of their range, no model, pixels of base out of range, a value that is
// not finite, ctx's.
func (c Collision) Run(ctx context.Context, models []Embedding, u, base, x *tensor.Tensor) (*tensor.Tensor, []float64, error) {
	if err := c.check(len(models)); err != nil {
		return nil, nil, err
	}
	if err := inRange(base); err != nil {
		return nil, nil, fmt.Errorf("poison: collision: base: %w", err)
	}
	if !tensor.AllFinite(u) {
		return nil, nil, fmt.Errorf("poison: collision: the images to move are not finite")
	}
	if c.Steps == 0 {
		c.Steps = 100
	}
	if c.StepSize == 0 {
		c.StepSize = 0.01
	}
	u = u.Clone()
	threat := attack.Threat{Norm: attack.Linf, Eps: c.Eps}
	threat.Project(u, base)
	want := goals(models, x)
	g := tensor.Zeros(u.DType(), u.Shape()...)
	var trace []float64
	for step := range c.Steps {
		if err := ctx.Err(); err != nil {
			return u, trace, err
		}
		v, err := c.gradient(models, u, base, want, g)
		if err != nil {
			return nil, nil, fmt.Errorf("poison: collision: step %d: %w", step, err)
		}
		trace = append(trace, v)
		dir := g
		if c.Bullseye {
			dir = tensor.Sign(g)
		}
		u.CopyFrom(tensor.Sub(u, tensor.MulScalar(dir, c.StepSize)))
		threat.Project(u, base)
	}
	return u, trace, nil
}

// goals are the features of x.
func goals(models []Embedding, x *tensor.Tensor) (out []*tensor.Tensor) {
	for _, m := range models {
		out = append(out, m(x))
	}
	return out
}

// gradient returns J, and writes its gradient to g unless that is nil.
func (c Collision) gradient(models []Embedding, u, base *tensor.Tensor, want []*tensor.Tensor, g *tensor.Tensor) (float64, error) {
	tape := tensor.NewTape()
	share := 1 / float64(len(models))
	total := c.Penalty * tensor.Sum(tensor.Square(tensor.Sub(u, base))).Item()
	if g != nil {
		g.CopyFrom(tensor.MulScalar(tensor.Sub(u, base), 2*c.Penalty))
	}
	for m, embed := range models {
		w := tape.Watch(u)
		f := embed(w)
		var j *tensor.Tensor
		if c.Bullseye {
			off := tensor.Sub(tensor.Mean(f, 0), tensor.Reshape(want[m], want[m].Dim(1)))
			j = tensor.MulScalar(tensor.Sum(tensor.Square(off)), share/tensor.Sum(tensor.Square(want[m])).Item())
		} else {
			j = tensor.MulScalar(tensor.Sum(tensor.Square(tensor.Sub(f, want[m]))), share)
		}
		total += j.Item()
		if g != nil {
			g.CopyFrom(tensor.Add(g, tensor.Grad(j, w)[0]).Clone())
		}
		tape.Reset()
	}
	if g != nil && !tensor.AllFinite(g) {
		return total, fmt.Errorf("the gradient is not finite")
	}
	return total, nil
}

func (c Collision) check(models int) error {
	switch {
	case models == 0:
		return fmt.Errorf("poison: collision: no model")
	case !(c.Eps >= 0 && c.Eps <= 1):
		return fmt.Errorf("poison: collision: eps is %v, want it in [0, 1]", c.Eps)
	case c.Steps < 0:
		return fmt.Errorf("poison: collision: %d steps, want 0 (100) or more", c.Steps)
	case !(c.StepSize >= 0):
		return fmt.Errorf("poison: collision: step size is %v, want 0 (0.01) or more", c.StepSize)
	case !(c.Penalty >= 0):
		return fmt.Errorf("poison: collision: penalty is %v, want 0 or more", c.Penalty)
	}
	return nil
}

// inRange returns an error unless all pixels lie in [0, 1].
func inRange(x *tensor.Tensor) error {
	for i, v := range x.Values() {
		if !(v >= 0 && v <= 1) {
			return fmt.Errorf("pixel %d is %v, want it in [0, 1]", i, v)
		}
	}
	return nil
}
