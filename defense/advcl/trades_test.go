package advcl

import (
	"context"
	"math"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/redoubt-ml/redoubt/attack"
	"github.com/redoubt-ml/redoubt/defense"
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

// The attack of TRADES starts from noise of 0.001, and raises the divergence of the
// clean answer from the attacked one within its ball.
func TestTheAttackOfTRADESRaisesTheDivergence(t *testing.T) {
	data := blobs(32, 4, 1)
	net := network(1, []int{4})
	require.NoError(t, net.Encoder.Calibrate(context.Background(), "", data, 1))
	c := nn.NewSequential(net.Encoder, net.Heads[0])
	x, y := data.All()
	attacked := func(steps, step int) *tensor.Tensor {
		trades := &TRADES{Attack: attack.PGD{Threat: attack.Threat{Eps: 8. / 255}, Steps: steps, StepSize: 4. / 255, Seed: 1}}
		got, err := trades.disagree(context.Background(), c, nn.Batch{X: tensor.NewTape().Const(x), Y: y, Step: step})
		require.NoError(t, err)
		return got
	}
	start, end := attacked(0, 0), attacked(3, 0)
	noise, n := tensor.Sub(start, x), float64(x.Len())
	require.InDelta(t, 0.001, math.Sqrt(tensor.Sum(tensor.Square(noise)).Item()/n), 3e-5)
	require.InDelta(t, 0, tensor.Sum(noise).Item()/n, 3e-5)
	require.NotEqual(t, start.Values(), attacked(0, 1).Values(), "each step has noise of its own")
	require.LessOrEqual(t, tensor.MaxAbs(tensor.Sub(end, x)), 8./255+1e-6)
	logits := func(x *tensor.Tensor) *tensor.Tensor { return c.Forward(&nn.Pass{}, x) }
	divergence := func(a *tensor.Tensor) float64 { return tensor.Mean(defense.KL(logits(x), logits(a))).Item() }
	// The first step leads 4/255 away, whatever its direction; the second one does not
	// lead back.
	require.Greater(t, divergence(attacked(1, 0)), divergence(start))
	require.Greater(t, divergence(end), 2*divergence(attacked(1, 0)))
}

// Supervised TRADES passes clean and attacked images one after the other.
func TestSupervisedTRADESHasTwoPasses(t *testing.T) {
	data := blobs(16, 4, 1)
	s, net := NewTRADES(1), network(1, []int{4})
	s.Attack.Steps = 1
	require.NoError(t, s.Check(net, data))
	most, passes := 0, 0
	net.Encoder.Sequential = nn.NewSequential(&counter{Layer: net.Encoder.Sequential, most: &most, trained: &passes})
	x, y := data.Batch([]int{0, 1, 2, 3})
	_, err := s.Loss(context.Background(), &nn.Pass{Train: true}, net, nn.Batch{X: tensor.NewTape().Const(x), Y: y, Index: []int{0, 1, 2, 3}})
	require.NoError(t, err)
	require.Equal(t, []int{4, 2}, []int{most, passes})
}

// Joint views of one set of statistics are one batch for the normalisation.
func TestJointViewsAreOneBatch(t *testing.T) {
	data := blobs(16, 4, 1)
	step := func(joint bool) (most, passes int, loss float64) {
		c, net := NewACL(1), network(1, nil, Clean, Attacked)
		require.True(t, c.Joint)
		c.Joint, c.Attack.Steps = joint, 1
		net.Encoder.Sequential = nn.NewSequential(&counter{Layer: net.Encoder.Sequential, most: &most, trained: &passes})
		loss, _ = oneStep(t, c, net, data, 8)
		return most, passes, loss
	}
	most, passes, joint := step(true)
	require.Equal(t, []int{16, 2}, []int{most, passes})
	most, passes, apart := step(false)
	require.Equal(t, []int{8, 4}, []int{most, passes})
	require.Greater(t, math.Abs(joint-apart), 1e-5, "other statistics")
}
