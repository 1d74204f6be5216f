//go:build !purego

package kernel

import (
	"unsafe"

	"github.com/redoubt-ml/redoubt/internal/cpu"
)

const neonRows, neonCols = 6, 16

func tileLimits() (rows, cols, narrow int) {
	if cpu.Active() == cpu.NEON {
		return neonRows, neonCols, neonCols / 2
	}
	return 0, 0, 0
}

// runTile runs t, of float32, on the vector unit if its rows of B can be read
// in whole vectors.
func runTile[T Float](t *Tile[T]) bool {
	f := (*Tile[float32])(unsafe.Pointer(t))
	whole := f.Cols == neonCols || f.Cols == neonCols/2
	if cpu.Active() != cpu.NEON || !whole && !f.Padded {
		return false
	}
	one := *f
	for n := range max(f.Count, 1) {
		f.pick(&one, n)
		if whole && !f.ReLU {
			runNEON(&one)
		} else {
			runEdge(&one)
		}
	}
	return true
}

// runEdge computes a tile with an edge or with ReLU, which kernels do not know: it
// takes a way round.
func runEdge(f *Tile[float32]) {
	var sums [neonRows * neonCols]float32
	var bias [neonCols]float32
	edge := *f
	edge.C, edge.LDC = sums[:], neonCols
	edge.Cols = (f.Cols + neonCols/2 - 1) / (neonCols / 2) * (neonCols / 2)
	if f.Bias != nil {
		copy(bias[:], f.Bias[:f.Cols])
		edge.Bias = bias[:]
	}
	if f.Accumulate {
		CopyRows(edge.C, neonCols, f.C, f.LDC, f.Rows, f.Cols)
	}
	runNEON(&edge)
	for i := range f.Rows {
		row := f.C[i*f.LDC:][:f.Cols]
		for j := range row {
			row[j] = sums[i*neonCols+j]
			if f.ReLU {
				row[j] = max(row[j], 0)
			}
		}
	}
}

func runNEON(t *Tile[float32]) {
	if t.Cols > neonCols/2 {
		tileNEON4(t)
	} else {
		tileNEON2(t)
	}
}
