package nn_test

import (
	"math"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/redoubt-ml/redoubt/tensor"
	"github.com/redoubt-ml/redoubt/tensor/nn"
)

func TestCopyWantsTheSameForm(t *testing.T) {
	r := rng()
	a, b := nn.NewResNet8(r, 10, "clean", "adv"), nn.NewResNet8(r, 10, "x", "y")
	nn.Copy(b, a)
	x := tensor.Uniform(r, tensor.Float32, 0, 1, 2, 32, 32, 3)
	require.Equal(t, a.Forward(&nn.Pass{}, x).Values(), b.Forward(&nn.Pass{}, x).Values())

	for want, src := range map[string]nn.Layer{
		`nn: Copy: network of 4 tensors to one of 2`:                                            nn.NewSequential(nn.NewLinear(r, 3, 4), nn.NewLinear(r, 4, 3)),
		`nn: Copy: tensor 0: parameter "0.weight" [4 3] to parameter "0.weight" [3 4]`:          nn.NewSequential(nn.NewLinear(r, 4, 3)),
		`nn: Copy: tensor 1: parameter "0.bias" [1] to parameter "0.bias" [4]`:                  nn.NewSequential(&nn.Linear{Weight: nn.FanIn(r, 3, 3, 4), Bias: nn.FanIn(r, 1, 1)}),
		`nn: Copy: tensor 0: statistic "0.mean" [4] to parameter "0.weight" [3 4]`:              nn.NewSequential(nn.NewNormalize([]float64{1, 2, 3, 4}, []float64{1, 2, 3, 4})),
		`nn: Copy: tensor 0: parameter "0.weight" [1 1 4 3] to parameter "0.weight" [3 4]`:      nn.NewSequential(nn.NewConv2D(r, 4, 3, 1, tensor.Window{})),
		`nn: Copy: network of 0 tensors to one of 2`:                                            nn.NewSequential(nn.ReLU),
		`nn: Copy: tensor 1: parameter "0.bias" [2 2] to parameter "0.bias" [4]`:                nn.NewSequential(&nn.Linear{Weight: nn.FanIn(r, 3, 3, 4), Bias: nn.FanIn(r, 1, 2, 2)}),
		`nn: Copy: tensor 0: parameter "longer name.weight" [12] to parameter "0.weight" [3 4]`: new(nn.Sequential).Add("longer name", &nn.Linear{Weight: nn.FanIn(r, 3, 12), Bias: nn.FanIn(r, 1, 4)}),
		`nn: Copy: tensor 0: parameter "0.weight" [1 12] to parameter "0.weight" [3 4]`:         nn.NewSequential(&nn.Linear{Weight: nn.FanIn(r, 3, 1, 12), Bias: nn.FanIn(r, 1, 4)}),
	} {
		dst := nn.NewSequential(nn.NewLinear(r, 3, 4))
		before := nn.Params(dst)[0].Values()
		require.PanicsWithValue(t, want, func() { nn.Copy(dst, src) })
		require.Equal(t, before, nn.Params(dst)[0].Values())
	}
}

// A statistic is no parameter, even if the shapes agree.
func TestCopyWantsTheSameRoles(t *testing.T) {
	four := []float64{1, 2, 3, 4}
	src := nn.NewSequential(nn.NewNormalize(four, four), nn.NewNormalize(four, four))
	require.PanicsWithValue(t, `nn: Copy: tensor 0: statistic "0.mean" [4] to parameter "weight" [4]`, func() { nn.Copy(nn.NewBatchNorm(4), src) })
}

func TestSetsOfStatisticsHaveDifferentNames(t *testing.T) {
	for _, sets := range [][]string{{"a", "x", "x"}, {"a", "a"}, {"a", ""}, {"", ""}} {
		require.Panics(t, func() { nn.NewBatchNorm(3, sets...) }, "%q", sets)
	}
	require.NotPanics(t, func() { nn.NewBatchNorm(3, "", "adv") })

	// A layer put together by hand cannot lose a set in a file either.
	l := nn.NewBatchNorm(3, "a", "x", "y")
	l.Sets[2].Name = "x"
	require.ErrorContains(t, nn.Save(filepath.Join(t.TempDir(), "net"), l), `two tensors of the network are named "x.weight"`)
}

// A file whose values a network cannot have is refused, and the network is left
// as it was; such a network is not saved.
func TestFilesWithImpossibleValuesAreRefused(t *testing.T) {
	norm := func() *nn.BatchNorm { return nn.NewBatchNorm(2) }
	pixels := func() *nn.Normalize { return nn.NewNormalize([]float64{0, 0}, []float64{1, 1}) }
	for _, c := range []struct {
		as   nn.Layer // what the file is written as, without ranges of values
		into nn.Layer
		want string
	}{
		{stored{"running_var", -0.5, norm()}, norm(), `tensor "running_var": value 1 is -0.5, want 0 or more`},
		{stored{"std", 0, pixels()}, pixels(), `tensor "std": value 1 is 0, want above 0 with a finite reciprocal`},
		{stored{"std", -1, pixels()}, pixels(), `tensor "std": value 1 is -1, want above 0`},
		{stored{"std", 1e-40, pixels()}, pixels(), `want above 0 with a finite reciprocal`},
	} {
		path := filepath.Join(t.TempDir(), "net.safetensors")
		require.NoError(t, nn.Save(path, c.as))
		before := values(c.into)
		require.ErrorContains(t, nn.Load(path, c.into), c.want)
		require.Equal(t, before, values(c.into))
	}
	for _, v := range []float64{math.NaN(), math.Inf(-1)} {
		bad := nn.NewLinear(rng(), 2, 2)
		bad.Bias.Set(v, 1)
		require.ErrorContains(t, nn.Save(filepath.Join(t.TempDir(), "net"), bad), `tensor "bias": value 1 is`)
	}
	l := norm()
	l.Sets[0].Var.Set(-1, 0)
	require.ErrorContains(t, nn.Save(filepath.Join(t.TempDir(), "net"), l), `tensor "running_var": value 0 is -1, want 0 or more`)
}

// stored is a layer with one value changed and no ranges of values.
type stored struct {
	name  string
	value float64
	nn.Layer
}

func (s stored) Visit(prefix string, visit func(nn.Slot)) {
	s.Layer.Visit(prefix, func(slot nn.Slot) {
		slot.Range = nn.Finite
		if slot.Name == s.name {
			slot.Tensor = slot.Tensor.Clone()
			slot.Tensor.Set(s.value, 1)
		}
		visit(slot)
	})
}

func values(l nn.Layer) (out [][]float64) {
	l.Visit("", func(s nn.Slot) { out = append(out, s.Tensor.Values()) })
	return out
}

func TestNormalizeRefusesWhatItCannotDivideBy(t *testing.T) {
	for _, std := range []float64{0, -1, 1e-50, math.NaN(), math.Inf(1)} {
		require.Panics(t, func() { nn.NewNormalize([]float64{0}, []float64{std}) }, "%v", std)
	}
	require.Panics(t, func() { nn.NewNormalize([]float64{math.NaN()}, []float64{1}) })
	require.Panics(t, func() { nn.NewNormalize([]float64{1, 2}, []float64{1}) })
}

func TestPlainLayersHaveNames(t *testing.T) {
	require.Equal(t, "ReLU", nn.ReLU.String())
	require.Equal(t, "GlobalAvgPool", nn.GlobalAvgPool.String())
	require.PanicsWithValue(t, "nn: no layer Plain(99)", func() { nn.Plain(99).Forward(&nn.Pass{}, tensor.Zeros(tensor.Float32, 1)) })
}
