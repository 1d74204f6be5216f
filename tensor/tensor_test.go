package tensor_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	. "github.com/redoubt-ml/redoubt/tensor"
)

// at reads x at a position of the broadcast result.
func at(x *Tensor, pos []int) float64 {
	idx := append([]int(nil), pos[len(pos)-x.Rank():]...)
	for i := range idx {
		if x.Dim(i) == 1 {
			idx[i] = 0
		}
	}
	return x.At(idx...)
}

func eachPosition(dims []int, f func(pos []int)) {
	pos := make([]int, len(dims))
	var rec func(i int)
	rec = func(i int) {
		if i == len(dims) {
			f(pos)
			return
		}
		for pos[i] = 0; pos[i] < dims[i]; pos[i]++ {
			rec(i + 1)
		}
	}
	rec(0)
}

// Broadcast arithmetic over random shapes equals the definition, element by
// element, in both types.
func TestBroadcastingEqualsItsDefinition(t *testing.T) {
	ops := []struct {
		name string
		f    func(a, b *Tensor) *Tensor
		want func(a, b float64) float64
	}{
		{"Add", Add, func(a, b float64) float64 { return a + b }},
		{"Sub", Sub, func(a, b float64) float64 { return a - b }},
		{"Mul", Mul, func(a, b float64) float64 { return a * b }},
		{"Div", Div, func(a, b float64) float64 { return a / b }},
		{"Maximum", Maximum, math.Max},
		{"Minimum", Minimum, math.Min},
	}
	for seed := range uint64(200) {
		r := rand.New(rand.NewPCG(seed, 3))
		full := make([]int, r.IntN(5))
		for i := range full {
			full[i] = r.IntN(5) + r.IntN(2)
		}
		shrink := func() []int {
			s := append([]int(nil), full[r.IntN(len(full)+1):]...)
			for i := range s {
				if r.IntN(3) == 0 {
					s[i] = 1
				}
			}
			return s
		}
		dtype := DType(seed % 2)
		a, b := Normal(r, dtype, 0, 1, shrink()...), Normal(r, dtype, 3, 1, shrink()...)
		for _, op := range ops {
			y := op.f(a, b)
			eachPosition(y.Shape(), func(pos []int) {
				require.InDelta(t, op.want(at(a, pos), at(b, pos)), y.At(pos...), 1e-5, "%s, seed %d, %v and %v", op.name, seed, a.Shape(), b.Shape())
			})
		}
		s := Sum(a)
		total := 0.0
		for _, v := range a.Values() {
			total += v
		}
		require.InDelta(t, total, s.Item(), 1e-4)
	}
}

func TestSumOverAnyAxesEqualsItsDefinition(t *testing.T) {
	for seed := range uint64(100) {
		r := rand.New(rand.NewPCG(seed, 4))
		dims := make([]int, 1+r.IntN(4))
		for i := range dims {
			dims[i] = 1 + r.IntN(4)
		}
		var axes []int
		for i := range dims {
			if r.IntN(2) == 0 {
				axes = append(axes, i)
			}
		}
		if len(axes) == 0 {
			axes = []int{0}
		}
		x := Normal(r, Float64, 0, 1, dims...)
		want := map[[6]int]float64{}
		key := func(pos []int) (k [6]int) {
			n := 0
			for i, p := range pos {
				gone := false
				for _, a := range axes {
					gone = gone || a == i
				}
				if !gone {
					k[n] = p
					n++
				}
			}
			return k
		}
		eachPosition(dims, func(pos []int) { want[key(pos)] += x.At(pos...) })
		y := Sum(x, axes...)
		eachPosition(y.Shape(), func(pos []int) {
			var k [6]int
			copy(k[:], pos)
			require.InDelta(t, want[k], y.At(pos...), 1e-12, "seed %d, %v over %v", seed, dims, axes)
		})
	}
}

func TestTransposeEqualsItsDefinition(t *testing.T) {
	for seed := range uint64(100) {
		r := rand.New(rand.NewPCG(seed, 5))
		dims := make([]int, 1+r.IntN(5))
		for i := range dims {
			dims[i] = 1 + r.IntN(4)
		}
		perm := r.Perm(len(dims))
		x := Normal(r, DType(seed%2), 0, 1, dims...)
		y := Transpose(x, perm...)
		eachPosition(y.Shape(), func(pos []int) {
			src := make([]int, len(pos))
			for i, p := range pos {
				src[perm[i]] = p
			}
			require.Equal(t, x.At(src...), y.At(pos...), "seed %d, %v by %v", seed, dims, perm)
		})
	}
}

func TestEmptyTensors(t *testing.T) {
	e := Zeros(Float32, 0, 3)
	require.Zero(t, Sum(e).Item())
	require.Equal(t, []int{0, 3}, Add(e, Zeros(Float32, 3)).Shape())
	require.Equal(t, []int{0, 2}, MatMul(e, Zeros(Float32, 3, 2)).Shape())
	require.Equal(t, []int{3, 3}, MatMulT(e, e, true, false).Shape())
	require.Zero(t, MaxAbs(MatMulT(e, e, true, false)))
	require.Zero(t, MaxAbs(e))
	require.True(t, math.IsNaN(Mean(e).Item()))
	require.Equal(t, []int{0, 3}, Softmax(e).Shape())
}

// Images without channels, or none at all, are pooled to as little, and back again.
func TestPoolingOfNothing(t *testing.T) {
	for _, d := range []DType{Float32, Float64} {
		for _, dims := range [][]int{{2, 4, 6, 0}, {0, 4, 6, 3}} {
			for name, pool := range map[string]func(x *Tensor) *Tensor{
				"MaxPool":     func(x *Tensor) *Tensor { return MaxPool(x, 2, 2, Same(2, 0)) },
				"overlapping": func(x *Tensor) *Tensor { return MaxPool(x, 3, 3, Same(1, 1)) },
				"AvgPool":     func(x *Tensor) *Tensor { return AvgPool(x, 2, 2, Same(2, 0), false) },
			} {
				x := NewTape().Watch(Zeros(d, dims...))
				y := Square(pool(x))
				require.Equal(t, dims[0], y.Dim(0), name)
				require.Equal(t, dims[3], y.Dim(3), name)
				g := Gradients(Sum(y), GradOptions{CreateGraph: true}, x)[0]
				require.Equal(t, dims, g.Shape(), name)
				require.Equal(t, dims, Grad(Sum(g), x)[0].Shape(), name)
			}
		}
	}
}

// A large layer that sees no examples learns nothing from them.
func TestGradientsOfAnEmptyBatchAreZero(t *testing.T) {
	tape := NewTape()
	w, b := tape.Watch(Full(Float32, 1, 1024, 1024)), tape.Watch(Full(Float32, 1, 1024))
	y := Linear(Zeros(Float32, 0, 1024), w, b, Rectify)
	require.Equal(t, []int{0, 1024}, y.Shape())
	for _, g := range Grad(Sum(y), w, b) {
		require.Zero(t, MaxAbs(g))
	}
	require.Zero(t, MaxAbs(MatMul(Zeros(Float32, 1024, 0), Zeros(Float32, 0, 1024))))
}

func TestNumbersThatAreNotFinite(t *testing.T) {
	inf, nan := math.Inf(1), math.NaN()
	for _, d := range []DType{Float32, Float64} {
		x := Zeros(d, 4)
		x.CopyFrom(FromFloat64([]float64{1, -inf, nan, 2}))
		require.True(t, math.IsNaN(MaxAbs(x)))
		require.False(t, AllFinite(x))
		require.True(t, math.IsNaN(Sum(x).Item()))
		require.True(t, math.IsNaN(ReLU(x).At(2)))
		require.True(t, math.IsNaN(Clamp(x, 0, 1).At(2)))
		require.Equal(t, inf, MaxAbs(Slice(x, 0, 0, 2)))
	}
	// Large logits neither overflow nor lose the label's probability.
	logits := FromFloat32([]float32{1e30, 0, -1e30, 1000, 999, 0}, 2, 3)
	ce := CrossEntropy(logits, []int{0, 1})
	require.Zero(t, ce.At(0))
	require.InDelta(t, math.Log(1+math.E), ce.At(1), 1e-6)
	require.InDelta(t, 1000+math.Log(1+1/math.E), LogSumExp(logits).At(1), 1e-3)
}

func TestShapeMistakesNameOperationAndShapes(t *testing.T) {
	a, b := Zeros(Float32, 2, 3), Zeros(Float32, 4)
	for want, f := range map[string]func(){
		"tensor: Add: shapes [2 3] and [4] do not broadcast":                         func() { Add(a, b) },
		"tensor: Add: operands of type float32[2 3] and float64[3]":                  func() { Add(a, Zeros(Float64, 3)) },
		"tensor: MatMul: shapes [2 3] and [4], want two matrices":                    func() { MatMul(a, b) },
		"tensor: Linear: bias has shape [4], want [5]":                               func() { Linear(a, Zeros(Float32, 3, 5), b, Identity) },
		"tensor: Reshape: shape [2 3] to [4]":                                        func() { Reshape(a, 4) },
		"tensor: Sum: axis 2 of shape [2 3], want -2 to 1":                           func() { Sum(a, 2) },
		"tensor: Slice: [1, 5) of axis 1 of shape [2 3]":                             func() { Slice(a, 1, 1, 5) },
		"tensor: CrossEntropy: index 1 is 3, want 0 to 2":                            func() { CrossEntropy(a, []int{0, 3}) },
		"tensor: FromFloat32: 3 values for shape [2 2], want 4":                      func() { FromFloat32(make([]float32, 3), 2, 2) },
		"tensor: Concat: shapes [2 3] and [4] along axis 0":                          func() { Concat(0, a, b) },
		"tensor: Conv2D: images [2 3] and filters [4], want [N H W C] and [R S C K]": func() { Conv2D(a, b, nil, Window{}, Identity) },
		"tensor: Item: shape [2 3] has 6 elements, want 1":                           func() { a.Item() },
		"tensor: At: index [0 3] out of shape [2 3]":                                 func() { a.At(0, 3) },
		"tensor: BroadcastTo: shape [2 3] does not stretch to [2 1]":                 func() { BroadcastTo(a, 2, 1) },
		"tensor: ScaleShift: parameter of shape [4] for x of shape [2 3], want [3]":  func() { ScaleShift(a, b, b, Identity) },
	} {
		require.PanicsWithValue(t, want, f)
	}
	require.Panics(t, func() { Conv2D(Zeros(Float32, 1, 2, 2, 1), Zeros(Float32, 5, 5, 1, 1), nil, Window{}, Identity) })
	require.Panics(t, func() { MaxPool(Zeros(Float32, 1, 2, 2, 1), 3, 3, Window{}) })
	for _, d := range []DType{Float32, Float64} {
		// Padding alone would make room for a window here.
		for _, x := range []*Tensor{Zeros(d, 1, 0, 4, 16), Zeros(d, 1, 4, 0, 16)} {
			fit := fmt.Sprintf("window 3x3 {StrideH:1 StrideW:1 Top:2 Left:2 Bottom:2 Right:2} does not fit images %v", x.Shape())
			require.PanicsWithValue(t, "tensor: MaxPool: "+fit, func() { MaxPool(x, 3, 3, Same(1, 2)) })
			require.PanicsWithValue(t, "tensor: AvgPool: "+fit, func() { AvgPool(x, 3, 3, Same(1, 2), true) })
		}
	}
	require.Panics(t, func() { Zeros(Float32, 1<<20, 1<<20, 1<<20, 1<<20) })
}

// Rows of LogSumExp with an infinite maximum have that as their value and no
// gradient, of any order; a NaN stays one, and the rows beside them are not touched.
func TestLogSumExpOfInfiniteRows(t *testing.T) {
	inf, nan := math.Inf(1), math.NaN()
	rows := []float64{-inf, -inf, -inf, 1, inf, -inf, inf, 2, inf, nan, 1, inf, 0.5, -inf, 2}
	for _, d := range []DType{Float32, Float64} {
		finite := NewTape().Watch(FromFloat64(append(make([]float64, 12), rows[12:]...), 5, 3).To(d))
		want := LogSumExp(finite)
		slope := Grad(Sum(want), finite)[0].Values()
		require.InDelta(t, math.Log(math.Exp(0.5)+math.Exp(2)), want.At(4), 1e-6)

		x := NewTape().Watch(FromFloat64(rows, 5, 3).To(d))
		y := LogSumExp(x)
		require.Equal(t, []float64{-inf, inf, inf}, y.Values()[:3])
		require.True(t, math.IsNaN(y.At(3)))
		require.Equal(t, want.At(4), y.At(4))
		g := Gradients(Sum(y), GradOptions{CreateGraph: true}, x)[0]
		require.Equal(t, make([]float64, 9), g.Values()[:9])
		require.True(t, math.IsNaN(g.At(3, 1)))
		require.Equal(t, slope[12:], g.Values()[12:])
		require.Equal(t, make([]float64, 9), Grad(Sum(Square(g)), x)[0].Values()[:9])
	}
}

// A forward and backward pass on a reset tape reuses its memory: what is left is
// bookkeeping.
func TestSteadyStepAllocatesLittle(t *testing.T) {
	SetThreads(1)
	defer SetThreads(0)
	r := rand.New(rand.NewPCG(1, 1))
	x, y := Uniform(r, Float32, 0, 1, 32, 28, 28, 1), make([]int, 32)
	f, w := Normal(r, Float32, 0, 1, 5, 5, 1, 8), Normal(r, Float32, 0, 0.1, 1568, 10)
	tape := NewTape()
	step := func() {
		tape.Reset()
		fw, ww := tape.Watch(f), tape.Watch(w)
		h := MaxPool(Conv2D(tape.Const(x), fw, nil, Same(1, 2), Rectify), 2, 2, Same(2, 0))
		Grad(Mean(CrossEntropy(Linear(Flatten(h), ww, nil, Identity), y)), fw, ww)
	}
	step()
	res := testing.Benchmark(func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			step()
		}
	})
	require.Less(t, res.AllocedBytesPerOp(), int64(32<<10))
}
