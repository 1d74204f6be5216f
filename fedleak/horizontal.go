package fedleak

import (
	"math"
	"slices"
)

// When the server sees no more than the mean over the clients, of whom each takes part
// with the same number of samples in every round, the gradients of Step I are
// determined up to a constant c_m for each client m with sum_m c_m = 0. ReLU settles
// the constants: unit j of the first dense layer is off for some samples of each
// client, whose gradients there are exactly 0, so that in column j one value comes
// again and again, and that is c_m[j].

// Columns in which that cannot be seen for two clients, of units that are always on,
// are left out: they become 0, and Step II does without them.

// settle finds the constants of each client and column and takes them out of g. All
// samples are known then, if a column is left and if the constants are all that the
// batches leave open.
func (w *work) settle(g *gradients, clients int) {
	n, d2 := g.v.Dims()
	if w.system.report.Rank != n-clients+1 || !balanced(w.batches, n, clients) {
		return
	}
	own := n / clients
	width := 0.0
	for _, d := range w.system.normal.inverseDiagonal() {
		width = math.Max(width, 6*g.sd*math.Sqrt(d))
	}
	settled := 0
	column, shift := make([]float64, own), make([]float64, clients)
	for j := range d2 {
		open, missing, sum := 0, 0, 0.0
		for c := range clients {
			for i := range column {
				column[i] = g.v.At(c*own+i, j)
			}
			value, count := mode(column, width)
			if count < max(2, own/10) {
				open, missing = c, missing+1
				continue
			}
			shift[c] = value
			sum += value
		}
		if missing == 1 {
			shift[open] = -sum
		}
		for i := range n {
			v := g.v.At(i, j) - shift[i/own]
			if missing > 1 {
				v = 0
			}
			g.v.Set(i, j, v)
		}
		if missing <= 1 {
			settled++
		}
	}
	if settled == 0 {
		return
	}
	for i := range w.known {
		w.known[i] = true
	}
	g.assess(w.system, w.known)
}

// balanced says whether every batch holds as many samples of each client: then, and
// only then, constants can move between clients, and with a rank of N - clients + 1
// they are all that the batches leave open.
func balanced(batches [][]int, n, clients int) bool {
	own := n / clients
	for _, b := range batches {
		count := make([]int, clients)
		for _, id := range b {
			count[id/own]++
		}
		for _, k := range count {
			if k != count[0] {
				return false
			}
		}
	}
	return true
}

// mode returns the mean of the largest group of values that lie within width of each
// other, and its size.
func mode(values []float64, width float64) (value float64, count int) {
	v := slices.Sorted(slices.Values(values))
	lo := 0
	for hi := range v {
		for v[hi]-v[lo] > width {
			lo++
		}
		if hi-lo+1 > count {
			count = hi - lo + 1
			value = 0
			for _, u := range v[lo : hi+1] {
				value += u
			}
			value /= float64(count)
		}
	}
	return value, count
}
