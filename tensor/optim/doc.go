// Package optim holds the rules that move parameters along gradients, and
// learning-rate schedules.
//
//	opt, schedule := &optim.Adam{}, optim.WarmUp(100, optim.Cosine(1e-3, 5000))
//	for step := range 5000 {
//		loss := ...
//		grads := tensor.Gradients(loss, tensor.GradOptions{NilUnreached: true}, watched...)
//		opt.Step(schedule(step), params, grads)
//	}
//
// A parameter whose gradient is nil, because the loss does not depend on it, is left
// alone; one whose gradient is zero still decays and still moves with its momentum.
//
// # Rules
//
// With w a parameter, g its gradient and η the learning rate of the step:
//
//	SGD    v = μ v + g,                 w -= η v
//	Adam   m = β₁ m + (1-β₁) g,
//	       v = β₂ v + (1-β₂) g²,        w -= η m̂/(√v̂ + ε), m̂ and v̂ without their bias
//	LARS   v = μ v + η trust ‖w‖/‖g‖ g,  w -= v, for matrices and filters
//
// Adam is the one that needs least care, and what nn.Trainer takes if it is told
// nothing; with Decoupled it is AdamW. SGD with momentum is the custom for residual
// networks and adversarial training, LARS that for contrastive learning with large
// batches. All add weight decay. A rule is a struct whose zero value works; it keeps
// its memory by position, belongs to one set of parameters and to one goroutine.
//
// # Memory
//
// State returns a rule's memory as named tensors and SetState takes it over, so that a
// training that was stopped goes on bit for bit; nn.Trainer's checkpoints hold it.
//
// # Schedules
//
// A Schedule is a function of the step: Constant, Cosine, StepDecay, Triangle, and
// WarmUp in front of any other. A function of the caller's own will do as well.
package optim
