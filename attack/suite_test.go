package attack_test

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	. "github.com/redoubt-ml/redoubt/attack"
	"github.com/redoubt-ml/redoubt/attack/transform"
	"github.com/redoubt-ml/redoubt/tensor"
	"github.com/redoubt-ml/redoubt/tensor/dataset"
	"github.com/redoubt-ml/redoubt/tensor/nn"
)

// Of a linear model with two classes the smallest perturbation is known: the lead
// over the dual norm of the difference of the weights.
func TestMinimumNormAttacksFindTheBoundary(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 9))
	const n, d = 12, 8
	w := tensor.Normal(r, tensor.Float64, 0, 4, d, 2)
	m := affine(w, tensor.MulScalar(tensor.Sum(w, 0), -0.5))
	x := tensor.Uniform(r, tensor.Float64, 0.4, 0.6, n, d)
	y, err := Predict(ctx, m, x)
	require.NoError(t, err)
	z := m.Logits(x)
	for _, c := range []struct {
		attack Attack
		norm   Norm
		slack  float64 // relative
	}{
		{&DeepFool{Threat: Threat{Norm: Linf, Eps: 1}}, Linf, 0.021},
		{&DeepFool{Threat: Threat{Norm: L2, Eps: 9}}, L2, 0.021},
		{&DeepFool{Threat: Threat{Norm: L1, Eps: 9}}, L1, 0.021},
		{&FMN{Threat: Threat{Norm: Linf, Eps: 1}, Steps: 300}, Linf, 0.05},
		{&FMN{Threat: Threat{Norm: L2, Eps: 9}, Steps: 300}, L2, 0.05},
		{&FMN{Threat: Threat{Norm: L1, Eps: 9}, Steps: 300}, L1, 0.1},
		{&DDN{Threat: Threat{Norm: L2, Eps: 9}, Steps: 200, Radius: 0.2}, L2, 0.05},
		{&CarliniWagner{Threat: Threat{Norm: L2, Eps: 9}}, L2, 0.05},
		{&EAD{Threat: Threat{Norm: L1, Eps: 9}, Beta: 0.1}, L1, 0.3},
		{&FAB{Threat: Threat{Norm: Linf, Eps: 1}, Minimize: true}, Linf, 0.02},
		{&FAB{Threat: Threat{Norm: L2, Eps: 9}, Minimize: true, Untargeted: true}, L2, 0.02},
		{&HopSkipJump{Threat: Threat{Norm: L2, Eps: 9}, Queries: 20000}, L2, 0.05},
		{&HopSkipJump{Threat: Threat{Norm: Linf, Eps: 1}, Queries: 20000}, Linf, 0.01},
		{&Boundary{Threat: Threat{Norm: L2, Eps: 9}, Queries: 10000}, L2, 0.1},
	} {
		res, err := c.attack.Run(ctx, m, x, y)
		require.NoError(t, err)
		for i := range y {
			var one, two, most float64
			for j := range d {
				a := math.Abs(w.At(j, 0) - w.At(j, 1))
				one, two, most = one+a, two+a*a, max(most, a)
			}
			dual := map[Norm]float64{Linf: one, L2: math.Sqrt(two), L1: most}[c.norm]
			exact := math.Abs(z.At(i, 0)-z.At(i, 1)) / dual
			require.True(t, res.Success[i], "%s %v", c.attack.Name(), c.norm)
			require.GreaterOrEqual(t, res.Distance[i], exact*(1-1e-9), "%s %v", c.attack.Name(), c.norm)
			require.LessOrEqual(t, res.Distance[i], exact*(1+c.slack), "%s %v, input %d", c.attack.Name(), c.norm, i)
		}
	}
}

// Where the gradient is 0 at the input FMN starts from a random success, and from
// there it finds the boundary; where there is none it gives up.
func TestFMNLeavesADeadEnd(t *testing.T) {
	flat := func(lead float64) function {
		return func(x *tensor.Tensor) *tensor.Tensor {
			slope := tensor.ReLU(tensor.AddScalar(tensor.MulScalar(tensor.Sum(x, 1), 0.5), -0.6))
			wrong := tensor.Reshape(tensor.Affine(slope, 5, -lead), x.Dim(0), 1)
			return tensor.Concat(1, tensor.Zeros(x.DType(), x.Dim(0), 1), wrong)
		}
	}
	x := tensor.FromFloat64([]float64{0.2, 0.2, 0.1, 0.3}, 2, 2)
	for norm, exact := range map[Norm]float64{Linf: 0.5, L2: 0.5 * math.Sqrt2, L1: 1} {
		for _, targets := range [][]int{nil, {1, 1}} {
			res, err := (&FMN{Threat: Threat{Norm: norm, Eps: 9}, Targets: targets}).Run(ctx, flat(0.5), x, []int{0, 0})
			require.NoError(t, err)
			for i, d := range res.Distance {
				require.True(t, res.Success[i])
				require.GreaterOrEqual(t, d, exact)
				require.LessOrEqual(t, d, exact*1.03, "%v, input %d", norm, i)
			}
		}
		res, err := (&FMN{Threat: Threat{Norm: norm, Eps: 9}}).Run(ctx, flat(5), x, []int{0, 0})
		require.NoError(t, err)
		require.Equal(t, []bool{false, false}, res.Success)
		require.Equal(t, []int{1 + 101 + 100, 1 + 101 + 100}, res.Queries)
	}
}

// On a trained network every attack breaks more than random points of the same set
// do.
func TestAttacksBeatNoise(t *testing.T) {
	train, test, err := dataset.MNISTMini()
	require.NoError(t, err)
	net := nn.NewMLP(rand.New(rand.NewPCG(1, 1)), 28, 28, 1, 32, 10)
	require.NoError(t, (&nn.Trainer{Net: net, Data: train, Epochs: 5, BatchSize: 50}).Run(ctx))
	m := nn.Classifier{Net: net}
	x, y := test.Take(10).All()
	for norm, eps := range map[Norm]float64{Linf: 0.1, L2: 2, L1: 15} {
		th := Threat{Norm: norm, Eps: eps}
		noise, err := Evaluate(ctx, m, x, y, &Noise{Threat: th})
		require.NoError(t, err)
		require.Greater(t, noise.Worst.Value, 0.5)
		attacks := []Attack{
			&PGD{Threat: th, Steps: 20}, &MIFGSM{Threat: th}, &DIFGSM{Threat: th}, &TIFGSM{Threat: th, Radius: 2},
			&FAB{Threat: th, Steps: 20, Untargeted: true}, &APGD{Threat: th, Steps: 20},
			&FAB{Threat: th, Steps: 20}, &DeepFool{Threat: th}, &FMN{Threat: th}, &Square{Threat: th, Queries: 500},
			&NES{Threat: th, Queries: 1000}, &SPSA{Threat: th, Queries: 2000}, &SimBA{Threat: th, Queries: 1000},
		}
		switch norm {
		case L2:
			attacks = append(attacks, &CarliniWagner{Threat: th, Steps: 50, C: 1, Searches: 4}, &DDN{Threat: th},
				&RFGSM{Threat: th},
				&EAD{Threat: th, Steps: 50, C: 1, Searches: 4}, &HopSkipJump{Threat: th, Queries: 1500}, &Boundary{Threat: th, Queries: 2000})
		case L1:
			attacks = append(attacks, &SLIDE{Threat: th}, &EAD{Threat: th, Steps: 50, C: 1, Searches: 4})
		case Linf:
			attacks = append(attacks, &FGSM{Threat: th}, &RFGSM{Threat: th}, &BIM{Threat: th, Steps: 10},
				&EOT{Threat: th, Transform: transform.Translation{Right: transform.Range{Lo: -1, Hi: 1}}, Samples: 3, Steps: 10}, &HopSkipJump{Threat: th, Queries: 3000})
		}
		for _, a := range attacks {
			rep, err := Evaluate(ctx, m, x, y, a)
			require.NoError(t, err)
			require.Less(t, rep.Worst.Right, noise.Worst.Right, "%s under %v", a.Name(), th)
		}
	}
}

// The curve of minimum-norm attacks is the exact step function of the distances, and
// on a linear model that of the true ones; attacks at one radius agree with it.
func TestNormCurves(t *testing.T) {
	r := rand.New(rand.NewPCG(2, 9))
	const n, d = 60, 8
	w := tensor.Normal(r, tensor.Float64, 0, 4, d, 2)
	m := affine(w, tensor.MulScalar(tensor.Sum(w, 0), -0.5))
	x := tensor.Uniform(r, tensor.Float64, 0.3, 0.7, n, d)
	y, err := Predict(ctx, m, x)
	require.NoError(t, err)
	y[0], y[1] = 1-y[0], 1-y[1] // wrong by themselves
	rep, err := Evaluate(ctx, m, x, y, &FAB{Threat: Threat{Norm: L2, Eps: 9}, Minimize: true}, &DDN{Threat: Threat{Norm: L2, Eps: 9}})
	require.NoError(t, err)
	c := NewNormCurve(L2, x, rep)
	require.Equal(t, n, c.Total)
	require.Len(t, c.Falls, n)
	require.Equal(t, []float64{0, 0}, c.Falls[:2])
	require.Positive(t, c.Falls[2])
	z := m.Logits(x)
	length := math.Sqrt(tensor.Sum(tensor.Square(tensor.Sub(tensor.Slice(w, 1, 0, 1), tensor.Slice(w, 1, 1, 2)))).Item())
	checked := 0
	for k := 2; k+1 < n; k += 3 {
		eps := (c.Falls[k] + c.Falls[k+1]) / 2
		if c.Falls[k+1] < 1.02*c.Falls[k] {
			continue // too near to the boundary for the attacks to tell
		}
		robust := 0
		for i := 2; i < n; i++ {
			if math.Abs(z.At(i, 0)-z.At(i, 1))/length > eps {
				robust++
			}
		}
		require.Equal(t, robust, c.At(eps).Right, "eps %v", eps)
		if checked++; checked > 2 {
			continue
		}
		aa, err := (&AutoAttack{Threat: Threat{Norm: L2, Eps: eps}}).Evaluate(ctx, m, x, y)
		require.NoError(t, err)
		require.Equal(t, robust, aa.Robust.Right, "eps %v", eps)
	}
	require.Greater(t, checked, 4)
	eps, accuracy := c.Steps()
	require.Equal(t, float64(n-2)/n, accuracy[0])
	require.Zero(t, accuracy[len(accuracy)-1])
	for i, e := range eps {
		require.Equal(t, accuracy[i], c.At(e).Value)
		if i > 0 {
			require.Equal(t, accuracy[i-1], c.At(math.Nextafter(e, 0)).Value)
		}
	}
	require.Equal(t, c.Falls[n/2-1], c.Median())
	// The other norm of the same adversaries; a curve that does not end at 0.
	require.Greater(t, NewNormCurve(L1, x, rep).Median(), c.Median())
	rep, err = Evaluate(ctx, m, x, y, &DDN{Threat: Threat{Norm: L2, Eps: c.Falls[9] * 1.001}})
	require.NoError(t, err)
	some := NewNormCurve(L2, x, rep)
	require.Less(t, len(some.Falls), 15)
	require.True(t, math.IsInf(some.Median(), 1))
	clean, err := Evaluate(ctx, m, x, y)
	require.NoError(t, err)
	require.Equal(t, []float64{0, 0}, NewNormCurve(L2, x, clean).Falls, "no attack")
	empty := NormCurve{Total: 3}
	eps, accuracy = empty.Steps()
	require.Equal(t, []float64{0}, eps)
	require.Equal(t, []float64{1}, accuracy)
	require.Panics(t, func() { NewNormCurve(L2, tensor.Slice(x, 0, 0, 3), rep) })
}

func TestJSMABreaksWithFewValues(t *testing.T) {
	m, x, y := trained(t)
	th := Threat{Norm: L0, Eps: 60}
	rep, err := Evaluate(ctx, m, tensor.Slice(x, 0, 0, 20), y[:20], &JSMA{Threat: th}, &Noise{Threat: th})
	require.NoError(t, err)
	require.Less(t, rep.Attacks[0].Accuracy.Right, rep.Attacks[1].Accuracy.Right)
	require.Less(t, rep.Attacks[0].Accuracy.Value, 0.5)
}

// What breaks a surrogate breaks many inputs of a network trained alike, and never
// more than what is aimed at the network itself.
func TestTransferNeedsNoGradientsOfTheModel(t *testing.T) {
	m, x, y := trained(t)
	net, err := train(9)
	require.NoError(t, err)
	th := Threat{Norm: Linf, Eps: 0.2}
	blind := function(func(x *tensor.Tensor) *tensor.Tensor {
		require.Zero(t, x.Tape().Len(), "the model is asked for answers only")
		return m.Logits(x)
	})
	rep, err := Evaluate(ctx, blind, x, y, &Transfer{Surrogate: nn.Classifier{Net: net}, Attack: &MIFGSM{Threat: th}}, &Noise{Threat: th, Repeats: 1})
	require.NoError(t, err)
	require.Less(t, rep.Attacks[0].Accuracy.Value, rep.Attacks[1].Accuracy.Value-0.1)
	require.Equal(t, 2*len(y), rep.Attacks[0].Queries)
	require.Equal(t, "transfer MI-FGSM", rep.Attacks[0].Name)

	// Making all steps on the surrogate breaks more of the network, and only
	// targets count where there are some.
	all, err := Evaluate(ctx, blind, x, y, &Transfer{Surrogate: nn.Classifier{Net: net}, Attack: &MIFGSM{Threat: th, AllSteps: true}})
	require.NoError(t, err)
	require.Less(t, all.Worst.Right, rep.Attacks[0].Accuracy.Right)
	target := make([]int, len(y))
	for i := range y {
		target[i] = (y[i] + 1) % 10
	}
	res, err := (&Transfer{Surrogate: nn.Classifier{Net: net}, Attack: &MIFGSM{Threat: th, AllSteps: true, Targets: target}, Targets: target}).Run(ctx, blind, x, y)
	require.NoError(t, err)
	hit := 0
	for i, s := range res.Success {
		require.Equal(t, res.Label[i] == target[i], s)
		if s {
			hit++
		}
	}
	require.Greater(t, hit, 2)
	_, err = (&Transfer{}).Run(ctx, m, x, y)
	require.ErrorContains(t, err, "without a surrogate")
}

// One perturbation fitted on some images fools the network on others, more than
// noise of the same size does.
func TestUniversalPerturbationFoolsUnseenInputs(t *testing.T) {
	m, x, y := trained(t)
	_, test, err := dataset.MNISTMini()
	require.NoError(t, err)
	unseen, labels := test.Slice(100, 400).All()
	u := &Universal{Threat: Threat{Norm: Linf, Eps: 0.25}, BatchSize: 50, Epochs: 30}
	delta, err := u.Fit(ctx, m, x, y)
	require.NoError(t, err)
	require.Equal(t, x.Shape()[1:], delta.Shape())
	require.LessOrEqual(t, tensor.MaxAbs(delta), u.Threat.Eps)
	accuracy := func(x *tensor.Tensor) float64 {
		answers, err := Predict(ctx, m, x)
		require.NoError(t, err)
		right := 0
		for i, a := range answers {
			if a == labels[i] {
				right++
			}
		}
		return float64(right) / float64(len(labels))
	}
	noise := tensor.MulScalar(tensor.Sign(tensor.Normal(rand.New(rand.NewPCG(1, 1)), tensor.Float32, 0, 1, delta.Shape()...)), 0.25)
	require.Less(t, accuracy(u.Apply(unseen, delta)), accuracy(u.Apply(unseen, noise))-0.2)
	for _, th := range []Threat{{Norm: Linf, Eps: 0.1}, {Norm: L2, Eps: 2}, {Norm: L1, Eps: 20}} {
		res, err := (&Universal{Threat: th, BatchSize: 100, StepSize: th.Eps / 3}).Run(ctx, m, x, y)
		require.NoError(t, err)
		for i, d := range th.Distance(res.X, x) {
			require.LessOrEqual(t, d, th.Eps, "input %d under %v", i, th)
		}
	}
	_, err = (&Universal{Threat: Threat{Norm: L0, Eps: 1}}).Fit(ctx, m, x, y)
	require.ErrorContains(t, err, "under l0")
}

// Targeted attacks reach their class, and count only that.
func TestTargetsAreReached(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 9))
	m := randomModel(r, 10, 4, tensor.Float64)
	x := tensor.Uniform(r, tensor.Float64, 0, 1, 30, 10)
	y, err := Predict(ctx, m, x)
	require.NoError(t, err)
	target := make([]int, len(y))
	for i, l := range y {
		target[i] = (l + 1) % 4
	}
	two, most := Threat{Norm: L2, Eps: 2}, Threat{Norm: Linf, Eps: 0.6}
	for _, a := range []Attack{
		&PGD{Threat: most, Steps: 30, Targets: target}, &MIFGSM{Threat: most, Targets: target},
		&RFGSM{Threat: Threat{Norm: Linf, Eps: 0.9}, Targets: target}, &DIFGSM{Threat: most, Targets: target, Least: 0.8}, &TIFGSM{Threat: most, Targets: target, Radius: 1, Sigma: 0.3},
		&APGD{Threat: most, Targets: target},
		&Square{Threat: most, Targets: target, Queries: 1000}, &CarliniWagner{Threat: two, Steps: 200, C: 1, Targets: target},
		&DDN{Threat: two, Targets: target}, &FMN{Threat: two, Targets: target}, &NES{Threat: most, Targets: target},
		&SimBA{Threat: most, Targets: target, StepSize: 0.2}, &HopSkipJump{Threat: two, Targets: target, Queries: 3000},
	} {
		res, err := a.Run(ctx, m, x, y)
		require.NoError(t, err)
		answers, err := Predict(ctx, m, res.X)
		require.NoError(t, err)
		hit := 0
		for i, s := range res.Success {
			require.Equal(t, answers[i], res.Label[i], a.Name())
			require.Equal(t, answers[i] == target[i], s, a.Name())
			if s {
				hit++
			}
		}
		require.Greater(t, hit, 15, a.Name())
	}
}
