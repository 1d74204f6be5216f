package main

import (
	"fmt"
	"strings"

	"github.com/redoubt-ml/redoubt/tensor/nn"
	"github.com/redoubt-ml/redoubt/tensor/optim"
	"github.com/redoubt-ml/redoubt/weightpert"
)

// regime is a way to train.
type regime struct {
	name string
	// core regimes are trained with every seed, attacked with every objective and
	// certified in every way; repeated ones are only trained with every seed.
	core, repeated bool
	// loss makes the loss for a training of the given number of steps; nil means
	// cross-entropy.
	loss  func(steps int, seed uint64) nn.Loss
	decay float64 // weight decay
	clip  bool    // of the gradient, to 5
	bound float64 // of the weights, 0 for none
}

// theoryEps is the change of weights that the margin bound is trained for.
const theoryEps = 0.01

func theory(lambda, mu float64) func(int, uint64) nn.Loss {
	return func(steps int, _ uint64) nn.Loss {
		return (&weightpert.TheoryLoss{Lambda: lambda, Mu: mu, Eps: theoryEps, RampSteps: 3 * steps / 10}).Loss
	}
}

func certified(eps float64) func(int, uint64) nn.Loss {
	return func(steps int, _ uint64) nn.Loss {
		return (&weightpert.IBPTraining{Eps: eps, From: steps / 10, To: 6 * steps / 10}).Loss
	}
}

func always(loss nn.Loss) func(int, uint64) nn.Loss {
	return func(int, uint64) nn.Loss { return loss }
}

var allRegimes = []regime{
	{name: "standard", core: true},
	{name: "lambda-0.01", core: true, loss: theory(0.01, 0)},
	{name: "ibp-0.005", core: true, loss: certified(0.005), clip: true},
	{name: "awp-0.02", loss: always((&weightpert.AWP{Gamma: 0.02}).Loss)},
	{name: "mu-0.001", repeated: true, loss: theory(0, 1e-3)},
	{name: "decay-0.0005", decay: 5e-4},
	{name: "lambda-0.01-mu-0.001", loss: theory(0.01, 1e-3)},
	{name: "lambda-0.001", loss: theory(0.001, 0)},
	{name: "lambda-0.01-mu-0.01", loss: theory(0.01, 1e-2)},
	{name: "mu-0.0001", loss: theory(0, 1e-4)},
	{name: "mu-0.01", loss: theory(0, 1e-2)},
	{name: "awp-0.005", loss: always((&weightpert.AWP{Gamma: 0.005}).Loss)},
	{name: "sam-0.05", loss: always((&weightpert.SAM{Rho: 0.05}).Loss)},
	{name: "sign-0.002", loss: always((&weightpert.SignStep{Eps: 0.002}).Loss)},
	{name: "sign-0.005", loss: always((&weightpert.SignStep{Eps: 0.005}).Loss)},
	{name: "noise-0.05", loss: func(_ int, seed uint64) nn.Loss { return (&weightpert.WeightNoise{Eps: 0.05, Seed: seed}).Loss }},
	{name: "ibp-0.002", loss: certified(0.002), clip: true},
	{name: "ibp-0.01", loss: certified(0.01), clip: true},
	{name: "quant-aware-3", loss: always((&weightpert.QuantAware{Quantizer: weightpert.Quantizer{Bits: 3}}).Loss)},
	{name: "clustering-0.001", loss: always((&weightpert.Clustering{Coefficient: 1e-3}).Loss)},
	{name: "randbet-0.01", loss: func(_ int, seed uint64) nn.Loss { return (&weightpert.RandBET{P: 0.01, Seed: seed}).Loss }, bound: 0.1},
}

// optimizer returns momentum descent with the regime's additions.
func (r *regime) optimizer() optim.Optimizer {
	var o optim.Optimizer = &optim.SGD{Momentum: 0.9, WeightDecay: r.decay}
	if r.clip {
		o = weightpert.ClipGradient{Optimizer: o, Max: 5}
	}
	if r.bound > 0 {
		o = weightpert.ClipWeights{Optimizer: o, Max: r.bound}
	}
	return o
}

func namesOf(list []regime) []string {
	var out []string
	for _, r := range list {
		out = append(out, r.name)
	}
	return out
}

// choose returns the regimes of a list of names.
func choose(names string) ([]regime, error) {
	if names == "" {
		return allRegimes, nil
	}
	var out []regime
next:
	for _, name := range strings.Split(names, ",") {
		name = strings.TrimSpace(name)
		for _, r := range allRegimes {
			if r.name == name {
				out = append(out, r)
				continue next
			}
		}
		return nil, fmt.Errorf("-regimes has %q, want one of %s", name, strings.Join(namesOf(allRegimes), ", "))
	}
	return out, nil
}
