//go:build !amd64 || purego

package kernel

func tileLimits() (rows, cols, narrow int) { return 0, 0, 0 }

func runTile[T Float](t *Tile[T]) bool { return false }

func transposeBlocks(dst *float32, ldd int, src *float32, lds, rows, cols int) bool {
	return false
}

// PeakLoop returns 0: there is no vector unit to measure.
func PeakLoop(n int) (flops int) { return 0 }
