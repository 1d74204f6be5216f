package attack_test

import (
	"math"
	"math/rand/v2"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	. "github.com/redoubt-ml/redoubt/attack"
	"github.com/redoubt-ml/redoubt/tensor"
)

// Every attack answers every kind of bad input with an error that names it, and so do
// Evaluate and Predict.
func TestEveryAttackNamesBadInput(t *testing.T) {
	r := rand.New(rand.NewPCG(6, 19))
	plain := onImages(randomModel(r, 6, 4, tensor.Float32))
	x := tensor.Uniform(r, tensor.Float32, 0, 1, 4, 2, 3, 1)
	y := tensor.ArgMax(plain.Logits(x))
	with := func(i int, v float64) *tensor.Tensor {
		out := x.Clone()
		out.Set(v, i, 1, 2, 0)
		return out
	}
	// answers is the model whose later answers are spoiled: attacks see the first.
	answers := func(spoil func(z *tensor.Tensor) *tensor.Tensor) Model {
		var calls atomic.Int32
		return function(func(x *tensor.Tensor) *tensor.Tensor {
			if calls.Add(1) == 1 {
				return plain.Logits(x)
			}
			return spoil(plain.Logits(x))
		})
	}
	for _, c := range []struct {
		name  string
		model func() Model
		x     *tensor.Tensor
		y     []int
		want  string
	}{
		{"no model", func() Model { return nil }, x, y, "no model"},
		{"no inputs", nil, nil, y, "must be a batch [N, ...]"},
		{"an empty batch", nil, tensor.Zeros(tensor.Float32, 0, 2, 3, 1), nil, "empty batch"},
		{"too few labels", nil, x, y[:3], "3 labels for 4 inputs"},
		{"a negative label", nil, x, []int{0, 1, -1, 2}, "label of input 2 is -1"},
		{"a large label", nil, x, []int{0, 1, 4, 2}, "label of input 2 is 4, want 0 to 3"},
		{"NaN", nil, with(3, math.NaN()), y, "pixel 5 of input 3 is NaN"},
		{"a bright pixel", nil, with(1, 1.5), y, "pixel 5 of input 1 is 1.5"},
		{"a panic", func() Model { return answers(func(*tensor.Tensor) *tensor.Tensor { panic("no luck") }) }, x, y, "no luck"},
		{"rows are missing", func() Model {
			return answers(func(z *tensor.Tensor) *tensor.Tensor {
				return tensor.Concat(0, z, z)
			})
		}, x, y, "want logits"},
		{"nothing", func() Model { return answers(func(*tensor.Tensor) *tensor.Tensor { return nil }) }, x, y, "returned nothing"},
		{"one class", func() Model {
			return function(func(x *tensor.Tensor) *tensor.Tensor { return tensor.Zeros(x.DType(), x.Dim(0), 1) })
		}, x, make([]int, 4), "model has 1 classes, want at least 2"},
		{"NaN logits", func() Model {
			return answers(func(z *tensor.Tensor) *tensor.Tensor { return tensor.MulScalar(z, math.NaN()) })
		}, x, y, "not finite"},
	} {
		model := c.model
		if model == nil {
			model = func() Model { return plain }
		}
		for _, a := range everyAttack(plain) {
			res, err := a.Run(ctx, model(), c.x, c.y)
			if err == nil && c.model != nil && res.Queries != nil && total(res.Queries) <= 2*len(c.y) {
				continue // done before the model spoils its answers
			}
			require.ErrorContains(t, err, c.want, "%s: %v", c.name, a)
		}
	}
}

// Where the model is wrong by itself there is nothing to attack: the inputs come back
// as they are.
func TestEveryAttackOnWrongInputs(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 19))
	m := onImages(randomModel(r, 6, 4, tensor.Float32))
	x := tensor.Uniform(r, tensor.Float32, 0, 1, 4, 2, 3, 1)
	answers := tensor.ArgMax(m.Logits(x))
	y := make([]int, len(answers))
	for i, a := range answers {
		y[i] = (a + 1) % 4
	}
	for _, a := range everyAttack(m) {
		res, err := a.Run(ctx, m, x, y)
		require.NoError(t, err, "%v", a)
		require.Equal(t, x.Values(), res.X.Values(), "%v", a)
		require.Equal(t, answers, res.Label, "%v", a)
		require.Equal(t, []bool{true, true, true, true}, res.Success, "%v", a)
		require.Equal(t, make([]float64, 4), res.Distance, "%v", a)
	}
}

func total(v []int) (sum int) {
	for _, n := range v {
		sum += n
	}
	return sum
}
