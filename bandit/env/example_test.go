package env_test

import (
	"context"
	"fmt"

	"github.com/redoubt-ml/redoubt/bandit/env"
)

// A malicious adversary destroys the best arm's highest rewards.
func Example() {
	in := env.Instance{Arms: []env.Law{env.Gaussian{Mu: 1, Sigma: 1}, env.Gaussian{Mu: 0, Sigma: 1}}}
	clean, err := env.New(in, env.None{}, 0.1, 7)
	if err != nil {
		fmt.Println(err)
		return
	}
	attacked, err := env.New(in, env.TailShift{Offset: 20}, 0.1, 7)
	if err != nil {
		fmt.Println(err)
		return
	}
	x, y := make([]float64, 1000), make([]float64, 1000)
	_ = clean.Pull(context.Background(), in.Best(), x)
	_ = attacked.Pull(context.Background(), in.Best(), y)
	replaced, least := 0, 100.0
	for j := range x {
		if y[j] != x[j] {
			replaced++
			least = min(least, x[j])
		}
	}
	fmt.Println(replaced > 70 && replaced < 130, least > 2)
	// Output: true true
}
