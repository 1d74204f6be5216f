package kernel

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/redoubt-ml/redoubt/internal/cpu"
	"github.com/stretchr/testify/require"
)

// levels runs f at every level that the processor has.
func levels(t *testing.T, f func(t *testing.T)) {
	for _, l := range []cpu.Level{cpu.Generic, cpu.NEON, cpu.AVX2, cpu.AVX512} {
		restore := cpu.Force(l)
		if cpu.Active() == l {
			t.Run(l.String(), f)
		}
		restore()
	}
}

// lengths are odd and even ones around every vector and unrolling width.
var lengths = []int{0, 1, 2, 3, 7, 8, 9, 15, 16, 17, 31, 32, 33, 47, 63, 64, 65, 100, 127, 128, 129, 255, 256, 257, 300, 1000}

const canary = -12345.5

// framed is a slice of n elements at an odd offset in a buffer of canaries.
type framed[T Float] struct {
	buf  []T
	data []T
}

func frame[T Float](n, offset int) framed[T] {
	f := framed[T]{buf: make([]T, n+offset+20)}
	for i := range f.buf {
		f.buf[i] = canary
	}
	f.data = f.buf[offset : offset+n : offset+n]
	return f
}

func (f framed[T]) intact(t *testing.T, what string) {
	t.Helper()
	off := cap(f.buf) - 20 - len(f.data)
	for i, v := range f.buf {
		if (i < off || i >= off+len(f.data)) && v != canary {
			t.Fatalf("%s: wrote at %d of a slice of %d", what, i-off, len(f.data))
		}
	}
}

var special = []float64{0, math.Copysign(0, -1), 1, -1, math.Inf(1), math.Inf(-1), math.NaN(), 1e-40, -1e-40, 3e38, -3e38, 88.7, -87.3, 88.73, 89, -88, -103, -104, -110, 1e-8, -1e-8, 0.5, -0.5, 16, -16, 20, -20, 0.625, -0.625}

func randomInput[T Float](rng *rand.Rand, n, offset int, scale float64) []T {
	s := make([]T, n+offset)[offset:]
	for i := range s {
		s[i] = T(rng.NormFloat64() * scale)
		if rng.IntN(12) == 0 {
			s[i] = T(special[rng.IntN(len(special))])
		}
	}
	return s
}

// ulps is the distance of got from want in units of the last place of a T at
// want; infinite for a NaN or an infinity on one side only.
func ulps[T Float](got T, want float64) float64 {
	g := float64(got)
	if g == want || g != g && want != want {
		return 0
	}
	if float64(T(want)) == g {
		return 0
	}
	if math.IsNaN(g) || math.IsNaN(want) || math.IsInf(g, 0) || math.IsInf(float64(T(want)), 0) {
		return math.Inf(1)
	}
	bits, least := 24, -149
	if !single[T]() {
		bits, least = 53, -1074
	}
	_, e := math.Frexp(want)
	return math.Abs(g-want) / math.Ldexp(1, max(e-bits, least))
}

var unaryOps = []struct {
	op    UnaryOp
	name  string
	exact func(float64) float64
	ulps  float64
}{
	{Neg, "Neg", func(x float64) float64 { return -x }, 0},
	{Abs, "Abs", math.Abs, 0},
	{Sign, "Sign", func(x float64) float64 {
		if x > 0 {
			return 1
		} else if x < 0 {
			return -1
		}
		return x
	}, 0},
	{Square, "Square", func(x float64) float64 { return x * x }, 0.5},
	{Sqrt, "Sqrt", math.Sqrt, 0.5},
	{Recip, "Recip", func(x float64) float64 { return 1 / x }, 0.5},
	{Exp, "Exp", math.Exp, 2},
	{Log, "Log", math.Log, 3},
	{Log1p, "Log1p", math.Log1p, 3},
	{Expm1, "Expm1", math.Expm1, 3},
	{Tanh, "Tanh", math.Tanh, 4},
	{Sigmoid, "Sigmoid", func(x float64) float64 { return 1 / (1 + math.Exp(-x)) }, 4},
	{Softplus, "Softplus", func(x float64) float64 {
		if x > 40 {
			return x
		}
		return math.Log1p(math.Exp(x))
	}, 4},
	{ReLU, "ReLU", func(x float64) float64 { return max(x, 0) }, 0},
	{Sin, "Sin", math.Sin, 2},
	{Cos, "Cos", math.Cos, 2},
	{Step, "Step", func(x float64) float64 {
		if x > 0 {
			return 1
		}
		return 0
	}, 0},
}

// The inputs of testUnary are seldom small; these lie where series take over.
func TestFunctionsNearZero(t *testing.T) {
	levels(t, func(t *testing.T) {
		rng := rand.New(rand.NewPCG(8, 1))
		x, y := make([]float32, 4096), make([]float32, 4096)
		for i := range x {
			x[i] = float32(math.Exp(math.Log(1e-10) + rng.Float64()*math.Log(1e9)))
			if rng.IntN(2) == 0 {
				x[i] = -x[i]
			}
		}
		for _, op := range unaryOps {
			if op.op != Expm1 && op.op != Log1p && op.op != Tanh && op.op != Sin {
				continue
			}
			Unary(op.op, y, x)
			for i, v := range y {
				require.LessOrEqual(t, ulps(v, op.exact(float64(x[i]))), op.ulps, "%s(%v) is %v", op.name, x[i], v)
			}
		}
	})
}

func testUnary[T Float](t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 1))
	for _, op := range unaryOps {
		for _, n := range lengths {
			offset := rng.IntN(9)
			x := randomInput[T](rng, n, offset, []float64{0.1, 1, 8, 60}[rng.IntN(4)])
			in := append([]T(nil), x...)
			out := frame[T](n, rng.IntN(9))
			if rng.IntN(3) == 0 {
				copy(out.data, x)
				Unary(op.op, out.data, out.data)
			} else {
				Unary(op.op, out.data, x)
			}
			out.intact(t, op.name)
			for i := range out.data {
				want := op.exact(float64(in[i]))
				if u := ulps(out.data[i], want); u > op.ulps {
					t.Fatalf("%s(%v) = %v, want %v: %.1f ulp", op.name, in[i], out.data[i], want, u)
				}
			}
		}
	}
}

func TestUnaryMatchesDefinition(t *testing.T) {
	levels(t, testUnary[float32])
	testUnary[float64](t)
}

var binaryOps = []struct {
	op    BinaryOp
	name  string
	exact func(a, b float64) float64
	ulps  float64
}{
	{Add, "Add", func(a, b float64) float64 { return a + b }, 0.5},
	{Sub, "Sub", func(a, b float64) float64 { return a - b }, 0.5},
	{Mul, "Mul", func(a, b float64) float64 { return a * b }, 0.5},
	{Div, "Div", func(a, b float64) float64 { return a / b }, 0.5},
	{Maximum, "Maximum", func(a, b float64) float64 { return max(a, b) }, 0},
	{Minimum, "Minimum", func(a, b float64) float64 { return min(a, b) }, 0},
	{Pow, "Pow", math.Pow, 1},
	{Atan2, "Atan2", math.Atan2, 1},
	{Greater, "Greater", func(a, b float64) float64 { return truth[float64](a > b) }, 0},
	{GreaterEqual, "GreaterEqual", func(a, b float64) float64 { return truth[float64](a >= b) }, 0},
	{Less, "Less", func(a, b float64) float64 { return truth[float64](a < b) }, 0},
	{LessEqual, "LessEqual", func(a, b float64) float64 { return truth[float64](a <= b) }, 0},
	{Equal, "Equal", func(a, b float64) float64 { return truth[float64](a == b) }, 0},
	{ReLUGrad, "ReLUGrad", func(a, b float64) float64 {
		if b > 0 {
			return a
		}
		return 0
	}, 0},
}

func testBinary[T Float](t *testing.T) {
	rng := rand.New(rand.NewPCG(2, 2))
	for _, op := range binaryOps {
		verify := func(form string, out framed[T], a, b func(i int) T) {
			t.Helper()
			out.intact(t, op.name+form)
			for i, v := range out.data {
				want := op.exact(float64(a(i)), float64(b(i)))
				if u := ulps(v, want); u > op.ulps {
					t.Fatalf("%s%s of %v and %v at %d of %d = %v, want %v: %.1f ulp", op.name, form, a(i), b(i), i, len(out.data), v, want, u)
				}
			}
		}
		at := func(s []T) func(int) T { return func(i int) T { return s[i] } }
		for _, n := range lengths {
			a, b := randomInput[T](rng, n, rng.IntN(9), 2), randomInput[T](rng, n, rng.IntN(9), 2)
			for i := range b {
				if rng.IntN(6) == 0 {
					b[i] = a[i]
				}
			}
			s := func(int) T { return 1.5 }
			out := frame[T](n, rng.IntN(9))
			Binary(op.op, out.data, a, b)
			verify("", out, at(a), at(b))
			BinaryScalar(op.op, out.data, a, 1.5)
			verify("Scalar", out, at(a), s)
			ScalarBinary(op.op, out.data, 1.5, b)
			verify("ScalarFirst", out, s, at(b))
			copy(out.data, a)
			Binary(op.op, out.data, out.data, b)
			verify("InPlace", out, at(a), at(b))
			copy(out.data, b)
			Binary(op.op, out.data, a, out.data)
			verify("InPlaceSecond", out, at(a), at(b))
		}
		for _, c := range []int{1, 2, 3, 10, 16, 31, 33, 64, 65, 100, 128, 129, 300} {
			for _, r := range []int{0, 1, 2, 3, 17, 40} {
				a, row, col := randomInput[T](rng, r*c, rng.IntN(9), 2), randomInput[T](rng, c, 1, 2), randomInput[T](rng, r, 1, 2)
				out := frame[T](r*c, rng.IntN(9))
				BinaryRow(op.op, out.data, a, row)
				verify("Row", out, at(a), func(i int) T { return row[i%c] })
				BinaryCol(op.op, out.data, a, col)
				verify("Col", out, at(a), func(i int) T { return col[i/c] })
			}
		}
	}
}

func TestBinaryMatchesDefinition(t *testing.T) {
	levels(t, testBinary[float32])
	testBinary[float64](t)
}

func same[T Float](t *testing.T, what string, want, got []T) {
	t.Helper()
	for i := range want {
		if ulps(got[i], float64(want[i])) != 0 {
			t.Fatalf("%s at %d of %d: %v, want %v", what, i, len(want), got[i], want[i])
		}
	}
}

func testArith[T Float](t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 3))
	for _, n := range lengths {
		in := func() []T { return randomInput[T](rng, n, rng.IntN(9), 2) }
		x, a, b, mask := in(), in(), in(), in()
		for i := range mask {
			if rng.IntN(2) == 0 {
				mask[i] = 0
			}
		}
		out := frame[T](n, rng.IntN(9))
		sum := func(what string, f func(i int) (value, size float64)) {
			t.Helper()
			out.intact(t, what)
			for i, v := range out.data {
				want, size := f(i)
				if float64(T(want)) == float64(v) || want != want && v != v {
					continue
				}
				eps := 1e-15
				if single[T]() {
					eps = 2e-7
				}
				if !(math.Abs(float64(v)-want) <= eps*size) {
					t.Fatalf("%s at %d of %d: %v, want %v", what, i, n, v, want)
				}
			}
		}
		fma := func(a, b, c T) (value, size float64) {
			p := float64(a) * float64(b)
			return p + float64(c), math.Abs(p) + math.Abs(float64(c))
		}
		Affine(out.data, x, 1.25, -0.5)
		sum("Affine", func(i int) (float64, float64) { return fma(x[i], 1.25, -0.5) })
		copy(out.data, a)
		Axpy(out.data, 0.75, x)
		sum("Axpy", func(i int) (float64, float64) { return fma(x[i], 0.75, a[i]) })

		want := make([]T, n)
		for i, v := range x {
			want[i] = clamp(v, -0.5, 1)
		}
		Clamp(out.data, x, -0.5, 1)
		out.intact(t, "Clamp")
		same(t, "Clamp", want, out.data)
		for i := range x {
			want[i] = b[i]
			if mask[i] != 0 {
				want[i] = a[i]
			}
		}
		Select(out.data, mask, a, b)
		out.intact(t, "Select")
		same(t, "Select", want, out.data)
		Fill(out.data, 7)
		out.intact(t, "Fill")
		for _, v := range out.data {
			require.EqualValues(t, 7, v)
		}
	}
}

func TestArithmeticMatchesDefinition(t *testing.T) {
	levels(t, testArith[float32])
	testArith[float64](t)
}

// TestExpAccuracyOverItsRange sweeps the exponent range densely; 2 ulp is what
// the package promises for float32.
func TestExpAccuracyOverItsRange(t *testing.T) {
	levels(t, func(t *testing.T) {
		const n = 1 << 14
		x, y := make([]float32, n), make([]float32, n)
		for i := range x {
			x[i] = float32(-104 + 193*float64(i)/n)
		}
		Unary(Exp, y, x)
		worst := 0.0
		for i, v := range x {
			worst = max(worst, ulps(y[i], math.Exp(float64(v))))
		}
		require.LessOrEqual(t, worst, 2.0)
		t.Logf("worst error %.2f ulp", worst)
	})
}

func BenchmarkUnary(b *testing.B) {
	x, y := make([]float32, 16384), make([]float32, 16384)
	for i := range x {
		x[i] = float32(i%200)/50 - 2
	}
	for _, op := range unaryOps {
		b.Run(op.name, func(b *testing.B) {
			for b.Loop() {
				Unary(op.op, y, x)
			}
			b.ReportMetric(float64(len(x))*float64(b.N)/b.Elapsed().Seconds()/1e9, "Gelem/s")
		})
	}
}

func BenchmarkBinary(b *testing.B) {
	x, y := make([]float32, 16384), make([]float32, 16384)
	for _, op := range binaryOps {
		b.Run(fmt.Sprint(op.name), func(b *testing.B) {
			for b.Loop() {
				Binary(op.op, y, x, x)
			}
			b.ReportMetric(float64(len(x))*float64(b.N)/b.Elapsed().Seconds()/1e9, "Gelem/s")
		})
	}
}
