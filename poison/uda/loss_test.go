package uda

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/redoubt-ml/redoubt/tensor"
)

func near(t *testing.T, want []float64, got *tensor.Tensor, tol float64) {
	t.Helper()
	v := got.Values()
	require.Len(t, v, len(want))
	for i := range want {
		require.InDelta(t, want[i], v[i], tol, "entry %d of %v", i, v)
	}
}

func matrix(n, k int, v ...float64) *tensor.Tensor { return tensor.FromFloat64(v, n, k) }

// By hand: softmax and logistic functions of three rows.
func TestDomainLosses(t *testing.T) {
	z, truth, inverted := matrix(3, 2, 2, -1, .5, .25, -1.5, 1), []int{0, 1, 1}, []int{1, 0, 0}
	for _, g := range []struct {
		rows func(*tensor.Tensor, []int) *tensor.Tensor
		d    []int
		want float64
	}{{DomainCE, truth, .317806}, {DomainCE, inverted, 2.067806}, {DomainBCE, truth, .417480}, {DomainBCE, inverted, 1.292480}} {
		require.InDelta(t, g.want, tensor.Mean(g.rows(z, g.d)).Item(), 1e-6)
	}
	tape := tensor.NewTape()
	w := tape.Watch(z)
	up := tensor.Grad(tensor.Mean(DomainCE(w, inverted)), w)[0].Clone()
	near(t, []float64{.317525, -.317525, -.145941, .145941, -.308047, .308047}, up, 1e-6)
	reversed := tensor.Grad(tensor.Mean(DomainCE(ReverseGradient(w, 1), truth)), w)[0].Clone()
	near(t, []float64{.015809, -.015809, -.187392, .187392, -.025286, .025286}, reversed, 1e-6)
	for i, s := range []float64{3, -.25, 2.5} {
		require.InDelta(t, math.Exp(s), up.At(i, 0)/reversed.At(i, 0), 1e-4)
	}
	near(t, z.Values(), ReverseGradient(w, 1), 0)
}

func TestMultilinearMaps(t *testing.T) {
	f, p := matrix(1, 2, 1, 2), matrix(1, 3, .2, .3, .5)
	near(t, []float64{.2, .4, .3, .6, .5, 1}, ExactMap{2, 3}.Join(f, p), 1e-12)
	m := RandomMap{F: matrix(2, 3, 1, -1, 2, 0, 1, 1), P: matrix(3, 3, 1, 0, -1, 2, 1, 0, -1, 1, 1)}
	near(t, []float64{.173205, .461880, .692820}, m.Join(f, p), 1e-6)
}

// The mean of inner products over maps is that of the outer products, 0.30.
func TestRandomMapKeepsInnerProducts(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 3))
	f := tensor.FromFloat32([]float32{1, 2, -1, 1}, 2, 2)
	p := tensor.FromFloat32([]float32{.2, .3, .5, .6, .1, .3}, 2, 3)
	const draws = 1000
	s := 0.0
	for range draws {
		j := NewRandomMap(rng, 2, 3, 500).Join(f, p)
		s += tensor.Dot(tensor.Slice(j, 0, 0, 1), tensor.Slice(j, 0, 1, 2)).Item() / draws
	}
	require.InDelta(t, .30, s, 4*.093/math.Sqrt(draws))
}

func TestEntropyWeights(t *testing.T) {
	p := matrix(4, 3, .7, .2, .1, 1./3, 1./3, 1./3, .98, .01, .01, .5, .5, 0)
	w := EntropyWeights(p)
	near(t, []float64{1.448513, 1.333333, 1.894132, 1.5}, w, 3e-5)
	logit := func(q float64) float64 { return math.Log(q / (1 - q)) }
	// One sigmoid unit that says "source": binary cross-entropy by hand.
	rows := matrix(1, 4, 0, 0, 0, 0)
	for i, q := range []float64{.8, .6, .3, .1} {
		if i < 2 {
			rows.Set(math.Log1p(math.Exp(-logit(q))), 0, i)
		} else {
			rows.Set(math.Log1p(math.Exp(logit(q))), 0, i)
		}
	}
	flat := tensor.Reshape(rows, 4)
	require.InDelta(t, .299001, tensor.Mean(flat).Item(), 1e-6)
	require.InDelta(t, .303319, weightedLoss(flat, w, 2).Item(), 2e-6)
	// Bounds and zeros.
	rng := rand.New(rand.NewPCG(4, 4))
	for range 200 {
		k := 2 + rng.IntN(5)
		v := EntropyWeights(tensor.Softmax(tensor.Normal(rng, tensor.Float64, 0, 4, 1, k))).Item()
		require.GreaterOrEqual(t, v, 1+1/float64(k)-1e-4)
		require.LessOrEqual(t, v, 2+1e-4)
	}
	require.InDelta(t, 2, EntropyWeights(matrix(1, 3, 0, 1, 0)).Item(), 2e-5)
}

func TestDiscrepancy(t *testing.T) {
	require.InDelta(t, .383474, Discrepancy(matrix(1, 3, 1, 2, 3), matrix(1, 3, 3, 2, 1)).Item(), 1e-6)
	a, b := matrix(2, 3, 1, 2, 3, 0, 0, 1), matrix(2, 3, 3, 2, 1, 0, 1, 0)
	require.InDelta(t, .313129, Discrepancy(a, b).Item(), 1e-6)
	require.Equal(t, Discrepancy(a, b).Item(), Discrepancy(b, a).Item())
	require.Zero(t, Discrepancy(a, a).Item())
	require.InDelta(t, 2./3, Discrepancy(matrix(1, 3, 90, 0, 0), matrix(1, 3, 0, 90, 0)).Item(), 1e-12)
}

func TestSchedules(t *testing.T) {
	for i, p := range []float64{0, .1, .25, .5, 1} {
		require.InDelta(t, []float64{0, .462117, .848284, .986614, .999909}[i], Lambda(p), 1e-6)
		require.InDelta(t, []float64{.01, .005946, .003908, .002608, .001656}[i], .01*Anneal(p), 1e-6)
	}
}

func TestPretextTasks(t *testing.T) {
	small := tensor.FromFloat32([]float32{1, 2, 3, 4}, 1, 2, 2, 1)
	near(t, []float64{2, 4, 1, 3}, Rotation.Apply(small, []int{1}), 0)
	near(t, []float64{4, 3, 2, 1}, Rotation.Apply(small, []int{2}), 0)
	near(t, []float64{3, 1, 4, 2}, Rotation.Apply(small, []int{3}), 0)
	near(t, []float64{1, 3, 2, 4}, DigitRotation.Apply(small, []int{1}), 0)
	near(t, []float64{2, 1, 4, 3}, DigitRotation.Apply(small, []int{2}), 0)
	near(t, []float64{3, 4, 1, 2}, DigitFlip.Apply(small, []int{1}), 0)
	near(t, []float64{3, 3, 3, 3}, Quadrant.Apply(small, []int{2}), 0)
	rng := rand.New(rand.NewPCG(5, 5))
	x := tensor.Uniform(rng, tensor.Float32, 0, 1, 3, 6, 6, 3)
	turned := x
	for i := range 4 {
		turned = Rotation.Apply(turned, []int{1, 1, 3})
		require.ElementsMatch(t, x.Values(), turned.Values())
		require.Equal(t, i == 3, tensor.MaxAbs(tensor.Sub(x, turned)) == 0)
	}
	require.Equal(t, x.Values(), turned.Values())
	near(t, Rotation.Apply(Rotation.Apply(x, []int{1, 1, 1}), []int{1, 1, 1}).Values(), Rotation.Apply(x, []int{2, 2, 2}), 0)
	near(t, Rotation.Apply(x, []int{3, 3, 3}).Values(), DigitRotation.Apply(x, []int{3, 3, 3}), 0)
	require.ErrorContains(t, Rotation.Check(28, 20), "28x20")
	require.ErrorContains(t, Quadrant.Check(7, 8), "even")
	require.ErrorContains(t, Pretext(9).Check(8, 8), "Pretext(9)")
}

func TestClassWeights(t *testing.T) {
	w, err := ClassWeights([][]float64{{.45, .1}, {.05, .4}}, []float64{.3, .7})
	require.NoError(t, err)
	require.InDelta(t, .285714, w[0], 1e-6)
	require.InDelta(t, 1.714286, w[1], 1e-6)
	require.InDelta(t, 1, .5*w[0]+.5*w[1], 1e-12)
}

// On random problems the weights are feasible and no feasible direction improves
// them.
func TestClassWeightsAreOptimal(t *testing.T) {
	const seed = 6
	rng := rand.New(rand.NewPCG(seed, 0))
	for range 100 {
		k := 2 + rng.IntN(10)
		c, mu, prior := make([][]float64, k), make([]float64, k), make([]float64, k)
		for i := range k {
			c[i] = make([]float64, k)
			for j := range k {
				c[i][j] = rng.ExpFloat64() / float64(k*k)
				if i == j {
					c[i][j] += rng.ExpFloat64() / float64(k)
				}
				prior[j] += c[i][j]
			}
			mu[i] = rng.Float64()
		}
		w, err := ClassWeights(c, mu)
		require.NoError(t, err)
		value := func(w []float64) float64 {
			s := 0.0
			for i := range k {
				r := -mu[i]
				for j := range k {
					r += c[i][j] * w[j]
				}
				s += r * r
			}
			return s
		}
		sum := 0.0
		for j := range k {
			require.GreaterOrEqual(t, w[j], 0.0)
			sum += prior[j] * w[j]
		}
		require.InDelta(t, 1, sum, 1e-9)
		for range 50 {
			a, b, e := rng.IntN(k), rng.IntN(k), 1e-4*rng.Float64()
			if a == b || w[a] < e {
				continue
			}
			v := append([]float64(nil), w...)
			v[a] -= e
			v[b] += e * prior[a] / prior[b]
			require.LessOrEqual(t, value(w), value(v)+1e-10, "seed %d", seed)
		}
	}
}
