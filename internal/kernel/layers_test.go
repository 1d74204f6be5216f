package kernel

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
)

func testBatchNorm[T Float](t *testing.T) {
	rng := rand.New(rand.NewPCG(7, 7))
	for _, r := range []int{1, 2, 63, 64, 65, 300} {
		for _, c := range []int{1, 3, 8, 10, 16, 17, 32, 64, 70, 130, 300} {
			x, dy := normal[T](rng, r*c), normal[T](rng, r*c)
			for i := range x {
				x[i] = 100 + x[i]*T(1+i%c)
			}
			mean, variance := frame[T](c, 3), frame[T](c, 5)
			MeanVar(mean.data, variance.data, x, c)
			mean.intact(t, "MeanVar")
			variance.intact(t, "MeanVar")
			for j := range c {
				var m, v float64
				for i := range r {
					m += float64(x[i*c+j]) / float64(r)
				}
				for i := range r {
					d := float64(x[i*c+j]) - m
					v += d * d / float64(r)
				}
				within(t, "mean", m, math.Abs(m)+1, mean.data[j])
				within(t, "variance", v, 20*v+1e-6, variance.data[j])
			}
			scale, shift := normal[T](rng, c), normal[T](rng, c)
			out := frame[T](r*c, 6)
			for _, relu := range []bool{false, true} {
				ScaleShift(out.data, x, scale, shift, relu)
				out.intact(t, "ScaleShift")
				for i, v := range out.data {
					p := float64(x[i]) * float64(scale[i%c])
					want := p + float64(shift[i%c])
					if relu {
						want = max(want, 0)
					}
					within(t, "ScaleShift", want, math.Abs(p)+math.Abs(float64(shift[i%c])), v)
				}
			}
			sum, sumX := frame[T](c, 1), frame[T](c, 2)
			Fill(sum.data, 0.5)
			Fill(sumX.data, -0.5)
			SumsForBatchNorm(sum.data, sumX.data, dy, x, mean.data)
			sum.intact(t, "SumsForBatchNorm")
			sumX.intact(t, "SumsForBatchNorm")
			for j := range c {
				a, b, sizeA, sizeB := 0.5, -0.5, 0.5, 0.5
				for i := range r {
					g := float64(dy[i*c+j])
					p := g * float64(x[i*c+j]-mean.data[j])
					a, b = a+g, b+p
					sizeA, sizeB = sizeA+math.Abs(g), sizeB+math.Abs(p)
				}
				within(t, "sum of dy", a, 4*sizeA, sum.data[j])
				within(t, "sum of dy*(x-mean)", b, 4*sizeB, sumX.data[j])
			}
			BatchNormBackward(out.data, dy, x, scale, shift, mean.data)
			out.intact(t, "BatchNormBackward")
			for i, v := range out.data {
				p, q := float64(scale[i%c])*float64(dy[i]), float64(shift[i%c])*float64(x[i])
				m := float64(mean.data[i%c])
				within(t, "BatchNormBackward", p+q+m, math.Abs(p)+math.Abs(q)+math.Abs(m), v)
			}
		}
	}
}

// Sums of 256 float32 of one size are off by thousandths of a percent, which is more
// than the spread of these columns.
func TestVariancesOfNearlyConstantColumns(t *testing.T) {
	levels(t, testNearlyConstant[float32])
	testNearlyConstant[float64](t)
}

func testNearlyConstant[T Float](t *testing.T) {
	rng := rand.New(rand.NewPCG(13, 7))
	const c = 19
	for _, r := range []int{1, 2, 64, 256, 257, 1000} {
		x := make([]T, r*c)
		for i := range x {
			x[i] = 10000.1
			if j := i % c; j > 0 {
				x[i] += T(rng.NormFloat64() * float64(j) / 4)
			}
		}
		mean, variance := make([]T, c), make([]T, c)
		MeanVar(mean, variance, x, c)
		require.EqualValues(t, x[0], mean[0], "%d rows", r)
		require.Zero(t, variance[0], "%d rows", r)
		for j := 1; j < c; j++ {
			var m, v float64
			for i := range r {
				m += float64(x[i*c+j]) / float64(r)
			}
			for i := range r {
				d := float64(x[i*c+j]) - m
				v += d * d / float64(r)
			}
			require.InDelta(t, m, float64(mean[j]), 3e-3, "%d rows", r)
			require.InDelta(t, v, float64(variance[j]), 2e-3*v, "%d rows", r)
		}
	}
}

func TestBatchNormPieces(t *testing.T) {
	levels(t, testBatchNorm[float32])
	testBatchNorm[float64](t)
}

func testPools[T Float](t *testing.T) {
	rng := rand.New(rand.NewPCG(8, 8))
	for range 150 {
		w := Window{H: 1 + rng.IntN(9), W: 1 + rng.IntN(9), C: []int{1, 3, 8, 16, 17, 32, 65}[rng.IntN(7)],
			KH: 1 + rng.IntN(3), KW: 1 + rng.IntN(3), SH: 1 + rng.IntN(3), SW: 1 + rng.IntN(3)}
		w.PT, w.PL = rng.IntN(w.KH), rng.IntN(w.KW)
		w.OH, w.OW = (w.H+w.PT-w.KH)/w.SH+1, (w.W+w.PL-w.KW)/w.SW+1
		if w.H+w.PT < w.KH || w.W+w.PL < w.KW {
			continue
		}
		x := make([]T, w.H*w.W*w.C)
		for i := range x {
			x[i] = T(rng.IntN(7) - 3)
			if rng.IntN(30) == 0 {
				x[i] = T(math.NaN())
			}
			if rng.IntN(10) == 0 {
				x[i] = T(math.Inf(-1))
			}
		}
		n := w.OH * w.OW * w.C
		y, idx := frame[T](n, 3), make([]int32, n)
		MaxPool(y.data, idx, x, w)
		y.intact(t, "MaxPool")
		avg, avgPad := make([]float64, n), make([]float64, n)
		for i := range n {
			oh, ow, c := i/w.C/w.OW, i/w.C%w.OW, i%w.C
			at, count := -1, 0
			for a := range w.KH {
				for b := range w.KW {
					h, q := oh*w.SH-w.PT+a, ow*w.SW-w.PL+b
					if h < 0 || h >= w.H || q < 0 || q >= w.W {
						continue
					}
					j := (h*w.W+q)*w.C + c
					count++
					avg[i] += float64(x[j])
					if at < 0 || x[j] > x[at] || x[j] != x[j] && x[at] == x[at] {
						at = j
					}
				}
			}
			avgPad[i] = avg[i] / float64(w.KH*w.KW)
			avg[i] /= float64(count)
			require.EqualValues(t, at, idx[i], "%+v output %d", w, i)
		}
		got := make([]T, n)
		GatherIdx(got, x, idx)
		same(t, "MaxPool", got, y.data)
		for countPad, want := range map[bool][]float64{false: avg, true: avgPad} {
			AvgPool(y.data, x, w, countPad)
			y.intact(t, "AvgPool")
			for i, v := range y.data {
				within(t, "AvgPool", want[i], math.Abs(want[i])+6, v)
			}
			// The adjoint: <AvgPool(u), v> = <u, AvgPoolBackward(v)>.
			u, v := normal[T](rng, len(x)), normal[T](rng, n)
			dx := frame[T](len(x), 5)
			Fill(dx.data, 0)
			AvgPool(y.data, u, w, countPad)
			AvgPoolBackward(dx.data, v, w, countPad)
			dx.intact(t, "AvgPoolBackward")
			within(t, "adjoint", float64(Dot(y.data, v)), float64(n), Dot(u, dx.data))
		}
		dx := make([]T, len(x))
		v := normal[T](rng, n)
		ScatterAddIdx(dx, v, idx)
		var total, size float64
		for _, g := range v {
			total += float64(g)
			size += math.Abs(float64(g))
		}
		within(t, "ScatterAddIdx", total, size, Sum(dx))
		spread := frame[T](len(x), 5)
		Fill(spread.data, 1)
		MaxUnpool(spread.data, v, idx, w)
		spread.intact(t, "MaxUnpool")
		same(t, "MaxUnpool", dx, spread.data)
	}
}

func TestPools(t *testing.T) {
	levels(t, testPools[float32])
	testPools[float64](t)
}

func testOptimisers[T Float](t *testing.T) {
	rng := rand.New(rand.NewPCG(9, 9))
	for _, n := range lengths {
		w, g := normal[T](rng, n), normal[T](rng, n)
		for _, c := range []struct {
			momentum, wd float64
			nesterov     bool
		}{{0, 0, false}, {0, 0.25, false}, {0.5, 0.25, false}, {0.5, 0.25, true}} {
			v0 := normal[T](rng, n)
			out, v := frame[T](n, 3), frame[T](n, 4)
			copy(out.data, w)
			copy(v.data, v0)
			vel := v.data
			if c.momentum == 0 {
				vel = nil
			}
			SGD(out.data, vel, g, 0.125, T(c.momentum), T(c.wd), c.nesterov)
			out.intact(t, "SGD")
			v.intact(t, "SGD")
			for i := range w {
				d := float64(g[i]) + c.wd*float64(w[i])
				m := d
				if c.momentum != 0 {
					m = c.momentum*float64(v0[i]) + d
					within(t, "velocity", m, 10, v.data[i])
					if c.nesterov {
						m = d + c.momentum*m
					}
				}
				within(t, "SGD", float64(w[i])-0.125*m, 10, out.data[i])
			}
		}
		for i, decoupled := range []bool{false, true, false, true} {
			eps := []float64{1e-8, 1e-8, 0.125, 0.125}[i]
			m0, v0 := normal[T](rng, n), normal[T](rng, n)
			Binary(Mul, v0, v0, v0)
			out, m, v := frame[T](n, 3), frame[T](n, 4), frame[T](n, 5)
			copy(out.data, w)
			copy(m.data, m0)
			copy(v.data, v0)
			c1, c2 := 0.19, 0.002
			Adam(out.data, m.data, v.data, g, 0.01, 0.9, 0.999, eps, 0.1, c1, c2, decoupled)
			out.intact(t, "Adam")
			m.intact(t, "Adam")
			v.intact(t, "Adam")
			for i := range w {
				p, d := float64(w[i]), float64(g[i])
				if decoupled {
					p -= 0.01 * 0.1 * p
				} else {
					d += 0.1 * p
				}
				mi := 0.9*float64(m0[i]) + 0.1*d
				vi := 0.999*float64(v0[i]) + 0.001*d*d
				within(t, "first moment", mi, 10, m.data[i])
				within(t, "second moment", vi, 10, v.data[i])
				step := 0.01 * mi / c1 / (math.Sqrt(vi/c2) + eps)
				within(t, "Adam", p-step, 10+10*math.Abs(step), out.data[i])
			}
		}
	}
}

func TestOptimisersFollowPyTorch(t *testing.T) {
	levels(t, testOptimisers[float32])
	testOptimisers[float64](t)
}

func TestSignStepIsTheSameAtEveryLevel(t *testing.T) {
	rng := rand.New(rand.NewPCG(10, 10))
	for _, n := range lengths {
		x := make([]float32, n)
		for i := range x {
			x[i] = rng.Float32()
		}
		g := randomInput[float32](rng, n, 3, 1)
		const alpha, eps = 0.01, float32(8.0 / 255)
		x0, want := make([]float32, n), make([]float32, n)
		for i := range x0 {
			// Some steps leave the ball, of radius 0.031.
			x0[i] = x[i] + (rng.Float32()-0.5)*0.06
			v := x[i]
			if g[i] > 0 {
				v += alpha
			} else if g[i] < 0 {
				v -= alpha
			}
			want[i] = min(max(min(max(v, x0[i]-eps), x0[i]+eps), 0), 1)
		}
		levels(t, func(t *testing.T) {
			out := frame[float32](n, 5)
			copy(out.data, x)
			SignStep(out.data, g, x0, alpha, eps, 0, 1)
			out.intact(t, "SignStep")
			require.Equal(t, want, out.data, "n=%d", n)
		})
	}
}

func testTranspose[T Float](t *testing.T) {
	rng := rand.New(rand.NewPCG(11, 11))
	for _, rows := range []int{0, 1, 2, 7, 8, 9, 16, 17, 33, 70} {
		for _, cols := range []int{0, 1, 3, 8, 15, 16, 31, 64, 100} {
			src := normal[T](rng, rows*cols)
			out := frame[T](rows*cols, 3)
			Transpose2D(out.data, src, rows, cols)
			out.intact(t, "Transpose2D")
			for i := range rows {
				for j := range cols {
					require.Equal(t, src[i*cols+j], out.data[j*rows+i], "%dx%d", rows, cols)
				}
			}
		}
	}
}

func TestTranspose2D(t *testing.T) {
	levels(t, testTranspose[float32])
	testTranspose[float64](t)
}

// At the first step both moments are 0 and the step is lr*g/(|g|+eps): the
// bias corrections cancel 1-beta only if both are rounded from the same number.
func TestFirstAdamStepHasTheSizeOfTheRate(t *testing.T) {
	levels(t, func(t *testing.T) {
		for _, n := range []int{1, 16, 37} {
			w, m, v, g := make([]float32, n), make([]float32, n), make([]float32, n), make([]float32, n)
			for i := range g {
				g[i] = float32(i+1) * 0.3
			}
			Adam(w, m, v, g, 1, 0.9, 0.999, 1e-12, 0, 1-0.9, 1-0.999, false)
			for i := range w {
				require.InDelta(t, -1, w[i], 3e-7)
			}
		}
	})
}

// Far from the decision boundary the label's probability rounds to 1; loss and
// gradient keep their relative accuracy nevertheless.
func TestCrossEntropyIsAccurateAtLargeMargins(t *testing.T) {
	levels(t, func(t *testing.T) {
		for _, margin := range []float64{1, 10, 17, 20, 40, 60, 80} {
			x := []float32{float32(margin), 0, -1, 0.5}
			e := []float64{0, math.Exp(-margin), math.Exp(-1 - margin), math.Exp(0.5 - margin)}
			others := e[1] + e[2] + e[3]
			var loss [1]float32
			grad, logp := make([]float32, 4), make([]float32, 4)
			SoftmaxCrossEntropy(loss[:], grad, x, []int32{0}, 4)
			LogSoftmax(logp, x, 4)
			require.InEpsilon(t, math.Log1p(others), loss[0], 1e-5, "margin %v", margin)
			require.InEpsilon(t, -math.Log1p(others), logp[0], 1e-5, "margin %v", margin)
			require.InEpsilon(t, -others/(1+others), grad[0], 1e-5, "margin %v", margin)
			for j := 1; j < 4; j++ {
				require.InEpsilon(t, e[j]/(1+others), grad[j], 1e-5, "margin %v", margin)
			}
			SoftmaxCrossEntropy(loss[:], grad, x, []int32{1}, 4)
			require.InEpsilon(t, margin+math.Log1p(others), loss[0], 1e-6, "margin %v", margin)
			require.InEpsilon(t, e[1]/(1+others)-1, grad[1], 1e-5, "margin %v", margin)
		}
	})
}
