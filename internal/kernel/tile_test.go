package kernel

import (
	"math"
	"math/rand/v2"
	"testing"
	"unsafe"

	"github.com/redoubt-ml/redoubt/internal/cpu"
	"github.com/stretchr/testify/require"
)

// runTileCase fills a tile of the given size with random operands that end
// where end says, and compares it with float64 loops.
func runTileCase(t *testing.T, rng *rand.Rand, rows, cols, k0, k1, k2 int, unit, accumulate, bias, relu bool, operand func(n int) []float32) {
	tl := Tile[float32]{
		Rows: rows, Cols: cols, K0: k0, K1: k1, K2: k2, RS: 1, KS: rows + rng.IntN(3),
		B0: cols + rng.IntN(3), LDC: cols + rng.IntN(4), Accumulate: accumulate, ReLU: relu,
	}
	if !unit {
		tl.KS = 1 + rng.IntN(8)/7
		tl.RS = tl.KS*k0 + rng.IntN(3)
	}
	tl.A1, tl.A2 = 3, 5+rng.IntN(4)
	tl.B1, tl.B2 = k0*tl.B0+rng.IntN(3), 2
	extent := func(steps ...int) int {
		n := 1
		for i := 0; i < len(steps); i += 2 {
			n += max(steps[i]-1, 0) * steps[i+1]
		}
		return n
	}
	if rng.IntN(3) == 0 {
		_, _, narrow := MaxTile[float32]()
		tl.Padded = true
		tl.B0 = (cols + narrow - 1) / narrow * narrow
		tl.B1 = k0 * tl.B0
	}
	na := extent(rows, tl.RS, k0, tl.KS, k1, tl.A1, k2, tl.A2)
	size := extent(rows, tl.LDC, cols, 1)
	count := 1
	if rng.IntN(3) == 0 {
		count = 1 + rng.IntN(3)
		tl.Count, tl.ANext, tl.CNext = count, rng.IntN(7), size+rng.IntN(3)
		na += (count - 1) * tl.ANext
	}
	width := cols
	if tl.Padded {
		width = tl.B0
	}
	nb := extent(width, 1, k0, tl.B0, k1, tl.B1, k2, tl.B2)
	tl.A, tl.B = operand(na), operand(nb)
	for i := range tl.A {
		tl.A[i] = float32(rng.IntN(17) - 8)
	}
	for i := range tl.B {
		tl.B[i] = float32(rng.IntN(17)-8) / 4
	}
	if bias {
		tl.Bias = operand(cols)
		for j := range tl.Bias {
			tl.Bias[j] = float32(j) / 8
		}
	}
	c := frame[float32](size+(count-1)*tl.CNext, 3)
	was := append([]float32(nil), c.data...)
	tl.C = c.data
	tl.Run()
	c.intact(t, "Tile")
	for at := range c.data {
		n, from := 0, at
		if tl.Count > 0 {
			n, from = at/tl.CNext, at%tl.CNext
		}
		i, j := from/tl.LDC, from%tl.LDC
		if i >= rows || j >= cols {
			require.EqualValues(t, canary, c.data[at], "wrote between rows")
			continue
		}
		// Small integers and quarters: every order of additions is exact.
		var s float64
		for p2 := range k2 {
			for p1 := range k1 {
				for p0 := range k0 {
					s += float64(tl.A[n*tl.ANext+i*tl.RS+p0*tl.KS+p1*tl.A1+p2*tl.A2]) * float64(tl.B[j+p0*tl.B0+p1*tl.B1+p2*tl.B2])
				}
			}
		}
		if accumulate {
			s += float64(was[at])
		}
		if bias {
			s += float64(tl.Bias[j])
		}
		if relu {
			s = max(s, 0)
		}
		if float64(c.data[at]) != s {
			t.Fatalf("tile %d of %d, rows %d cols %d k %d %d %d unit %v accumulate %v bias %v relu %v: C[%d,%d] = %v, want %v",
				n, count, rows, cols, k0, k1, k2, unit, accumulate, bias, relu, i, j, c.data[at], s)
		}
	}
}

func TestTileOfEverySize(t *testing.T) {
	plain := func(n int) []float32 { return make([]float32, n) }
	levels(t, func(t *testing.T) {
		rng := rand.New(rand.NewPCG(12, 12))
		maxRows, maxCols, _ := MaxTile[float32]()
		for rows := 1; rows <= maxRows; rows++ {
			for cols := 1; cols <= maxCols; cols++ {
				flags := rng.IntN(16)
				for _, k := range []int{0, 1, 2, 3, 7, 16, 40} {
					flags++
					k1, k2 := 1, 1
					if k < 8 {
						k1, k2 = 1+rng.IntN(3), 1+rng.IntN(3)
					}
					runTileCase(t, rng, rows, cols, k, k1, k2, flags&1 != 0, flags&2 != 0, flags&4 != 0, flags&8 != 0, plain)
				}
			}
		}
		for _, cols := range []int{1, maxCols - 1, maxCols} {
			for k := range 41 {
				for flags := range 16 {
					runTileCase(t, rng, maxRows, cols, k, 1, 1, flags&1 != 0, flags&2 != 0, flags&4 != 0, flags&8 != 0, plain)
				}
			}
			for k := 255; k <= 258; k++ {
				runTileCase(t, rng, maxRows, cols, k, 1, 1, k&1 != 0, false, false, false, plain)
			}
		}
	})
}

func TestTileKeepsNaN(t *testing.T) {
	levels(t, func(t *testing.T) {
		nan := float32(math.NaN())
		c := []float32{0}
		tl := Tile[float32]{A: []float32{nan}, B: []float32{0}, C: c, Rows: 1, Cols: 1, K0: 1, K1: 1, K2: 1, ReLU: true}
		tl.Run()
		require.True(t, c[0] != c[0])
	})
}

func BenchmarkTile(b *testing.B) {
	for _, l := range []cpu.Level{cpu.Generic, cpu.AVX2, cpu.AVX512} {
		restore := cpu.Force(l)
		if cpu.Active() == l {
			rows, cols, _ := MaxTile[float32]()
			const k = 256
			x, y, z := make([]float32, rows*k), make([]float32, cols*k), make([]float32, rows*cols)
			peak := 0.0
			if l != cpu.Generic {
				b.Run(l.String()+"/peak", func(b *testing.B) {
					flops := 0
					for b.Loop() {
						flops = PeakLoop(100)
					}
					peak = float64(flops) * 100 * float64(b.N) / b.Elapsed().Seconds() / 1e9
					b.ReportMetric(peak, "GFLOP/s")
				})
			}
			for name, tl := range map[string]Tile[float32]{
				"packed":   {RS: 1, KS: rows, B0: cols, Cols: cols, Rows: rows},
				"plain":    {RS: k, KS: 1, B0: cols, Cols: cols, Rows: rows},
				"edge":     {RS: 1, KS: rows, B0: cols, Cols: cols - 1, Rows: rows},
				"narrow":   {RS: 1, KS: rows, B0: cols, Cols: cols / 2, Rows: rows},
				"halftall": {RS: k, KS: 1, B0: cols, Cols: cols, Rows: (rows + 1) / 2},
			} {
				tl.A, tl.B, tl.C, tl.K0, tl.K1, tl.K2, tl.LDC = x, y, z, k, 1, 1, cols
				b.Run(l.String()+"/"+name, func(b *testing.B) {
					for b.Loop() {
						tl.Run()
					}
					rate := 2 * float64(tl.Rows*tl.Cols*k) * float64(b.N) / b.Elapsed().Seconds() / 1e9
					b.ReportMetric(rate, "GFLOP/s")
					if peak > 0 {
						b.ReportMetric(rate/peak, "of-peak")
					}
				})
			}
		}
		restore()
	}
}

func TestTileLayoutIsWhatTheAssemblerReads(t *testing.T) {
	var tl Tile[float32]
	require.EqualValues(t, 72, unsafe.Offsetof(tl.Bias))
	require.EqualValues(t, 96, unsafe.Offsetof(tl.RS))
	require.EqualValues(t, 112, unsafe.Offsetof(tl.K0))
	require.EqualValues(t, 136, unsafe.Offsetof(tl.A1))
	require.EqualValues(t, 152, unsafe.Offsetof(tl.B0))
	require.EqualValues(t, 176, unsafe.Offsetof(tl.LDC))
	require.EqualValues(t, 192, unsafe.Offsetof(tl.Cols))
	require.EqualValues(t, 201, unsafe.Offsetof(tl.ReLU))
	require.EqualValues(t, 202, unsafe.Offsetof(tl.Padded))
	require.EqualValues(t, 208, unsafe.Offsetof(tl.Count))
	require.EqualValues(t, 216, unsafe.Offsetof(tl.ANext))
	require.EqualValues(t, 224, unsafe.Offsetof(tl.CNext))
}
