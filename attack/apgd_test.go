package attack

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
)

// hill is f(u) = 1 - (u1-.62)² - (u2-.41)² and its gradient.
func hill(u []float64) (float64, []float64) {
	a, b := u[0]-0.62, u[1]-0.41
	return 1 - a*a - b*b, []float64{-2 * a, -2 * b}
}

// climbHill runs Auto-PGD on the hill from its middle and returns the iterates and
// the step size after each.
func climbHill(norm Norm, steps int) (points [][]float64, sizes []float64, t *apgd[float64]) {
	a := &APGD{Threat: Threat{Norm: norm, Eps: 0.2}, Steps: steps}
	t = beginAPGD[float64](a, &relay{}, []int{0})(0, []float64{0.5, 0.5}, []float64{1, 0}).(*apgd[float64])
	copy(t.x, t.x0)
	u := make([]float64, 2)
	for more := true; more; {
		t.ask(u)
		v, g := hill(u)
		points = append(points, append([]float64(nil), u...))
		more = t.answer([]float64{1, 0}, v, g)
		sizes = append(sizes, t.step)
	}
	return points, sizes, t
}

// Worked out with the public implementation's rules for a start at the input.
func TestAPGDFollowsTheReferenceTrajectory(t *testing.T) {
	points, sizes, trial := climbHill(Linf, 20)
	require.Len(t, points, 21)
	for i, want := range map[int][3]float64{
		1: {.7, .3, .4}, 2: {.45, .55, .4}, 3: {.575, .425, .4}, 4: {.7, .3, .2}, 5: {.66875, .33125, .2},
		6: {.5421875, .4578125, .2}, 7: {.62890625, .37109375, .2}, 8: {.5005859375, .4994140625, .2},
		9: {.6180664062, .3819335937, .1}, 10: {.7, .4275634766, .05}, 19: {.6192382812, .4112304687, math.NaN()},
	} {
		require.InDelta(t, want[0], points[i][0], 1e-9, "iterate %d", i)
		require.InDelta(t, want[1], points[i][1], 1e-9, "iterate %d", i)
		if !math.IsNaN(want[2]) {
			require.InDelta(t, want[2], sizes[i], 1e-12, "step after iterate %d", i)
		}
	}
	require.InDelta(t, .9999979057, trial.bestLoss, 1e-9)
	require.InDelta(t, .003125, trial.step, 1e-12)

	points, sizes, trial = climbHill(L2, 10)
	for i, want := range [][3]float64{
		1: {.66, .38, .4}, {.46, .53, .2}, {.54, .47, .2}, {.6, .425, .2}, {.66, .38, .1}, {.645, .39125, .1},
		{.59625, .4278125, .05}, {.61875, .4109375, .05}, {.6534375, .384921875, .025}, {.63375, .3996875, .025},
	} {
		if i == 0 {
			continue
		}
		require.InDelta(t, want[0], points[i][0], 1e-9, "iterate %d", i)
		require.InDelta(t, want[1], points[i][1], 1e-9, "iterate %d", i)
		if i < 10 {
			require.InDelta(t, want[2], sizes[i], 1e-12, "step after iterate %d", i)
		}
	}
	require.InDelta(t, .9999975586, trial.bestLoss, 1e-9)
}

func TestAPGDCheckpoints(t *testing.T) {
	for _, c := range []struct {
		steps int
		paper bool
		want  []int
	}{
		{100, false, []int{22, 41, 57, 70, 80, 87, 93, 99}},
		{1000, false, []int{220, 410, 570, 700, 800, 870, 930, 990}},
		{50, false, []int{11, 21, 30, 38, 45}},
		{20, false, []int{4, 7, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20}},
		{100, true, []int{22, 41, 57, 70, 80, 87, 93, 99}},
		{1000, true, []int{220, 410, 570, 700, 800, 870, 930, 990}},
		{50, true, []int{11, 21, 29, 35, 40, 44, 47, 50}},
		{4, true, []int{1, 2, 3, 4}},
	} {
		a := &APGD{Threat: Threat{Norm: Linf, Eps: 0.2}, Steps: c.steps, Paper: c.paper}
		trial := beginAPGD[float64](a, &relay{}, []int{0})(0, []float64{0.5, 0.5}, []float64{1, 0}).(*apgd[float64])
		var at []int
		for more := true; more; {
			every, counter := trial.every, trial.counter
			more = trial.answer([]float64{1, 0}, float64(trial.i), []float64{1, 1})
			if counter == every-1 && trial.i > 0 {
				at = append(at, trial.i)
			}
		}
		require.Equal(t, c.want, at, "%d steps, paper %v", c.steps, c.paper)
	}
}

// Three rises of four are rho of the window exactly: the public implementation
// halves the step there, the paper's strict inequality would not.
func TestAPGDHalvesTheStepAtRhoExactly(t *testing.T) {
	for _, c := range []struct {
		attack APGD
		losses []float64
		step   float64
	}{
		{APGD{}, []float64{0, 1, 2, 3, 2.5}, 0.2},
		{APGD{Paper: true}, []float64{0, 1, 2, 3, 2.5, 2.6}, 0.4}, // its window is of 5 steps
		{APGD{Paper: true, Rho: 0.6}, []float64{0, 1, 2, 3, 2.5, 2.4}, 0.4},
		{APGD{Paper: true, Rho: 0.6}, []float64{0, 1, 2, 1.5, 1.4, 1.3}, 0.2},
		// Four rises from the start on; the public implementation misses the first
		// one where the loss is not yet above 0, and sees one where it falls.
		{APGD{}, []float64{-5, -4, -3, -2, -1}, 0.4},
		{APGD{Compat: true, Objective: DLR{}}, []float64{-5, -4, -3, -2, -1}, 0.2},
		{APGD{Compat: true}, []float64{-5, -6, -3, -2, -1}, 0.4},
		{APGD{Compat: true, Objective: DLR{}}, []float64{5, 4, 5, 6, 7}, 0.4},
	} {
		a := c.attack
		a.Threat, a.Steps = Threat{Norm: Linf, Eps: 0.2}, 20
		trial := beginAPGD[float64](&a, &relay{}, []int{0})(0, []float64{0.5, 0.5}, []float64{1, 0}).(*apgd[float64])
		require.Equal(t, len(c.losses)-1, trial.every)
		for _, loss := range c.losses {
			require.True(t, trial.answer([]float64{1, 0}, loss, []float64{1, 1}))
		}
		require.InDelta(t, c.step, trial.step, 1e-12, "%+v", c)
	}
}

// At every iterate: in the ball and the box, the best loss never falls, the step size
// only halves, and what is kept at the end is wrong.
func TestAPGDKeepsItsInvariants(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 6))
	for _, norm := range []Norm{Linf, L2} {
		for run := range 20 {
			x0 := make([]float32, 30)
			for i := range x0 {
				x0[i] = r.Float32()
			}
			a := &APGD{Threat: Threat{Norm: norm, Eps: 0.3}, Seed: uint64(run), Paper: run%2 == 1}
			trial := beginAPGD[float32](a, &relay{}, []int{0})(0, x0, nil).(*apgd[float32])
			u, best, step := make([]float32, len(x0)), math.Inf(-1), trial.step
			require.Equal(t, 0.6, step)
			reached := 0.8 * float64(run) / 20
			for more := true; more; {
				trial.ask(u)
				require.LessOrEqual(t, distance(norm, u, x0), a.Threat.Eps)
				loss, g := 0.0, make([]float32, len(x0))
				for i, v := range u {
					require.True(t, v >= 0 && v <= 1)
					loss += math.Sin(9*float64(v)+float64(i)) / 30
					g[i] = float32(math.Cos(9*float64(v) + float64(i)))
				}
				more = trial.answer([]float32{float32(reached), float32(loss)}, loss, g)
				if point, label := trial.found(); point != nil {
					require.False(t, more)
					require.Greater(t, loss, reached)
					require.Equal(t, 1, label)
					require.Equal(t, u, point)
					break
				}
				require.GreaterOrEqual(t, trial.bestLoss, max(best, loss))
				best = trial.bestLoss
				require.True(t, trial.step == step || trial.step == step/2)
				step = trial.step
			}
		}
	}
}

// Under L1 the first steps in the larger balls are as sparse as the start is, and in
// the ball itself they change a fifth of the values.
func TestAPGDStartsSparseUnderL1(t *testing.T) {
	x0 := make([]float64, 400)
	for i := range x0 {
		x0[i] = 0.5
	}
	for _, plain := range []bool{false, true} {
		a := &APGD{Threat: Threat{Norm: L1, Eps: 3}, PlainL1: plain}
		trial := beginAPGD[float64](a, &relay{}, []int{0})(0, x0, nil).(*apgd[float64])
		n := trial.changed(trial.x)
		require.True(t, n > 5 && n < 200, "%v", n)
		if plain {
			require.Equal(t, 0.2, trial.sparsity)
			require.Equal(t, 400., trial.nonzero)
		} else {
			require.Equal(t, n/400/1.5, trial.sparsity)
			require.Equal(t, n, trial.nonzero)
		}
	}
}
