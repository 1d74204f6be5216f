package tensor_test

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/redoubt-ml/redoubt/internal/gradcheck"
	. "github.com/redoubt-ml/redoubt/tensor"
)

// normal, positive and distinct draw float64 operands; distinct keeps values
// apart, so that no kink or tie lies within a finite difference.
func normal(r *rand.Rand, dims ...int) *Tensor { return Normal(r, Float64, 0, 1, dims...) }

func positive(r *rand.Rand, dims ...int) *Tensor { return Uniform(r, Float64, 0.5, 2, dims...) }

func distinct(r *rand.Rand, dims ...int) *Tensor {
	x := Zeros(Float64, dims...)
	v := x.Float64s()
	for i, p := range r.Perm(len(v)) {
		v[i] = (float64(p) - float64(len(v)-1)/2 + 0.25) * 0.1
	}
	return x
}

type xs = []*Tensor

// primitives holds every operation with a derivative of its own, with broadcast
// and size-1 operands, strides, paddings and overlapping windows.
var primitives = []struct {
	name string
	f    gradcheck.Func
	in   func(r *rand.Rand) xs
}{
	{"Neg", func(x xs) *Tensor { return Neg(x[0]) }, func(r *rand.Rand) xs { return xs{normal(r, 3, 4)} }},
	{"Abs", func(x xs) *Tensor { return Abs(x[0]) }, func(r *rand.Rand) xs { return xs{distinct(r, 3, 4)} }},
	{"Square", func(x xs) *Tensor { return Square(x[0]) }, func(r *rand.Rand) xs { return xs{normal(r, 3, 1)} }},
	{"Sqrt", func(x xs) *Tensor { return Sqrt(x[0]) }, func(r *rand.Rand) xs { return xs{positive(r, 5)} }},
	{"Recip", func(x xs) *Tensor { return Recip(x[0]) }, func(r *rand.Rand) xs { return xs{positive(r, 5)} }},
	{"Exp", func(x xs) *Tensor { return Exp(x[0]) }, func(r *rand.Rand) xs { return xs{normal(r, 5)} }},
	{"Expm1", func(x xs) *Tensor { return Expm1(x[0]) }, func(r *rand.Rand) xs { return xs{normal(r, 5)} }},
	{"Log", func(x xs) *Tensor { return Log(x[0]) }, func(r *rand.Rand) xs { return xs{positive(r, 5)} }},
	{"Log1p", func(x xs) *Tensor { return Log1p(x[0]) }, func(r *rand.Rand) xs { return xs{positive(r, 5)} }},
	{"Tanh", func(x xs) *Tensor { return Tanh(x[0]) }, func(r *rand.Rand) xs { return xs{normal(r, 5)} }},
	{"Sigmoid", func(x xs) *Tensor { return Sigmoid(x[0]) }, func(r *rand.Rand) xs { return xs{normal(r, 5)} }},
	{"Softplus", func(x xs) *Tensor { return Softplus(x[0]) }, func(r *rand.Rand) xs { return xs{normal(r, 5)} }},
	{"Sin", func(x xs) *Tensor { return Sin(x[0]) }, func(r *rand.Rand) xs { return xs{normal(r, 5)} }},
	{"Cos", func(x xs) *Tensor { return Cos(x[0]) }, func(r *rand.Rand) xs { return xs{normal(r, 5)} }},
	{"ReLU", func(x xs) *Tensor { return Mul(ReLU(x[0]), x[0]) }, func(r *rand.Rand) xs { return xs{distinct(r, 3, 4)} }},
	{"LeakyReLU", func(x xs) *Tensor { return Square(LeakyReLU(x[0], 0.1)) }, func(r *rand.Rand) xs { return xs{distinct(r, 7)} }},
	{"Affine", func(x xs) *Tensor { return Affine(x[0], -2.5, 3) }, func(r *rand.Rand) xs { return xs{normal(r, 5)} }},
	{"PowScalar", func(x xs) *Tensor { return PowScalar(x[0], 2.7) }, func(r *rand.Rand) xs { return xs{positive(r, 5)} }},
	{"PowScalar 3 of negatives", func(x xs) *Tensor { return PowScalar(x[0], 3) }, func(r *rand.Rand) xs { return xs{normal(r, 5)} }},
	{"Clamp", func(x xs) *Tensor { return Square(Clamp(x[0], -0.3, 0.4)) }, func(r *rand.Rand) xs { return xs{distinct(r, 3, 4)} }},
	{"Add row", func(x xs) *Tensor { return Add(x[0], x[1]) }, func(r *rand.Rand) xs { return xs{normal(r, 3, 4), normal(r, 4)} }},
	{"Add itself", func(x xs) *Tensor { return Add(x[0], x[0]) }, func(r *rand.Rand) xs { return xs{normal(r, 3)} }},
	{"Sub column", func(x xs) *Tensor { return Sub(x[0], x[1]) }, func(r *rand.Rand) xs { return xs{normal(r, 3, 1), normal(r, 3, 4)} }},
	{"Mul outer", func(x xs) *Tensor { return Mul(x[0], x[1]) }, func(r *rand.Rand) xs { return xs{normal(r, 3, 1), normal(r, 1, 4)} }},
	{"Mul inner axis", func(x xs) *Tensor { return Mul(x[0], x[1]) }, func(r *rand.Rand) xs { return xs{normal(r, 2, 3, 4), normal(r, 2, 1, 4)} }},
	{"Mul itself", func(x xs) *Tensor { return Mul(x[0], x[0]) }, func(r *rand.Rand) xs { return xs{normal(r, 3, 4)} }},
	{"Div", func(x xs) *Tensor { return Div(x[0], x[1]) }, func(r *rand.Rand) xs { return xs{normal(r, 2, 3, 4), positive(r, 3, 1)} }},
	{"Div by scalar", func(x xs) *Tensor { return Div(x[0], x[1]) }, func(r *rand.Rand) xs { return xs{normal(r, 3), positive(r)} }},
	{"Pow", func(x xs) *Tensor { return Pow(x[0], x[1]) }, func(r *rand.Rand) xs { return xs{positive(r, 3, 4), normal(r, 4)} }},
	{"Maximum", func(x xs) *Tensor { return Square(Maximum(x[0], x[1])) }, func(r *rand.Rand) xs {
		return xs{distinct(r, 3, 4), AddScalar(distinct(r, 3, 4), 0.05)}
	}},
	{"Minimum", func(x xs) *Tensor { return Square(Minimum(x[0], x[1])) }, func(r *rand.Rand) xs {
		return xs{distinct(r, 3, 4), AddScalar(distinct(r, 4), 0.05)}
	}},
	{"Where", func(x xs) *Tensor {
		return Square(Where(FromFloat64([]float64{1, 0, 1, 0, 0, 1}, 2, 3), x[0], x[1]))
	}, func(r *rand.Rand) xs { return xs{normal(r, 2, 3), normal(r, 2, 3)} }},
	{"BroadcastTo", func(x xs) *Tensor { return Square(BroadcastTo(x[0], 2, 3, 4)) }, func(r *rand.Rand) xs { return xs{normal(r, 3, 1)} }},
	{"SumTo", func(x xs) *Tensor { return Square(SumTo(x[0], 3, 1)) }, func(r *rand.Rand) xs { return xs{normal(r, 2, 3, 4)} }},
	{"Sum all", func(x xs) *Tensor { return Square(Sum(x[0])) }, func(r *rand.Rand) xs { return xs{normal(r, 2, 3)} }},
	{"Sum outer and inner", func(x xs) *Tensor { return Square(Sum(x[0], 0, -1)) }, func(r *rand.Rand) xs { return xs{normal(r, 2, 3, 4)} }},
	{"Mean middle", func(x xs) *Tensor { return Square(Mean(x[0], 1)) }, func(r *rand.Rand) xs { return xs{normal(r, 2, 3, 4)} }},
	{"Var", func(x xs) *Tensor { return Var(x[0], 0, 2) }, func(r *rand.Rand) xs { return xs{normal(r, 2, 3, 4)} }},
	{"Dot", func(x xs) *Tensor { return Square(Dot(x[0], x[1])) }, func(r *rand.Rand) xs { return xs{normal(r, 2, 3), normal(r, 2, 3)} }},
	{"MatMul NN", func(x xs) *Tensor { return MatMul(x[0], x[1]) }, func(r *rand.Rand) xs { return xs{normal(r, 3, 4), normal(r, 4, 2)} }},
	{"MatMul NT", func(x xs) *Tensor { return MatMulT(x[0], x[1], false, true) }, func(r *rand.Rand) xs { return xs{normal(r, 3, 4), normal(r, 2, 4)} }},
	{"MatMul TN", func(x xs) *Tensor { return MatMulT(x[0], x[1], true, false) }, func(r *rand.Rand) xs { return xs{normal(r, 4, 3), normal(r, 4, 2)} }},
	{"MatMul TT", func(x xs) *Tensor { return MatMulT(x[0], x[1], true, true) }, func(r *rand.Rand) xs { return xs{normal(r, 4, 1), normal(r, 2, 4)} }},
	{"Linear", func(x xs) *Tensor { return Square(Linear(x[0], x[1], x[2], Rectify)) }, func(r *rand.Rand) xs {
		return xs{normal(r, 3, 4), normal(r, 4, 2), normal(r, 2)}
	}},
	{"Conv2D", func(x xs) *Tensor { return Conv2D(x[0], x[1], nil, Same(1, 1), Identity) }, func(r *rand.Rand) xs {
		return xs{normal(r, 2, 4, 5, 2), normal(r, 3, 3, 2, 3)}
	}},
	{"Conv2D stride 2, bias, ReLU", func(x xs) *Tensor { return Square(Conv2D(x[0], x[1], x[2], Same(2, 1), Rectify)) }, func(r *rand.Rand) xs {
		return xs{normal(r, 2, 6, 5, 1), normal(r, 4, 4, 1, 3), normal(r, 3)}
	}},
	{"Conv2D uneven", func(x xs) *Tensor {
		return Conv2D(x[0], x[1], nil, Window{StrideH: 2, StrideW: 3, Top: 1, Right: 2}, Identity)
	}, func(r *rand.Rand) xs { return xs{normal(r, 1, 5, 6, 2), normal(r, 2, 3, 2, 2)} }},
	{"Conv2D 1x1 stride 2", func(x xs) *Tensor { return Conv2D(x[0], x[1], nil, Same(2, 0), Identity) }, func(r *rand.Rand) xs {
		return xs{normal(r, 1, 4, 4, 3), normal(r, 1, 1, 3, 2)}
	}},
	{"MaxPool", func(x xs) *Tensor { return Square(MaxPool(x[0], 2, 2, Same(2, 0))) }, func(r *rand.Rand) xs { return xs{distinct(r, 2, 4, 4, 2)} }},
	{"MaxPool overlapping, padded", func(x xs) *Tensor { return Square(MaxPool(x[0], 3, 3, Same(2, 1))) }, func(r *rand.Rand) xs { return xs{distinct(r, 1, 5, 4, 2)} }},
	{"Conv2DMaxPool", func(x xs) *Tensor {
		return Square(Conv2DMaxPool(x[0], x[1], x[2], Same(1, 1), Rectify, 2, 2, Same(2, 0)))
	}, func(r *rand.Rand) xs { return xs{normal(r, 8, 4, 4, 1), normal(r, 3, 3, 1, 2), normal(r, 2)} }},
	{"Conv2DMaxPool overlapping, padded", func(x xs) *Tensor {
		return Square(Conv2DMaxPool(x[0], x[1], nil, Window{}, Identity, 3, 2, Same(1, 1)))
	}, func(r *rand.Rand) xs { return xs{normal(r, 8, 4, 3, 1), normal(r, 2, 2, 1, 2)} }},
	{"Conv2DMaxPool of few images", func(x xs) *Tensor {
		return Square(Conv2DMaxPool(x[0], x[1], x[2], Same(2, 1), Rectify, 2, 2, Same(2, 0)))
	}, func(r *rand.Rand) xs { return xs{normal(r, 1, 8, 7, 1), normal(r, 3, 3, 1, 2), normal(r, 2)} }},
	{"AvgPool", func(x xs) *Tensor { return Square(AvgPool(x[0], 2, 2, Same(2, 0), false)) }, func(r *rand.Rand) xs { return xs{normal(r, 2, 4, 4, 2)} }},
	{"AvgPool overlapping, padded", func(x xs) *Tensor { return Square(AvgPool(x[0], 3, 2, Same(1, 1), false)) }, func(r *rand.Rand) xs { return xs{normal(r, 1, 4, 3, 2)} }},
	{"AvgPool counting padding", func(x xs) *Tensor { return Square(AvgPool(x[0], 3, 3, Same(2, 1), true)) }, func(r *rand.Rand) xs { return xs{normal(r, 1, 4, 3, 2)} }},
	{"GlobalAvgPool", func(x xs) *Tensor { return Square(GlobalAvgPool(x[0])) }, func(r *rand.Rand) xs { return xs{normal(r, 2, 3, 2, 4)} }},
	{"Pick", func(x xs) *Tensor { return Square(Pick(x[0], []int{2, 0, 2})) }, func(r *rand.Rand) xs { return xs{normal(r, 3, 4)} }},
	{"Gather", func(x xs) *Tensor { return Square(Gather(x[0], []int{2, 0, 2, 1})) }, func(r *rand.Rand) xs { return xs{normal(r, 3, 2)} }},
	{"ScatterAdd", func(x xs) *Tensor { return Square(ScatterAdd(x[0], []int{2, 0, 2, 1}, 5)) }, func(r *rand.Rand) xs { return xs{normal(r, 4, 2)} }},
	{"Max first axis", func(x xs) *Tensor { return Square(Max(x[0], 0)) }, func(r *rand.Rand) xs { return xs{distinct(r, 3, 4)} }},
	{"Min last axis", func(x xs) *Tensor { return Square(Min(x[0], -1)) }, func(r *rand.Rand) xs { return xs{distinct(r, 2, 3, 4)} }},
	{"Reshape", func(x xs) *Tensor { return Square(Reshape(x[0], -1, 2)) }, func(r *rand.Rand) xs { return xs{normal(r, 3, 4)} }},
	{"Transpose", func(x xs) *Tensor { return Square(Transpose(x[0])) }, func(r *rand.Rand) xs { return xs{normal(r, 3, 4)} }},
	{"Transpose tail", func(x xs) *Tensor { return Square(Transpose(x[0], 0, 2, 1)) }, func(r *rand.Rand) xs { return xs{normal(r, 2, 3, 4)} }},
	{"Transpose rotate", func(x xs) *Tensor { return Square(Transpose(x[0], 2, 0, 1, 3)) }, func(r *rand.Rand) xs { return xs{normal(r, 2, 3, 4, 2)} }},
	{"Slice", func(x xs) *Tensor { return Square(Slice(x[0], 1, 1, 3)) }, func(r *rand.Rand) xs { return xs{normal(r, 2, 4, 3)} }},
	{"Pad", func(x xs) *Tensor { return Square(Pad(x[0], 0, 1, 2)) }, func(r *rand.Rand) xs { return xs{normal(r, 2, 3)} }},
	{"Concat", func(x xs) *Tensor { return Square(Concat(1, x[0], x[1], x[0])) }, func(r *rand.Rand) xs { return xs{normal(r, 2, 3), normal(r, 2, 1)} }},
	{"Flip", func(x xs) *Tensor { return Mul(Flip(x[0], 1), x[0]) }, func(r *rand.Rand) xs { return xs{normal(r, 2, 3, 2)} }},
	{"Softmax", func(x xs) *Tensor { return Softmax(x[0]) }, func(r *rand.Rand) xs { return xs{normal(r, 2, 4)} }},
	{"LogSoftmax", func(x xs) *Tensor { return LogSoftmax(x[0]) }, func(r *rand.Rand) xs { return xs{normal(r, 2, 4)} }},
	{"LogSumExp", func(x xs) *Tensor { return LogSumExp(x[0]) }, func(r *rand.Rand) xs { return xs{normal(r, 2, 4)} }},
	{"CrossEntropy", func(x xs) *Tensor { return CrossEntropy(x[0], []int{3, 0, 1}) }, func(r *rand.Rand) xs { return xs{normal(r, 3, 4)} }},
	{"BatchNorm", func(x xs) *Tensor { y, _, _ := BatchNorm(x[0], x[1], x[2], 1e-3, Identity); return y }, func(r *rand.Rand) xs {
		return xs{normal(r, 2, 3, 2, 3), positive(r, 3), normal(r, 3)}
	}},
	{"BatchNorm ReLU", func(x xs) *Tensor { y, _, _ := BatchNorm(x[0], x[1], x[2], 1e-3, Rectify); return Square(y) }, func(r *rand.Rand) xs {
		return xs{normal(r, 5, 2), positive(r, 2), normal(r, 2)}
	}},
	{"ScaleShift", func(x xs) *Tensor { return Square(ScaleShift(x[0], x[1], x[2], Rectify)) }, func(r *rand.Rand) xs {
		return xs{normal(r, 2, 3, 3), positive(r, 3), normal(r, 3)}
	}},
}

func TestDerivativesMatchFiniteDifferences(t *testing.T) {
	for _, p := range primitives {
		t.Run(p.name, func(t *testing.T) {
			for seed := range uint64(3) {
				r := rand.New(rand.NewPCG(seed, 1))
				require.NoError(t, gradcheck.Check(r, 1e-6, p.f, p.in(r)...), "seed %d", seed)
			}
		})
	}
}

// A network of all layer kinds, differentiated twice as gradient inversion does.
func TestGradientMatchingThroughNetwork(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 7))
	w := xs{normal(r, 3, 3, 1, 2), normal(r, 2), positive(r, 2), normal(r, 2), normal(r, 8, 3), normal(r, 3)}
	f := func(x xs) *Tensor {
		h := Tanh(Conv2D(x[0], x[1], x[2], Same(1, 1), Identity))
		h, _, _ = BatchNorm(h, x[3], x[4], 1e-3, Identity)
		h = MaxPool(Sigmoid(h), 2, 2, Same(2, 0))
		return CrossEntropy(Linear(Flatten(h), x[5], x[6], Identity), []int{1, 2})
	}
	require.NoError(t, gradcheck.Check(r, 1e-6, f, append(xs{normal(r, 2, 4, 4, 1)}, w...)...))
}

func TestHighOrdersAtKnownPoints(t *testing.T) {
	cube := func(x *Tensor) *Tensor { return Mul(x, Mul(x, x)) }
	th, sg := math.Tanh(0.3), 1/(1+math.Exp(-0.3))
	for _, c := range []struct {
		name string
		f    func(*Tensor) *Tensor
		x    float64
		want []float64
	}{
		{"x^3", cube, 2, []float64{12, 12, 6, 0}},
		{"PowScalar 3", func(x *Tensor) *Tensor { return PowScalar(x, 3) }, -2, []float64{12, -12, 6, 0}},
		{"tanh", Tanh, 0.3, []float64{1 - th*th, -2 * th * (1 - th*th), (1 - th*th) * (6*th*th - 2)}},
		{"sigmoid", Sigmoid, 0.3, []float64{sg * (1 - sg), sg * (1 - sg) * (1 - 2*sg), sg * (1 - sg) * (1 - 6*sg + 6*sg*sg)}},
	} {
		x := NewTape().Watch(Scalar(Float64, c.x))
		y := c.f(x)
		for order, want := range c.want {
			y = Gradients(y, GradOptions{CreateGraph: true}, x)[0]
			require.InDelta(t, want, y.Item(), 1e-12, "%s, order %d", c.name, order+1)
		}
	}
}

func TestGradComputesOnlyWhatIsAsked(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	tape := NewTape()
	x, w, unused := tape.Watch(normal(r, 2, 3)), tape.Watch(normal(r, 3, 4)), tape.Watch(normal(r, 5))
	g := Grad(Sum(Square(MatMul(x, w))), unused, w)
	require.Equal(t, []int{5}, g[0].Shape())
	require.Zero(t, MaxAbs(g[0]))
	require.Equal(t, []int{3, 4}, g[1].Shape())
	require.NotZero(t, MaxAbs(g[1]))
}

// The same gradient asked for twice, or shared by two operands, comes in memory
// of its own each time.
func TestGradientsDoNotShareMemory(t *testing.T) {
	tape := NewTape()
	a, b := tape.Watch(Full(Float64, 1, 3)), tape.Watch(Full(Float64, 2, 3))
	g := Grad(Sum(Add(a, b)), a, b, a)
	g[0].Fill(7)
	require.Equal(t, []float64{1, 1, 1}, g[1].Values())
	require.Equal(t, []float64{1, 1, 1}, g[2].Values())
	h := Grad(Sum(Square(a)), a)
	require.Equal(t, []float64{1, 1, 1}, g[1].Values())
	require.Equal(t, []float64{2, 2, 2}, h[0].Values())
}

func TestMisuseOfTheTapePanics(t *testing.T) {
	tape := NewTape()
	x := tape.Watch(Full(Float64, 1, 3))
	y := Square(x)
	s := Sum(y)
	require.PanicsWithValue(t, "tensor: Grad: y has shape [3], want one element or a seed", func() { Grad(y, x) })
	require.NotPanics(t, func() { Grad(s, x) })
	tape.Reset()
	require.Panics(t, func() { y.Values() })
	require.Panics(t, func() { Add(y, y) })
	require.Panics(t, func() { Grad(Scalar(Float64, 1)) })

	z := tape.Watch(Full(Float64, 1, 3))
	q := Sum(Square(z))
	z.Fill(5)
	require.PanicsWithValue(t, "tensor: Grad: an operand or the result of Square was changed in place after the operation", func() { Grad(q, z) })
	other := NewTape().Watch(Full(Float64, 1, 3))
	require.Panics(t, func() { Add(z, other) })
	require.PanicsWithValue(t, "tensor: MatMul: inner extents differ: [2 3] times [2 3]", func() {
		MatMul(Zeros(Float32, 2, 3), Zeros(Float32, 2, 3))
	})
}

// A tensor from before Reset names a record that is another's by now.
func TestWatchedTensorsEndWithReset(t *testing.T) {
	tape := NewTape()
	old := tape.Watch(Full(Float64, 3, 2))
	view := Reshape(old, 2, 1)
	tape.Reset()
	x := tape.Watch(Full(Float64, 5, 2))
	y := Sum(Square(x))
	want := "tensor: Grad: tensor of shape [2] was watched before Tape.Reset; watch it again"
	require.PanicsWithValue(t, want, func() { Grad(y, old) })
	require.PanicsWithValue(t, "tensor: Square: tensor of shape [2] was watched before Tape.Reset; watch it again", func() { Square(old) })
	require.Panics(t, func() { Mul(x, Reshape(view, 2)) })
	require.Equal(t, []float64{3, 3}, old.Values(), "its value is the caller's")
	require.Equal(t, []float64{10, 10}, Grad(y, x)[0].Values())
}

// Rules read results and constants beside operands; overwriting one is seen.
func TestOverwrittenResultsAndConstantsPanic(t *testing.T) {
	for name, f := range map[string]func(x *Tensor) *Tensor{
		"Exp": Exp, "Tanh": Tanh, "Sigmoid": Sigmoid, "ReLU": ReLU, "Softmax": Softmax,
	} {
		x := NewTape().Watch(Full(Float64, 0.5, 2, 2))
		y := f(x)
		y.Fill(0)
		require.Panics(t, func() { Grad(Sum(y), x) }, name)
	}
	x, mask := NewTape().Watch(Full(Float64, 0.5, 2)), Full(Float64, 1, 2)
	y := Sum(Where(mask, x, Neg(x)))
	mask.Fill(0)
	require.Panics(t, func() { Grad(y, x) })
	x = NewTape().Watch(FromFloat64([]float64{1, 2, 3, 5}, 4, 1))
	y, mean, _ := BatchNorm(x, Full(Float64, 1, 1), Zeros(Float64, 1), 1e-5, Identity)
	mean.Fill(0)
	require.PanicsWithValue(t, "tensor: Grad: an operand or the result of BatchNorm was changed in place after the operation", func() { Grad(Sum(Square(y)), x) })
}

// Where base and exponent are 0, the power is 1 whatever the base does nearby.
func TestPowOfZeroToZeroHasNoSlope(t *testing.T) {
	for _, d := range []DType{Float32, Float64} {
		x := NewTape().Watch(FromFloat64([]float64{0, 0, 2, 0, -1}).To(d))
		y := Pow(x, FromFloat64([]float64{0, 2, 0, 1, 0}).To(d))
		require.Equal(t, []float64{1, 0, 1, 0, 1}, y.Values())
		require.Equal(t, []float64{0, 0, 0, 1, 0}, Grad(Sum(y), x)[0].Values())
		g := Gradients(Sum(y), GradOptions{CreateGraph: true}, x)[0]
		require.Equal(t, []float64{0, 2, 0, 0, 0}, Grad(Sum(g), x)[0].Values())

		column := NewTape().Watch(FromFloat64([]float64{0, 2}, 2, 1).To(d))
		y = Pow(column, FromFloat64([]float64{0, 1, 2}).To(d))
		require.Equal(t, []float64{1, 5}, Grad(Sum(y), column)[0].Values())
	}
	// Beside such places an exponent of 0 is one like any other.
	tape := NewTape()
	x, p := tape.Watch(FromFloat64([]float64{2})), tape.Watch(FromFloat64([]float64{0}))
	g := Gradients(Pow(x, p), GradOptions{CreateGraph: true}, x)[0]
	require.InDelta(t, 0.5, Grad(g, p)[0].Item(), 1e-12)
}

// With a graph the gradients lie on y's tape, in memory of their own, wherever the
// seed or a rule's gradients come from.
func TestRecordedGradientsLiveOnTheTape(t *testing.T) {
	tape, shared := NewTape(), FromFloat64([]float64{1, 10})
	x := tape.Watch(FromFloat64([]float64{3, 4}))
	ruled := func() *Tensor {
		return Custom(Rule{Name: "shared", Backward: func(*Tensor, []bool) []*Tensor { return []*Tensor{shared} }}, x.Clone(), x)
	}
	for name, y := range map[string]*Tensor{"itself": x, "Add": Add(x, shared), "Square": Square(x), "rule": ruled()} {
		for _, seed := range []*Tensor{shared, tape.Const(shared), NewTape().Const(shared)} {
			g := Gradients(y, GradOptions{CreateGraph: true, Seed: seed}, x)[0]
			require.Same(t, tape, g.Tape(), name)
			g.Fill(7)
			require.Equal(t, []float64{1, 10}, shared.Values(), name)
		}
	}
	// A recorded seed is a variable of the gradient.
	v := tape.Watch(shared)
	g := Gradients(Square(x), GradOptions{CreateGraph: true, Seed: v}, x)[0]
	require.Equal(t, []float64{6, 8}, Grad(Sum(g), v)[0].Values())
	other := NewTape().Watch(shared)
	require.PanicsWithValue(t, "tensor: Grad: seed of shape [2] is recorded on another tape than y", func() {
		Gradients(x, GradOptions{CreateGraph: true, Seed: other}, x)
	})
	require.Equal(t, []float64{1, 10}, Gradients(x, GradOptions{Seed: other}, x)[0].Values())
}

// The recorded gradient of the cross-entropy keeps its accuracy where the fast one
// does.
func TestRecordedCrossEntropyGradientIsAccurateAtLargeMargins(t *testing.T) {
	for _, margin := range []float64{5, 20, 60} {
		tape := NewTape()
		z := tape.Watch(FromFloat32([]float32{float32(margin), 0, -1}, 1, 3))
		loss := Sum(CrossEntropy(z, []int{0}))
		fast := Grad(loss, z)[0].Values()
		recorded := Gradients(loss, GradOptions{CreateGraph: true}, z)[0].Values()
		for i := range fast {
			require.InEpsilon(t, fast[i], recorded[i], 1e-5)
		}
		require.InEpsilon(t, -(math.Exp(-margin) + math.Exp(-1-margin)), fast[0], 0.02)
	}
}

// An x from which no way leads to y has no gradient if that is asked for, one that has no
// influence has zeros.
func TestUnreachedGradientsAreNilWhenAskedFor(t *testing.T) {
	for _, create := range []bool{false, true} {
		tape := NewTape()
		x, idle, still := tape.Watch(Scalar(Float64, 3)), tape.Watch(Scalar(Float64, 4)), tape.Watch(Scalar(Float64, 5))
		y := Add(Square(x), MulScalar(still, 0))
		later := tape.Watch(Scalar(Float64, 6))
		Square(Add(later, idle))
		g := Gradients(y, GradOptions{NilUnreached: true, CreateGraph: create}, x, idle, still, later)
		require.Equal(t, 6., g[0].Item())
		require.Nil(t, g[1])
		require.Equal(t, 0., g[2].Item())
		require.Nil(t, g[3])
		require.Equal(t, []*Tensor{nil}, Gradients(y.Detach(), GradOptions{NilUnreached: true}, x))
		for i, g := range Grad(y, x, idle, still, later) {
			require.Equal(t, []float64{6, 0, 0, 0}[i], g.Item())
		}
	}
}

// Dividing a sum of n equal numbers by n gives that number; 49 times 1/49 is not 1.
func TestMeanOfEqualNumbersIsThatNumber(t *testing.T) {
	for _, d := range []DType{Float32, Float64} {
		for n := 1; n <= 300; n++ {
			require.Equal(t, 1., Mean(Full(d, 1, n)).Item(), "%d of %v", n, d)
			require.Equal(t, 0., Var(Full(d, 3, n)).Item(), "%d of %v", n, d)
		}
		require.Equal(t, []float64{1, 1}, GlobalAvgPool(Full(d, 1, 1, 7, 7, 2)).Values())
		require.True(t, math.IsNaN(Mean(Zeros(d, 0)).Item()))
	}
}

func TestLeakyReLUKeepsWhatIsAboveZero(t *testing.T) {
	for _, d := range []DType{Float32, Float64} {
		for _, slope := range []float64{0, 0.01, 0.2, 0.3, 1} {
			tape := NewTape()
			x := tape.Watch(FromFloat64([]float64{0.1, 0.7, math.Inf(1), 0, -0.5}).To(d))
			y := LeakyReLU(x, slope)
			require.Equal(t, x.Values()[:3], y.Values()[:3], "slope %v", slope)
			require.Equal(t, MulScalar(x.Detach(), slope).Values()[3:], y.Values()[3:], "slope %v", slope)
			leak := Scalar(d, slope).Item()
			require.Equal(t, []float64{1, 1, 1, leak, leak}, Grad(Sum(y), x)[0].Values(), "slope %v", slope)
		}
	}
}

// largest is a source whose every draw is the largest.
type largest struct{}

func (largest) Uint64() uint64 { return math.MaxUint64 }

func TestUniformDrawsAreBelowTheUpperEnd(t *testing.T) {
	r := rand.New(largest{})
	for _, ends := range [][2]float64{{0, 1}, {-1, 0}, {-0.3, 0.7}, {0.1, 0.2}, {-2, -1}, {1e6, 1e6 + 1}} {
		for _, d := range []DType{Float32, Float64} {
			v := Uniform(r, d, ends[0], ends[1], 1).Item()
			require.GreaterOrEqual(t, v, ends[0], "%v in %v", ends, d)
			require.Less(t, v, ends[1], "%v in %v", ends, d)
		}
	}
	require.Equal(t, 3., Uniform(r, Float32, 3, 3, 1).Item())
}
