package advcl

import (
	"context"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/redoubt-ml/redoubt/tensor/dataset"
	"github.com/redoubt-ml/redoubt/tensor/nn"
	"github.com/redoubt-ml/redoubt/tensor/optim"
)

// noise returns n random images of 32 by 32 pixels.
func noise(n int) *dataset.Set {
	rng := rand.New(rand.NewPCG(1, 1))
	s := &dataset.Set{Name: "noise", H: 32, W: 32, C: 3, Bytes: make([]byte, n*32*32*3)}
	for i := range s.Bytes {
		s.Bytes[i] = byte(rng.IntN(256))
	}
	return s
}

// BenchmarkStep trains AdvCL with pseudo-labels on the small network, b 128.
func BenchmarkStep(b *testing.B) {
	data := noise(256)
	ids := make([]int, 256)
	for i := range ids {
		ids[i] = i % 10
	}
	l := &PseudoLabels{Data: Checksum(data), Heads: []Labelling{{K: 10, ID: ids}}}
	c := NewAdvCL(1).WithPseudoLabels(l)
	c.Attack.Steps = 2
	net := NewNetwork(rand.New(rand.NewPCG(1, 1)), Mini, Projector{Widths: []int{128, 64}}, []int{10}, Routes...)
	run := Pretraining{Net: net, Method: c, Data: data, Steps: b.N + 2, BatchSize: 128, Schedule: optim.Constant(0.01), OnStep: func(p nn.Progress) {
		if p.Step == 1 {
			b.ResetTimer()
		}
	}}
	b.ReportAllocs()
	require.NoError(b, run.Run(context.Background()))
	flop := 2 * float64(Mini.MultiplyAdds(32)) * c.Passes() * 128
	b.ReportMetric(flop*float64(b.N)/b.Elapsed().Seconds()/1e9, "GFLOP/s")
}
