package corrupt

import (
	"math/rand/v2"

	"gonum.org/v1/gonum/stat/distuv"

	"github.com/redoubt-ml/redoubt/tensor/dataset"
)

// gaussianNoise adds normal noise to all values.
func gaussianNoise(rng *rand.Rand, img *dataset.Image, severity int) {
	sigma := [...]float64{0.04, 0.06, 0.08, 0.09, 0.10}[severity]
	for i := range img.Pix {
		img.Pix[i] += float32(sigma * rng.NormFloat64())
	}
}

// shotNoise counts photons, of which white has so many.
func shotNoise(rng *rand.Rand, img *dataset.Image, severity int) {
	white := [...]float64{500, 250, 100, 75, 50}[severity]
	for i, v := range img.Pix {
		if v > 0 {
			img.Pix[i] = float32(distuv.Poisson{Lambda: float64(v) * white, Src: rng}.Rand() / white)
		}
	}
}

// impulseNoise sets values of single channels to 0 or 1.
func impulseNoise(rng *rand.Rand, img *dataset.Image, severity int) {
	share := [...]float64{0.01, 0.02, 0.03, 0.05, 0.07}[severity]
	for i := range img.Pix {
		if hit, salt := rng.Float64() < share, rng.IntN(2); hit {
			img.Pix[i] = float32(salt)
		}
	}
}
