package defense

import (
	"cmp"
	"context"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/redoubt-ml/redoubt/attack"
	"github.com/redoubt-ml/redoubt/tensor"
	"github.com/redoubt-ml/redoubt/tensor/nn"
)

func TestTRADESLossHasItsGoldenValues(t *testing.T) {
	clean := tensor.FromFloat64([]float64{2, -1, 0.5, 0, 1, 3}, 2, 3)
	attacked := tensor.FromFloat64([]float64{1, 0, 0.5, 0.5, 1, 1}, 2, 3)
	y := []int{0, 2}
	require.InDelta(t, 0.2055786581, tradesLoss(clean, attacked, y, 0).Item(), 1e-10)
	require.InDelta(t, 0.3201006698, tradesLoss(clean, attacked, y, 1).Item()-tradesLoss(clean, attacked, y, 0).Item(), 1e-10)
	require.InDelta(t, 2.1261826769, tradesLoss(clean, attacked, y, 6).Item(), 1e-9)
	reversed := tradesLoss(attacked, clean, y, 1).Item() - tradesLoss(attacked, clean, y, 0).Item()
	require.InDelta(t, 0.4008778481, reversed, 1e-10, "the other way round is another figure")
}

// At x' = x the divergence that the attacker climbs is the entropy of the
// reference, and its gradient in the logits is 0.
func TestDivergenceIsLeastAtTheReference(t *testing.T) {
	r := rand.New(rand.NewPCG(2, 2))
	tape := tensor.NewTape()
	z := tape.Watch(tensor.Normal(r, tensor.Float64, 0, 1, 3, 4))
	d := divergence{tensor.Softmax(z.Clone())}
	v := d.Values(z, attack.Rows{Y: make([]int, 3), Index: []int{0, 1, 2}})
	require.Less(t, tensor.MaxAbs(tensor.Grad(tensor.Sum(v), z)[0]), 1e-12)
	other := tensor.Normal(r, tensor.Float64, 0, 1, 3, 4)
	w := d.Values(other, attack.Rows{Y: make([]int, 3), Index: []int{0, 1, 2}})
	for i := range 3 {
		require.Greater(t, w.At(i), v.At(i))
	}
}

// The answers that TRADES's attack compares with are worked out beside the step's tape,
// which holds only the two passes that are trained on.
func TestTheReferenceOfTRADESIsOffTheTape(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 1))
	net := nn.NewSequential(nn.Flatten, nn.NewLinear(r, 64, 4))
	tape := tensor.NewTape()
	onTape := 0
	spy := nn.Function(func(p *nn.Pass, x *tensor.Tensor) *tensor.Tensor {
		if x.Tape() == tape {
			onTape++
		}
		return net.Forward(p, x)
	})
	b := nn.Batch{X: tape.Const(tensor.Uniform(r, tensor.Float32, 0, 1, 3, 8, 8, 1)), Y: []int{0, 1, 2}}
	_, err := (&TRADES{Attack: attack.PGD{Threat: attack.Threat{Eps: 0.1}, Steps: 1}}).Loss(context.Background(), &nn.Pass{Train: true}, spy, b)
	require.NoError(t, err)
	require.Equal(t, 2, onTape)
	z := net.Forward(&nn.Pass{}, b.X)
	require.Equal(t, tensor.Softmax(z).Values(), probabilities(nn.Classifier{Net: net}, b.X).Values())
	require.Nil(t, probabilities(nn.Classifier{Net: net}, b.X).Tape())
}

// An L1 step moves the same entries as a stable sort of all of them by magnitude puts
// first, also where many are equal.
func TestLargestEntriesAreThoseOfAStableSort(t *testing.T) {
	r := rand.New(rand.NewPCG(4, 9))
	for range 300 {
		g := make([]float32, 1+r.IntN(60))
		kinds := 1 + r.IntN(30)
		var at []int
		for i := range g {
			g[i] = float32(r.IntN(2*kinds) - kinds)
			if r.IntN(4) > 0 {
				at = append(at, i)
			}
		}
		q := 5 + r.IntN(16)
		want := slices.Clone(at)
		slices.SortStableFunc(want, func(a, b int) int { return cmp.Compare(max(g[b], -g[b]), max(g[a], -g[a])) })
		want = want[:min(q, len(want))]
		slices.Sort(want)
		require.Equal(t, want, largest(at, g, q), "%d of %v", q, g)
	}
}

// watched is a network that keeps what it was asked in each mode.
type watched struct {
	nn.Layer
	asked, trained []*tensor.Tensor
}

func (w *watched) Forward(p *nn.Pass, x *tensor.Tensor) *tensor.Tensor {
	if p.Train {
		w.trained = append(w.trained, x.Clone())
	} else {
		w.asked = append(w.asked, x.Clone())
	}
	return w.Layer.Forward(p, x)
}

// The attack starts from noise of 0.001 that differs from step to step, and raises the
// divergence of the clean answer from the attacked one within its ball; clean and
// attacked images pass one after the other.
func TestTheAttackOfTRADESRaisesTheDivergence(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 1))
	net := nn.NewSequential(nn.Flatten, nn.NewLinear(r, 64, 32), nn.ReLU, nn.NewLinear(r, 32, 4))
	x := tensor.Uniform(r, tensor.Float32, 0.2, 0.8, 16, 8, 8, 1)
	y := make([]int, 16)
	run := func(steps, step int) (w *watched, attacked *tensor.Tensor) {
		w = &watched{Layer: net}
		trades := &TRADES{Attack: attack.PGD{Threat: attack.Threat{Eps: 8. / 255}, Steps: steps, StepSize: 4. / 255, Seed: 1}}
		b := nn.Batch{X: tensor.NewTape().Const(x), Y: y, Step: step}
		_, err := trades.Loss(context.Background(), &nn.Pass{Train: true}, w, b)
		require.NoError(t, err)
		require.Len(t, w.trained, 2)
		require.Len(t, w.asked, 1+steps)
		require.Equal(t, x.Values(), w.trained[0].Values())
		return w, w.trained[1]
	}
	w, one := run(1, 0)
	start := w.asked[1]
	noise, n := tensor.Sub(start, x), float64(x.Len())
	require.InDelta(t, 0.001, math.Sqrt(tensor.Sum(tensor.Square(noise)).Item()/n), 1e-4)
	require.InDelta(t, 0, tensor.Sum(noise).Item()/n, 1e-4)
	up := func(x0 *tensor.Tensor) *tensor.Tensor { // a step up the divergence
		v := tensor.NewTape().Watch(x0)
		g := tensor.Grad(tensor.Sum(KL(nn.Classifier{Net: net}.Logits(x), net.Forward(&nn.Pass{}, v))), v)[0]
		return tensor.Add(x0, tensor.MulScalar(tensor.Sign(g), 4./255))
	}
	require.InDelta(t, 0, tensor.Mean(tensor.Abs(tensor.Sub(up(start), one))).Item(), 1e-4)
	w, _ = run(1, 1)
	require.NotEqual(t, start.Values(), w.asked[1].Values(), "each step has noise of its own")
	_, three := run(3, 0)
	require.LessOrEqual(t, tensor.MaxAbs(tensor.Sub(three, x)), 8./255+1e-6)
	divergence := func(a *tensor.Tensor) float64 {
		c := nn.Classifier{Net: net}
		return tensor.Mean(KL(c.Logits(x), c.Logits(a))).Item()
	}
	// The first step leads 4/255 away, whatever its direction; the second one does not
	// lead back.
	require.Greater(t, divergence(one), divergence(start))
	require.Greater(t, divergence(three), 2*divergence(one))
}
