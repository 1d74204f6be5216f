package minmax_test

import (
	"math"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/redoubt-ml/redoubt/attack"
	. "github.com/redoubt-ml/redoubt/attack/minmax"
	"github.com/redoubt-ml/redoubt/attack/transform"
	"github.com/redoubt-ml/redoubt/tensor"
)

// answering returns the given logits, whatever the input.
type answering func(x *tensor.Tensor) *tensor.Tensor

func (f answering) Logits(x *tensor.Tensor) *tensor.Tensor { return f(x) }

func classes(n int) attack.Model {
	return answering(func(x *tensor.Tensor) *tensor.Tensor { return tensor.Zeros(x.DType(), x.Dim(0), n) })
}

func TestBadInputIsNamed(t *testing.T) {
	x, y := inputs(1, 6, 4, 4)
	m := network(1, 4, 4)
	two := []attack.Model{m, network(2, 4, 4)}
	good := Ensemble(two, x, y)
	bad := x.Clone()
	bad.Set(1.5, 2, 0, 1, 0)
	broken := x.Clone()
	broken.Set(math.NaN(), 3, 1, 0, 0)
	nan := answering(func(x *tensor.Tensor) *tensor.Tensor { return tensor.Full(x.DType(), math.NaN(), x.Dim(0), 5) })
	// dim knows no image that is bright everywhere.
	dim := answering(func(x *tensor.Tensor) *tensor.Tensor {
		z := tensor.Zeros(x.DType(), x.Dim(0), 5)
		for i := range x.Dim(0) {
			if least := slices.Min(tensor.Slice(x, 0, i, i+1).Values()); least >= 1 {
				z.Set(math.NaN(), i, 2)
			}
		}
		return z
	})
	spot := x.Clone()
	for k := range 16 {
		spot.Float32s()[4*16+k] = 1
	}
	withLoss := func(l Loss) Domains {
		s := Ensemble(two, x, y)
		s.Loss = l
		return s
	}
	named := Ensemble([]attack.Model{m, nan}, x, y)
	named.ModelNames = []string{"first", "second"}
	shifted := *good
	shifted.AttackLabels = [][]int{y}
	unlike := *Ensemble(two, x, []int{0, 1, 2, 3, 4, 7})
	unlike.AttackLabels = [][]int{y, y}
	lambda := *good
	lambda.Lambda = -1
	targets := *good
	targets.Targets = y
	dark := Transformations(m, []transform.Transform{transform.Identity{}, transform.Chain{
		transform.Brightness{Add: transform.Fixed(-2)}, transform.Gamma{Exponent: transform.Fixed(1.3)},
	}}, x, y)
	column := func(n int, v float64) func(*tensor.Tensor, Rows) *tensor.Tensor {
		return func(*tensor.Tensor, Rows) *tensor.Tensor { return tensor.Full(tensor.Float64, v, n) }
	}
	functions := func(labels []string, f ...func(*tensor.Tensor, Rows) *tensor.Tensor) *Functions {
		return &Functions{At: point(2), Losses: f, Labels: labels}
	}
	for _, c := range []struct {
		a    APGDA
		d    Domains
		want string
	}{
		{APGDA{}, nil, "no domains"},
		{APGDA{}, functions(nil), "no domains"},
		{APGDA{}, Ensemble(nil, x, y), "no models"},
		{APGDA{}, Ensemble([]attack.Model{m}, x, y), `1 domains for the rule "min-max", want at least 2`},
		{APGDA{Rule: Worst{}}, Ensemble([]attack.Model{m}, x, y), "want at least 2"},
		{APGDA{}, &Group{Model: m, X: x, Y: y, Size: 1}, "want at least 2"},
		{APGDA{}, Ensemble([]attack.Model{m, nil}, x, y), "model 1 is nil"},
		{APGDA{}, Ensemble([]attack.Model{m, network(2, 5, 5)}, x, y), "model 1: model panicked at step 0"},
		{APGDA{}, Ensemble([]attack.Model{m, classes(7)}, x, y), "model 1 has 7 classes, want 5"},
		{APGDA{}, Ensemble([]attack.Model{classes(1), m}, x, y), "1 classes, want at least 2"},
		{APGDA{}, named, "second: model returned logits that are not finite for input 0 at step 0"},
		{APGDA{}, Transformations(dim, []transform.Transform{transform.Identity{}, transform.Brightness{Add: transform.Fixed(2)}}, x, y),
			"brightness +2: model returned logits that are not finite for input 0 at step 0"},
		{APGDA{}, &Group{Model: dim, X: spot, Y: y, Size: 3, Loss: Margin{}}, "member 1: model returned logits that are not finite for input 4 at step 0"},
		{APGDA{}, withLoss(Margin{Kappa: -1}), "margin's kappa is -1"},
		{APGDA{}, withLoss(Against{}), "against no objective"},
		{APGDA{}, &Group{Model: m, X: x, Y: y, Size: 2, Loss: Margin{math.Inf(1)}}, "margin's kappa is +Inf"},
		{APGDA{}, Ensemble(two, bad, y), "pixel 1 of input 2 is 1.5"},
		{APGDA{}, Ensemble(two, broken, y), "pixel 4 of input 3 is NaN"},
		{APGDA{}, Ensemble(two, x, y[:5]), "5 labels for 6 inputs"},
		{APGDA{}, Ensemble(two, x, []int{0, 1, 2, -1, 0, 0}), "label of input 3 is -1"},
		{APGDA{}, Ensemble(two, x, []int{0, 1, 9, 1, 0, 0}), "input 2 is 9, want 0 to 4"},
		{APGDA{}, &unlike, "model 0: label or target of input 5 is 7, want 0 to 4"},
		{APGDA{}, &shifted, "attack labels for 1 domains, want 2"},
		{APGDA{}, &lambda, "lambda is -1"},
		{APGDA{}, &targets, "target of input 0"},
		{APGDA{}, dark, "value 0 of image 0 is -"},
		{APGDA{}, Transformations(m, []transform.Transform{transform.Identity{}, transform.Crop{}}, x, y), "transform 1: transform: crop's side"},
		{APGDA{}, Transformations(m, []transform.Transform{nil}, x, y), "transform 0 is nil"},
		{APGDA{}, Transformations(m, transform.Photometric(), tensor.Flatten(x), y), "want images [N, H, W, C]"},
		{APGDA{}, &Group{Model: m, X: x, Y: y, Size: 4}, "groups of 4 for 6 inputs"},
		{APGDA{}, &Group{Model: m, X: x, Y: y}, "groups of 0"},
		{APGDA{}, &Group{X: x, Y: y, Size: 2}, "no model"},
		{APGDA{}, &Group{Model: m, X: x, Y: y, Size: 2, BoxRule: 5}, "box rule 5"},
		{APGDA{}, functions([]string{"a", "b"}, column(1, 0), column(3, 0)), "b: loss returned float64[3] for 1 points"},
		{APGDA{}, functions([]string{"a", "b"}, column(1, 0), column(1, math.NaN())), "b: loss of row 0 is NaN at step 0"},
		{APGDA{}, functions([]string{"a"}, column(1, 0), column(1, 0)), "1 labels for 2 domains"},
		{APGDA{}, &Functions{At: point(1), Lo: 1, Hi: 2, Losses: parabolas().Losses}, "outside of its box [1, 2]"},
		{APGDA{Threat: attack.Threat{Norm: 7}}, good, "unknown norm 7"},
		{APGDA{Threat: attack.Threat{Eps: -1}}, good, "eps is -1"},
		{APGDA{Threat: attack.Threat{Eps: math.NaN()}}, good, "eps is NaN"},
		{APGDA{Threat: attack.Threat{Hi: 255}}, good, "box [0, 255]"},
		{APGDA{Threat: attack.Threat{Norm: attack.L0, Eps: 2.5}}, good, "eps is 2.5 under l0"},
		{APGDA{Threat: attack.Threat{Norm: attack.L0, Eps: 2}, StepControl: true}, good, "step control"},
		{APGDA{Steps: -1}, good, "-1 steps"},
		{APGDA{StepSize: -1}, good, "step size is -1"},
		{APGDA{Start: 9}, good, "unknown start 9"},
		{APGDA{Restarts: -1}, good, "-1 restarts"},
		{APGDA{BatchSize: -1}, good, "batch size is -1"},
		{APGDA{Rule: MinMax{Beta: -1}}, good, "beta is -1"},
		{APGDA{Rule: MinMax{Gamma: -1}}, good, "gamma is -1"},
		{APGDA{Rule: MinMax{Gamma: math.NaN()}}, good, "gamma is NaN"},
		{APGDA{Rule: MinMax{Initial: []float64{0.5, 0.6}}}, good, "weights sum to 1.1"},
		{APGDA{Rule: MinMax{Initial: []float64{1.5, -0.5}}}, good, "weight of domain 1 is -0.5"},
		{APGDA{Rule: MinMax{Initial: []float64{1}}}, good, "1 weights for 2 domains"},
		{APGDA{Rule: Fixed{Weights: []float64{0.2, 0.2}}}, good, "sum to 0.4"},
		{APGDA{Rule: Subset{}}, good, "subset of no domains"},
		{APGDA{Rule: Subset{[]int{0, 2}}}, good, "subset [0 2]"},
		{APGDA{Rule: Subset{[]int{1, 1}}}, good, "subset [1 1]"},
		{APGDA{Rule: Clip{math.NaN()}}, good, "level is NaN"},
	} {
		_, err := c.a.Run(ctx, c.d)
		require.ErrorContains(t, err, c.want)
	}
	_, _, err := Judge(ctx, good, tensor.Zeros(tensor.Float32, 1, 4, 4, 1), 0)
	require.ErrorContains(t, err, "want the same shape")
	_, _, err = Judge(ctx, nil, point(1), 0)
	require.ErrorContains(t, err, "no domains")
	_, _, err = Judge(ctx, parabolas(), point(1), 0)
	require.ErrorContains(t, err, "who is fooled")
}

func TestWarnings(t *testing.T) {
	kinds := func(a APGDA) (out []attack.WarningKind) {
		a.Steps = 1
		res, err := a.Run(ctx, parabolas())
		require.NoError(t, err)
		for _, w := range res.Warnings {
			out = append(out, w.Kind)
		}
		return out
	}
	require.Empty(t, kinds(APGDA{Threat: box(1)}))
	require.Empty(t, kinds(APGDA{Threat: box(1), Rule: MinMax{Beta: 0.1, Gamma: 9.9}}))
	require.Equal(t, []attack.WarningKind{LargeWeightStep}, kinds(APGDA{Threat: box(1), Rule: MinMax{Beta: 0.1, Gamma: 10}}))
	require.Equal(t, []attack.WarningKind{LargeWeightStep}, kinds(APGDA{Threat: box(1), Rule: &MinMax{Beta: 0.1, Gamma: 20}}))
	require.Equal(t, []attack.WarningKind{NotConvex}, kinds(APGDA{Threat: attack.Threat{Norm: attack.L0, Eps: 1}}))
}

// A radius of 0 allows nothing, and is no mistake.
func TestRadiusZeroReturnsTheInputs(t *testing.T) {
	x, y := inputs(2, 4, 4, 4)
	for _, n := range norms {
		res, err := (&APGDA{Threat: attack.Threat{Norm: n}, Steps: 2}).Run(ctx, Ensemble([]attack.Model{network(1, 4, 4), network(2, 4, 4)}, x, y))
		require.NoError(t, err)
		require.Equal(t, x.Values(), res.Point.Values())
	}
}
