package kernel

// SignStep moves x by alpha along the sign of g and back into the box:
// x = clip(clip(x + alpha*sign(g), x0-eps, x0+eps), lo, hi), elementwise and in
// place. sign(0) and sign(NaN) are 0. Vector and plain versions give the same
// bits.
func SignStep[T Float](x, g, x0 []T, alpha, eps, lo, hi T) {
	g, x0 = g[:len(x)], x0[:len(x)]
	if single[T]() && signStepVector(ptr(x), ptr(g), ptr(x0), float32(alpha), float32(eps), float32(lo), float32(hi), len(x)) {
		return
	}
	for i, v := range x {
		if g[i] > 0 {
			v += alpha
		} else if g[i] < 0 {
			v -= alpha
		}
		x[i] = clamp(clamp(v, x0[i]-eps, x0[i]+eps), lo, hi)
	}
}
