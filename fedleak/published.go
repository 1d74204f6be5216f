package fedleak

// leastEigenvalue is the smallest eigenvalue of E[s s^T] for the indicator s of a
// uniform batch of k out of n samples, K (N-K) / (N (N-1)); that of the all-ones
// vector, the largest, is K²/N.
func leastEigenvalue(n, k int) float64 {
	return float64(k) * float64(n-k) / (float64(n) * float64(n-1))
}
