package bandit

import (
	"math"
	"sync"
)

// Grid is the sequence of sample sizes at which confidence intervals are
// evaluated, the same for every arm and fixed in advance:
//
//	n_1 = N0,  n_{j+1} = max(n_j + 1, ceil(Eta n_j)).
//
// A union bound over the grid is what makes the intervals hold at all times at
// once. With c one-sided failure events for each arm and grid point, each of
// probability at most exp(-L_j),
//
//	L_j = ln(c K π² j² / (6 Delta)),  sum over arms, points, events <= Delta,
//
// because the sum of 1/j² is π²/6. A geometric grid (Eta > 1) has j = O(log n), so
// its L_j is smaller than that of a check after every pull (Eta = 1), at the price
// of overshooting the stopping time by a factor of at most Eta for each arm.
// A Grid may be used by several goroutines.
type Grid struct {
	Eta  float64 // ratio of neighbouring sizes, in [1, 4]
	N0   int     // the first size, at least 1
	mu   sync.Mutex
	size []int // size[j-1] is n_j
}

// Size returns n_j, for j of at least 1; n_0 is 0. It panics unless j is at least 0,
// Eta in [1, 4] and N0 at least 1.
func (g *Grid) Size(j int) int {
	if j < 0 {
		bad("Grid.Size", "j", j, "at least 0")
	}
	if !(g.Eta >= 1 && g.Eta <= 4) {
		bad("Grid.Size", "Eta", g.Eta, "a number in [1, 4]")
	}
	if g.N0 < 1 {
		bad("Grid.Size", "N0", g.N0, "at least 1")
	}
	if j == 0 {
		return 0
	}
	if g.Eta == 1 {
		return g.N0 + j - 1
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	for len(g.size) < j {
		if len(g.size) == 0 {
			g.size = append(g.size, g.N0)
			continue
		}
		last := g.size[len(g.size)-1]
		// The slack keeps a product such as 1.1 * 30 from rounding up past 33.
		next := math.Ceil(g.Eta*float64(last) - 1e-9)
		if next > math.MaxInt/8 {
			next = math.MaxInt / 8
		}
		g.size = append(g.size, max(last+1, int(next)))
	}
	return g.size[j-1]
}

// index returns the first j with n_j >= n.
func (g *Grid) index(n int) int {
	if g.Eta == 1 {
		return max(1, n-g.N0+1)
	}
	j := 1
	for g.Size(j) < n && g.Size(j) < math.MaxInt/8 {
		j++
	}
	return j
}

// Level returns L_j for c failure events, K arms and error probability delta. It
// panics unless j, c and arms are at least 1 and delta in (0, 1).
func Level(j, c, arms int, delta float64) float64 {
	if j < 1 {
		bad("Level", "j", j, "at least 1")
	}
	if c < 1 {
		bad("Level", "c", c, "at least 1")
	}
	if arms < 1 {
		bad("Level", "arms", arms, "at least 1")
	}
	if !(delta > 0 && delta < 1) {
		bad("Level", "delta", delta, "a number in (0, 1)")
	}
	return math.Log(float64(c) * float64(arms) * math.Pi * math.Pi * float64(j) * float64(j) / (6 * delta))
}

// table holds one value of T for each grid index, worked out once and shared by
// all runs of a design; at(j) is called in increasing order of j.
type table[T any] struct {
	mu   sync.Mutex
	rows []T
	row  func(j int, previous T) T
}

func (t *table[T]) at(j int) T {
	t.mu.Lock()
	defer t.mu.Unlock()
	for len(t.rows) < j {
		var previous T
		if k := len(t.rows); k > 0 {
			previous = t.rows[k-1]
		}
		t.rows = append(t.rows, t.row(len(t.rows)+1, previous))
	}
	return t.rows[j-1]
}
