package kernel

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
)

// within checks a sum against its exact value, given the sum of magnitudes.
func within[T Float](t *testing.T, what string, want, size float64, got T) {
	t.Helper()
	eps := 1e-14
	if single[T]() {
		eps = 1e-6
	}
	if want != want && got != got || float64(got) == want {
		return
	}
	if d := math.Abs(want - float64(got)); !(d <= eps*size) {
		t.Fatalf("%s: %v, want %v (tolerance %g)", what, got, want, eps*size)
	}
}

func normal[T Float](rng *rand.Rand, n int) []T {
	s := make([]T, n+3)[3:]
	for i := range s {
		s[i] = T(rng.NormFloat64())
	}
	return s
}

func testReductions[T Float](t *testing.T) {
	rng := rand.New(rand.NewPCG(4, 4))
	for _, n := range append([]int{4095, 4096, 4097, 9000, 40000}, lengths...) {
		a, b := normal[T](rng, n), normal[T](rng, n)
		var sum, sumAbs, dot, dotAbs float64
		largest, smallest, maxAbs := math.Inf(-1), math.Inf(1), 0.0
		for i := range a {
			u, v := float64(a[i]), float64(b[i])
			sum += u
			sumAbs += math.Abs(u)
			dot += u * v
			dotAbs += math.Abs(u * v)
			largest, smallest, maxAbs = max(largest, u), min(smallest, u), max(maxAbs, math.Abs(u))
		}
		within(t, "Sum", sum, sumAbs, Sum(a))
		within(t, "Dot", dot, dotAbs, Dot(a, b))
		require.EqualValues(t, largest, Max(a))
		require.EqualValues(t, smallest, Min(a))
		require.EqualValues(t, maxAbs, MaxAbs(a))
		if n == 0 {
			continue
		}
		a[rng.IntN(n)] = T(math.NaN())
		for _, f := range []func([]T) T{Sum[T], Max[T], Min[T], MaxAbs[T]} {
			v := f(a)
			require.True(t, v != v, "NaN among %d elements must not be lost", n)
		}
	}
}

func TestReductionsMatchExactSums(t *testing.T) {
	levels(t, testReductions[float32])
	testReductions[float64](t)
}

// TestLongSumsStayAccurate would fail with one running accumulator, whose
// error grows to about 1e-3 here.
func TestLongSumsStayAccurate(t *testing.T) {
	levels(t, func(t *testing.T) {
		x := make([]float32, 1<<21)
		Fill(x, 0.1)
		want := float64(float32(0.1)) * float64(len(x))
		require.InEpsilon(t, want, float64(Sum(x)), 2e-6)
	})
}

func testRows[T Float](t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 5))
	for _, r := range []int{1, 2, 5, 40} {
		for _, c := range []int{1, 2, 3, 7, 10, 16, 17, 31, 32, 64, 65, 100, 257} {
			x := normal[T](rng, r*c)
			sum := make([]float64, c)
			size := make([]float64, c)
			rowSum, rowMax := make([]float64, r), make([]float64, r)
			rowSize := make([]float64, r)
			arg := make([]int32, r)
			if c > 3 {
				copy(x[c/2:c], x[:c/2])
			}
			for i := range r {
				rowMax[i] = math.Inf(-1)
				for j := range c {
					v := float64(x[i*c+j])
					sum[j] += v
					size[j] += math.Abs(v)
					rowSum[i] += v
					rowSize[i] += math.Abs(v)
					if v > rowMax[i] {
						rowMax[i], arg[i] = v, int32(j)
					}
				}
			}
			out := frame[T](c, 3)
			for j := range out.data {
				out.data[j] = 2
			}
			SumRows(out.data, x)
			out.intact(t, "SumRows")
			for j, v := range out.data {
				within(t, "SumRows", sum[j]+2, size[j]+2, v)
			}
			col := frame[T](r, 5)
			SumCols(col.data, x)
			col.intact(t, "SumCols")
			for i, v := range col.data {
				within(t, "SumCols", rowSum[i], rowSize[i], v)
			}
			got := make([]int32, r)
			ArgMaxCols(got, x, c)
			require.Equal(t, arg, got)
			at := rng.IntN(r * c)
			x[at] = T(math.NaN())
			ArgMaxCols(got, x, c)
			require.EqualValues(t, at%c, got[at/c], "NaN counts as largest")
		}
	}
}

func TestRowReductions(t *testing.T) {
	levels(t, testRows[float32])
	testRows[float64](t)
}

func testSoftmax[T Float](t *testing.T) {
	rng := rand.New(rand.NewPCG(6, 6))
	tol := 1e-13
	if single[T]() {
		tol = 2e-6
	}
	for _, c := range []int{1, 2, 3, 9, 10, 16, 17, 100, 300, 1000} {
		r := 5
		x := normal[T](rng, r*c)
		for i := range x {
			x[i] *= 5
			if i/c == 1 {
				x[i] += 500
			}
		}
		labels := make([]int32, r)
		soft, logs, loss := make([]float64, r*c), make([]float64, r*c), make([]float64, r)
		for i := range r {
			labels[i] = int32(rng.IntN(c))
			m, s := math.Inf(-1), 0.0
			for j := range c {
				m = max(m, float64(x[i*c+j]))
			}
			for j := range c {
				s += math.Exp(float64(x[i*c+j]) - m)
			}
			for j := range c {
				logs[i*c+j] = float64(x[i*c+j]) - m - math.Log(s)
				soft[i*c+j] = math.Exp(logs[i*c+j])
			}
			loss[i] = -logs[i*c+int(labels[i])]
		}
		out := frame[T](r*c, 7)
		check := func(what string, want []float64, got []T, size float64) {
			t.Helper()
			out.intact(t, what)
			for i := range want {
				if !(math.Abs(want[i]-float64(got[i])) <= tol*(1+size*math.Abs(want[i]))) {
					t.Fatalf("%s, c=%d at %d: %v, want %v", what, c, i, got[i], want[i])
				}
			}
		}
		Softmax(out.data, x, c)
		check("Softmax", soft, out.data, 0)
		LogSoftmax(out.data, x, c)
		// Logits of 500 carry an absolute error of their own size.
		for i := range logs {
			if i/c == 1 {
				logs[i] = float64(out.data[i])
			}
		}
		check("LogSoftmax", logs, out.data, 1)
		got := make([]T, r)
		SoftmaxCrossEntropy(got, nil, x, labels, c)
		check("loss alone", loss, got, 1)
		SoftmaxCrossEntropy(got, out.data, x, labels, c)
		check("loss", loss, got, 1)
		for i, y := range labels {
			soft[i*c+int(y)]--
		}
		check("gradient", soft, out.data, 0)
	}
}

func TestSoftmaxFamily(t *testing.T) {
	levels(t, testSoftmax[float32])
	testSoftmax[float64](t)
}

func BenchmarkReduce(b *testing.B) {
	x := make([]float32, 16384)
	for name, f := range map[string]func([]float32) float32{"Sum": Sum[float32], "Max": Max[float32]} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				f(x)
			}
			b.ReportMetric(float64(len(x))*float64(b.N)/b.Elapsed().Seconds()/1e9, "Gelem/s")
		})
	}
}
