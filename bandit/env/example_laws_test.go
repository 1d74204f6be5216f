package env_test

import (
	"fmt"
	"math/rand/v2"

	"github.com/redoubt-ml/redoubt/bandit/env"
)

func ExampleGaussian() {
	law, rng := env.Gaussian{Mu: 1, Sigma: 2}, rand.New(rand.NewPCG(1, 0))
	sum := 0.0
	for range 10000 {
		sum += law.Draw(rng) / 10000
	}
	fmt.Println(law.Mean(), law.Rank(1, 0), sum > 0.9 && sum < 1.1)
	// Output: 1 0.5 true
}

// Ranks of a law with atoms spread over the step of its distribution function.
func ExampleBernoulli() {
	coin := env.Bernoulli{P: 0.25}
	fmt.Println(coin.Mean(), coin.Rank(0, 1), coin.Rank(1, 0), coin.Rank(1, 1))
	// Output: 0.25 0.75 0.75 1
}
