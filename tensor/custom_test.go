package tensor_test

import (
	"math"
	"math/rand/v2"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/redoubt-ml/redoubt/internal/gradcheck"
	. "github.com/redoubt-ml/redoubt/tensor"
)

// hypot is the square root of a² + b², computed outside of the package with a
// rule in its operations.
func hypot(a, b *Tensor) *Tensor {
	y := Zeros(a.DType(), a.Shape()...)
	for i, v := range a.Float64s() {
		y.Float64s()[i] = math.Hypot(v, b.Float64s()[i])
	}
	return Custom(Rule{Name: "hypot", Backward: func(g *Tensor, need []bool) []*Tensor {
		over := Div(g, Sqrt(Add(Square(a), Square(b))))
		out := make([]*Tensor, 2)
		for i, x := range []*Tensor{a, b} {
			if need[i] {
				out[i] = Mul(over, x)
			}
		}
		return out
	}}, y, a, b)
}

func TestCustomOperationsDifferentiateToAnyOrder(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	require.NoError(t, gradcheck.Check(r, 1e-7, func(x []*Tensor) *Tensor { return Square(hypot(x[0], MulScalar(x[1], 2))) },
		positive(r, 3, 4), positive(r, 3, 4)))
	require.NoError(t, gradcheck.Check(r, 1e-7, func(x []*Tensor) *Tensor { return hypot(x[0], x[0]) }, positive(r, 5)))
}

// A rule may make its gradients outside of the package and on no tape, and is
// asked only for what matters; without a watched operand nothing is recorded.
func TestCustomOperationOutsideOfThePackage(t *testing.T) {
	asked := [][]bool{}
	triple := func(a, b *Tensor) *Tensor {
		y := Zeros(Float64, a.Dim(0))
		for i := range y.Float64s() {
			y.Float64s()[i] = 3*a.At(i) + b.At(i)
		}
		return Custom(Rule{Name: "triple", FirstOrder: true, Backward: func(g *Tensor, need []bool) []*Tensor {
			asked = append(asked, append([]bool{}, need...))
			out := Zeros(Float64, g.Dim(0))
			for i := range out.Float64s() {
				out.Float64s()[i] = 3 * g.At(i)
			}
			return []*Tensor{out, nil}
		}}, y, a, b)
	}
	a, b := FromFloat64([]float64{1, 2}), FromFloat64([]float64{5, 7})
	require.Nil(t, triple(a, b).Tape())
	tape := NewTape()
	x := tape.Watch(a)
	y := triple(x, b)
	require.Equal(t, []float64{8, 13}, y.Values())
	loss := Sum(Add(Square(y), x))
	for range 2 {
		require.Equal(t, []float64{49, 79}, Grad(loss, x)[0].Values())
	}
	require.Equal(t, [][]bool{{true, false}, {true, false}}, asked)
	require.PanicsWithValue(t, "tensor: Grad: triple has no second derivative", func() {
		Gradients(loss, GradOptions{CreateGraph: true}, x)
	})
	tape.Reset()
	require.Equal(t, []float64{8, 13}, y.Values(), "the result's memory is the caller's")
}

func TestCustomRefusesWhatDoesNotFit(t *testing.T) {
	tape := NewTape()
	x := tape.Watch(FromFloat64([]float64{1, 2}))
	rule := func(gs ...*Tensor) Rule {
		return Rule{Name: "odd", Backward: func(*Tensor, []bool) []*Tensor { return gs }}
	}
	y := FromFloat64([]float64{1})
	require.PanicsWithValue(t, "tensor: Custom: odd has no backward rule", func() { Custom(Rule{Name: "odd"}, y, x) })
	require.PanicsWithValue(t, "tensor: Custom: result of odd, of shape [2], has a record already; detach it", func() { Custom(rule(), x, x) })
	require.Panics(t, func() { Custom(rule(), FromFloat32([]float32{1}), x) })
	require.PanicsWithValue(t, "tensor: Grad: rule of odd gives 0 gradients for 1 operands", func() { Grad(Custom(rule(), y, x), x) })
	require.PanicsWithValue(t, "tensor: Grad: rule of odd gives nothing for an operand float64[2]", func() { Grad(Custom(rule(nil), y, x), x) })
	require.PanicsWithValue(t, "tensor: Grad: rule of odd gives float64[1] for an operand float64[2]", func() { Grad(Custom(rule(y), y, x), x) })
	z := Custom(rule(x.Detach()), y, x)
	x.Set(3, 0)
	require.PanicsWithValue(t, "tensor: Grad: an operand or the result of Custom was changed in place after the operation", func() { Grad(z, x) })
}

// A rule must not ask for gradients on the tape that is being walked.
func TestGradWithinARulePanics(t *testing.T) {
	for _, create := range []bool{false, true} {
		tape := NewTape()
		x := tape.Watch(FromFloat64([]float64{1, 2}))
		y := Custom(Rule{Name: "inner", Backward: func(*Tensor, []bool) []*Tensor {
			z := tape.Watch(x.Clone()) // lies behind everything that the pass walks
			return Grad(Sum(Square(z)), z)
		}}, x.Clone(), x)
		require.PanicsWithValue(t, "tensor: Grad: called from within a backward rule", func() {
			Gradients(Sum(y), GradOptions{CreateGraph: create}, x)
		}, "with a graph: %v", create)
		require.Equal(t, []float64{2, 4}, Grad(Sum(Square(x)), x)[0].Values(), "the tape is as good as before")
	}
}

// Goroutines, each with a tape of its own, may be given the same gradient.
func TestRulesMayShareGradients(t *testing.T) {
	shared, w := FromFloat64([]float64{3, 5}), FromFloat64([]float64{1, 2})
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			tape := NewTape()
			for range 50 {
				tape.Reset()
				x := tape.Watch(w)
				y := Custom(Rule{Name: "shared", Backward: func(*Tensor, []bool) []*Tensor {
					return []*Tensor{shared, x.Detach()}
				}}, FromFloat64([]float64{0, 0}), x, Neg(x))
				assert.Equal(t, []float64{2, 3}, Grad(Sum(y), x)[0].Values())
			}
		})
	}
	wg.Wait()
}
