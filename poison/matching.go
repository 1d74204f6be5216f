package poison

import (
	"context"
	"fmt"
	"math"

	"github.com/redoubt-ml/redoubt/attack"
	"github.com/redoubt-ml/redoubt/poison/uda"
	"github.com/redoubt-ml/redoubt/tensor"
	"github.com/redoubt-ml/redoubt/tensor/nn"
)

// GradientMatching moves images within a ball until the gradient of their training
// loss, in the parameters of G and C, points where that of x under the wanted class
// does:
//
//	1 - cos( grad CE(x, wanted), grad mean_i CE(u_i, y_i) )
//
// averaged over trained models, by steps along the sign of its gradient in u, which
// takes second derivatives of the network.
//
// Geiping et al. ("Witches' Brew"), ICLR 2021, Eq. (3).
type GradientMatching struct {
	Eps      float64 // radius of the Linf ball, in [0, 1]
	Steps    int     // 0 means 250
	StepSize float64 // 0 means Eps/10
}

// Value returns the mean of 1 - cos over the models, in [0, 2], and its gradient
// with respect to u [N, H, W, C] with labels y. x is [1, H, W, C].
func (g GradientMatching) Value(models []*uda.Model, u *tensor.Tensor, y []int, x *tensor.Tensor, wanted int) (float64, *tensor.Tensor) {
	total, sum := 0.0, tensor.Zeros(u.DType(), u.Shape()...)
	tape := tensor.NewTape()
	for _, m := range models {
		params := append(nn.Params(m.G), nn.Params(m.Heads[0])...)
		gradient := func(in *tensor.Tensor, labels []int, graph bool) []*tensor.Tensor {
			p := &nn.Pass{}
			watched := p.Watch(tape, params)
			logits := m.Heads[0].Forward(p, m.G.Forward(p, in))
			return tensor.Gradients(tensor.Mean(tensor.CrossEntropy(logits, labels)), tensor.GradOptions{CreateGraph: graph}, watched...)
		}
		var want []*tensor.Tensor
		for _, v := range gradient(tape.Const(x), []int{wanted}, false) {
			want = append(want, v.Clone())
		}
		tape.Reset()
		w := tape.Watch(u)
		have := gradient(w, y, true)
		var dot, norm *tensor.Tensor
		size := 0.0
		for i, v := range have {
			d, n := tensor.Dot(v, want[i]), tensor.Sum(tensor.Square(v))
			size += tensor.Sum(tensor.Square(want[i])).Item()
			if i == 0 {
				dot, norm = d, n
			} else {
				dot, norm = tensor.Add(dot, d), tensor.Add(norm, n)
			}
		}
		cos := tensor.Div(dot, tensor.Sqrt(tensor.AddScalar(tensor.MulScalar(norm, size), 1e-24)))
		loss := tensor.MulScalar(tensor.Affine(cos, -1, 1), 1/float64(len(models)))
		total += loss.Item()
		sum.CopyFrom(tensor.Add(sum, tensor.Grad(loss, w)[0]).Clone())
		tape.Reset()
	}
	return total, sum
}

// Run returns the images after all steps from base [N, H, W, C], whose pixels are in
// [0, 1], with the value before each step. Errors: settings out of their range, no
// model, pixels or labels out of range, a value that is not finite, ctx's.
func (g GradientMatching) Run(ctx context.Context, models []*uda.Model, base *tensor.Tensor, y []int, x *tensor.Tensor, wanted int) (*tensor.Tensor, []float64, error) {
	if len(models) == 0 || !(g.Eps >= 0 && g.Eps <= 1) || g.Steps < 0 || !(g.StepSize >= 0) {
		return nil, nil, fmt.Errorf("poison: gradient matching: %d models, eps %v, %d steps of %v, want a model, eps in [0, 1] and steps of 0 or more", len(models), g.Eps, g.Steps, g.StepSize)
	}
	if err := inRange(base); err != nil {
		return nil, nil, fmt.Errorf("poison: gradient matching: base: %w", err)
	}
	for _, m := range models {
		for _, c := range append([]int{wanted}, y...) {
			if c < 0 || c >= m.Classes {
				return nil, nil, fmt.Errorf("poison: gradient matching: class %d, want it in [0, %d)", c, m.Classes)
			}
		}
	}
	if len(y) != base.Dim(0) {
		return nil, nil, fmt.Errorf("poison: gradient matching: %d labels for %d images", len(y), base.Dim(0))
	}
	step := g.StepSize
	if step == 0 {
		step = g.Eps / 10
	}
	if g.Steps == 0 {
		g.Steps = 250
	}
	u := base.Clone()
	threat := attack.Threat{Norm: attack.Linf, Eps: g.Eps}
	var trace []float64
	for i := range g.Steps {
		if err := ctx.Err(); err != nil {
			return u, trace, err
		}
		v, d := g.Value(models, u, y, x, wanted)
		if math.IsNaN(v) || !tensor.AllFinite(d) {
			return nil, nil, fmt.Errorf("poison: gradient matching: step %d: the value is %v and its gradient may not be finite", i, v)
		}
		trace = append(trace, v)
		u.CopyFrom(tensor.Sub(u, tensor.MulScalar(tensor.Sign(d), step)))
		threat.Project(u, base)
	}
	return u, trace, nil
}
