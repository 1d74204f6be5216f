package kernel

import (
	"math/rand/v2"
	"testing"
	"unsafe"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// guarded hands out slices that end where a page begins that must not be
// touched, so that reading or writing past an operand faults.
type guarded struct {
	t     *testing.T
	pages [][]byte
	next  int
}

const guardedBytes = 1 << 18

// newGuarded makes n areas that are lent in turn.
func newGuarded(t *testing.T, n int) *guarded {
	g := &guarded{t: t}
	page := unix.Getpagesize()
	for range n {
		b, err := unix.Mmap(-1, 0, guardedBytes+page, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_ANON|unix.MAP_PRIVATE)
		require.NoError(t, err)
		require.NoError(t, unix.Mprotect(b[guardedBytes:], unix.PROT_NONE))
		t.Cleanup(func() { _ = unix.Munmap(b) })
		g.pages = append(g.pages, b)
	}
	return g
}

func (g *guarded) floats(n int) []float32 {
	b := g.pages[g.next%len(g.pages)]
	g.next++
	require.LessOrEqual(g.t, 4*n, guardedBytes)
	if n == 0 {
		return nil
	}
	return unsafe.Slice((*float32)(unsafe.Pointer(&b[guardedBytes-4*n])), n)
}

func TestTileReadsNothingPastItsOperands(t *testing.T) {
	levels(t, func(t *testing.T) {
		rng := rand.New(rand.NewPCG(13, 13))
		g := newGuarded(t, 3)
		maxRows, maxCols, _ := MaxTile[float32]()
		for rows := 1; rows <= maxRows; rows++ {
			for cols := 1; cols <= maxCols; cols++ {
				k := rng.IntN(12)
				runTileCase(t, rng, rows, cols, k, 1+rng.IntN(2), 1+rng.IntN(2), rng.IntN(2) == 0, rng.IntN(2) == 0, rng.IntN(2) == 0, false, g.floats)
			}
		}
	})
}

func TestKernelsTouchNothingPastTheirOperands(t *testing.T) {
	levels(t, func(t *testing.T) {
		g := newGuarded(t, 6)
		for _, n := range lengths {
			d, a, b, c := g.floats(n), g.floats(n), g.floats(n), g.floats(n)
			for _, o := range unaryOps {
				Unary(o.op, d, a)
			}
			for _, o := range binaryOps {
				Binary(o.op, d, a, b)
				BinaryScalar(o.op, d, a, 2)
				ScalarBinary(o.op, d, 2, b)
				BinaryRow(o.op, d, a, b)
			}
			Affine(d, a, 1, 2)
			Axpy(d, 2, a)
			Clamp(d, a, 0, 1)
			Select(d, a, b, c)
			Fill(d, 0)
			for _, f := range []func([]float32) float32{Sum[float32], Max[float32], Min[float32], MaxAbs[float32]} {
				f(a)
			}
			Dot(a, b)
			SGD(d, a, b, 0.1, 0.9, 0.1, true)
			SGD(d, nil, b, 0.1, 0, 0.1, false)
			Adam(d, a, b, c, 0.1, 0.9, 0.99, 1e-8, 0, 0.1, 0.01, false)
			SignStep(d, a, b, 0.1, 0.2, 0, 1)
			for rows := range 4 {
				if rows*n == 0 || 4*rows*n > guardedBytes {
					continue
				}
				x, y := g.floats(rows*n), g.floats(rows*n)
				u, v := g.floats(n), g.floats(n)
				SumRows(u, x)
				MeanVar(u, v, x, n)
				ScaleShift(y, x, u, v, rows%2 == 0)
				Fill(x, 1)
				Fill(u, 1)
				x, y, z := g.floats(rows*n), g.floats(rows*n), g.floats(rows*n)
				u, v, w := g.floats(n), g.floats(n), g.floats(n)
				SumsForBatchNorm(u, v, x, y, w)
				BatchNormBackward(z, x, y, u, v, w)
				if n < 200 {
					Transpose2D(z, x, rows, n)
					SplitRows(g.floats(rows*((n+31)/32*32)), rows*32, 32, x, n, rows, n)
					SplitRows(g.floats(rows*((n+15)/16*16)), rows*16, 16, x, n, rows, n)
					PackRows(z, x, n, rows, n)
					PackCols(z, x, n, rows, n)
					PackGrid(g.floats(rows*n), x, n, 1, n, rows, n)
					PackGrid(g.floats(PackSize(rows, n)), x, n, rows, 0, 1, n)
					idx := make([]int32, n)
					w := Window{H: rows, W: 1, C: n, KH: rows, KW: 1, SH: rows, SW: 1, OH: 1, OW: 1}
					MaxPool(u, idx, x, w)
					MaxUnpool(x, u, idx, w)
					AvgPool(u, x, w, false)
					AvgPoolBackward(x, u, w, false)
				}
			}
			if n <= 256 {
				Transpose2D(g.floats(9*n), g.floats(9*n), 9, n)
				Transpose2D(g.floats(17*n), g.floats(17*n), n, 17)
			}
		}
	})
}

func TestTransformsTouchNothingElse(t *testing.T) {
	levels(t, func(t *testing.T) {
		g := newGuarded(t, 3)
		for _, w := range allTransforms {
			to, from := w.Sizes()
			w.Apply(g.floats(to*to*32), to*32, 32, g.floats(from*from*32), from*32, 32, g.floats(TransformScratch), 32)
		}
	})
}
