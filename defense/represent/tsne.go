package represent

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"

	"gonum.org/v1/gonum/stat"

	"github.com/redoubt-ml/redoubt/internal/par"
	"github.com/redoubt-ml/redoubt/tensor"
)

// TSNE lays features out in the plane so that neighbours stay neighbours. It is the
// exact method, which compares all pairs in each iteration: 5,000 inputs take 100 MB
// and 25 million pairs.
//
// van der Maaten and Hinton, JMLR 9, 2008.
type TSNE struct {
	// Perplexity is the number of neighbours that an input is given, softly, above 1
	// and at most a third of the others; 0 means 30.
	Perplexity float64
	// Iterations is the number of steps of gradient descent; 0 means 1000. During
	// the first quarter attraction is Exaggeration times as strong; 0 means 12.
	Iterations   int
	Exaggeration float64
	// LR is the size of a step; 0 means N/4, and while attraction is
	// exaggerated so many times less, which keeps steps stable (Linderman and
	// Steinerberger, SIAM J. Math. Data Sci. 1, 2019).
	LR float64
	// PCA is the number of principal components that features are first reduced to,
	// if they have more, and at most one less than there are inputs; 0 means 50.
	PCA int
	// Seed selects where the points start.
	Seed uint64
	// OnProgress is called after each iteration, nil for none.
	OnProgress func(done, total int)
}

// Embedding is a map of features.
type Embedding struct {
	X []float64 `json:"x"` // one for each input
	Y []float64 `json:"y"`
	// Divergence is what t-SNE makes small: the Kullback-Leibler divergence, in
	// nats, of the map's similarities from the features'.
	Divergence float64 `json:"divergence"`
}

// Embed lays out features x [N, D]. The map depends on Seed, not on the number of
// threads. Errors: features that are not finite, too few for the perplexity, a setting
// out of its range, and ctx's, with the map as it is then; its Divergence is 0 while the
// similarities of the features are not known.
func (t TSNE) Embed(ctx context.Context, x *tensor.Tensor) (Embedding, error) {
	if err := checkFeatures("features", x, 2); err != nil {
		return Embedding{}, err
	}
	n := x.Dim(0)
	if err := t.fill(n); err != nil {
		return Embedding{}, err
	}
	x = x.To(tensor.Float64)
	if k := min(t.PCA, n-1); x.Dim(1) > k {
		p, err := PCA(x, k)
		if err != nil {
			return Embedding{}, err
		}
		x = p.Apply(x)
	}
	m := &layout{n: n, y: make([]float64, 2*n), grad: make([]float64, 2*n), z: make([]float64, n)}
	rng := rand.New(rand.NewPCG(t.Seed, 0x75e))
	for i := range m.y {
		m.y[i] = 1e-4 * rng.NormFloat64()
	}
	var err error
	if m.p, err = affinities(ctx, x, t.Perplexity); err != nil {
		return Embedding{X: m.y[:n], Y: m.y[n:]}, fmt.Errorf("represent: TSNE: stopped before iteration 0 of %d: %w", t.Iterations, err)
	}
	err = t.descend(ctx, m)
	return Embedding{X: m.y[:n], Y: m.y[n:], Divergence: m.divergence()}, err
}

// fill checks the settings for n inputs and fills in the defaults.
func (t *TSNE) fill(n int) error {
	if t.Perplexity == 0 {
		t.Perplexity = 30
	}
	if t.Iterations == 0 {
		t.Iterations = 1000
	}
	if t.Exaggeration == 0 {
		t.Exaggeration = 12
	}
	if t.PCA == 0 {
		t.PCA = 50
	}
	switch {
	case !(t.Perplexity > 1 && t.Perplexity <= float64(n-1)/3):
		return fmt.Errorf("represent: TSNE: Perplexity is %v for %d inputs, want above 1 and at most %.4g", t.Perplexity, n, float64(n-1)/3)
	case t.Iterations < 0 || t.PCA < 0:
		return fmt.Errorf("represent: TSNE: %d iterations and %d principal components, want 0 (for the default) or more", t.Iterations, t.PCA)
	case !(t.Exaggeration >= 1) || math.IsInf(t.Exaggeration, 0):
		return fmt.Errorf("represent: TSNE: Exaggeration is %v, want 0 (for the default) or a number from 1 on", t.Exaggeration)
	case !(t.LR >= 0) || math.IsInf(t.LR, 0):
		return fmt.Errorf("represent: TSNE: LR is %v, want 0 (for the default) or a number above 0", t.LR)
	}
	return nil
}

// descend makes all steps, with momentum and a gain for each coordinate that grows
// while its gradient keeps its sign (Jacobs, Neural Networks 1, 1988).
func (t *TSNE) descend(ctx context.Context, m *layout) error {
	speed, gain := make([]float64, len(m.y)), make([]float64, len(m.y))
	for i := range gain {
		gain[i] = 1
	}
	early := t.Iterations / 4
	for it := range t.Iterations {
		if err := ctx.Err(); err != nil {
			return fmt.Errorf("represent: TSNE: stopped at iteration %d of %d: %w", it, t.Iterations, err)
		}
		momentum, pull := 0.8, 1.0
		if it < early {
			momentum, pull = 0.5, t.Exaggeration
		}
		rate := t.LR
		if rate == 0 {
			rate = float64(m.n) / (4 * pull)
		}
		m.gradient(pull)
		for i, g := range m.grad {
			if (g > 0) != (speed[i] > 0) {
				gain[i] += 0.2
			} else {
				gain[i] = max(0.01, 0.8*gain[i])
			}
			speed[i] = momentum*speed[i] - rate*gain[i]*g
			m.y[i] += speed[i]
		}
		m.centre()
		if t.OnProgress != nil {
			t.OnProgress(it+1, t.Iterations)
		}
	}
	return nil
}

// layout is a map under way.
type layout struct {
	n    int
	p    []float32 // symmetric similarities of the features, [n, n], with sum 1
	y    []float64 // the map [2, n]
	grad []float64 // [2, n]
	z    []float64 // the map's similarities, before normalisation, summed by row
}

// rows calls f for every input, on several threads.
func (m *layout) rows(f func(i int)) {
	par.For(m.n, 16, func(lo, hi int) {
		for i := lo; i < hi; i++ {
			f(i)
		}
	})
}

// total sums the map's similarities in an order that threads do not change.
func (m *layout) total() (z float64) {
	for _, v := range m.z {
		z += v
	}
	return z
}

// gradient computes that of the divergence, with the features' similarities times pull:
// 4 Σ_j (pull p_ij - q_ij) w_ij (y_i - y_j).
//
// van der Maaten and Hinton, Eq. (5).
func (m *layout) gradient(pull float64) {
	repel := make([]float64, 2*m.n)
	m.rows(func(i int) {
		var ax, ay, rx, ry, z float64
		p := m.p[i*m.n : (i+1)*m.n]
		xs, ys := m.y[:m.n][:len(p)], m.y[m.n:][:len(p)]
		xi, yi := xs[i], ys[i]
		for j, v := range p {
			dx, dy := xi-xs[j], yi-ys[j]
			w := 1 / (1 + dx*dx + dy*dy)
			a, r := float64(v)*w, w*w
			ax, ay = ax+a*dx, ay+a*dy
			rx, ry = rx+r*dx, ry+r*dy
			z += w
		}
		m.grad[i], m.grad[m.n+i] = ax, ay
		repel[i], repel[m.n+i] = rx, ry
		m.z[i] = z - 1 // without itself
	})
	z := m.total()
	for i, r := range repel {
		m.grad[i] = 4 * (pull*m.grad[i] - r/z)
	}
}

func (m *layout) centre() {
	for _, v := range [][]float64{m.y[:m.n], m.y[m.n:]} {
		mean := stat.Mean(v, nil)
		for i := range v {
			v[i] -= mean
		}
	}
}

// divergence of the map from the features, in nats.
func (m *layout) divergence() float64 {
	similarity := func(i, j int) float64 {
		dx, dy := m.y[i]-m.y[j], m.y[m.n+i]-m.y[m.n+j]
		return 1 / (1 + dx*dx + dy*dy)
	}
	m.rows(func(i int) {
		z := 0.0
		for j := range m.n {
			z += similarity(i, j)
		}
		m.z[i] = z - 1
	})
	logZ := math.Log(m.total())
	m.rows(func(i int) {
		sum := 0.0
		for j, p := range m.p[i*m.n : (i+1)*m.n] {
			if j != i && p > 0 {
				sum += float64(p) * (math.Log(float64(p)) - math.Log(similarity(i, j)) + logZ)
			}
		}
		m.z[i] = sum
	})
	return m.total()
}
