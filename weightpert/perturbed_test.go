package weightpert

import (
	"context"
	"reflect"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/redoubt-ml/redoubt/tensor"
	"github.com/redoubt-ml/redoubt/tensor/nn"
)

// An attack, a fault or a quantiser does to a network with other values what it does to
// a network that has these values for parameters, inside other layers too.
func TestPerturbedNetworksAreNetworksOfTheirOwn(t *testing.T) {
	net, x, y := trained(t, nil)
	ctx := context.Background()
	before := snapshot(net)
	q, err := Quantizer{Bits: 4}.Quantize(net)
	require.NoError(t, err)
	own := twin(q.Network())
	logits := func(l nn.Layer) []float64 { return nn.Classifier{Net: l}.Logits(tensor.Slice(x, 0, 0, 2)).Values() }
	require.NotEqual(t, logits(net), logits(own))
	stored := q.Network().Values[0].Values()
	for _, given := range []nn.Layer{q.Network(), nn.NewSequential(q.Network())} {
		require.True(t, reflect.DeepEqual(snapshot(own), snapshot(given)))
		for _, biases := range []bool{false, true} {
			attack := PGD{Eps: .03, Steps: 4, Restarts: 2, Biases: biases}
			want, err := attack.Run(ctx, own, x, y)
			require.NoError(t, err)
			require.Less(t, want.Accuracy, want.Clean-.1)
			got, err := attack.Run(ctx, given, x, y)
			require.NoError(t, err)
			require.Equal(t, [2]float64{want.Clean, want.Accuracy}, [2]float64{got.Clean, got.Accuracy})
			require.Equal(t, logits(want.Network), logits(got.Network))
		}
		for name, fault := range map[string]func(l nn.Layer) (Perturbed, error){
			"noise": func(l nn.Layer) (Perturbed, error) { return GaussianNoise(l, .5, 1) },
			"stuck": func(l nn.Layer) (Perturbed, error) { return StuckWeights(l, .5, 0, 1) },
			"dead":  func(l nn.Layer) (Perturbed, error) { return DeadUnits(l, .5, 1) },
		} {
			want, err := fault(own)
			require.NoError(t, err)
			got, err := fault(given)
			require.NoError(t, err)
			require.Equal(t, logits(want), logits(got), name)
			require.NotEqual(t, logits(own), logits(got), name)
			coarse, err := Quantizer{Bits: 3}.Quantize(want)
			require.NoError(t, err)
			again, err := Quantizer{Bits: 3}.Quantize(got)
			require.NoError(t, err)
			require.True(t, slices.Equal(coarse.Layers[0].Code, again.Layers[0].Code), name)
			require.Equal(t, logits(coarse.Network()), logits(again.Network()), name)
			require.NotEqual(t, logits(want), logits(again.Network()), name)
		}
		z, err := Quantizer{}.Quantize(given)
		require.NoError(t, err)
		found, err := BitSearch{Flips: 2}.Run(ctx, z, x)
		require.NoError(t, err)
		require.Len(t, found.Flips, 2)
		require.NotEqual(t, logits(given), logits(found.Network.Network()))
	}
	require.True(t, reflect.DeepEqual(before, snapshot(net)))
	require.True(t, slices.Equal(stored, q.Network().Values[0].Values()))
}

// A pass that meets a network and a copy of it with other values keeps them apart, and
// values may be parameters themselves.
func TestPerturbedLeavesThePassAsItWas(t *testing.T) {
	a := &nn.Linear{Weight: tensor.FromFloat64([]float64{2}, 1, 1)}
	b := &nn.Linear{Weight: tensor.FromFloat64([]float64{3}, 1, 1)}
	net := nn.NewSequential(a, b, b)
	ws := []*tensor.Tensor{a.Weight, b.Weight}
	swapped := Perturbed{Net: net, Params: ws, Values: []*tensor.Tensor{b.Weight, a.Weight}}
	p, x := &nn.Pass{}, tensor.FromFloat64([]float64{1}, 1, 1)
	require.Equal(t, 18., net.Forward(p, x).Item())
	require.Equal(t, 12., swapped.Forward(p, x).Item())
	require.Equal(t, 18., net.Forward(p, x).Item())
	p.Use(a.Weight, tensor.FromFloat64([]float64{5}, 1, 1))
	require.Equal(t, 75., swapped.Forward(p, x).Item())
	require.Equal(t, 45., net.Forward(p, x).Item())
	require.Equal(t, []*tensor.Tensor{b.Weight, a.Weight}, nn.Params(swapped))
	inner := Perturbed{Net: net, Params: ws[:1], Values: []*tensor.Tensor{tensor.FromFloat64([]float64{7}, 1, 1)}}
	outer := Perturbed{Net: inner, Params: inner.Values, Values: []*tensor.Tensor{tensor.FromFloat64([]float64{11}, 1, 1)}}
	require.Equal(t, 99., outer.Forward(p, x).Item())
	require.Equal(t, 63., inner.Forward(p, x).Item())
}
