//go:build (!amd64 && !arm64) || purego

package kernel

func tileLimits() (rows, cols, narrow int) { return 0, 0, 0 }

func runTile[T Float](t *Tile[T]) bool { return false }
