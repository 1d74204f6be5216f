package attack

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/redoubt-ml/redoubt/tensor"
)

// Scaling and shifting logits changes neither value nor direction.
func TestDLRGoldens(t *testing.T) {
	base := []float64{3, 1, -2, 0.5, 2}
	for _, c := range []struct {
		y, target int
		want      float64
		grad      []float64
	}{
		{0, -1, -0.5, []float64{-0.25, -0.25, 0, 0, 0.5}},
		{1, -1, 1, nil}, {2, -1, 2.5, nil},
		{0, 4, -0.444444444444, []float64{-0.2469135803, -0.0987654321, 0, -0.0987654321, 0.4444444445}},
		{0, 1, -0.888888888888, nil}, {0, 2, -2.222222222221, nil},
	} {
		rows := Rows{Y: []int{c.y}, Index: []int{0}}
		if c.target >= 0 {
			rows.Target = []int{c.target}
		}
		for _, scale := range []float64{1, 7} {
			tape := tensor.NewTape()
			z := tape.Watch(tensor.Affine(tensor.FromFloat64(base, 1, 5), scale, 5*(scale-1)))
			v := DLR{}.Values(z, rows)
			require.InDelta(t, c.want, v.At(0), 1e-9)
			g := tensor.Grad(tensor.Sum(v), z)[0].Values()
			sum, along := 0.0, 0.0
			for i, e := range g {
				sum += e
				along += e * base[i]
				if c.grad != nil && scale == 1 {
					require.InDelta(t, c.grad[i], e, 1e-9)
				}
			}
			require.InDelta(t, 0, sum, 1e-12)
			require.InDelta(t, 0, along, 1e-9)
		}
	}
}

func TestHyperplaneGoldens(t *testing.T) {
	x, w := []float64{.2, .9, .5, .05, .7}, []float64{1, -2, .5, 3, -.25}
	tau, tau2 := .0185185185, .2777777778
	infeasible := []float64{.8, -.9, .5, .95, -.7}
	for b, want := range map[float64][3][]float64{
		-1.5: {{-tau, tau, -tau, -tau, tau}, {-.0087336245, .0174672489, -.0043668122, -.0262008734, .0021834061}, {0, 0, 0, -.0416666667, 0}},
		-2:   {{-.1571428571, .1, -.1571428571, -.05, .1571428571}, {-.2, .1, -.12, -.05, .06}, {-.2, .1, -.15, -.05, 0}},
		.5:   {{tau2, -tau2, tau2, tau2, -tau2}, {.1310043668, -.2620087336, .0655021834, .3930131004, -.0327510917}, {0, 0, 0, .625, 0}},
		5:    {infeasible, infeasible, infeasible},
	} {
		for k, norm := range []Norm{Linf, L2, L1} {
			delta := make([]float64, 5)
			(&hyperplane[float64]{norm: norm, lo: 0, hi: 1}).project(delta, x, w, b)
			for i := range delta {
				require.InDelta(t, want[k][i], delta[i], 1e-9, "%v to %v, coordinate %d", norm, b, i)
			}
		}
	}
}

// On random planes: the point lies on the plane and in the box, and no point of a
// fine grid on the plane is nearer.
func TestHyperplaneProjectionIsNearest(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 300 {
		w := []float64{r.NormFloat64(), r.NormFloat64()}
		x := []float64{r.Float64(), r.Float64()}
		on := []float64{r.Float64(), r.Float64()} // makes the plane meet the box
		b := w[0]*on[0] + w[1]*on[1]
		for _, norm := range []Norm{Linf, L2, L1} {
			d := make([]float64, 2)
			(&hyperplane[float64]{norm: norm, lo: 0, hi: 1}).project(d, x, w, b)
			p := []float64{x[0] + d[0], x[1] + d[1]}
			require.InDelta(t, b, w[0]*p[0]+w[1]*p[1], 1e-9)
			for _, v := range p {
				require.True(t, v >= -1e-12 && v <= 1+1e-12)
			}
			nearest := math.Inf(1)
			for k := range 2001 {
				u := float64(k) / 2000
				if v := (b - w[0]*u) / w[1]; v >= 0 && v <= 1 {
					nearest = min(nearest, size(norm, []float64{u - x[0], v - x[1]}))
				}
			}
			require.LessOrEqual(t, size(norm, d), nearest+1e-9, "%v", norm)
		}
	}
}

func TestHyperplaneProjectionWithManyCoordinates(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	for range 50 {
		d := 1 + r.IntN(900)
		x, w, delta := make([]float64, d), make([]float64, d), make([]float64, d)
		b := 0.0
		for i := range x {
			x[i], w[i] = r.Float64(), r.NormFloat64()*math.Exp(3*r.NormFloat64())
			if r.IntN(4) == 0 {
				x[i] = float64(r.IntN(2))
			}
			b += w[i] * r.Float64()
		}
		for _, norm := range []Norm{Linf, L2, L1} {
			(&hyperplane[float64]{norm: norm, lo: 0, hi: 1}).project(delta, x, w, b)
			got, scale := -b, math.Abs(b)
			for i := range x {
				p := x[i] + delta[i]
				require.True(t, p >= -1e-12 && p <= 1+1e-12)
				got += w[i] * p
				scale += math.Abs(w[i])
			}
			require.InDelta(t, 0, got/scale, 1e-12, "%v", norm)
		}
	}
}

// linear is a model z = W x + b.
type linear struct{ w, b *tensor.Tensor }

func (m linear) Logits(x *tensor.Tensor) *tensor.Tensor {
	return tensor.Add(tensor.MatMulT(x, m.w, false, true), m.b)
}

func TestFABOnThreeClasses(t *testing.T) {
	m := linear{tensor.FromFloat64([]float64{2, -1, .5, -1, 1.5, .3, .2, .1, -1}, 3, 3), tensor.FromFloat64([]float64{.1, -.2, .3}, 3)}
	x := tensor.FromFloat64([]float64{.7, .3, .6}, 1, 3)
	for _, c := range []struct {
		norm       Norm
		untargeted bool
		want       float64
	}{{Linf, false, .3121451734}, {L2, false, .4550171196}, {Linf, true, .3121451734}, {L2, true, .4550171196}} {
		f := &FAB{Threat: Threat{Norm: c.norm, Eps: 10}, Minimize: true, Untargeted: c.untargeted}
		res, err := f.Run(t.Context(), m, x, []int{0})
		require.NoError(t, err)
		require.True(t, res.Success[0])
		require.InDelta(t, c.want, res.Distance[0], 1e-9, "%v", c.norm)
		if c.norm == Linf {
			for i, v := range []float64{.3878548266, .6121451734, .2878548266} {
				require.InDelta(t, v, res.X.At(0, i), 1e-9)
			}
		}
	}
	// Towards class 2 alone: the lead of the other class never comes up.
	for norm, want := range map[Norm]float64{Linf: .3723858251, L2: .6330068596} {
		f := &FAB{Threat: Threat{Norm: norm, Eps: 10}, Minimize: true, TargetClasses: 1}
		two := linear{tensor.Gather(m.w, []int{0, 2}), tensor.FromFloat64([]float64{.1, .3}, 2)}
		res, err := f.Run(t.Context(), two, x, []int{0})
		require.NoError(t, err)
		require.InDelta(t, want, res.Distance[0], 1e-9, "%v", norm)
	}
}

// Without a target FAB asks about each iterate once for each wrong class.
func TestUntargetedFABCountsSteps(t *testing.T) {
	m := linear{tensor.FromFloat64([]float64{2, -1, .5, -1, 1.5, .3, .2, .1, -1}, 3, 3), tensor.FromFloat64([]float64{100, 0, 0}, 3)}
	x := tensor.FromFloat64([]float64{.7, .3, .6}, 1, 3)
	for steps, want := range map[int]int{1: 1 + 2 + 1, 5: 1 + 2*5 + 1} {
		res, err := (&FAB{Threat: Threat{Norm: Linf, Eps: 10}, Untargeted: true, Steps: steps}).Run(t.Context(), m, x, []int{0})
		require.NoError(t, err)
		require.False(t, res.Success[0])
		require.Equal(t, want, res.Queries[0])
	}
}

// The distances to a linear boundary in the interior, as multiples of the exact
// one: the overshoot, then what the way back and the next steps leave of it.
func TestFABDistancesOnALinearBoundary(t *testing.T) {
	w := []float64{1, -2, 0.5}
	f := &FAB{Threat: Threat{Norm: L2, Eps: 10}, Minimize: true, Steps: 5, TargetClasses: 1}
	x := []float64{0.5, 0.5, 0.5}
	const lead = -0.1
	trial := beginFAB[float64](f, &relay{}, []int{0})(0, x, []float64{0, lead}).(*fab[float64])
	exact := 0.1 / size(L2, w)
	var got []float64
	u := make([]float64, 3)
	for more := true; more; {
		trial.ask(u)
		z := lead
		for i := range u {
			z += w[i] * (u[i] - x[i])
		}
		if z > 0 {
			got = append(got, distance(L2, u, x)/exact)
		}
		more = trial.answer([]float64{0, z}, z, w)
	}
	want := []float64{1.05, 1.0052132701, 1.0087014841, 1.0084390504, 1.0084588469}
	require.Len(t, got, len(want))
	for i := range want {
		require.InDelta(t, want[i], got[i], 1e-9, "step %d", i)
	}
	require.InDelta(t, 1.0052132701, trial.distance/exact, 1e-9)
}
