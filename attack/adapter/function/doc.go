// Package function makes any Go function that classifies images a model for
// black-box attacks: a service behind a network, a command, a library that knows
// no gradients.
//
//	m := function.Scores(func(ctx context.Context, x *tensor.Tensor) (*tensor.Tensor, error) {
//		return ask(ctx, server, x) // images [N, H, W, C] to scores [N, classes]
//	}, function.Options{Timeout: time.Minute, Budget: 100_000})
//	square := &attack.Square{Threat: attack.Threat{Norm: attack.Linf, Eps: 0.1}}
//	res, err := square.Run(ctx, m, x, y)
//
// # What can go wrong
//
// An attack.Model returns logits and nothing else, so what goes wrong in a call
// is a panic with an error, which every attack turns into an error of its own;
// Model.Err keeps the first one, for errors.Is. So do errors and panics of the
// function, a function that ends its goroutine, answers of the wrong shape, a call
// that takes longer than Options.Timeout, the end of Options.Context, and more
// questions than Options.Budget.
//
// A black box has no gradient. An attack that asks for one gets an error that
// says so, not a gradient of zeros, which would pass for robustness.
package function
