//go:build !amd64 || purego

package kernel

func transposeBlocks(dst *float32, ldd int, src *float32, lds, rows, cols int) bool {
	return false
}

func splitRows(dst *float32, step, width int, src *float32, lds, rows, panels int) bool {
	return false
}

func transposeNarrow(dst *float32, ldd int, src *float32, lds, blocks int) bool { return false }

func copyNarrow(dst *float32, ldd int, src *float32, step, inner, stride, outer, width int) bool {
	return false
}

// PeakLoop returns 0: there is no vector unit to measure.
func PeakLoop(n int) (flops int) { return 0 }
