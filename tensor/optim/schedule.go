package optim

import (
	"fmt"
	"math"
)

// Schedule gives the learning rate of a step, counted from 0. It depends on
// nothing but the step.
type Schedule func(step int) float64

// Constant always gives lr.
func Constant(lr float64) Schedule { return func(int) float64 { return lr } }

// atLeast panics unless a number of steps is at least least.
func atLeast(schedule, what string, n, least int) {
	if n < least {
		panic(fmt.Sprintf("optim: %s: %s is %d, want at least %d", schedule, what, n, least))
	}
}

// Cosine falls from lr to 0 over the given number of steps along half a cosine,
// and stays at 0. It panics if steps is below 1.
//
// Loshchilov and Hutter, ICLR 2017, Eq. (5) without restarts.
func Cosine(lr float64, steps int) Schedule {
	atLeast("Cosine", "number of steps", steps, 1)
	return func(step int) float64 {
		return lr / 2 * (1 + math.Cos(math.Pi*min(1, float64(step)/float64(steps))))
	}
}

// StepDecay gives lr, multiplied by factor once for each milestone passed: a
// milestone m counts from step m on. It panics if a milestone is negative.
func StepDecay(lr, factor float64, milestones ...int) Schedule {
	for _, m := range milestones {
		atLeast("StepDecay", "milestone", m, 0)
	}
	return func(step int) float64 {
		v := lr
		for _, m := range milestones {
			if step >= m {
				v *= factor
			}
		}
		return v
	}
}

// WarmUp rises linearly to s over its first steps: step k of them gives
// (k+1)/steps of the rate. 0 steps give s itself. It panics if steps is negative.
func WarmUp(steps int, s Schedule) Schedule {
	atLeast("WarmUp", "number of steps", steps, 0)
	return func(step int) float64 {
		if step < steps {
			return s(step) * float64(step+1) / float64(steps)
		}
		return s(step)
	}
}

// Triangle rises linearly to lr and falls linearly again: step k before the peak
// gives (k+1)/peak of lr, the peak itself lr, step k behind it (steps-k)/(steps-peak),
// and from the given number of steps on it is 0. A peak of 0 only falls; one behind
// the last step is never reached. It panics if steps is below 1 or peak is negative.
//
// Smith, WACV 2017, one cycle; as used for fast adversarial training by Wong,
// Rice and Kolter, ICLR 2020.
func Triangle(lr float64, peak, steps int) Schedule {
	atLeast("Triangle", "number of steps", steps, 1)
	atLeast("Triangle", "peak", peak, 0)
	return func(step int) float64 {
		switch {
		case step >= steps:
			return 0
		case step < peak:
			return lr * float64(step+1) / float64(peak)
		}
		return lr * float64(steps-step) / float64(steps-peak)
	}
}
