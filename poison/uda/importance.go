package uda

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"

	"github.com/redoubt-ml/redoubt/tensor"
)

var _, _ Method = IWDAN{}, IWCDAN{}

// IWDAN is DANN with a weight for each class, by which the label distribution of
// the source is brought to that of the target: the source's cross-entropy is
// multiplied by w_y/(K P_S(y)), its part of the domain loss by w_y. The weights
// start at 1 and move, at the end of each epoch, half of the way to ClassWeights of
// that epoch's predictions.
//
// Tachet des Combes et al., NeurIPS 2020, Algorithm 1.
type IWDAN struct{ DANN }

// Name returns "IW-DAN".
func (d IWDAN) Name() string { return d.named("IW-DAN") }

// Prepare adds discriminator and weights.
func (d IWDAN) Prepare(m *Model, rng *rand.Rand) error {
	m.importance = newImportance(m.Classes)
	return d.DANN.Prepare(m, rng)
}

// IWCDAN is CDAN with the weights of IWDAN.
type IWCDAN struct{ CDAN }

// Name returns "IW-CDAN".
func (d IWCDAN) Name() string { return d.named("IW-CDAN") }

// Prepare adds map, discriminator and weights.
func (d IWCDAN) Prepare(m *Model, rng *rand.Rand) error {
	m.importance = newImportance(m.Classes)
	return d.CDAN.Prepare(m, rng)
}

// importance holds the weights and what is counted for the next ones.
type importance struct {
	weights   []float64
	prior     []float64   // of the source's labels
	confusion [][]float64 // sums of p_i over source rows of label j
	mu        []float64   // sums of p_i over target rows
	source    int
	target    int
}

func newImportance(k int) *importance {
	w := &importance{prior: make([]float64, k)}
	ones := make([]float64, k)
	for i := range ones {
		ones[i], w.prior[i] = 1, 1/float64(k)
	}
	w.restart(ones)
	return w
}

// restart takes over weights and forgets the counts.
func (w *importance) restart(weights []float64) {
	k := len(weights)
	w.weights = slices.Clone(weights)
	w.mu, w.confusion = make([]float64, k), make([][]float64, k)
	for i := range k {
		w.confusion[i] = make([]float64, k)
	}
	w.source, w.target = 0, 0
}

// count adds the predictions [N, K] of a batch whose first rows have labels y.
func (w *importance) count(predictions *tensor.Tensor, y []int) {
	k := len(w.weights)
	v := predictions.Float32s()
	for i := 0; i*k < len(v); i++ {
		for j, p := range v[i*k : (i+1)*k] {
			if i < len(y) {
				w.confusion[j][y[i]] += float64(p)
			} else {
				w.mu[j] += float64(p)
			}
		}
	}
	w.source += len(y)
	w.target += len(v)/k - len(y)
}

// endEpoch moves the weights.
func (w *importance) endEpoch() error {
	if w.source == 0 || w.target == 0 {
		return nil
	}
	k := len(w.weights)
	for i := range k {
		w.mu[i] /= float64(w.target)
		for j := range k {
			w.confusion[i][j] /= float64(w.source)
		}
	}
	next, err := ClassWeights(w.confusion, w.mu)
	if err != nil {
		return err
	}
	for i := range next {
		next[i] = (next[i] + w.weights[i]) / 2
	}
	w.restart(next)
	return nil
}

// rows returns the weights of n rows of which the first have labels y.
func (w *importance) rows(y []int, n int) *tensor.Tensor {
	v := make([]float32, n)
	for i := range v {
		v[i] = 1
		if i < len(y) {
			v[i] = float32(w.weights[y[i]])
		}
	}
	return tensor.FromFloat32(v)
}

// classRows returns the weights w_y/(K P_S(y)) of the class loss.
func (w *importance) classRows(y []int) *tensor.Tensor {
	v := make([]float32, len(y))
	for i, c := range y {
		v[i] = float32(w.weights[c] / (float64(len(w.weights)) * w.prior[c]))
	}
	return tensor.FromFloat32(v)
}

// ClassWeights returns the weights w >= 0 of K classes with sum_j P_S(j) w_j = 1
// that minimise |C w - mu|², where C[i][j] is the mean over the source of p_i for
// label j (so that column j sums to P_S(j)), and mu[i] the mean prediction on the
// target. Errors: shapes that differ, entries that are negative or not finite, no
// mass at all.
//
// Tachet des Combes et al., NeurIPS 2020, Eq. (8). The linear term of the normal
// equations is C^T mu.
func ClassWeights(c [][]float64, mu []float64) ([]float64, error) {
	k := len(mu)
	if k < 2 || len(c) != k {
		return nil, fmt.Errorf("uda: class weights of %d rows for %d classes, want as many, at least 2", len(c), k)
	}
	prior := make([]float64, k)
	for i := range k {
		if len(c[i]) != k {
			return nil, fmt.Errorf("uda: class weights: row %d has %d entries, want %d", i, len(c[i]), k)
		}
		for j, v := range append(slices.Clone(c[i]), mu[i]) {
			if !(v >= 0) || math.IsInf(v, 0) {
				return nil, fmt.Errorf("uda: class weights: entry %d of row %d is %v, want 0 or more", j, i, v)
			}
			if j < k {
				prior[j] += v
			}
		}
	}
	total := 0.0
	for _, v := range prior {
		total += v
	}
	if total == 0 {
		return nil, fmt.Errorf("uda: class weights: no mass in the source")
	}
	gram, lin := make([][]float64, k), make([]float64, k)
	bound := 0.0 // on the largest eigenvalue
	for a := range k {
		gram[a] = make([]float64, k)
		row := 0.0
		for b := range k {
			for i := range k {
				gram[a][b] += c[i][a] * c[i][b]
			}
			row += gram[a][b]
		}
		bound = max(bound, row)
		for i := range k {
			lin[a] += c[i][a] * mu[i]
		}
	}
	// Accelerated projected gradient with restarts: K is small.
	w := project(make([]float64, k), prior)
	z, t := slices.Clone(w), 1.0
	for range 20000 {
		next := make([]float64, k)
		for a := range k {
			g := -lin[a]
			for b := range k {
				g += gram[a][b] * z[b]
			}
			next[a] = z[a] - g/bound
		}
		next = project(next, prior)
		moved, uphill := 0.0, 0.0
		for a := range k {
			moved = max(moved, math.Abs(next[a]-w[a]))
			uphill += (z[a] - next[a]) * (next[a] - w[a])
		}
		tn := (1 + math.Sqrt(1+4*t*t)) / 2
		if uphill > 0 {
			tn = 1
		}
		for a := range k {
			z[a] = next[a] + (t-1)/tn*(next[a]-w[a])
		}
		if uphill > 0 {
			copy(z, next)
		}
		w, t = next, tn
		if moved < 1e-13 {
			break
		}
	}
	return w, nil
}

// project returns the nearest point to v with w >= 0 and prior·w = 1: w = max(v -
// tau prior, 0), where tau is found by bisection.
func project(v, prior []float64) []float64 {
	at := func(tau float64) (w []float64, s float64) {
		w = make([]float64, len(v))
		for i := range v {
			w[i] = max(v[i]-tau*prior[i], 0)
			s += prior[i] * w[i]
		}
		return w, s
	}
	lo, hi := -1.0, 1.0
	for _, s := at(lo); s < 1; _, s = at(lo) {
		lo *= 2
	}
	for _, s := at(hi); s > 1; _, s = at(hi) {
		hi *= 2
	}
	for range 200 {
		mid := (lo + hi) / 2
		if mid == lo || mid == hi {
			break
		}
		if _, s := at(mid); s > 1 {
			lo = mid
		} else {
			hi = mid
		}
	}
	w, _ := at((lo + hi) / 2)
	return w
}
