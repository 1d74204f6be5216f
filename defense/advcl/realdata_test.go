package advcl

import (
	"context"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/redoubt-ml/redoubt/internal/realdata"
	"github.com/redoubt-ml/redoubt/tensor"
	"github.com/redoubt-ml/redoubt/tensor/dataset"
	"github.com/redoubt-ml/redoubt/tensor/nn"
	"github.com/redoubt-ml/redoubt/tensor/optim"
)

// AdvCL on 512 images of CIFAR-10: within 60 steps the loss falls by more than a tenth
// below that of features that are all the same, and neighbours agree on classes.
func TestAdvCLLearnsRealImages(t *testing.T) {
	data, err := dataset.Load(realdata.Dir(t), "cifar10", dataset.Train)
	realdata.Found(t, err)
	data = data.Take(512)
	const b = 64
	net := NewNetwork(rand.New(rand.NewPCG(1, 1)), Mini, Projector{Widths: []int{128, 64}}, nil, Clean, Attacked)
	c := NewAdvCL(1)
	c.Attack.Steps, c.Attack.StepSize = 2, 4./255
	var last float64
	run := Pretraining{Net: net, Method: c, Data: data, Steps: 60, BatchSize: b, Schedule: optim.Constant(0.06), OnStep: func(p nn.Progress) {
		last = 0.8*last + 0.2*p.Loss
		if p.Step == 0 {
			last = p.Loss
		}
		if p.Step%10 == 9 {
			t.Logf("step %d: loss %.2f", p.Step, p.Loss)
		}
	}}
	require.NoError(t, run.Run(context.Background()))
	require.Less(t, last, 0.9*math.Log(4*b-1)*0.5/0.07)
	f, err := Encode(context.Background(), net.Encoder, Attacked, data)
	require.NoError(t, err)
	unit := unit(f)
	s := tensor.MatMulT(unit, unit, false, true)
	right := 0
	for i := range data.Len() {
		votes := make([]int, 10)
		row := tensor.Slice(s, 0, i, i+1).Values()
		row[i] = math.Inf(-1)
		for range 20 {
			best := 0
			for k, v := range row {
				if v > row[best] {
					best = k
				}
			}
			votes[data.Labels[best]]++
			row[best] = math.Inf(-1)
		}
		best := 0
		for y, n := range votes {
			if n > votes[best] {
				best = y
			}
		}
		if best == data.Labels[i] {
			right++
		}
	}
	t.Logf("kNN accuracy %.1f %%", 100*float64(right)/float64(data.Len()))
	require.Greater(t, float64(right)/float64(data.Len()), 0.15)
}
