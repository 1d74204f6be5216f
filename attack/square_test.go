package attack

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestSquareSides(t *testing.T) {
	at := []int{0, 11, 51, 201, 501, 1001, 2001, 4001}
	for _, c := range []struct {
		norm Norm
		side int
		want []int
	}{
		{Linf, 28, []int{25, 18, 13, 9, 6, 4, 3, 2}}, {L2, 28, []int{25, 19, 13, 9, 7, 5, 3, 3}},
		{Linf, 32, []int{29, 20, 14, 10, 7, 5, 4, 3}}, {L2, 32, []int{29, 21, 15, 11, 7, 5, 5, 3}},
	} {
		for k, i := range at {
			require.Equal(t, c.want[k], squareSide(c.norm, windowShare(0.8, i, 5000, false), c.side, c.side), "%v %d, window %d", c.norm, c.side, i)
		}
	}
	for k, i := range []int{6, 26, 101, 251, 501, 1001, 2001, 3001, 4001} {
		want := []int{18, 13, 9, 6, 4, 3, 2, 2, 1}[k]
		require.Equal(t, want, squareSide(Linf, windowShare(0.8, i, 5000, true), 28, 28))
		require.NotEqual(t, windowShare(0.8, i, 5000, true), windowShare(0.8, i-1, 5000, true))
	}
}

func TestBumps(t *testing.T) {
	check := func(e []float64, at int, want ...float64) {
		for i, w := range want {
			require.InDelta(t, w, e[at+i], 1e-9)
		}
	}
	e := eta(L2, 3)
	check(e, 0, .1360827635, .6804138174, .1360827635, -.1290994449, -.1290994449, -.1290994449, -.1290994449, -.6454972244, -.1290994449)
	e = eta(L1, 3)
	check(e, 0, .0263157895, .4473684211, .0263157895, -.0227272727, -.0227272727, -.0227272727, -.0227272727, -.3863636364, -.0227272727)
	e = eta(L2, 5)
	check(e, 0, .0491621646, .159777035, .159777035, .159777035, .0491621646)
	check(e, 10, -.0455901518, -.1481679932, -.1481679932, -.1481679932, -.0455901518)
	for side := 1; side < 30; side++ {
		for _, n := range []Norm{L2, L1} {
			require.InDelta(t, 1, size(n, eta(n, side)), 1e-12, fmt.Sprint(n, side))
		}
	}
}

// The margin falls, every value is at an end of its ball or of the box, and a
// broken input is asked about no more.
func TestSquareKeepsItsPromises(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	for _, norm := range []Norm{Linf, L2, L1} {
		s := &Square{Threat: Threat{Norm: norm, Eps: map[Norm]float64{Linf: 0.1, L2: 1, L1: 6}[norm]}, Queries: 300}
		x0 := make([]float64, 8*7*2)
		for i := range x0 {
			x0[i] = r.Float64()
		}
		trial := beginSquare[float64](s, &relay{}, imageSize{8, 7, 2}, []int{0})(0, x0, nil).(*square[float64])
		u, margin := make([]float64, len(x0)), math.Inf(1)
		asked := 0
		for more := true; more; asked++ {
			trial.ask(u)
			require.LessOrEqual(t, distance(norm, u, x0), s.Threat.Eps)
			for i, v := range u {
				require.True(t, v >= 0 && v <= 1)
				if norm == Linf {
					near := min(math.Abs(v-min(1, x0[i]+0.1)), math.Abs(v-max(0, x0[i]-0.1)))
					require.Less(t, near, 1e-12)
				}
			}
			z := 3.0
			for i, v := range u {
				z += math.Sin(float64(i)) * v * 0.1
			}
			more = trial.answer([]float64{z, 0}, 0, nil)
			require.LessOrEqual(t, trial.margin, margin)
			margin = trial.margin
		}
		require.Equal(t, 301, asked)
		require.Greater(t, distance(norm, trial.best, x0), 0.5*s.Threat.Eps)
	}
}
