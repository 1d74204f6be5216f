package attack_test

import (
	"context"
	"errors"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	. "github.com/redoubt-ml/redoubt/attack"
	"github.com/redoubt-ml/redoubt/tensor"
	"github.com/redoubt-ml/redoubt/tensor/dataset"
	"github.com/redoubt-ml/redoubt/tensor/nn"
)

// affine is a model z = x W + b.
func affine(w, b *tensor.Tensor) function {
	return func(x *tensor.Tensor) *tensor.Tensor {
		return tensor.Add(tensor.MatMul(tensor.Flatten(x), w), b)
	}
}

// Where the box is out of reach, a linear model is robust exactly if every lead
// exceeds eps times the dual norm of the difference of weights.
func TestAutoAttackIsExactOnLinearModels(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 7))
	const n, few, d, classes = 500, 60, 6, 5 // inputs, and those for all attacks
	w := tensor.Normal(r, tensor.Float64, 0, 50, d, classes)
	m := affine(w, tensor.MulScalar(tensor.Sum(w, 0), -0.5)) // all leads are 0 at the grey input
	x := tensor.Uniform(r, tensor.Float64, 0.4, 0.6, n, d)
	y, err := Predict(ctx, m, x)
	require.NoError(t, err)
	z := m.Logits(x)
	for norm, eps := range map[Norm]float64{Linf: 0.01, L2: 0.02, L1: 0.03} {
		var robust, near [2]int // near: too close to the boundary for a search to decide
		for i := range y {
			margin := math.Inf(1)
			for c := range classes {
				if c == y[i] {
					continue
				}
				var one, two, most float64
				for j := range d {
					a := math.Abs(w.At(j, y[i]) - w.At(j, c))
					one, two, most = one+a, two+a*a, max(most, a)
				}
				dual := map[Norm]float64{Linf: one, L2: math.Sqrt(two), L1: most}[norm]
				margin = min(margin, (z.At(i, y[i])-z.At(i, c))/dual)
			}
			for k, of := range []int{few, n} {
				if i < of && margin > eps {
					robust[k]++
				}
				if i < of && math.Abs(margin-eps) < 1e-3*eps {
					near[k]++
				}
			}
		}
		th := Threat{Norm: norm, Eps: eps}
		aa := &AutoAttack{Threat: th}
		rep, err := aa.Evaluate(ctx, m, tensor.Slice(x, 0, 0, few), y[:few])
		require.NoError(t, err)
		require.InDelta(t, robust[0], rep.Robust.Right, float64(near[0]), "%v", norm)
		require.Greater(t, robust[0], few/6, "%v", norm)
		require.Less(t, robust[0], few-few/6, "%v", norm)
		if norm != L1 {
			for _, a := range []Attack{&APGD{Threat: th, TargetClasses: 9}, &FAB{Threat: th}} {
				one, err := Evaluate(ctx, m, x, y, a)
				require.NoError(t, err)
				require.InDelta(t, robust[1], one.Worst.Right, float64(near[1]), "%v %v", a.Name(), norm)
			}
			// The cross-entropy is convex in x and may have more than one peak.
			one, err := Evaluate(ctx, m, x, y, &APGD{Threat: th})
			require.NoError(t, err)
			require.InDelta(t, robust[1], one.Worst.Right, 0.03*n, "%v", norm)
		}
	}
}

func TestAutoAttackStagesAndPromises(t *testing.T) {
	train, test, err := dataset.MNISTMini()
	require.NoError(t, err)
	net := nn.NewMLP(rand.New(rand.NewPCG(1, 1)), 28, 28, 1, 16, 10)
	require.NoError(t, (&nn.Trainer{Net: net, Data: train, Epochs: 5, BatchSize: 50}).Run(ctx))
	m := nn.Classifier{Net: net}
	x, y := test.Take(100).All()
	for _, th := range []Threat{{Norm: Linf, Eps: 0.1}, {Norm: L2, Eps: 1.2}, {Norm: L1, Eps: 8}} {
		var names []string
		aa := &AutoAttack{Threat: th, OnStage: func(s Stage) { names = append(names, s.Name) }}
		n := 8
		xs, ys := tensor.Slice(x, 0, 0, n), y[:n]
		rep, err := aa.Evaluate(ctx, m, xs, ys)
		require.NoError(t, err)
		require.Equal(t, []string{"APGD-CE", "APGD-T", "FAB-T", "Square"}, names)
		require.Empty(t, rep.Warnings)
		left := rep.Clean.Right
		for _, s := range rep.Stages {
			require.Equal(t, left, s.Attacked)
			left -= s.Broken
			require.Equal(t, left, s.Robust.Right)
		}
		require.Equal(t, left, rep.Robust.Right)
		require.Less(t, left, rep.Clean.Right)
		answers, err := Predict(ctx, m, rep.Result.X)
		require.NoError(t, err)
		for i, d := range th.Distance(rep.Result.X, xs) {
			require.LessOrEqual(t, d, th.Eps)
			require.Equal(t, answers[i] == ys[i], rep.Right[i])
		}
		pgd, err := Evaluate(ctx, m, xs, ys, &PGD{Threat: th, Steps: 40})
		require.NoError(t, err)
		require.LessOrEqual(t, rep.Robust.Right, pgd.Worst.Right)
	}
}

// What is found for an input depends neither on how batches are cut nor on the
// other inputs nor on threads.
func TestAutoAttackDoesNotDependOnTheBatch(t *testing.T) {
	r := rand.New(rand.NewPCG(2, 7))
	m := randomModel(r, 12, 5, tensor.Float64)
	x := tensor.Uniform(r, tensor.Float64, 0, 1, 24, 12)
	y, err := Predict(ctx, m, x)
	require.NoError(t, err)
	want, err := (&AutoAttack{Threat: Threat{Eps: 0.05}}).Evaluate(ctx, m, x, y)
	require.NoError(t, err)
	require.Greater(t, want.Robust.Right, 3)
	// Nor on what other attacks have broken: each alone, on all inputs, breaks together
	// what they break in turn.
	rep, err := Evaluate(ctx, m, x, y, &APGD{Threat: Threat{Eps: 0.05}}, &APGD{Threat: Threat{Eps: 0.05}, TargetClasses: 9},
		&FAB{Threat: Threat{Eps: 0.05}}, &Square{Threat: Threat{Eps: 0.05}})
	require.NoError(t, err)
	require.Equal(t, want.Right, rep.Right)
	for _, size := range []int{1, 7, 250} {
		tensor.SetThreads(1 + size%2)
		got, err := (&AutoAttack{Threat: Threat{Eps: 0.05}, BatchSize: size}).Evaluate(ctx, m, x, y)
		tensor.SetThreads(0)
		require.NoError(t, err)
		require.Equal(t, want.Right, got.Right)
		require.InDeltaSlice(t, want.Result.X.Values(), got.Result.X.Values(), 1e-9)
	}
}

func TestAutoAttackResumes(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 7))
	m := randomModel(r, 12, 5, tensor.Float32)
	x := tensor.Uniform(r, tensor.Float32, 0, 1, 60, 12)
	y, err := Predict(ctx, m, x)
	require.NoError(t, err)
	aa := AutoAttack{Threat: Threat{Eps: 0.05}, Seed: 4}
	want, err := aa.Evaluate(ctx, m, x, y)
	require.NoError(t, err)

	aa.State = filepath.Join(t.TempDir(), "state")
	stopped, cancel := context.WithCancel(ctx)
	aa.OnStage = func(s Stage) {
		if s.Name == "APGD-T" {
			cancel()
		}
	}
	_, err = aa.Evaluate(stopped, m, x, y)
	require.ErrorIs(t, err, context.Canceled)
	var stages int
	aa.OnStage = func(Stage) { stages++ }
	got, err := aa.Evaluate(ctx, m, x, y)
	require.NoError(t, err)
	require.Equal(t, 2, stages, "the first two are in the state")
	require.Equal(t, want.Right, got.Right)
	require.Equal(t, want.Result.X.Values(), got.Result.X.Values())
	require.Equal(t, want.Result.Distance, got.Result.Distance)

	other := aa
	other.Seed = 5
	_, err = other.Evaluate(ctx, m, x, y)
	require.ErrorContains(t, err, "another evaluation")
	other = aa
	other.Threat.Eps = 0.06
	_, err = other.Evaluate(ctx, m, x, y)
	require.ErrorContains(t, err, "another evaluation")
	_, err = aa.Evaluate(ctx, m, tensor.Slice(x, 0, 0, 59), y[:59])
	require.ErrorContains(t, err, "another evaluation")
	_, err = aa.Evaluate(ctx, randomModel(r, 12, 5, tensor.Float32), x, y)
	require.ErrorContains(t, err, "state "+aa.State+" is of another model")
	require.NoError(t, os.WriteFile(aa.State, []byte("no state"), 0o600))
	_, err = aa.Evaluate(ctx, m, x, y)
	require.ErrorContains(t, err, "attack: AutoAttack: state: ")
}

// A model that steps: its gradient is 0 almost everywhere, and only Square sees
// through it. One whose logits are huge is no harder than with small ones.
func TestAutoAttackSeesThroughMaskedGradients(t *testing.T) {
	r := rand.New(rand.NewPCG(4, 7))
	plain := randomModel(r, 12, 5, tensor.Float32)
	x := tensor.Uniform(r, tensor.Float32, 0, 1, 80, 12)
	quantised := function(func(x *tensor.Tensor) *tensor.Tensor {
		v := x.Detach().Clone()
		for i, u := range v.Float32s() {
			v.Float32s()[i] = float32(math.Round(float64(u)*8) / 8)
		}
		return plain.Logits(v)
	})
	y, err := Predict(ctx, quantised, x)
	require.NoError(t, err)
	rep, err := (&AutoAttack{Threat: Threat{Eps: 0.15}}).Evaluate(ctx, quantised, x, y)
	require.NoError(t, err)
	kinds := map[WarningKind]bool{}
	for _, w := range rep.Warnings {
		kinds[w.Kind] = true
	}
	require.True(t, kinds[ZeroGradient] && kinds[GradientFreeWins], "%v", rep.Warnings)
	require.Less(t, rep.Robust.Right, rep.Clean.Right/2)

	y, err = Predict(ctx, plain, x)
	require.NoError(t, err)
	huge := function(func(x *tensor.Tensor) *tensor.Tensor { return tensor.MulScalar(plain.Logits(x), 1e5) })
	want, err := (&AutoAttack{Threat: Threat{Eps: 0.05}}).Evaluate(ctx, plain, x, y)
	require.NoError(t, err)
	got, err := (&AutoAttack{Threat: Threat{Eps: 0.05}}).Evaluate(ctx, huge, x, y)
	require.NoError(t, err)
	require.InDelta(t, want.Robust.Right, got.Robust.Right, 1)
}

func TestAutoAttackWarns(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 7))
	x := tensor.Uniform(r, tensor.Float32, 0, 1, 10, 6)
	y := make([]int, 10)
	kinds := func(m Model, v Version) (out []WarningKind) {
		a := &AutoAttack{Threat: Threat{Eps: 0.01}, Version: v}
		rep, err := a.Evaluate(ctx, onImages(m), tensor.Reshape(x, 10, 2, 3, 1), y)
		require.NoError(t, err)
		for _, w := range rep.Warnings {
			out = append(out, w.Kind)
		}
		return out
	}
	four := randomModel(r, 6, 4, tensor.Float32)
	require.Empty(t, kinds(four, Standard))
	require.Equal(t, []WarningKind{SoftmaxOutput}, kinds(function(func(x *tensor.Tensor) *tensor.Tensor { return tensor.Softmax(four.Logits(x)) }), Standard))
	noise := rand.New(rand.NewPCG(6, 7))
	tensor.SetThreads(1)
	defer tensor.SetThreads(0)
	random := function(func(x *tensor.Tensor) *tensor.Tensor {
		z := four.Logits(x)
		return tensor.Add(z, tensor.Normal(noise, tensor.Float32, 0, 0.1, z.Shape()...))
	})
	require.Equal(t, []WarningKind{RandomizedModel}, kinds(random, Standard))
	require.Empty(t, kinds(random, Rand))
	require.Equal(t, []WarningKind{FewClasses}, kinds(randomModel(r, 6, 2, tensor.Float32), Rand))
	require.Empty(t, kinds(randomModel(r, 6, 3, tensor.Float32), Rand))
	flat, err := (&AutoAttack{Threat: Threat{Eps: 0.01}}).Evaluate(ctx, four, x, y)
	require.NoError(t, err)
	require.Equal(t, NoImages, flat.Warnings[0].Kind)
	require.Contains(t, flat.Warnings[0].Text, "inputs of shape [6]")
	first, err := (&AutoAttack{Threat: Threat{Eps: 0.01}}).Evaluate(ctx, onImages(four), tensor.Reshape(x, 10, 1, 3, 2), y)
	require.NoError(t, err)
	require.Equal(t, NoImages, first.Warnings[0].Kind)
	require.Contains(t, first.Warnings[0].Text, "inputs of shape [1 3 2] look like images [C, H, W]")
	for _, c := range []struct {
		version Version
		classes int
		want    []string
	}{
		{Standard, 2, []string{"APGD-CE", "FAB-T", "Square"}},
		{Standard, 3, []string{"APGD-CE", "APGD-DLR", "FAB-T", "Square"}},
		{Plus, 2, []string{"APGD-CE", "FAB", "Square", "FAB-T"}},
		{Plus, 3, []string{"APGD-CE", "APGD-DLR", "FAB", "Square", "FAB-T"}},
	} {
		a := &AutoAttack{Threat: Threat{Eps: 0.01}, Version: c.version}
		rep, err := a.Evaluate(ctx, randomModel(r, 6, c.classes, tensor.Float32), x, y)
		require.NoError(t, err)
		require.Equal(t, FewClasses, rep.Warnings[0].Kind)
		require.Equal(t, c.want, stageNames(rep))
	}
}

func stageNames(rep AutoReport) (out []string) {
	for _, s := range rep.Stages {
		out = append(out, s.Name)
	}
	return out
}

// The version plus has the public implementation's attacks and budgets, and leaves
// no more than the standard one, which it contains but for random numbers.
func TestAutoAttackPlus(t *testing.T) {
	r := rand.New(rand.NewPCG(9, 7))
	m := randomModel(r, 12, 5, tensor.Float64)
	x := tensor.Uniform(r, tensor.Float64, 0, 1, 16, 12)
	y, err := Predict(ctx, m, x)
	require.NoError(t, err)
	for _, th := range []Threat{{Norm: Linf, Eps: 0.05}, {Norm: L2, Eps: 0.15}, {Norm: L1, Eps: 0.4}} {
		standard, err := (&AutoAttack{Threat: th}).Evaluate(ctx, m, x, y)
		require.NoError(t, err)
		rep, err := (&AutoAttack{Threat: th, Version: Plus}).Evaluate(ctx, m, x, y)
		require.NoError(t, err)
		require.Equal(t, []string{"APGD-CE", "APGD-DLR", "FAB", "Square", "APGD-T", "FAB-T"}, stageNames(rep))
		require.Contains(t, rep.Stages[0].Settings, "restarts 5")
		require.Contains(t, rep.Stages[2].Settings, "FAB under "+th.String()+", steps 100, restarts 5")
		require.Contains(t, rep.Stages[3].Settings, "queries 5000")
		require.Contains(t, rep.Stages[4].Settings, "target classes 9")
		require.NotContains(t, rep.Stages[4].Settings, "larger balls")
		require.Positive(t, rep.Robust.Right)
		require.Less(t, rep.Robust.Right, rep.Clean.Right)
		require.LessOrEqual(t, rep.Robust.Right, standard.Robust.Right+1, "%v", th)
	}
}

// A model that always answers 0 cannot be attacked; it is right for the inputs of
// class 0, and those that are wrong come back as they are.
func TestAutoAttackOnAConstantModel(t *testing.T) {
	m := function(func(x *tensor.Tensor) *tensor.Tensor {
		z := tensor.Zeros(tensor.Float32, x.Dim(0), 4)
		for i := range x.Dim(0) {
			z.Set(1, i, 0)
		}
		return z
	})
	x := tensor.Full(tensor.Float32, 0.5, 6, 5)
	rep, err := (&AutoAttack{Threat: Threat{Eps: 0.1}}).Evaluate(ctx, m, x, []int{0, 1, 0, 2, 3, 0})
	require.NoError(t, err)
	require.Equal(t, 3, rep.Robust.Right)
	require.Equal(t, x.Values(), rep.Result.X.Values())
	require.Equal(t, ZeroGradient, rep.Warnings[0].Kind)
}

func TestAutoAttackBadInput(t *testing.T) {
	r := rand.New(rand.NewPCG(8, 7))
	m := randomModel(r, 3, 4, tensor.Float32)
	x, y := tensor.Uniform(r, tensor.Float32, 0, 1, 2, 3), []int{1, 2}
	for want, a := range map[string]Attack{
		"AutoAttack under l0":       &AutoAttack{Threat: Threat{Norm: L0, Eps: 1}},
		"eps is -1":                 &AutoAttack{Threat: Threat{Eps: -1}},
		`version "quick"`:           &AutoAttack{Threat: Threat{Eps: 0.1}, Version: "quick"},
		"APGD under l0":             &APGD{Threat: Threat{Norm: L0, Eps: 1}},
		"rho is 2":                  &APGD{Threat: Threat{Eps: 0.1}, Rho: 2},
		"-1 steps":                  &APGD{Threat: Threat{Eps: 0.1}, Steps: -1},
		"FAB under l0":              &FAB{Threat: Threat{Norm: L0, Eps: 1}},
		"for the untargeted form":   &FAB{Threat: Threat{Eps: 0.1}, Untargeted: true, TargetClasses: 3},
		"eta is 0.5":                &FAB{Threat: Threat{Eps: 0.1}, Eta: 0.5},
		"Square under l0":           &Square{Threat: Threat{Norm: L0, Eps: 1}},
		"share 2":                   &Square{Threat: Threat{Eps: 0.1}, Share: 2},
		"no such file or directory": &AutoAttack{Threat: Threat{Eps: 0.1}, State: "/does/not/exist/state"},
	} {
		_, err := a.Run(ctx, m, x, y)
		require.ErrorContains(t, err, want)
	}
	y = tensor.ArgMax(m.Logits(x))
	_, err := (&AutoAttack{}).Evaluate(ctx, m, x, y)
	require.ErrorContains(t, err, "eps is 0 under linf, which lets nothing change")
	cancelled, cancel := context.WithCancelCause(ctx)
	cancel(errors.New("enough"))
	_, err = (&AutoAttack{Threat: Threat{Eps: 0.1}}).Evaluate(cancelled, m, x, y)
	require.ErrorIs(t, err, context.Canceled)
}
