package kernel

// Tile is a small matrix product with its sums held in registers: the one
// inner loop of matrix products and convolutions.
//
// For i < Rows and j < Cols it computes
//
//	C[i*LDC+j] = sum over k2 < K2, k1 < K1, k0 < K0 of
//	    A[i*RS + k0*KS + k1*A1 + k2*A2] * B[j + k0*B0 + k1*B1 + k2*B2]
//
// with all strides in elements, and then applies the epilogue. Three loops and
// free strides let one tile run over filter rows, image rows and images in
// place, and over packed, plain and transposed matrices alike.
type Tile[T Float] struct {
	A, B, C []T
	Bias    []T // added to every row; at least Cols long, or nil for none

	RS, KS     int
	K0, K1, K2 int
	A1, A2     int
	B0, B1, B2 int
	LDC        int

	Rows, Cols int  // at most MaxTile
	Accumulate bool // add the sums to C instead of overwriting it
	ReLU       bool // max(., 0) at the end; NaN stays NaN
	// Padded says that rows of B may be read up to the next multiple of the
	// narrow width of MaxTile: a packed last panel then runs at full speed.
	Padded bool

	// Count is the number of tiles of a run, 0 for one. Tile n has its A at
	// n*ANext and its C at n*CNext; B and the epilogue are those of all.
	Count        int
	ANext, CNext int
}

// MaxTile is the largest number of rows and columns of a Tile that runs in one
// piece at the active level, and the most columns for which a tile half as
// wide costs half as much.
func MaxTile[T Float]() (rows, cols, narrow int) {
	if single[T]() {
		if rows, cols, narrow = tileLimits(); rows > 0 {
			return rows, cols, narrow
		}
	}
	return 8, 32, 4
}

// Run computes the run of tiles. C must not overlap A or B.
func (t *Tile[T]) Run() {
	if t.K0 > 0 && t.K1 > 0 && t.K2 > 0 && t.Rows > 0 && t.Cols > 0 && single[T]() && runTile(t) {
		return
	}
	one := *t
	for n := range max(t.Count, 1) {
		t.pick(&one, n)
		one.plain()
	}
}

// RunRows computes the given number of rows as tiles of at most MaxTile rows that differ
// by at most one, in place of Rows, Count and the steps of a run. K0 is at least 1.
func (t *Tile[T]) RunRows(rows int) {
	if rows == 0 {
		return
	}
	most, _, _ := MaxTile[T]()
	tiles := (rows + most - 1) / most
	low, taller := rows/tiles, rows%tiles
	if taller > 0 {
		t.runOf(taller, low+1)
		t.A, t.C = t.A[taller*(low+1)*t.RS:], t.C[taller*(low+1)*t.LDC:]
	}
	t.runOf(tiles-taller, low)
}

// runOf computes a run of tiles of as many rows each, one below the other.
func (t *Tile[T]) runOf(tiles, rows int) {
	t.Count, t.Rows, t.ANext, t.CNext = tiles, rows, rows*t.RS, rows*t.LDC
	t.Run()
}

// pick points one, a copy of t, at tile n of the run.
func (t *Tile[T]) pick(one *Tile[T], n int) {
	one.A, one.C = t.A[n*t.ANext:], t.C[n*t.CNext:]
}

// plain computes one tile without vector instructions.
func (t *Tile[T]) plain() {
	i := 0
	for ; i+2 <= t.Rows; i += 2 {
		j := 0
		for ; j+4 <= t.Cols; j += 4 {
			t.block2x4(i, j)
		}
		for ; j < t.Cols; j++ {
			t.single(i, j)
			t.single(i+1, j)
		}
	}
	for ; i < t.Rows; i++ {
		for j := range t.Cols {
			t.single(i, j)
		}
	}
}

// block2x4 is two rows and four columns: as many sums as scalar registers
// hold beside their operands.
func (t *Tile[T]) block2x4(i, j int) {
	var s00, s01, s02, s03, s10, s11, s12, s13 T
	for k2 := range t.K2 {
		for k1 := range t.K1 {
			pa := i*t.RS + k1*t.A1 + k2*t.A2
			pb := j + k1*t.B1 + k2*t.B2
			for range t.K0 {
				b := t.B[pb : pb+4 : pb+4]
				a0, a1 := t.A[pa], t.A[pa+t.RS]
				s00 += a0 * b[0]
				s01 += a0 * b[1]
				s02 += a0 * b[2]
				s03 += a0 * b[3]
				s10 += a1 * b[0]
				s11 += a1 * b[1]
				s12 += a1 * b[2]
				s13 += a1 * b[3]
				pa += t.KS
				pb += t.B0
			}
		}
	}
	t.store(i, j, s00)
	t.store(i, j+1, s01)
	t.store(i, j+2, s02)
	t.store(i, j+3, s03)
	t.store(i+1, j, s10)
	t.store(i+1, j+1, s11)
	t.store(i+1, j+2, s12)
	t.store(i+1, j+3, s13)
}

func (t *Tile[T]) single(i, j int) {
	var s T
	for k2 := range t.K2 {
		for k1 := range t.K1 {
			pa := i*t.RS + k1*t.A1 + k2*t.A2
			pb := j + k1*t.B1 + k2*t.B2
			for range t.K0 {
				s += t.A[pa] * t.B[pb]
				pa += t.KS
				pb += t.B0
			}
		}
	}
	t.store(i, j, s)
}

// store applies the epilogue to one sum.
func (t *Tile[T]) store(i, j int, s T) {
	c := &t.C[i*t.LDC+j]
	if t.Accumulate {
		s += *c
	}
	if t.Bias != nil {
		s += t.Bias[j]
	}
	if t.ReLU {
		s = max(s, 0)
	}
	*c = s
}
