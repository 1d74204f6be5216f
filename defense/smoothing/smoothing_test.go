package smoothing_test

import (
	"context"
	"math"
	"math/rand/v2"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"
	"gonum.org/v1/gonum/mathext"
	"gonum.org/v1/gonum/stat/distuv"

	. "github.com/redoubt-ml/redoubt/defense/smoothing"
	"github.com/redoubt-ml/redoubt/tensor"
)

var ctx = context.Background()

// halfspace answers 0 where w·x + b > 0 and 1 elsewhere. Smoothed with any deviation
// it answers the same, and its exact radius at x is |w·x + b|/‖w‖.
type halfspace struct{ w, b *tensor.Tensor }

func newHalfspace(r *rand.Rand, dtype tensor.DType, d int) halfspace {
	w := tensor.Zeros(dtype, d, 2)
	for i := range d {
		w.Set(r.NormFloat64(), i, 0)
	}
	b := tensor.Zeros(dtype, 2)
	b.Set(0.1, 0)
	return halfspace{w, b}
}

func (m halfspace) Logits(x *tensor.Tensor) *tensor.Tensor {
	return tensor.Add(tensor.MatMul(x, m.w), m.b)
}

// margins are the signed distances of inputs from the boundary.
func (m halfspace) margins(x *tensor.Tensor) []float64 {
	length := math.Sqrt(tensor.Dot(tensor.Flatten(m.w), tensor.Flatten(m.w)).Item())
	z := m.Logits(x)
	out := make([]float64, x.Dim(0))
	for i := range out {
		out[i] = z.At(i, 0) / length
	}
	return out
}

type function func(x *tensor.Tensor) *tensor.Tensor

func (f function) Logits(x *tensor.Tensor) *tensor.Tensor { return f(x) }

// Values worked out in decimal arithmetic of 60 digits, by bisection of the binomial
// tail.
func TestBoundsAreThoseOfExactArithmetic(t *testing.T) {
	for _, c := range []struct {
		k, n        int
		alpha, want float64
	}{
		{100, 100, 0.001, 0.933254300796991}, {99, 100, 0.001, 0.911373111296042}, {60, 100, 0.05, 0.512975820253894},
		{1, 100, 0.001, 0.000010004953286}, {990, 1000, 0.001, 0.976036187155311}, {9990, 10000, 0.001, 0.997588308032568},
		{99_990, 100_000, 0.001, 0.999758677343591}, {99_999, 100_000, 0.001, 0.999907669666265}, {125_683, 125_690, 2.3295794752735073e-07, 0.999753079040980},
		{100_000, 100_000, 0.001, 0.999930924833009}, {0, 5, 0.1, 0},
	} {
		require.InDelta(t, c.want, LowerBound(c.k, c.n, c.alpha), 1e-12, "%+v", c)
	}
	for _, c := range []struct {
		k, n int
		want float64
	}{
		{60, 100, 0.0568879336409808}, {61, 100, 0.0352002002177048}, {75, 100, 5.6362820342054e-07}, {50, 100, 1}, {10, 10, 0.001953125},
		{7, 10, 0.34375}, {3, 10, 0.34375}, {500, 1000, 1}, {560, 1000, 0.000165049870550453},
	} {
		require.InEpsilon(t, c.want, BinomialTest(c.k, c.n), 1e-11, "%+v", c)
	}
	// The largest radius of 100,000 draws.
	require.InDelta(t, 0.25*3.8115, Radius(0.25, LowerBound(100_000, 100_000, 0.001)), 1e-4)
	require.Zero(t, Radius(1, 0.5))
	require.InDelta(t, 2, Radius(2, 0.8413447460685429), 1e-12)
	require.Panics(t, func() { LowerBound(3, 2, 0.1) })
	require.Panics(t, func() { LowerBound(1, 2, 0) })
	require.Panics(t, func() { BinomialTest(0, 0) })
}

// For any counts the bound is where the tail of the binomial has the probability alpha,
// and not above.
func TestLowerBoundSolvesItsEquation(t *testing.T) {
	r := rand.New(rand.NewPCG(9, 9))
	for range 3000 {
		n := 2 + int(math.Pow(10, 7*r.Float64()))
		k := 1 + r.IntN(n-1)
		if r.IntN(2) == 0 {
			k = n - 1 - r.IntN(min(n-1, 50)) // near n, as in certificates
		}
		alpha := math.Pow(10, -9*r.Float64()) * 0.5
		p := LowerBound(k, n, alpha)
		tail := mathext.RegIncBeta(float64(k), float64(n-k+1), p)
		require.LessOrEqual(t, tail, alpha, "%d of %d, alpha %v", k, n, alpha)
		require.InEpsilon(t, alpha, tail, 1e-4, "%d of %d, alpha %v", k, n, alpha)
	}
}

// The bound is above the truth with a probability of at most alpha, worked out for
// all counts, and by not much less where counts are dense.
func TestLowerBoundCovers(t *testing.T) {
	for _, n := range []int{1, 2, 37, 400} {
		for _, alpha := range []float64{0.001, 0.05, 0.3} {
			for _, p := range []float64{0.01, 0.3, 0.5, 0.73, 0.95, 0.999} {
				above := 0.0
				law := distuv.Binomial{N: float64(n), P: p}
				for k := range n + 1 {
					if LowerBound(k, n, alpha) > p {
						above += law.Prob(float64(k))
					}
				}
				require.LessOrEqual(t, above, alpha*(1+1e-9), "n %d, alpha %v, p %v", n, alpha, p)
				if n == 400 && p == 0.5 && alpha == 0.05 {
					require.Greater(t, above, alpha/2)
				}
			}
		}
	}
	for k := 1; k <= 50; k++ {
		require.Greater(t, LowerBound(k, 50, 0.01), LowerBound(k-1, 50, 0.01))
		require.LessOrEqual(t, LowerBound(k, 50, 0.01), float64(k)/50)
	}
}

// On a half-space the radius is known: certificates exceed it no more often than
// Alpha allows, and come near it.
func TestRadiiAreTrueAndTight(t *testing.T) {
	const inputs, alpha, sigma, draws = 300, 0.05, 0.5, 1200
	r := rand.New(rand.NewPCG(1, 2))
	for _, dtype := range []tensor.DType{tensor.Float32, tensor.Float64} {
		m := newHalfspace(r, dtype, 6)
		x := tensor.Normal(r, dtype, 0, 0.4, inputs, 6)
		c := &Classifier{Model: m, Sigma: sigma, N: draws, N0: 50, Alpha: alpha, Seed: 7, BatchSize: draws}
		certs, err := c.Certify(ctx, x)
		require.NoError(t, err)
		beyond, abstained, gap := 0, 0, 0.0
		for i, margin := range m.margins(x) {
			truth, class := math.Abs(margin), 0
			if margin < 0 {
				class = 1
			}
			q := certs[i]
			require.Equal(t, draws, q.N)
			if q.Class == Abstain {
				require.Zero(t, q.Radius)
				abstained++
				continue
			}
			require.Equal(t, Radius(sigma, q.Lower), q.Radius)
			if q.Class != class || q.Radius > truth {
				beyond++
			}
			if truth < 1.2*sigma {
				gap = max(gap, truth-q.Radius)
			}
		}
		require.Greater(t, distuv.Binomial{N: inputs, P: alpha}.Survival(float64(beyond)-1), 1e-3, "%d of %d certificates exceed the truth", beyond, inputs)
		require.Positive(t, beyond, "a bound that never errs is not of this level")
		require.Less(t, gap, 0.13)
		require.Less(t, abstained, inputs/5)
	}
}

// Predictions that are made are right but for a share of Alpha, and points near the
// boundary are left open.
func TestPredictAbstainsWhereVotesAreClose(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 2))
	m := newHalfspace(r, tensor.Float64, 4)
	x := tensor.Normal(r, tensor.Float64, 0, 0.1, 500, 4)
	c := &Classifier{Model: m, Sigma: 1, N: 200, Alpha: 0.02, BatchSize: 200}
	answers, err := c.Predict(ctx, x)
	require.NoError(t, err)
	wrong, open := 0, 0
	for i, margin := range m.margins(x) {
		a := answers[i]
		require.Equal(t, 200, a.Counts[0]+a.Counts[1])
		require.Equal(t, a.PValue <= 0.02, a.Class != Abstain)
		switch {
		case a.Class == Abstain:
			open++
			require.Less(t, math.Abs(margin), 0.5)
		case (a.Class == 0) != (margin > 0):
			wrong++
		}
	}
	require.Greater(t, open, 50)
	require.LessOrEqual(t, wrong, 15)
}

// bands is a model of three classes on one value, so that the counts of classes that
// are not the first matter.
var bands = function(func(x *tensor.Tensor) *tensor.Tensor {
	v := tensor.Reshape(x, x.Dim(0), 1)
	return tensor.Concat(1, tensor.Affine(v, -1, -0.5), tensor.MulScalar(v, 0), tensor.Affine(v, 1, -0.5))
})

// Votes have the frequencies that the normal distribution gives the bands.
func TestVotesFollowTheNormalDistribution(t *testing.T) {
	x := tensor.FromFloat64([]float64{0.1, 0.9, -3}, 3, 1)
	c := &Classifier{Model: bands, Sigma: 0.6, N: 20_000, BatchSize: 1000}
	got, err := c.Predict(ctx, x)
	require.NoError(t, err)
	phi := func(v float64) float64 { return 0.5 * math.Erfc(-v/math.Sqrt2) }
	for i, v := range []float64{0.1, 0.9, -3} {
		low, high := phi((-0.5-v)/0.6), 1-phi((0.5-v)/0.6)
		for class, p := range []float64{low, 1 - low - high, high} {
			n := 0
			if class < len(got[i].Counts) {
				n = got[i].Counts[class]
			}
			require.InDelta(t, p, float64(n)/20_000, 4*math.Sqrt(p*(1-p)/20_000)+1e-9, "input %d, class %d", i, class)
		}
	}
}

// What an input gets does not depend on its batch, on its companions or on threads,
// and differs from what another seed gives.
func TestVotesDependOnSeedAndNameAlone(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 2))
	m := newHalfspace(r, tensor.Float64, 3)
	x := tensor.Normal(r, tensor.Float64, 0, 0.3, 5, 3)
	c := Classifier{Model: m, Sigma: 0.4, N: 301, N0: 40, Seed: 11}
	want, err := c.Certify(ctx, x)
	require.NoError(t, err)
	for _, size := range []int{1, 7, 300, 1000} {
		for _, threads := range []int{1, 3} {
			tensor.SetThreads(threads)
			v := c
			v.BatchSize = size
			got, err := v.Certify(ctx, x)
			tensor.SetThreads(0)
			require.NoError(t, err)
			require.Equal(t, want, got)
		}
	}
	part := c
	part.IDs = []uint64{3, 1}
	got, err := part.Certify(ctx, tensor.Gather(x, []int{3, 1}))
	require.NoError(t, err)
	require.Equal(t, []Certificate{want[3], want[1]}, got)

	same := tensor.Gather(x, []int{2, 2, 2, 2, 2})
	got, err = c.Certify(ctx, same)
	require.NoError(t, err)
	counts := map[int]bool{}
	for _, q := range got {
		counts[q.Count] = true
	}
	require.Greater(t, len(counts), 1, "equal inputs have noise of their own")
	other := c
	other.Seed = 12
	got, err = other.Certify(ctx, x)
	require.NoError(t, err)
	require.NotEqual(t, want, got)
}

// The draws that choose the class and those that bound it are independent: on a model
// of pure chance the choice does not help the count.
func TestSelectionDoesNotBiasTheBound(t *testing.T) {
	coin := function(func(x *tensor.Tensor) *tensor.Tensor {
		return tensor.Concat(1, x, tensor.MulScalar(x, 0))
	})
	x := tensor.Zeros(tensor.Float64, 2000, 1)
	c := &Classifier{Model: coin, Sigma: 1, N: 20, N0: 20, BatchSize: 20}
	certs, err := c.Certify(ctx, x)
	require.NoError(t, err)
	sum := 0
	for _, q := range certs {
		sum += q.Count
	}
	// Each count has mean 10 and variance 5.
	require.InDelta(t, 10, float64(sum)/2000, 4*math.Sqrt(5./2000))
}

func TestCurveCountsClassesAndRadii(t *testing.T) {
	certs := []Certificate{{Class: 1, Radius: 0.5}, {Class: 1, Radius: 1}, {Class: Abstain}, {Class: 0, Radius: 2}}
	curve, err := CertifiedAccuracy(certs, []int{1, 1, 1, 2}, []float64{0, 0.5, 0.6, 1.5})
	require.NoError(t, err)
	var right []int
	for _, e := range curve {
		require.Equal(t, 4, e.Total)
		right = append(right, e.Right)
	}
	require.Equal(t, []int{2, 2, 1, 0}, right)
	mean, err := AverageRadius(certs, []int{1, 1, 1, 2})
	require.NoError(t, err)
	require.InDelta(t, 1.5/4, mean, 1e-15)
	_, err = CertifiedAccuracy(certs, []int{1}, nil)
	require.ErrorContains(t, err, "1 labels for 4 certificates")
	_, err = CertifiedAccuracy(nil, nil, nil)
	require.ErrorContains(t, err, "at least 1")
	_, err = CertifiedAccuracy(certs, []int{1, 1, -1, 2}, nil)
	require.ErrorContains(t, err, "label of input 2 is -1")
	_, err = CertifiedAccuracy(certs, []int{1, 1, 1, 2}, []float64{0, math.NaN()})
	require.ErrorContains(t, err, "radius 1 is NaN")
}

func TestMistakesAreNamed(t *testing.T) {
	x := tensor.Zeros(tensor.Float64, 2, 1)
	for want, c := range map[string]*Classifier{
		"no model":        {Sigma: 1},
		"Sigma is 0":      {Model: bands},
		"Sigma is NaN":    {Model: bands, Sigma: math.NaN()},
		"Sigma is +Inf":   {Model: bands, Sigma: math.Inf(1)},
		"N is -1":         {Model: bands, Sigma: 1, N: -1},
		"N0 -2":           {Model: bands, Sigma: 1, N0: -2},
		"Alpha is 1":      {Model: bands, Sigma: 1, Alpha: 1},
		"Alpha is NaN":    {Model: bands, Sigma: 1, Alpha: math.NaN()},
		"BatchSize is -1": {Model: bands, Sigma: 1, BatchSize: -1},
		"1 IDs for 2":     {Model: bands, Sigma: 1, IDs: []uint64{4}},
		"copies 0 to 9 of input": {Sigma: 1, N: 10, N0: 10, Model: function(func(*tensor.Tensor) *tensor.Tensor {
			return nil
		})},
		"not finite": {Sigma: 1, N: 10, N0: 10, Model: function(func(x *tensor.Tensor) *tensor.Tensor {
			return tensor.Full(x.DType(), math.NaN(), x.Dim(0), 3)
		})},
		"lens cap on": {Sigma: 1, N: 10, N0: 10, Model: function(func(*tensor.Tensor) *tensor.Tensor { panic("lens cap on") })},
	} {
		_, err := c.Certify(ctx, x)
		require.ErrorContains(t, err, want)
		_, err = c.Predict(ctx, x)
		require.ErrorContains(t, err, want)
	}
	good := &Classifier{Model: bands, Sigma: 1}
	bad := x.Clone()
	bad.Set(math.NaN(), 1, 0)
	for want, x := range map[string]*tensor.Tensor{
		"value 0 of input 1 is NaN": bad, "inputs are nothing": nil, "float64[3]": tensor.Zeros(tensor.Float64, 3),
	} {
		_, err := good.Certify(ctx, x)
		require.ErrorContains(t, err, want)
	}
}

// A cancelled run ends soon and returns what it has.
func TestCancelledRunKeepsWhatIsDone(t *testing.T) {
	inner, cancel := context.WithCancel(ctx)
	defer cancel()
	tensor.SetThreads(1)
	defer tensor.SetThreads(0)
	var calls atomic.Int64
	m := function(func(x *tensor.Tensor) *tensor.Tensor {
		if calls.Add(1) == 50 {
			cancel()
		}
		return bands.Logits(x)
	})
	var seen []int
	c := &Classifier{Model: m, Sigma: 0.1, N: 100, N0: 10, BatchSize: 10, OnProgress: func(done, total int) {
		require.Equal(t, 1000, total)
		seen = append(seen, done)
	}}
	certs, err := c.Certify(inner, tensor.Zeros(tensor.Float32, 1000, 1))
	require.ErrorIs(t, err, context.Canceled)
	require.NotEmpty(t, certs)
	require.Less(t, len(certs), 10)
	require.Equal(t, len(certs), seen[len(seen)-1])
	require.LessOrEqual(t, calls.Load(), int64(51))
	for _, q := range certs {
		require.Equal(t, 1, q.Class)
	}
}

// The inverse normal is good where certificates need it.
func TestQuantileNearOne(t *testing.T) {
	for _, v := range []float64{0.1, 1, 3, 5, 7} {
		require.InEpsilon(t, v, mathext.NormalQuantile(1-0.5*math.Erfc(v/math.Sqrt2)), 1e-4)
	}
}
