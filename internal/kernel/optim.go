package kernel

import "math"

// SGD updates the weights w by one step of stochastic gradient descent with
// gradient g, as PyTorch defines it: d = g + weightDecay*w; with momentum,
// v = momentum*v + d and d becomes v, or d + momentum*v if nesterov is set;
// then w -= lr*d. v may be nil when momentum is 0.
func SGD[T Float](w, v, g []T, lr, momentum, weightDecay T, nesterov bool) {
	g = g[:len(w)]
	if momentum == 0 {
		if single[T]() && sgdVector(ptr(w), ptr(g), float32(lr), float32(weightDecay), len(w)) {
			return
		}
		for i, d := range g {
			w[i] -= lr * (d + weightDecay*w[i])
		}
		return
	}
	v = v[:len(w)]
	// The step is look*v + fresh*d.
	look, fresh := T(1), T(0)
	if nesterov {
		look, fresh = momentum, 1
	}
	if single[T]() && sgdMomentumVector(ptr(w), ptr(v), ptr(g), float32(lr), float32(momentum), float32(weightDecay), float32(look), float32(fresh), len(w)) {
		return
	}
	for i, d := range g {
		d += weightDecay * w[i]
		m := momentum*v[i] + d
		v[i] = m
		w[i] -= lr * (look*m + fresh*d)
	}
}

// Adam updates the weights w and the moments m and v by one step of Adam
// (Kingma and Ba, 2015) in PyTorch's form: with c1 = 1 - beta1**t and c2 = 1 -
// beta2**t at step t >= 1, w -= lr/c1 * m / (sqrt(v/c2) + eps). Weight decay
// wd is added to the gradient, or, if decoupled is set (AdamW), w shrinks by
// lr*wd first.
func Adam[T Float](w, m, v, g []T, lr, beta1, beta2, eps, wd, c1, c2 float64, decoupled bool) {
	m, v, g = m[:len(w)], v[:len(w)], g[:len(w)]
	keep, decay := 1.0, wd
	if decoupled {
		keep, decay = 1-lr*wd, 0
	}
	step, root := lr/c1, 1/math.Sqrt(c2)
	if single[T]() && adamVector(ptr(w), ptr(m), ptr(v), ptr(g), float32(keep), float32(decay), float32(beta1), float32(1-beta1), float32(beta2), float32(1-beta2), float32(step), float32(root), float32(eps), len(w)) {
		return
	}
	keepT, decayT, stepT, rootT, epsT := T(keep), T(decay), T(step), T(root), T(eps)
	b1, new1, b2, new2 := T(beta1), T(1-beta1), T(beta2), T(1-beta2)
	for i, d := range g {
		p := w[i] * keepT
		d += decayT * p
		mi := b1*m[i] + new1*d
		vi := b2*v[i] + new2*(d*d)
		m[i], v[i] = mi, vi
		w[i] = p - stepT*mi/(T(math.Sqrt(float64(vi)))*rootT+epsT)
	}
}
