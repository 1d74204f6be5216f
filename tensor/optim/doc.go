// Package optim holds the rules that move parameters along gradients, and
// learning-rate schedules.
//
//	opt := &optim.Adam{}
//	for step := range steps {
//		grads := ...
//		opt.Step(schedule(step), params, grads)
//	}
package optim
