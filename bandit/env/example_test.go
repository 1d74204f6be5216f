package env_test

import (
	"context"
	"fmt"
	"slices"
	"strings"

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

// Whatever the order of pulls, the j-th pull of an arm shows the same reward.
func ExampleWorld() {
	in := env.Instance{Arms: []env.Law{env.TwoPoint{Lo: 0, Hi: 1, P: 0.5}, env.Gaussian{Mu: 1, Sigma: 1}}}
	pull := func(order ...int) (rewards []float64) {
		w, err := env.New(in, env.Noise{Sigma: 5}, 0.1, 7)
		if err != nil {
			panic(err)
		}
		for _, arm := range order {
			r := make([]float64, 2)
			if err := w.Pull(context.Background(), arm, r); err != nil {
				panic(err)
			}
			if arm == 1 {
				rewards = append(rewards, r...)
			}
		}
		return rewards
	}
	fmt.Println(slices.Equal(pull(0, 0, 1), pull(1, 0, 0)))
	// Output: true
}

// Votes of a caption contest become arms.
func ExampleReadCaptions() {
	file := "arm,unfunny,somewhat_funny,funny,count\n0,80,15,5,100\n1,30,40,30,100\n"
	captions, err := env.ReadCaptions(strings.NewReader(file))
	if err != nil {
		fmt.Println(err)
		return
	}
	in, err := env.CaptionInstance("contest", captions)
	fmt.Println(in.Best(), in.Means(), err)
	// Output: 1 [0.125 0.5] <nil>
}

// A table of inhibitors becomes the arms of one kinase.
func ExampleReadPKIS2() {
	file := "Compound,ABL1,EGFR\nA,90,10\nB,20,70\n"
	table, err := env.ReadPKIS2(strings.NewReader(file))
	if err != nil {
		fmt.Println(err)
		return
	}
	in, err := table.Instance("EGFR", 0.1)
	fmt.Println(table.Compounds[in.Best()], in.Means(), err)
	// Output: B [0.1 0.7] <nil>
}

// An adversary of one's own, who looks at the reward before destroying it.
func ExampleMalicious() {
	c := env.Malicious{
		Label: "hide the best",
		Picks: func(s *env.Stack, rank float64) bool { return rank > 1-s.Eps },
		Value: func(s *env.Stack) float64 { return -10 },
	}
	w, err := env.New(env.Instance{Arms: []env.Law{env.Gaussian{Sigma: 1}}}, c, 0.1, 1)
	if err != nil {
		fmt.Println(err)
		return
	}
	r := make([]float64, 1000)
	if err := w.Pull(context.Background(), 0, r); err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println("none above the ninth tenth:", slices.Max(r) < 1.29)
	// Output: none above the ninth tenth: true
}

// A skewed law, whose mean a median would miss.
func ExampleMixture() {
	law := env.Mixture{Weights: []float64{0.6, 0.4}, Parts: []env.Law{env.Gaussian{Mu: 0, Sigma: 0.1}, env.Gaussian{Mu: 2, Sigma: 0.1}}}
	fmt.Printf("mean %.1f; the share of rewards below 0.1 is %.2f\n", law.Mean(), law.Rank(0.1, 0))
	// Output: mean 0.8; the share of rewards below 0.1 is 0.50
}

// The benchmark's first instance with what a learner is told of it.
func ExampleBenchmark() {
	b := env.I1()
	fmt.Println(b.Name, len(b.Arms), b.Best(), b.Sigma, b.Eps)
	// Output: I1 10 0 1 0.05
}

// Laws of rewards: counts of votes, a coin, two values.
func ExampleLaw() {
	votes, err := env.NewTable([]float64{0, 0.5, 1}, []int{50, 30, 20})
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, law := range []env.Law{votes, env.Bernoulli{P: 0.3}, env.TwoPoint{Lo: -1, Hi: 1, P: 0.75}, env.Centered(2, 0.25)} {
		fmt.Printf("%.2f ", law.Mean())
	}
	// Output: 0.35 0.30 0.50 0.00
}

// Two programs can agree on a world without randomness to the last pull.
func ExampleWeyl() {
	w := &env.Weyl{Means: []float64{0, 1}}
	r := make([]float64, 2)
	if err := w.Pull(context.Background(), 1, r); err != nil {
		fmt.Println(err)
		return
	}
	fmt.Printf("%.3f\n", r)
	// Output: [0.676 3.363]
}
