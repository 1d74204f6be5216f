package nn

import (
	"math"
	"math/rand/v2"

	"github.com/redoubt-ml/redoubt/tensor"
)

// FanIn draws a float32 tensor uniformly from ±1/sqrt(fan), PyTorch's default
// for dense and convolution layers with fan inputs per output.
func FanIn(rng *rand.Rand, fan int, dims ...int) *tensor.Tensor {
	b := 1 / math.Sqrt(float64(fan))
	return tensor.Uniform(rng, tensor.Float32, -b, b, dims...)
}

// HeNormal draws a float32 tensor from a normal distribution of variance 2/fan.
//
// He et al., ICCV 2015, Eq. (10) with fan inputs, (14) with fan outputs.
func HeNormal(rng *rand.Rand, fan int, dims ...int) *tensor.Tensor {
	return tensor.Normal(rng, tensor.Float32, 0, math.Sqrt(2/float64(fan)), dims...)
}

// GlorotUniform draws a float32 tensor uniformly from ±sqrt(6/(in+out)).
//
// Glorot and Bengio, AISTATS 2010, Eq. (16).
func GlorotUniform(rng *rand.Rand, in, out int, dims ...int) *tensor.Tensor {
	b := math.Sqrt(6 / float64(in+out))
	return tensor.Uniform(rng, tensor.Float32, -b, b, dims...)
}
