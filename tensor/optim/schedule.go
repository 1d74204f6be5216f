package optim

import "math"

// Schedule gives the learning rate of a step, counted from 0.
type Schedule func(step int) float64

// Constant always gives lr.
func Constant(lr float64) Schedule { return func(int) float64 { return lr } }

// Cosine falls from lr to 0 over the given number of steps along half a cosine.
//
// Loshchilov and Hutter, ICLR 2017, Eq. (5) without restarts.
func Cosine(lr float64, steps int) Schedule {
	return func(step int) float64 {
		return lr / 2 * (1 + math.Cos(math.Pi*min(1, float64(step)/float64(steps))))
	}
}

// StepDecay gives lr, multiplied by factor once for each milestone passed.
func StepDecay(lr, factor float64, milestones ...int) Schedule {
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
// (k+1)/steps of the rate.
func WarmUp(steps int, s Schedule) Schedule {
	return func(step int) float64 {
		if step < steps {
			return s(step) * float64(step+1) / float64(steps)
		}
		return s(step)
	}
}

// Triangle rises linearly from 0 to lr at the given peak and falls linearly to 0
// at the last of the steps.
//
// Smith, WACV 2017, one cycle; as used for fast adversarial training by Wong,
// Rice and Kolter, ICLR 2020.
func Triangle(lr float64, peak, steps int) Schedule {
	return func(step int) float64 {
		switch {
		case step < peak:
			return lr * float64(step+1) / float64(peak)
		case step < steps:
			return lr * float64(steps-step) / float64(max(1, steps-peak))
		}
		return 0
	}
}
