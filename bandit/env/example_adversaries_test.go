package env_test

import (
	"context"
	"fmt"
	"math/rand/v2"

	"github.com/redoubt-ml/redoubt/bandit/env"
)

// pull returns rewards of an arm of a world under an adversary of a tenth of them.
func pull(in env.Instance, c env.Contamination, arm, n int) []float64 {
	w, err := env.New(in, c, 0.1, 7)
	if err != nil {
		panic(err)
	}
	rewards := make([]float64, n)
	if err := w.Pull(context.Background(), arm, rewards); err != nil {
		panic(err)
	}
	return rewards
}

// two is an instance of two Gaussian arms, the first of which is the best.
func two() env.Instance {
	return env.Instance{Arms: []env.Law{env.Gaussian{Mu: 1, Sigma: 1}, env.Gaussian{Mu: 0, Sigma: 1}}}
}

// count returns the number of rewards that a condition holds for.
func count(rewards []float64, holds func(float64) bool) (n int) {
	for _, r := range rewards {
		if holds(r) {
			n++
		}
	}
	return n
}

// A broken sensor that shows 99, whatever it measures.
func ExampleOblivious() {
	broken := env.Oblivious{Label: "broken", Value: func(arm, j int, rng *rand.Rand) float64 { return 99 }}
	n := count(pull(two(), broken, 0, 1000), func(r float64) bool { return r == 99 })
	fmt.Println(broken.Name(), broken.Adversary(), n > 70 && n < 130)
	// Output: broken oblivious true
}

// An adversary who knows the coin and the next clean reward, and shows that one's
// opposite.
func ExamplePrescient() {
	c := env.Prescient{Label: "opposite", Value: func(s *env.Stack) float64 { return -s.Clean(1) }}
	shown, clean := pull(two(), c, 0, 1000), pull(two(), env.None{}, 0, 1001)
	replaced, opposite := 0, 0
	for j := range shown {
		if shown[j] != clean[j] {
			replaced++
			if shown[j] == -clean[j+1] {
				opposite++
			}
		}
	}
	fmt.Println(c.Adversary(), replaced > 70 && replaced < 130, opposite == replaced)
	// Output: prescient true true
}

// Votes are replaced by the worst that a vote can be.
func ExampleReplace() {
	votes := env.Instance{Arms: []env.Law{env.Bernoulli{P: 1}, env.Bernoulli{P: 0}}}
	c := env.Replace{Best: 0, Other: 1}
	against := count(pull(votes, c, 0, 1000), func(r float64) bool { return r == 0 })
	instead := count(pull(votes, c, 1, 1000), func(r float64) bool { return r == 1 })
	fmt.Println(c.Adversary(), against > 70 && against < 130, instead > 70 && instead < 130)
	// Output: oblivious true true
}

// The best arm's outliers are far below its mean, the other's far above.
func ExampleShift() {
	c := env.Shift{Offset: 20}
	low := count(pull(two(), c, 0, 1000), func(r float64) bool { return r == 1-20 })
	high := count(pull(two(), c, 1, 1000), func(r float64) bool { return r == 0+20 })
	fmt.Println(low > 70 && low < 130, high > 70 && high < 130)
	// Output: true true
}

// A malicious adversary takes the highest tenth of the best arm's rewards away, and no
// others.
func ExampleTailShift() {
	clean, shown := pull(two(), env.None{}, 0, 1000), pull(two(), env.TailShift{Offset: 20}, 0, 1000)
	kept, lost := -10.0, 10.0
	for j := range clean {
		if shown[j] == clean[j] {
			kept = max(kept, clean[j])
		} else {
			lost = min(lost, clean[j])
		}
	}
	fmt.Println(kept < lost)
	// Output: true
}

// Noise widens the rewards and takes no side.
func ExampleNoise() {
	far := count(pull(two(), env.Noise{Sigma: 100}, 0, 1000), func(r float64) bool { return r < -9 || r > 11 })
	fmt.Println(far > 50 && far < 130)
	// Output: true
}

// A changed adversary leaves the clean rewards as they are.
func ExampleNone() {
	clean, shown := pull(two(), env.None{}, 1, 1000), pull(two(), env.Shift{Offset: 20}, 1, 1000)
	same := 0
	for j := range clean {
		if clean[j] == shown[j] {
			same++
		}
	}
	fmt.Println(same > 870 && same < 930)
	// Output: true
}

// Counts of votes as a law.
func ExampleTable() {
	votes, err := env.NewTable([]float64{0, 0.5, 1}, []int{50, 30, 20})
	if err != nil {
		fmt.Println(err)
		return
	}
	rng := rand.New(rand.NewPCG(1, 0))
	ones := 0
	for range 1000 {
		if votes.Draw(rng) == 1 {
			ones++
		}
	}
	fmt.Println(votes.Mean(), votes.Rank(0.5, 0), votes.Rank(0.5, 1), ones > 160 && ones < 240)
	// Output: 0.35 0.5 0.8 true
}

// Arms, their means and the best of them.
func ExampleInstance() {
	in := env.Instance{Name: "two coins", Arms: []env.Law{env.Bernoulli{P: 0.25}, env.Bernoulli{P: 0.75}}}
	fmt.Println(in.Name, in.Means(), in.Best())
	// Output: two coins [0.25 0.75] 1
}

// A gain that comes rarely: ten in a hundred pulls win 9, the others lose 1.
func ExampleTwoPoint() {
	gain := env.Centered(10, 0.1)
	fmt.Printf("%.0f %.0f mean %.0f\n", gain.Lo, gain.Hi, gain.Mean())
	// Output: -1 9 mean 0
}
