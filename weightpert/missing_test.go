package weightpert

import (
	"context"
	"encoding/json"
	"math"
	"math/big"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/redoubt-ml/redoubt/tensor"
	"github.com/redoubt-ml/redoubt/tensor/nn"
)

// What is missing is an error that says so, wherever it is missing.
func TestNothingIsAnError(t *testing.T) {
	ctx := context.Background()
	n, x := g3(t)
	b := NewBox(n)
	one := [][]float64{x}
	images := tensor.Zeros(tensor.Float32, 1, 28, 28, 1)
	type call = func(n *Network) error
	withNetwork := map[string]call{
		"Absolute":          func(n *Network) error { _, err := Absolute()(n, .1); return err },
		"AbsoluteWithBias":  func(n *Network) error { _, err := AbsoluteWithBias()(n, .1); return err },
		"Relative":          func(n *Network) error { _, err := Relative(0)(n, .1); return err },
		"PerRange":          func(n *Network) error { _, err := PerRange()(n, .1); return err },
		"StuckAt":           func(n *Network) error { _, err := StuckAt(n, 0); return err },
		"SetLayer":          func(n *Network) error { return NewBox(n).SetLayer(0, nil, nil) },
		"SetBias":           func(n *Network) error { return NewBox(n).SetBias(0, nil, nil) },
		"Rounding":          func(n *Network) error { _, err := Quantizer{}.Rounding(n); return err },
		"BitFlips":          func(n *Network) error { _, err := Quantizer{}.BitFlips(n, 1); return err },
		"Margins":           func(n *Network) error { _, err := Margins(IBP{}, n, b, x, 0); return err },
		"empty box":         func(n *Network) error { _, err := Margins(IBP{}, n, NewBox(n), x, 0); return err },
		"Certify":           func(n *Network) error { _, err := Certify(ctx, CROWN{}, n, b, one, []int{0}); return err },
		"LastTwo":           func(n *Network) error { _, err := LastTwo(n, b, x, 0, 1); return err },
		"Refute":            func(n *Network) error { _, _, err := Refute(ctx, n, b, SamplePGD{}, x, 0); return err },
		"ActivationBox":     func(n *Network) error { _, err := ActivationBox(n, b, x); return err },
		"WengBound":         func(n *Network) error { _, err := WengBound(ctx, n, RowBall{0, .1, 2}, true, x, 0); return err },
		"RowBallBound":      func(n *Network) error { _, err := RowBallBound(n, RowBall{0, .1, 2}, x, 0); return err },
		"FrobeniusBound":    func(n *Network) error { _, err := FrobeniusBound(n, 0, .1, x, 0); return err },
		"SingleLayerRadius": func(n *Network) error { _, err := SingleLayerRadius(n, 0, x, 0); return err },
		"Sensitivities": func(n *Network) error {
			_, err := Sensitivities(ctx, IBP{}, n, Absolute, .1, one, []int{0})
			return err
		},
		"SafeBits": func(n *Network) error { _, err := SafeBits(ctx, IBP{}, n, true, .5, one, []int{0}); return err },
		"CertifiedRadius": func(n *Network) error {
			_, err := CertifiedRadius(ctx, n, IBP{}, Absolute(), x, 0, RadiusOptions{})
			return err
		},
		"RobustRamp":         func(n *Network) error { _, err := RobustRamp(ctx, IBP{}, n, b, one, []int{0}, 1); return err },
		"Generalization":     func(n *Network) error { _, err := Generalization(ctx, n, .1, one, []int{0}, 1, .1); return err },
		"LinearDrop":         func(n *Network) error { _, err := LinearDrop(n, .1); return err },
		"GaussianDivergence": func(*Network) error { _, err := GaussianDivergence(nil, n, 1); return err },
		"SamplePGD":          func(n *Network) error { _, err := SamplePGD{}.Run(ctx, n, b, x, 0); return err },
		"SamplePGD.Margins":  func(n *Network) error { _, err := SamplePGD{}.Margins(ctx, n, b, one, []int{0}); return err },
		"RunFrobenius":       func(n *Network) error { _, err := SamplePGD{}.RunFrobenius(ctx, n, 0, .1, x, 0); return err },
	}
	for name, f := range withNetwork {
		for _, none := range []*Network{nil, {}} {
			require.NotPanics(t, func() {
				err := f(none)
				require.ErrorContains(t, err, "weightpert: ", name)
				require.Regexp(t, "network", err.Error(), name)
			}, name)
		}
	}
	_, err := Margins(IBP{}, n, &Box{}, x, 0)
	require.ErrorContains(t, err, "another form")
	for name, f := range map[string]func() error{
		"Margins":         func() error { _, err := Margins(nil, n, b, x, 0); return err },
		"Certify":         func() error { _, err := Certify(ctx, nil, n, b, one, []int{0}); return err },
		"CertifiedRadius": func() error { _, err := CertifiedRadius(ctx, n, nil, Absolute(), x, 0, RadiusOptions{}); return err },
		"no budget":       func() error { _, err := CertifiedRadius(ctx, n, IBP{}, nil, x, 0, RadiusOptions{}); return err },
		"SafeBits":        func() error { _, err := SafeBits(ctx, nil, n, true, .5, one, []int{0}); return err },
		"RobustRamp":      func() error { _, err := RobustRamp(ctx, nil, n, b, one, []int{0}, 1); return err },
		"Sensitivities":   func() error { _, err := Sensitivities(ctx, nil, n, Absolute, .1, one, []int{0}); return err },
		"its budget":      func() error { _, err := Sensitivities(ctx, IBP{}, n, nil, .1, one, []int{0}); return err },
	} {
		require.NotPanics(t, func() { require.ErrorContains(t, f(), "no ", name) }, name)
	}
	_, err = Margins(Product{Form: 9}, n, b, x, 0)
	require.ErrorContains(t, err, "form 9")
	require.Equal(t, "Product(9)", Product{Form: 9}.Name())

	for name, f := range map[string]func() error{
		"Quantize":         func() error { _, err := Quantizer{}.Quantize(nil); return err },
		"GaussianNoise":    func() error { _, err := GaussianNoise(nil, .1, 1); return err },
		"StuckWeights":     func() error { _, err := StuckWeights(nil, .1, 0, 1); return err },
		"DeadUnits":        func() error { _, err := DeadUnits(nil, .1, 1); return err },
		"no matrices":      func() error { _, err := DeadUnits(nn.Flatten, .1, 1); return err },
		"Accuracy":         func() error { _, err := Accuracy(ctx, nil, images, []int{0}); return err },
		"MeanCrossEntropy": func() error { _, err := MeanCrossEntropy(ctx, nil, images, []int{0}); return err },
		"PGD":              func() error { _, err := PGD{}.Run(ctx, nil, images, []int{0}); return err },
		"Ensemble":         func() error { _, err := PGD{}.Ensemble(ctx, nil, images, []int{0}); return err },
		"FromNN":           func() error { _, err := FromNN(nil, 1, 1, 1); return err },
	} {
		require.NotPanics(t, func() { require.ErrorContains(t, f(), "weightpert: ", name) }, name)
	}
	for name, loss := range map[string]nn.Loss{
		"AWP": (&AWP{}).Loss, "SAM": (&SAM{}).Loss, "sign": (&SignStep{}).Loss, "noise": (&WeightNoise{}).Loss, "QAT": (&QuantAware{}).Loss,
		"RandBET": (&RandBET{}).Loss, "clustering": (&Clustering{}).Loss, "theory": (&TheoryLoss{}).Loss, "IBP": (&IBPTraining{}).Loss,
	} {
		require.NotPanics(t, func() {
			_, err := loss(ctx, &nn.Pass{}, nil, nn.Batch{X: images, Y: []int{0}})
			require.ErrorContains(t, err, "weightpert: ", name)
		}, name)
	}
}

func TestBadComplexitiesAreErrors(t *testing.T) {
	for want, f := range map[string]func() (float64, error){
		"0 examples of 2":  func() (float64, error) { return MaxColumnRademacher(1, 1, 2, 0) },
		"3 examples of 0":  func() (float64, error) { return DepthRademacher(1, 1, 2, 0, 3) },
		"depth is 0":       func() (float64, error) { return DepthRademacher(1, 1, 0, 1, 3) },
		"class is -1":      func() (float64, error) { return MaxColumnRademacher(-1, 1, 2, 1) },
		"column is NaN":    func() (float64, error) { return MaxColumnRademacher(1, math.NaN(), 2, 1) },
		"0 examples or":    func() (float64, error) { return AbsRademacher(1, nil) },
		"example 1 has 1":  func() (float64, error) { return AbsRademacher(1, [][]float64{{1, 2}, {1}}) },
		"example 0: value": func() (float64, error) { return AbsRademacher(1, [][]float64{{math.Inf(1)}}) },
		"bound is -1":      func() (float64, error) { return AbsRademacher(-1, [][]float64{{1}}) },
		"sigma is +Inf":    func() (float64, error) { n, _ := g3(t); return GaussianDivergence(n, n, math.Inf(1)) },
		"different forms":  func() (float64, error) { n, _ := g3(t); return GaussianDivergence(n, &Network{}, 1) },
	} {
		_, err := f()
		require.ErrorContains(t, err, want)
	}
	n, _ := g3(t)
	d, err := GaussianDivergence(n, n, 1e-200)
	require.NoError(t, err)
	require.Zero(t, d)
	net := small(1)
	eight, err := Quantizer{}.Quantize(net)
	require.NoError(t, err)
	four, err := Quantizer{Bits: 4}.Quantize(net)
	require.NoError(t, err)
	_, err = eight.Hamming(four)
	require.ErrorContains(t, err, "8 and 4 bits")
	_, err = eight.Hamming(nil)
	require.Error(t, err)
	other, err := Quantizer{}.Quantize(nn.NewMLP(rand.New(rand.NewPCG(1, 1)), 28, 28, 1, 21, 12, 10))
	require.NoError(t, err)
	_, err = eight.Hamming(other)
	require.ErrorContains(t, err, "layer 0 has")
}

// JSON has no infinity: what overflowed is null, and the rest is kept.
func TestBoundsThatOverflowAreStillJSON(t *testing.T) {
	n := mlp(t, ReLU, rows([]float64{1e200}), rows([]float64{1e200}), rows([]float64{1e200}, []float64{-1e200}))
	g, err := Generalization(context.Background(), n, 1, [][]float64{{1}}, []int{0}, 1, .1)
	require.NoError(t, err)
	require.True(t, math.IsInf(g.Total, 1))
	text, err := json.Marshal(g)
	require.NoError(t, err)
	var back map[string]any
	require.NoError(t, json.Unmarshal(text, &back))
	require.Nil(t, back["total"])
	require.Contains(t, back, "total")
	require.Equal(t, true, back["vacuous"])
	require.Equal(t, 1., back["eps"])
	text, err = json.Marshal(&GeneralizationBound{Total: .5})
	require.NoError(t, err)
	require.Contains(t, string(text), `"total":0.5,"vacuous":false`)
	text, err = json.Marshal(Search{Flips: []BitFlip{}})
	require.NoError(t, err)
	require.Contains(t, string(text), `"flips":[]`)
}

// LinearDrop and Ψ are at least what real arithmetic gives, and hardly more. A sparse
// layer's columns are longer than its rows.
func TestComplexityTermsAreRoundedUp(t *testing.T) {
	rng := rand.New(rand.NewPCG(2, 7))
	abs := func(v float64) *big.Rat { return new(big.Rat).Abs(rat(v)) }
	for range 60 {
		n := mlp(t, ReLU, Matrix{Rows: 9, Cols: 2, Val: draws(rng, 18)}, thin(Matrix{Rows: 7, Cols: 9, Val: draws(rng, 63)}, rng), Matrix{Rows: 3, Cols: 7, Val: draws(rng, 21)})
		eps := rng.Float64()
		q, err := LinearDrop(n, eps)
		require.NoError(t, err)
		dense := func(i int) [][]*big.Rat { // of moduli
			w := &n.layers[i].Weight
			out := make([][]*big.Rat, w.Rows)
			for r := range out {
				for range w.Cols {
					out[r] = append(out[r], new(big.Rat))
				}
				from, to := w.span(r)
				for k := from; k < to; k++ {
					out[r][w.column(k, from)] = abs(w.Val[k])
				}
			}
			return out
		}
		// S of each layer.
		sum := func(v []*big.Rat) *big.Rat {
			s := new(big.Rat)
			for _, x := range v {
				s.Add(s, x)
			}
			return s
		}
		larger := func(a, b *big.Rat) *big.Rat {
			if a.Cmp(b) > 0 {
				return a
			}
			return b
		}
		row := new(big.Rat)
		for _, v := range dense(1) {
			row = larger(row, sum(v))
		}
		pair := new(big.Rat)
		top := n.layers[2].Weight.Val
		for i := range 3 {
			for j := range i {
				s := new(big.Rat)
				for c := range 7 {
					s.Add(s, new(big.Rat).Abs(new(big.Rat).Sub(rat(top[i*7+c]), rat(top[j*7+c]))))
				}
				pair = larger(pair, s)
			}
		}
		gains := []*big.Rat{new(big.Rat).Mul(pair, row), pair, rat(2)}
		want := []*big.Rat{new(big.Rat), new(big.Rat)}
		for m, s := range gains {
			v := make([]*big.Rat, n.layers[m].Weight.Cols)
			for k := range v {
				v[k] = new(big.Rat).Mul(rat(eps), s)
			}
			for k := m - 1; k >= 0; k-- {
				w := dense(k)
				next := make([]*big.Rat, len(w[0]))
				all := new(big.Rat).Mul(rat(eps), sum(v))
				for c := range next {
					next[c] = new(big.Rat).Set(all)
					for r := range w {
						next[c].Add(next[c], new(big.Rat).Mul(v[r], w[r][c]))
					}
				}
				v = next
			}
			for k := range want {
				want[k].Add(want[k], v[k])
			}
		}
		for k := range q {
			require.GreaterOrEqual(t, rat(q[k]).Cmp(want[k]), 0)
			f, _ := want[k].Float64()
			require.InEpsilon(t, f, q[k], 1e-12)
		}
		// Ψ bounds the coefficients of every network of these norms.
		require.GreaterOrEqual(t, n.norms().psi(eps), max(q[0], q[1])*(1-1e-12))
	}
}
