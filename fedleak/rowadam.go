package fedleak

import "math"

// rowAdam is Adam (Kingma and Ba, ICLR 2015) for a table of which each step changes
// some rows: moments and the number of steps belong to the row.
type rowAdam struct {
	LR float64
	// Eps is added to the root of the second moment; 0 means 1e-7.
	Eps float64
	// Released corrects the bias twice, and by the number of the step instead of
	// the row's, as the code released for CAFE does.
	Released bool

	mean, square []float64
	count        []int // steps of each row
	step         int
}

// Step moves rows, by their numbers, of a table of n rows against their gradients,
// which follow each other in grad. All steps must be given the same table.
func (a *rowAdam) Step(table []float64, n int, rows []int, grad []float64) {
	if a.mean == nil {
		a.mean, a.square, a.count = make([]float64, len(table)), make([]float64, len(table)), make([]int, n)
	}
	const b1, b2 = 0.9, 0.999
	width := len(table) / n
	a.step++
	for i, r := range rows {
		a.count[r]++
		t := a.count[r]
		lr := a.LR
		if a.Released {
			t = a.step
			lr *= math.Sqrt(1-math.Pow(b2, float64(t))) / (1 - math.Pow(b1, float64(t)))
		}
		c1, c2 := 1-math.Pow(b1, float64(t)), 1-math.Pow(b2, float64(t))
		for j := range width {
			k, g := r*width+j, grad[i*width+j]
			a.mean[k] = b1*a.mean[k] + (1-b1)*g
			a.square[k] = b2*a.square[k] + (1-b2)*g*g
			table[k] -= lr * a.mean[k] / c1 / (math.Sqrt(a.square[k]/c2) + defaultFloat(a.Eps, 1e-7))
		}
	}
}
