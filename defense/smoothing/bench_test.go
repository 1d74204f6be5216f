package smoothing_test

import (
	"math/rand/v2"
	"testing"

	. "github.com/redoubt-ml/redoubt/defense/smoothing"
	"github.com/redoubt-ml/redoubt/tensor"
	"github.com/redoubt-ml/redoubt/tensor/nn"
)

// BenchmarkCertify reports noisy copies of MNIST's size in a second.
func BenchmarkCertify(b *testing.B) {
	net := nn.NewMNISTNet(rand.New(rand.NewPCG(1, 1)))
	x := tensor.Zeros(tensor.Float32, 1, 28, 28, 1)
	c := &Classifier{Model: nn.Classifier{Net: net}, Sigma: 0.25, N: 10_000}
	for b.Loop() {
		if _, err := c.Certify(ctx, x); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.N)*10_100/b.Elapsed().Seconds(), "copies/s")
}
