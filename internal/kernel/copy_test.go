package kernel

import (
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestSplitRowsCutsIntoPanels(t *testing.T) {
	levels(t, func(t *testing.T) {
		rng := rand.New(rand.NewPCG(21, 21))
		for range 300 {
			width := []int{8, 16, 32}[rng.IntN(3)]
			rows, cols := rng.IntN(20), 1+rng.IntN(90)
			lds, panels := cols+rng.IntN(5), (cols+width-1)/width
			step := rows*width + rng.IntN(20)
			src := make([]float32, max(0, (rows-1)*lds+cols)+rng.IntN(40))
			for i := range src {
				src[i] = rng.Float32()
			}
			dst := frame[float32](panels*step+1, 3)
			SplitRows(dst.data, step, width, src, lds, rows, cols)
			dst.intact(t, "SplitRows")
			for p := range panels {
				for i := range step {
					got := dst.data[p*step+i]
					if i >= rows*width {
						require.EqualValues(t, canary, got, "wrote between panels")
					} else if j := p*width + i%width; j < cols {
						require.Equal(t, src[i/width*lds+j], got, "rows %d cols %d width %d lds %d", rows, cols, width, lds)
					}
				}
			}
		}
	})
}

func TestPackingKeepsEveryElement(t *testing.T) {
	levels(t, func(t *testing.T) {
		rng := rand.New(rand.NewPCG(22, 22))
		for range 600 {
			rows, cols := 1+rng.IntN(40), 1+rng.IntN(17)
			room := rng.IntN(2) * (PackSize(rows, cols) - rows*cols)
			lds := cols + rng.IntN(5)
			src := make([]float32, (rows-1)*lds+cols+rng.IntN(9*lds))
			for i := range src {
				src[i] = rng.Float32()
			}
			dst := frame[float32](rows*cols+room, 3)
			PackRows(dst.data, src, lds, rows, cols)
			dst.intact(t, "PackRows")
			for i := range rows * cols {
				require.Equal(t, src[i/cols*lds+i%cols], dst.data[i], "PackRows %dx%d", rows, cols)
			}

			outer, stride := 1+rng.IntN(4), rng.IntN(3*lds)
			grid := make([]float32, (outer-1)*stride+len(src))
			for i := range grid {
				grid[i] = rng.Float32()
			}
			dst = frame[float32](outer*rows*cols+min(room, slack), 3)
			PackGrid(dst.data, grid, lds, rows, stride, outer, cols)
			dst.intact(t, "PackGrid")
			for i := range outer * rows * cols {
				o, r := i/(rows*cols), i/cols%rows
				require.Equal(t, grid[o*stride+r*lds+i%cols], dst.data[i], "PackGrid %dx%dx%d", outer, rows, cols)
			}

			rows, cols = cols, rows
			lds = cols + rng.IntN(5)
			src = make([]float32, (rows-1)*lds+cols+rng.IntN(9*lds))
			for i := range src {
				src[i] = rng.Float32()
			}
			dst = frame[float32](rows*cols+room, 3)
			PackCols(dst.data, src, lds, rows, cols)
			dst.intact(t, "PackCols")
			for i := range rows * cols {
				require.Equal(t, src[i%rows*lds+i/rows], dst.data[i], "PackCols %dx%d", rows, cols)
			}
		}
	})
}
