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

// transposeBlocks transposes a matrix of at least 8 rows and columns by blocks
// of 8 by 8 and says whether it did. The last block of an axis overlaps the one
// before it if need be.
func transposeBlocks(dst *float32, ldd int, src *float32, lds, rows, cols int) bool {
	if cpu.Active() < cpu.AVX2 || rows < 8 || cols < 8 {
		return false
	}
	at := func(p *float32, i int) *float32 { return (*float32)(unsafe.Add(unsafe.Pointer(p), 4*i)) }
	for i := 0; i < rows; i += 8 {
		i = min(i, rows-8)
		transpose8(at(dst, i), ldd, at(src, i*lds), lds, cols/8)
		if j := cols - 8; cols%8 != 0 {
			transpose8(at(dst, j*ldd+i), ldd, at(src, i*lds+j), lds, 1)
		}
	}
	return true
}

// splitRows runs SplitRows on whole panels and says whether it did.
func splitRows(dst *float32, step, width int, src *float32, lds, rows, panels int) bool {
	switch {
	case cpu.Active() < cpu.AVX2:
		return false
	case width == 16:
		splitRows64(dst, step, src, lds, rows, panels)
	case width == 32:
		splitRows128(dst, step, src, lds, rows, panels)
	default:
		return false
	}
	return true
}

// transposeNarrow transposes eight rows, of which only the first ldd are kept,
// by blocks of eight columns and says whether it did.
func transposeNarrow(dst *float32, ldd int, src *float32, lds, blocks int) bool {
	if cpu.Active() < cpu.AVX2 {
		return false
	}
	transpose8(dst, ldd, src, lds, blocks)
	return true
}

// copyNarrow copies a grid of rows of width elements, 8 or 16, of which only
// the first ldd are kept, and says whether it did.
func copyNarrow(dst *float32, ldd int, src *float32, step, inner, stride, outer, width int) bool {
	if cpu.Active() < cpu.AVX2 {
		return false
	}
	if width == 8 {
		narrowRows8(dst, ldd, src, step, inner, stride, outer)
	} else {
		narrowRows16(dst, ldd, src, step, inner, stride, outer)
	}
	return true
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
