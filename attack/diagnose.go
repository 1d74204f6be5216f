package attack

import (
	"context"
	"fmt"
	"math"

	"github.com/redoubt-ml/redoubt/tensor"
)

// Check is one comparison of attacks whose outcome is known in advance for a model
// whose gradients can be trusted.
type Check struct {
	Name string `json:"name"`
	// OK says whether the outcome is as expected.
	OK   bool   `json:"ok"`
	Text string `json:"text"` // what was measured
}

// slackShare is how far, as a share of the inputs, an outcome may go against what is
// expected before a check fails.
const slackShare = 0.02

// Diagnose looks for masked gradients: signs that an attack with gradients fails on a
// model because the gradients are of no use, and not because the model is robust. It
// checks that
//
//   - PGD with 100 steps breaks about as much as with 20,
//   - PGD breaks at least as much as noise and as Square, which needs no gradient,
//   - PGD from the input itself, in steps as large as the box needs, breaks the model
//     completely where nothing limits the change,
//   - the model gives the same answers to the same inputs.
//
// Athalye, Carlini and Wagner, ICML 2018, section 3.1; Carlini et al.,
// arXiv:1902.06705, section 5. The threat is under Linf or L2 with Eps above 0; a few
// hundred inputs are enough.
func Diagnose(ctx context.Context, m Model, x *tensor.Tensor, y []int, th Threat, seed uint64) ([]Check, error) {
	if err := CheckInputs(m, x, y, th); err != nil {
		return nil, err
	}
	if th.Norm != Linf && th.Norm != L2 || th.Eps == 0 {
		return nil, fmt.Errorf("attack: Diagnose under %v, want linf or l2 with eps above 0", th)
	}
	lo, hi := th.box()
	whole, across := th, hi-lo
	if th.Norm == L2 {
		across *= math.Sqrt(float64(x.Len() / x.Dim(0))) // the diagonal of the box
	}
	whole.Eps = across
	attacks := []Attack{
		&PGD{Threat: th, Steps: 20, Seed: seed},
		&PGD{Threat: th, Steps: 100, Seed: seed},
		&Noise{Threat: th, Repeats: 50, Seed: seed},
		&Square{Threat: th, Queries: 1000, Seed: seed},
		&PGD{Threat: whole, Steps: 100, NoRandomStart: true},
	}
	right := make([]int, len(attacks))
	for i, a := range attacks {
		rep, err := Evaluate(ctx, m, x, y, a)
		if err != nil {
			return nil, err
		}
		right[i] = rep.Worst.Right
	}
	slack := slackShare * float64(len(y))
	compare := func(name string, a, b int, ok bool, want string) Check {
		return Check{name, ok, fmt.Sprintf("%d of %d resist %s, %d resist %s: %s", right[a], len(y), attacks[a].Name(), right[b], attacks[b].Name(), want)}
	}
	noMore := func(a, b int) bool { return float64(right[a])-slack <= float64(right[b]) }
	chance, err := atRandom(ctx, m, x, y)
	if err != nil {
		return nil, err
	}
	answers := "the model answers the first inputs in the same way each time, as it should"
	if chance {
		answers = "the model answers the first inputs differently each time: it should not, or be attacked as one that answers at random"
	}
	return []Check{
		compare("more steps", 0, 1, noMore(0, 1) && noMore(1, 0), "more steps should change little"),
		compare("noise", 1, 2, noMore(1, 2), "noise should break no more"),
		compare("no gradients", 1, 3, noMore(1, 3), "a search without should break no more"),
		{"no limit", float64(right[4]) <= slack, fmt.Sprintf("%d of %d resist %s with eps %.4g: none should", right[4], len(y), attacks[4].Name(), whole.Eps)},
		{"same answers", !chance, answers},
	}, nil
}
