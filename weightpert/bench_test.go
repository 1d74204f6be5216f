package weightpert

import (
	"math/rand/v2"
	"testing"

	"github.com/redoubt-ml/redoubt/tensor/dataset"
	"github.com/redoubt-ml/redoubt/tensor/nn"
)

// The time of one image on one thread for 784-128-64-32-10, trained, the box shared.
func BenchmarkMargins(b *testing.B) {
	train, test, err := dataset.MNISTMini()
	if err != nil {
		b.Fatal(err)
	}
	mlp := nn.NewMLP(rand.New(rand.NewPCG(1, 2)), 28, 28, 1, 128, 64, 32, 10)
	if err := (&nn.Trainer{Net: mlp, Data: train, Epochs: 8, BatchSize: 50, Seed: 3}).Run(b.Context()); err != nil {
		b.Fatal(err)
	}
	net, err := FromNN(mlp, 28, 28, 1)
	if err != nil {
		b.Fatal(err)
	}
	box, err := Absolute()(net, .002)
	if err != nil {
		b.Fatal(err)
	}
	x, y := test.All()
	rows := Examples(x)
	for _, m := range []Method{Product{}, Path{}, IBP{}, CROWN{Intervals: true}, CROWN{}} {
		b.Run(m.Name(), func(b *testing.B) {
			bound, err := m.prepare(net, box)
			if err != nil {
				b.Fatal(err)
			}
			f, out := bound(), make([]float64, 10)
			i := 0
			for b.Loop() {
				f(out, rows[i%len(rows)], y[i%len(rows)])
				i++
			}
			b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(b.N)/1000, "ms/image")
		})
	}
}

// A universal attack of 20 steps on 1,000 images.
func BenchmarkPGD(b *testing.B) {
	net := nn.NewMLP(rand.New(rand.NewPCG(1, 2)), 28, 28, 1, 128, 64, 32, 10)
	_, test, err := dataset.MNISTMini()
	if err != nil {
		b.Fatal(err)
	}
	x, y := test.All()
	for b.Loop() {
		if _, err := (PGD{Eps: .005}).Run(b.Context(), net, x, y); err != nil {
			b.Fatal(err)
		}
	}
}
