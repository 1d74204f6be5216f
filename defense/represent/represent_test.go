package represent

import (
	"context"
	"errors"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
	"gonum.org/v1/gonum/mat"
	"gonum.org/v1/gonum/stat"

	"github.com/redoubt-ml/redoubt/tensor"
)

var ctx = context.Background()

func rng(seed uint64) *rand.Rand { return rand.New(rand.NewPCG(seed, 77)) }

// linear is an encoder x W.
func linear(w *tensor.Tensor) Encoder {
	return func(x *tensor.Tensor) *tensor.Tensor { return tensor.MatMul(tensor.Flatten(x), w) }
}

// blobs are features around as many centres as there are classes, far from each other.
func blobs(seed uint64, classes, each, d int) (x *tensor.Tensor, y []int) {
	r := rng(seed)
	x = tensor.Normal(r, tensor.Float64, 0, 0.3, classes*each, d)
	for i := range classes * each {
		y = append(y, i%classes)
		x.Set(x.At(i, i%classes)+5, i, i%classes)
	}
	return x, y
}

func TestFeaturesAreThoseOfOnePass(t *testing.T) {
	x := tensor.Normal(rng(1), tensor.Float64, 0, 1, 23, 2, 3, 1)
	enc := linear(tensor.Normal(rng(2), tensor.Float64, 0, 1, 6, 4))
	want := enc(x).Values()
	for _, batch := range []int{0, 1, 5, 23, 100} {
		got, err := Features(ctx, enc, x, batch)
		require.NoError(t, err)
		require.Equal(t, []int{23, 4}, got.Shape())
		require.InDeltaSlice(t, want, got.Values(), 1e-12)
		require.Nil(t, got.Tape())
	}
}

func TestFeaturesNameMistakes(t *testing.T) {
	x := tensor.Zeros(tensor.Float64, 5, 6)
	broken := errors.New("cable cut")
	for want, enc := range map[string]Encoder{
		"no encoder":                nil,
		": panic: boo":              func(*tensor.Tensor) *tensor.Tensor { panic("boo") },
		"returned nothing for":      func(*tensor.Tensor) *tensor.Tensor { return nil },
		"float64[1 2] for 2 inputs": func(*tensor.Tensor) *tensor.Tensor { return tensor.Zeros(tensor.Float64, 1, 2) },
		"features are not finite":   func(x *tensor.Tensor) *tensor.Tensor { return tensor.Log(tensor.AddScalar(x, -1)) },
		"of 2 and of 1 values":      func(x *tensor.Tensor) *tensor.Tensor { return tensor.Zeros(tensor.Float64, x.Dim(0), x.Dim(0)) },
		"panic: cable cut":          func(*tensor.Tensor) *tensor.Tensor { panic(broken) },
	} {
		_, err := Features(ctx, enc, x, 2)
		require.ErrorContains(t, err, want)
	}
	_, err := Features(ctx, func(*tensor.Tensor) *tensor.Tensor { panic(broken) }, x, 0)
	require.ErrorIs(t, err, broken)
	require.ErrorContains(t, err, "inputs 0 to 4:")
	id := func(x *tensor.Tensor) *tensor.Tensor { return x }
	_, err = Features(ctx, id, tensor.Zeros(tensor.Float64, 0, 3), 0)
	require.ErrorContains(t, err, "float64[0 3]")
	_, err = Features(ctx, id, x, -1)
	require.ErrorContains(t, err, "-1 inputs")
	done, cancel := context.WithCancel(ctx)
	cancel()
	_, err = Features(done, id, x, 0)
	require.ErrorIs(t, err, context.Canceled)
}

// Neighbours by angle, whatever the lengths.
func TestKNNVotesByAngle(t *testing.T) {
	train := tensor.FromFloat64([]float64{1, 0, 9, 1, 0, 2, -1, 0.1, 0, 0}, 5, 2)
	y := []int{3, 1, 1, 0, 2}
	test := tensor.FromFloat64([]float64{100, 1, 0.1, 5, -2, 0, 0, 0}, 4, 2)
	predict := func(k KNN) []int {
		got, err := k.Predict(ctx, train, y, test)
		require.NoError(t, err)
		return got
	}
	require.Equal(t, []int{3, 1, 0, 3}, predict(KNN{K: 1}), "a feature of length 0 is as near to all, and takes the first")
	require.Equal(t, []int{3, 1, 0}, predict(KNN{K: 2})[:3], "with equal votes the nearest wins")
	require.Equal(t, []int{1, 1}, predict(KNN{K: 3})[:2])
	require.Equal(t, []int{3, 1}, predict(KNN{K: 3, Temperature: 0.001})[:2], "a low temperature is the nearest alone")

	acc, err := KNN{K: 1}.Accuracy(ctx, train, y, test, []int{3, 1, 1, 1})
	require.NoError(t, err)
	require.Equal(t, 2, acc.Right)

	// Two of each class, each the other's neighbour.
	pairs := tensor.FromFloat64([]float64{1, 0, 0, 1, 1, 0.1, 0.1, 1}, 4, 2)
	acc, err = KNN{K: 1}.LeaveOneOut(ctx, pairs, []int{0, 1, 0, 1})
	require.NoError(t, err)
	require.Equal(t, 4, acc.Right)
	acc, err = KNN{K: 1}.LeaveOneOut(ctx, pairs, []int{0, 1, 1, 0})
	require.NoError(t, err)
	require.Zero(t, acc.Right, "never one's own neighbour")
}

// The same in float32 and by sorting all similarities.
func TestKNNFindsTheNearest(t *testing.T) {
	train := tensor.Normal(rng(3), tensor.Float32, 0, 1, 300, 7)
	test := tensor.Normal(rng(4), tensor.Float32, 0, 1, 270, 7)
	sim := tensor.MatMulT(unitRows(test), unitRows(train), false, true)
	for i := range 270 {
		for _, f := range nearestTo(sim, i, 9, 5) {
			require.NotEqual(t, 5, f.index)
			nearer := 0
			for j := range 300 {
				if j != 5 && sim.At(i, j) > f.similarity {
					nearer++
				}
			}
			require.Less(t, nearer, 9)
		}
	}
	x, y := blobs(5, 4, 80, 6)
	acc, err := KNN{}.LeaveOneOut(ctx, x, y)
	require.NoError(t, err)
	require.Equal(t, 320, acc.Right)
}

func TestSilhouetteByHand(t *testing.T) {
	x := tensor.FromFloat64([]float64{0, 1, 10, 11}, 4, 1)
	mean, each, err := Silhouette(ctx, x, []int{5, 5, 2, 2})
	require.NoError(t, err)
	want := []float64{1 - 1/10.5, 1 - 1/9.5, 1 - 1/9.5, 1 - 1/10.5}
	require.InDeltaSlice(t, want, each, 1e-9)
	require.InDelta(t, stat.Mean(want, nil), mean, 1e-9)
	_, each, err = Silhouette(ctx, x, []int{0, 1, 0, 2})
	require.NoError(t, err)
	require.InDeltaSlice(t, []float64{(1 - 10) / 10., 0, (1 - 10) / 10., 0}, each, 1e-9)
	same, _, err := Silhouette(ctx, tensor.Zeros(tensor.Float32, 4, 2), []int{0, 1, 0, 1})
	require.NoError(t, err)
	require.Zero(t, same)
	xb, yb := blobs(6, 3, 100, 5) // more than one block
	apart, _, err := Silhouette(ctx, xb, yb)
	require.NoError(t, err)
	require.Greater(t, apart, 0.8)
}

// Against gonum's principal components, by singular values, for tall and wide matrices.
func TestPCAIsThatOfSingularValues(t *testing.T) {
	for _, form := range [][2]int{{40, 6}, {6, 40}, {9, 9}} {
		n, d := form[0], form[1]
		x := tensor.Normal(rng(7), tensor.Float64, 3, 1, n, d)
		for j := range d {
			for i := range n {
				x.Set(x.At(i, j)*float64(j+1), i, j)
			}
		}
		p, err := PCA(x, 4)
		require.NoError(t, err)
		var pc stat.PC
		require.True(t, pc.PrincipalComponents(mat.NewDense(n, d, x.Values()), nil))
		vars := pc.VarsTo(nil)
		total := 0.0
		for _, v := range vars {
			total += v
		}
		require.InEpsilonSlice(t, vars[:4], p.Variance, 1e-9)
		require.InEpsilon(t, total, p.Total, 1e-9)
		var vec mat.Dense
		pc.VectorsTo(&vec)
		for c := range 4 {
			largest := 0.0
			dot := 0.0
			for i := range d {
				dot += vec.At(i, c) * p.Components.At(i, c)
				if v := p.Components.At(i, c); math.Abs(v) > math.Abs(largest) {
					largest = v
				}
			}
			require.InDelta(t, 1, math.Abs(dot), 1e-9)
			require.Positive(t, largest)
		}
		// Coordinates have mean 0 and the variances named.
		z := p.Apply(x)
		for c := range 4 {
			column := tensor.Slice(z, 1, c, c+1).Values()
			require.InDelta(t, 0, stat.Mean(column, nil), 1e-9)
			require.InEpsilon(t, p.Variance[c], stat.Variance(column, nil), 1e-9)
		}
	}
	p, err := PCA(tensor.Zeros(tensor.Float32, 5, 3), 2)
	require.NoError(t, err)
	require.InDeltaSlice(t, []float64{0, 0}, p.Variance, 1e-15)
	require.True(t, tensor.AllFinite(p.Components))
}

// Components are orthonormal and have the variances named also beyond the rank of the
// features: that of N inputs is N-1 at most.
func TestPCABeyondTheRank(t *testing.T) {
	same := tensor.Full(tensor.Float64, 3, 6, 11)
	flat := tensor.MatMul(tensor.Normal(rng(21), tensor.Float64, 0, 1, 12, 3), tensor.Normal(rng(22), tensor.Float64, 0, 1, 3, 40))
	scaled := tensor.Normal(rng(23), tensor.Float64, 3, 1, 8, 30)
	for j := range 30 {
		for i := range 8 {
			scaled.Set(scaled.At(i, j)*math.Pow(10, -float64(j)/5), i, j)
		}
	}
	for name, c := range map[string]struct {
		x    *tensor.Tensor
		rank int
	}{
		"wide":        {tensor.Normal(rng(20), tensor.Float64, 3, 1, 9, 40), 8},
		"nearly tall": {tensor.Normal(rng(20), tensor.Float64, 3, 1, 20, 21), 19},
		"flat":        {flat, 3},
		"flat, tall":  {tensor.Transpose(flat), 3},
		"scaled":      {scaled, 7},
		"all equal":   {same, 0},
		"tall":        {tensor.Concat(1, scaled, scaled, scaled), 7},
	} {
		k := min(c.x.Dim(0), c.x.Dim(1))
		p, err := PCA(c.x, k)
		require.NoError(t, err)
		gram := tensor.MatMulT(p.Components, p.Components, true, false)
		z := p.Apply(c.x)
		for i := range k {
			for j := range k {
				want := 0.0
				if i == j {
					want = 1
				}
				require.InDelta(t, want, gram.At(i, j), 1e-12, "%s: components %d and %d of %d", name, i, j, k)
			}
			found := stat.Variance(tensor.Slice(z, 1, i, i+1).Values(), nil)
			require.InDelta(t, p.Variance[i], found, 1e-13*(1+p.Total), "%s: component %d", name, i)
			require.Equal(t, i < c.rank, p.Variance[i] > 0, "%s: component %d", name, i)
		}
	}
}

// Each input's choice of neighbours has the perplexity asked for, at any scale of the
// features.
func TestPerplexityIsFound(t *testing.T) {
	r := rng(8)
	for _, scale := range []float64{1e-6, 1, 1e7} {
		for _, perplexity := range []float64{1.5, 5, 30} {
			d, p := make([]float64, 120), make([]float64, 120)
			for j := range d {
				d[j] = scale * r.ExpFloat64()
			}
			d[17] = 0
			choose(p, d, 17, perplexity)
			sum, entropy := 0.0, 0.0
			for _, v := range p {
				sum += v
				if v > 0 {
					entropy -= v * math.Log(v)
				}
			}
			require.Zero(t, p[17])
			require.InDelta(t, 1, sum, 1e-12)
			require.InEpsilon(t, perplexity, math.Exp(entropy), 1e-6)
		}
	}
	// Ten inputs at the same place cannot have fewer than ten neighbours.
	d, p := make([]float64, 40), make([]float64, 40)
	for j := 11; j < 40; j++ {
		d[j] = 1
	}
	choose(p, d, 0, 3)
	for j := 1; j <= 10; j++ {
		require.InDelta(t, 0.1, p[j], 1e-9)
	}
}

// newTestLayout is a random map of random features.
func newTestLayout(n int) *layout {
	x := tensor.Normal(rng(9), tensor.Float64, 0, 1, n, 4)
	p, err := affinities(ctx, x, 5)
	if err != nil {
		panic(err)
	}
	m := &layout{n: n, p: p, y: make([]float64, 2*n), grad: make([]float64, 2*n), z: make([]float64, n)}
	r := rng(10)
	for i := range m.y {
		m.y[i] = r.NormFloat64()
	}
	return m
}

func TestAffinitiesAreAJointDistribution(t *testing.T) {
	m := newTestLayout(300)
	sum, symmetric := 0.0, true
	for i := range m.n {
		require.Zero(t, m.p[i*m.n+i])
		for j := range m.n {
			symmetric = symmetric && m.p[i*m.n+j] == m.p[j*m.n+i]
			sum += float64(m.p[i*m.n+j])
		}
	}
	require.True(t, symmetric)
	require.InDelta(t, 1, sum, 1e-5)
}

// The gradient is that of the divergence, by finite differences.
func TestGradientOfTheMap(t *testing.T) {
	m := newTestLayout(24)
	m.gradient(1)
	got := append([]float64(nil), m.grad...)
	for i := range m.y {
		const h = 1e-5
		at := m.y[i]
		m.y[i] = at + h
		up := m.divergence()
		m.y[i] = at - h
		down := m.divergence()
		m.y[i] = at
		require.InDelta(t, (up-down)/(2*h), got[i], 1e-6)
	}
}

// Groups that are apart stay so, the divergence falls, and the map is the same for any
// number of threads.
func TestTSNEKeepsGroupsTogether(t *testing.T) {
	x, y := blobs(11, 3, 30, 60)
	steps := 0
	m := TSNE{Perplexity: 8, Iterations: 300, Seed: 4, PCA: 20, OnProgress: func(done, total int) {
		steps++
		require.Equal(t, [2]int{steps, 300}, [2]int{done, total})
	}}
	got, err := m.Embed(ctx, x)
	require.NoError(t, err)
	require.Equal(t, 300, steps)
	for i := range y {
		best, at := math.Inf(1), -1
		for j := range y {
			if d := math.Hypot(got.X[i]-got.X[j], got.Y[i]-got.Y[j]); j != i && d < best {
				best, at = d, j
			}
		}
		require.Equal(t, y[i], y[at])
	}
	plane := tensor.Zeros(tensor.Float64, len(y), 2)
	for i := range y {
		plane.Set(got.X[i], i, 0)
		plane.Set(got.Y[i], i, 1)
	}
	apart, _, err := Silhouette(ctx, plane, y)
	require.NoError(t, err)
	require.Greater(t, apart, 0.6)

	m.OnProgress = nil
	tensor.SetThreads(1)
	again, err := m.Embed(ctx, x)
	tensor.SetThreads(0)
	require.NoError(t, err)
	require.Equal(t, got, again)
	early := m
	early.Iterations = 5
	first, err := early.Embed(ctx, x)
	require.NoError(t, err)
	require.Less(t, got.Divergence, first.Divergence/2)
	m.Seed = 5
	other, err := m.Embed(ctx, x)
	require.NoError(t, err)
	require.NotEqual(t, got.X, other.X)
	require.InDelta(t, got.Divergence, other.Divergence, 0.1)
}

func TestDiagnosticsNameMistakes(t *testing.T) {
	x, y := blobs(12, 2, 20, 3)
	bad := x.Clone()
	bad.Set(math.Inf(1), 4, 1)
	flat := tensor.Zeros(tensor.Float64, 40)
	errorOf := func(_ any, err error) error { return err }
	silhouette := func(x *tensor.Tensor, y []int) error {
		_, _, err := Silhouette(ctx, x, y)
		return err
	}
	for want, err := range map[string]error{
		"value 1 of row 4 of the training features is +Inf": errorOf(KNN{}.Predict(ctx, bad, y, x)),
		"test features are float64[40]":                     errorOf(KNN{}.Predict(ctx, x, y, flat)),
		"test features are nothing":                         errorOf(KNN{}.Accuracy(ctx, x, y, nil, y)),
		"3 labels for 40 training features":                 errorOf(KNN{}.Predict(ctx, x, y[:3], x)),
		"3 labels for 40 test features":                     errorOf(KNN{}.Accuracy(ctx, x, y, x, y[:3])),
		"K is 41, want 1 to the 40":                         errorOf(KNN{K: 41}.Predict(ctx, x, y, x)),
		"K is 40, want 1 to the 39":                         errorOf(KNN{K: 40}.LeaveOneOut(ctx, x, y)),
		"K is -1":                                           errorOf(KNN{K: -1}.Predict(ctx, x, y, x)),
		"Temperature is NaN":                                errorOf(KNN{Temperature: math.NaN()}.Predict(ctx, x, y, x)),
		"test features float64[40 2]":                       errorOf(KNN{}.Predict(ctx, x, y, tensor.Slice(x, 1, 0, 2))),
		"test features float32[40 3]":                       errorOf(KNN{}.Predict(ctx, x, y, x.To(tensor.Float32))),
		"1 class, want at least 2":                          silhouette(x, make([]int, 40)),
		"row 4 of the features is +Inf":                     silhouette(bad, y),
		"5 labels for 40 features":                          silhouette(x, y[:5]),
		"4 components of features":                          errorOf(PCA(x, 4)),
		"0 components":                                      errorOf(PCA(x, 0)),
		"of at least 2 inputs":                              errorOf(PCA(tensor.Slice(x, 0, 0, 1), 1)),
		"Perplexity is 30 for 40 inputs":                    errorOf(TSNE{}.Embed(ctx, x)),
		"Perplexity is 1 for":                               errorOf(TSNE{Perplexity: 1}.Embed(ctx, x)),
		"Perplexity is NaN":                                 errorOf(TSNE{Perplexity: math.NaN()}.Embed(ctx, x)),
		"-1 iterations":                                     errorOf(TSNE{Perplexity: 5, Iterations: -1}.Embed(ctx, x)),
		"-2 principal components":                           errorOf(TSNE{Perplexity: 5, PCA: -2}.Embed(ctx, x)),
		"Exaggeration is 0.5":                               errorOf(TSNE{Perplexity: 5, Exaggeration: 0.5}.Embed(ctx, x)),
		"LR is -1":                                          errorOf(TSNE{Perplexity: 5, LR: -1}.Embed(ctx, x)),
		"of the features is +Inf":                           errorOf(TSNE{Perplexity: 5}.Embed(ctx, bad)),
	} {
		require.ErrorContains(t, err, want)
	}
	negative := append([]int(nil), y...)
	negative[7] = -1
	require.ErrorContains(t, silhouette(x, negative), "label 7 of the features is -1")
	done, cancel := context.WithCancel(ctx)
	cancel()
	_, err := KNN{}.LeaveOneOut(done, x, y)
	require.ErrorIs(t, err, context.Canceled)
	_, _, err = Silhouette(done, x, y)
	require.ErrorIs(t, err, context.Canceled)
	e, err := TSNE{Perplexity: 5}.Embed(done, x)
	require.ErrorIs(t, err, context.Canceled)
	require.Len(t, e.X, 40)
	_, err = affinities(done, x, 5)
	require.ErrorIs(t, err, context.Canceled)
}
