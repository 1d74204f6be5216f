package advcl

import (
	"context"
	"math"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/redoubt-ml/redoubt/tensor"
	"github.com/redoubt-ml/redoubt/tensor/nn"
)

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
