package gemm

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/redoubt-ml/redoubt/internal/cpu"
	"github.com/redoubt-ml/redoubt/internal/kernel"
	"github.com/redoubt-ml/redoubt/internal/par"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func levels(t *testing.T, f func(t *testing.T)) {
	for _, l := range []cpu.Level{cpu.Generic, cpu.NEON, cpu.AVX2, cpu.AVX512} {
		restore := cpu.Force(l)
		if cpu.Active() == l {
			t.Run(l.String(), f)
		}
		restore()
	}
}

func random[T kernel.Float](rng *rand.Rand, n int) []T {
	s := make([]T, n)
	for i := range s {
		s[i] = T(rng.NormFloat64())
	}
	return s
}

// testProduct compares one product with float64 loops and checks that nothing
// between and after C's rows is touched.
func testProduct[T kernel.Float](t *testing.T, rng *rand.Rand, transA, transB bool, m, n, k int, ep Epilogue[T]) {
	pad := func() int { return rng.IntN(3) * 3 }
	ra, ca, rb, cb := m, k, k, n
	if transA {
		ra, ca = k, m
	}
	if transB {
		rb, cb = n, k
	}
	lda, ldb, ldc := ca+pad(), cb+pad(), max(n+pad(), 1)
	a, b, c := random[T](rng, ra*lda), random[T](rng, rb*ldb), random[T](rng, m*ldc+5)
	was := append([]T(nil), c...)
	if !ep.Accumulate {
		for i := range m {
			kernel.Fill(c[i*ldc:][:n], T(math.NaN()))
		}
	}
	Gemm(transA, transB, m, n, k, a, lda, b, ldb, c, ldc, ep)
	what := fmt.Sprintf("A%v B%v m=%d n=%d k=%d accumulate %v bias %v relu %v", transA, transB, m, n, k, ep.Accumulate, ep.Bias != nil, ep.ReLU)
	eps := 5e-7
	if _, ok := any(a).([]float64); ok {
		eps = 1e-15
	}
	for i := range c {
		row, col := i/ldc, i%ldc
		if row >= m || col >= n {
			require.Equal(t, was[i], c[i], "%s: element %d outside C changed", what, i)
			continue
		}
		var sum, size float64
		for p := range k {
			ia, ib := row*lda+p, p*ldb+col
			if transA {
				ia = p*lda + row
			}
			if transB {
				ib = col*ldb + p
			}
			v := float64(a[ia]) * float64(b[ib])
			sum += v
			size += math.Abs(v)
		}
		if ep.Accumulate {
			sum += float64(was[i])
		}
		if ep.Bias != nil {
			sum += float64(ep.Bias[col])
		}
		if ep.ReLU {
			sum = max(sum, 0)
		}
		if d := math.Abs(sum - float64(c[i])); !(d <= eps*(2+size)) {
			t.Fatalf("%s: C[%d,%d] = %v, want %v", what, row, col, c[i], sum)
		}
	}
}

func testSizes[T kernel.Float](t *testing.T, seed uint64, count int) {
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 0))
	sizes := []int{0, 1, 2, 3, 5, 6, 7, 8, 10, 13, 14, 15, 16, 17, 28, 29, 31, 32, 33, 47, 64, 65, 100, 130}
	for i := range count {
		m, n, k := sizes[rng.IntN(len(sizes))], sizes[rng.IntN(len(sizes))], sizes[rng.IntN(len(sizes))]
		if i%16 == 0 {
			k = 300 + rng.IntN(300)
		}
		if i%24 == 5 {
			n = 500 + rng.IntN(100)
		}
		if i%24 == 7 {
			m = 170 + rng.IntN(40)
		}
		ep := Epilogue[T]{Accumulate: rng.IntN(2) == 0, ReLU: rng.IntN(2) == 0}
		if rng.IntN(2) == 0 {
			ep.Bias = random[T](rng, n)
		}
		testProduct(t, rng, rng.IntN(2) == 0, rng.IntN(2) == 0, m, n, k, ep)
	}
	// A is packed for its long rows, and, transposed, for being wide.
	for _, transB := range []bool{false, true} {
		testProduct(t, rng, false, transB, 40, 260, 1030, Epilogue[T]{})
		testProduct(t, rng, true, transB, 260, 260, 70, Epilogue[T]{})
	}
}

func TestProductsMatchFloat64Loops(t *testing.T) {
	levels(t, func(t *testing.T) { testSizes[float32](t, 1, 300) })
	testSizes[float64](t, 2, 200)
}

// The product over an empty reduction is zero, however large, in every form.
func TestLargeProductsOfNothingAreZero(t *testing.T) {
	levels(t, func(t *testing.T) {
		testNothing[float32](t)
		testNothing[float64](t)
	})
}

func testNothing[T kernel.Float](t *testing.T) {
	const m, n = 640, 512
	bias := random[T](rand.New(rand.NewPCG(3, 3)), n)
	for form := range 4 {
		// The row strides are those of matrices without padding.
		lda, ldb := 0, n
		if form&1 == 1 {
			lda = m
		}
		if form&2 == 2 {
			ldb = 0
		}
		c := random[T](rand.New(rand.NewPCG(4, 4)), m*n)
		Gemm(form&1 == 1, form&2 == 2, m, n, 0, nil, lda, nil, ldb, c, n, Epilogue[T]{Bias: bias})
		for i := range m {
			require.Equal(t, bias, c[i*n:(i+1)*n], "form %d, row %d", form, i)
		}
	}
}

func TestThreadsDoNotChangeBits(t *testing.T) {
	old := par.Threads()
	defer par.SetThreads(old)
	levels(t, func(t *testing.T) {
		rng := rand.New(rand.NewPCG(4, 4))
		for _, s := range [][3]int{{128, 256, 784}, {300, 70, 520}, {10, 128, 2000}, {700, 10, 300}, {33, 1100, 40}, {64, 300, 1030}, {300, 300, 64}} {
			for form := range 4 {
				ta, tb := form&1 == 1, form&2 == 2
				m, n, k := s[0], s[1], s[2]
				lda, ldb := k, n
				if ta {
					lda = m
				}
				if tb {
					ldb = k
				}
				a, b := random[float32](rng, m*k), random[float32](rng, k*n)
				run := func(threads int) []float32 {
					par.SetThreads(threads)
					c := make([]float32, m*n)
					Gemm(ta, tb, m, n, k, a, lda, b, ldb, c, n, Epilogue[float32]{})
					return c
				}
				want := run(1)
				for _, threads := range []int{2, 16} {
					require.Equal(t, want, run(threads), "A%v B%v %v, %d threads", ta, tb, s, threads)
				}
			}
		}
	})
}

func TestNaNAndInfPropagate(t *testing.T) {
	levels(t, func(t *testing.T) {
		inf, nan := float32(math.Inf(1)), float32(math.NaN())
		for _, bad := range []float32{inf, nan} {
			m, n, k := 20, 40, 9
			a, b, c := make([]float32, m*k), make([]float32, k*n), make([]float32, m*n)
			b[3*n+33] = bad
			for _, relu := range []bool{false, true} {
				Gemm(false, false, m, n, k, a, k, b, n, c, n, Epilogue[float32]{ReLU: relu})
				for i, v := range c {
					if i%n == 33 {
						require.True(t, v != v, "0 times %v, ReLU %v, must be NaN, got %v", bad, relu, v)
					} else {
						require.Zero(t, v)
					}
				}
			}
		}
	})
}

func TestBadArgumentsPanic(t *testing.T) {
	s := make([]float32, 12)
	none := Epilogue[float32]{}
	assert.PanicsWithValue(t, "gemm: Gemm: A has 12 elements, want at least 15 for [3, 5] with row stride 5", func() {
		Gemm(false, false, 3, 2, 5, s, 5, s, 2, s, 2, none)
	})
	assert.Panics(t, func() { Gemm(false, false, 2, 3, 2, s, 2, s, 2, s, 3, none) })
	assert.Panics(t, func() { Gemm(false, false, -1, 3, 2, s, 2, s, 3, s, 3, none) })
	assert.Panics(t, func() { Gemm(false, false, 2, 3, 2, s, 2, s, 3, s, 3, Epilogue[float32]{Bias: s[:2]}) })
}

func TestRepeatedProductsAllocateNothing(t *testing.T) {
	old := par.Threads()
	defer par.SetThreads(old)
	for _, threads := range []int{1, 2} {
		par.SetThreads(threads)
		const m, n, k = 200, 200, 200
		a, b, c := make([]float32, m*k), make([]float32, k*n), make([]float32, m*n)
		step := func() { Gemm(false, true, m, n, k, a, k, b, k, c, n, Epilogue[float32]{}) }
		for range 20 {
			step()
		}
		assert.Less(t, testing.AllocsPerRun(20, step), 1.0, "%d threads", threads)
	}
}
