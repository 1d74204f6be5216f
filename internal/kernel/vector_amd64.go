//go:build !purego

package kernel

import (
	"unsafe"

	"github.com/redoubt-ml/redoubt/internal/cpu"
)

//go:generate go run -C asmgen . -out ..

func tileLimits() (rows, cols, narrow int) {
	switch cpu.Active() {
	case cpu.AVX512:
		return 14, 32, 16
	case cpu.AVX2:
		return 6, 16, 8
	}
	return 0, 0, 0
}

// runTile runs t, of float32, on the vector unit if there is one and one of
// A's strides is one.
func runTile[T Float](t *Tile[T]) bool {
	f := (*Tile[float32])(unsafe.Pointer(t))
	level := cpu.Active()
	switch {
	case level < cpu.AVX2 || f.RS != 1 && f.KS != 1:
		return false
	case level == cpu.AVX512 && f.RS == 1:
		tileRowUnitAVX512(f)
	case level == cpu.AVX512:
		tileStepUnitAVX512(f)
	case f.RS == 1:
		tileRowUnitAVX2(f)
	default:
		tileStepUnitAVX2(f)
	}
	return true
}

// transposeBlocks transposes as many rows and columns as come in eights and
// returns how many those are.
func transposeBlocks(dst *float32, ldd int, src *float32, lds, rows, cols int) (doneRows, doneCols int) {
	if cpu.Active() < cpu.AVX2 || rows < 8 || cols < 8 {
		return 0, 0
	}
	for i := 0; i+8 <= rows; i += 8 {
		d := (*float32)(unsafe.Add(unsafe.Pointer(dst), 4*i))
		s := (*float32)(unsafe.Add(unsafe.Pointer(src), 4*i*lds))
		transpose8(d, ldd, s, lds, cols/8)
	}
	return rows &^ 7, cols &^ 7
}

// PeakLoop executes n*flops floating-point operations that depend on memory
// and on one another as little as can be, and returns flops; benchmarks
// measure against it. It returns 0 at a level without vectors.
func PeakLoop(n int) (flops int) {
	switch cpu.Active() {
	case cpu.AVX512:
		peakAVX512(n)
		return 48 * 16 * 2
	case cpu.AVX2:
		peakAVX2(n)
		return 48 * 8 * 2
	}
	return 0
}
