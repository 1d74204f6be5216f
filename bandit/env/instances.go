package env

import "math"

// Benchmark is an Instance with what a learner is told of it. I1 to I5 are those that
// this library compares rules on; their arms are Gaussian with Sigma 1, and Shift is 20,
// unless they say otherwise.
type Benchmark struct {
	Instance
	Sigma float64 // sub-Gaussian scale of the rewards, above 0
	Eps   float64 // contamination, in [0, 1/2)
	Shift float64 // Offset of the adversaries Shift (A1) and TailShift (A3)
}

func gaussianBenchmark(name string, eps float64, means ...float64) Benchmark {
	b := Benchmark{Instance: Instance{Name: name}, Sigma: 1, Eps: eps, Shift: 20}
	for _, mu := range means {
		b.Arms = append(b.Arms, Gaussian{Mu: mu, Sigma: 1})
	}
	return b
}

// I1 is one arm of mean 1 among nine of mean 0, with Eps 0.05.
func I1() Benchmark { return gaussianBenchmark("I1", 0.05, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0) }

// I2 is a ladder of five means, 2, 1.25, 0.5, 0.25 and 0, with Eps 0.02.
func I2() Benchmark { return gaussianBenchmark("I2", 0.02, 2, 1.25, 0.5, 0.25, 0) }

// I3 has a wide gap under heavy contamination: a mean of 2 and four of 0, with Eps 0.1.
func I3() Benchmark { return gaussianBenchmark("I3", 0.1, 2, 0, 0, 0, 0) }

// I4 has a skewed best arm: mean 0.8, median near 0.1, against a mean of 0.3, with Eps
// 0.02 and Sigma √1.01. A mixture with weights p, 1-p of Gaussians of variance 0.01, 2
// apart, is sub-Gaussian with variance 1 + 0.01 at most.
func I4() Benchmark {
	return Benchmark{
		Instance: Instance{Name: "I4", Arms: []Law{
			Mixture{Weights: []float64{0.6, 0.4}, Parts: []Law{Gaussian{0, 0.1}, Gaussian{2, 0.1}}},
			Gaussian{0.3, 0.1},
		}},
		Sigma: math.Sqrt(1.01), Eps: 0.02, Shift: 20,
	}
}

// I5 has twenty means 1 - (i/20)^0.6, i from 0, with Eps 0.01.
func I5() Benchmark {
	means := make([]float64, 20)
	for i := range means {
		means[i] = 1 - math.Pow(float64(i)/20, 0.6)
	}
	return gaussianBenchmark("I5", 0.01, means...)
}
