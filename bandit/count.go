package bandit

import "math"

// binaryKL is the relative entropy kl(p, q) in nats between coins of
// probabilities p and q, with 0 ln 0 = 0.
func binaryKL(p, q float64) float64 {
	if p == q {
		return 0
	}
	kl := 0.0
	if p > 0 {
		kl += p * math.Log(p/q)
	}
	if p < 1 {
		kl += (1 - p) * math.Log((1-p)/(1-q))
	}
	return kl
}

// Contaminated returns m(n, L), a count of contaminated samples among n that is
// exceeded with probability at most exp(-L) when each is contaminated with
// probability eps: the smallest m with m+1 > n eps and
//
//	n kl((m+1)/n, eps) >= L,
//
// by Chernoff's bound P(Bin(n, eps) >= m+1) <= exp(-n kl((m+1)/n, eps)). It is n
// if there is none, and 0 if eps is 0. It panics unless n is at least 0, eps in
// [0, 1/2) and l at least 0.
func Contaminated(n int, eps, l float64) int {
	if n < 0 {
		bad("Contaminated", "n", n, "at least 0")
	}
	wantEps("Contaminated", eps)
	if !(l >= 0) {
		bad("Contaminated", "l", l, "a number of at least 0")
	}
	return contaminatedFrom(0, n, eps, l)
}

// contaminatedFrom scans for m(n, L) from a value known not to exceed it; m does
// not decrease in n when L does not.
func contaminatedFrom(from, n int, eps, l float64) int {
	if eps == 0 {
		return 0
	}
	for m := max(from, int(float64(n)*eps)-1, 0); m < n; m++ {
		x := float64(m + 1)
		if x > float64(n)*eps && float64(n)*binaryKL(x/float64(n), eps) >= l {
			return m
		}
	}
	return n
}
