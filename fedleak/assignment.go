package fedleak

import (
	"fmt"
	"math"

	"github.com/redoubt-ml/redoubt/tensor"
)

// assign returns, for each row of a square matrix of costs, a column of its own such
// that the sum of the costs is least: the Hungarian method in the form of Jonker and
// Volgenant (Computing 1987), O(n³). It panics if the matrix is not square or a cost
// is NaN.
func assign(cost [][]float64) []int {
	n := len(cost)
	for i, row := range cost {
		if len(row) != n {
			panic(fmt.Sprintf("fedleak: Assign: row %d has %d costs, want %d", i, len(row), n))
		}
		for j, c := range row {
			if math.IsNaN(c) {
				panic(fmt.Sprintf("fedleak: Assign: cost %d, %d is NaN", i, j))
			}
		}
	}
	// Row n is the way in: each row in turn is matched along a shortest path.
	u, v := make([]float64, n+1), make([]float64, n+1)
	row := make([]int, n+1) // of a column; column n belongs to the row being matched
	for j := range row {
		row[j] = -1
	}
	for i := range n {
		row[n] = i
		least, from := make([]float64, n+1), make([]int, n+1)
		used := make([]bool, n+1)
		for j := range least {
			least[j] = math.Inf(1)
		}
		j := n
		for row[j] >= 0 {
			used[j] = true
			r, next, delta := row[j], -1, math.Inf(1)
			for k := range n {
				if used[k] {
					continue
				}
				if c := cost[r][k] - u[r] - v[k]; c < least[k] || from[k] == 0 && math.IsInf(least[k], 1) {
					least[k], from[k] = c, j
				}
				if next < 0 || least[k] < delta {
					delta, next = least[k], k
				}
			}
			for k := range n + 1 {
				if used[k] {
					u[row[k]] += delta
					v[k] -= delta
				} else {
					least[k] -= delta
				}
			}
			j = next
		}
		for j != n {
			row[j] = row[from[j]]
			j = from[j]
		}
	}
	out := make([]int, n)
	for j := range n {
		out[row[j]] = j
	}
	return out
}

// Match reorders n recovered samples, one tensor [n, H, W, C] per party, so that they
// fit the true ones best: for attacks that do not know which sample is which. It
// returns the reordered tensors and, for each true sample, the place of its match.
func Match(truth, guess []*tensor.Tensor) ([]*tensor.Tensor, []int) {
	n := truth[0].Dim(0)
	cost := make([][]float64, n)
	for i := range cost {
		cost[i] = make([]float64, n)
	}
	for p := range truth {
		_, size := pairs("Match", truth[p], guess[p])
		a, b := truth[p].Values(), guess[p].Values()
		for i := range n {
			for j := range n {
				for k := range size {
					d := a[i*size+k] - b[j*size+k]
					cost[i][j] += d * d
				}
			}
		}
	}
	order := assign(cost)
	out := make([]*tensor.Tensor, len(guess))
	for p, g := range guess {
		out[p] = tensor.Gather(g, order)
	}
	return out, order
}
