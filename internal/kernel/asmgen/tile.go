package main

import "fmt"

// Offsets of the fields of kernel.Tile[float32]; a test in package kernel
// compares them with the compiler's.
const (
	tileA          = 0
	tileB          = 24
	tileC          = 48
	tileBias       = 72
	tileRS         = 96
	tileKS         = 104
	tileK0         = 112
	tileK1         = 120
	tileK2         = 128
	tileA1         = 136
	tileA2         = 144
	tileB0         = 152
	tileB1         = 160
	tileB2         = 168
	tileLDC        = 176
	tileCols       = 192
	tileAccumulate = 200
	tileReLU       = 201
)

// maxRows is the tallest tile: all registers but those for two vectors of B
// and the broadcast elements of A hold sums.
func maxRows(v isa) int {
	if v.wide() {
		return 14
	}
	return 6
}

// tiles emits one kernel for every number of rows, one and two vectors wide.
func tiles(v isa, s *stubs) *file {
	f := newAsm("tile_" + v.file + "_amd64.s")
	for vecs := 1; vecs <= 2; vecs++ {
		for rows := 1; rows <= maxRows(v); rows++ {
			tile(f, v, rows, vecs)
			s.declare(tileName(v, rows, vecs), "t *Tile[float32]")
		}
	}
	peak(f, v)
	s.declare("peak"+v.suffix, "n int")
	d := &s.dispatch.b
	fmt.Fprintf(d, "func tile%s(t *Tile[float32]) {\n\tif t.Cols > %d {\n", v.suffix, v.lanes)
	for vecs := 2; vecs >= 1; vecs-- {
		fmt.Fprintf(d, "\t\tswitch t.Rows {\n")
		for rows := 1; rows <= maxRows(v); rows++ {
			fmt.Fprintf(d, "\t\tcase %d:\n\t\t\t%s(t)\n", rows, tileName(v, rows, vecs))
		}
		fmt.Fprintf(d, "\t\t}\n")
		if vecs == 2 {
			fmt.Fprintf(d, "\t\treturn\n\t}\n")
		}
	}
	fmt.Fprintf(d, "}\n\n")
	return f
}

func tileName(v isa, rows, vecs int) string { return fmt.Sprintf("tile%dx%d%s", rows, vecs, v.suffix) }

// tile emits the kernel for one height and width.
//
// R8 to R11 point at rows 0, 4, 8 and 12 of A; the rows between are reached by
// R12 (row stride) and R13 (three times that). BX is A's step, SI points into
// B and DI is its step; CX, DX and R14 count the three loops. R15 moves A
// from the end of an inner loop to the start of the next.
func tile(f *file, v isa, rows, vecs int) {
	bases := []string{"R8", "R9", "R10", "R11"}[:(rows+3)/4]
	sum := func(i, j int) string { return v.reg(i*vecs + j) }
	next := rows * vecs
	b := make([]string, vecs)
	for j := range b {
		b[j] = v.reg(next)
		next++
	}
	temps := []string{v.reg(next)}
	// A full AVX2 tile gives its second temporary to the column mask.
	var mask string
	if v.wide() {
		mask = "K1"
		temps = append(temps, v.reg(next+1))
	} else {
		mask = v.reg(v.regs - 1)
		if next+1 < v.regs-1 {
			temps = append(temps, v.reg(next+1))
		}
	}

	f.function(tileName(v, rows, vecs), 24, 8)
	f.in("MOVQ", "t+0(FP)", "AX")
	columnMask(f, v, vecs, mask)
	load := func(off int, reg string) { f.in("MOVQ", mem(off, "AX"), reg) }
	load(tileRS, "R12")
	load(tileKS, "BX")
	load(tileB0, "DI")
	load(tileK0, "CX")
	load(tileK1, "DX")
	load(tileK2, "R14")
	f.in("SHLQ", "$2", "R12")
	f.in("SHLQ", "$2", "BX")
	f.in("SHLQ", "$2", "DI")
	f.in("LEAQ", indexed("R12", "R12", 2), "R13")
	// What takes a pointer from the end of one loop to its next start.
	back := func(outer, count, inner int, to string) {
		load(count, "R8")
		f.in("IMULQ", mem(inner, "AX"), "R8")
		load(outer, "R15")
		f.in("SUBQ", "R8", "R15")
		f.in("SHLQ", "$2", "R15")
		if to != "R15" {
			f.in("MOVQ", "R15", to)
		}
	}
	back(tileB1, tileK0, tileB0, "back1-8(SP)")
	back(tileB2, tileK1, tileB1, "back2-16(SP)")
	back(tileA2, tileK1, tileA1, "back3-24(SP)")
	back(tileA1, tileK0, tileKS, "R15")
	load(tileA, "R8")
	load(tileB, "SI")
	for i := 1; i < len(bases); i++ {
		f.in("LEAQ", indexed(bases[i-1], "R12", 4), bases[i])
	}
	for i := range rows {
		for j := range vecs {
			zero(f, v, sum(i, j))
		}
	}
	full, epilogue := f.label("full"), f.label("epilogue")
	f.in("CMPQ", mem(tileCols, "AX"), imm(v.lanes*vecs))
	f.in("JEQ", full)
	for _, masked := range []bool{true, false} {
		t := temps
		if !masked {
			f.mark(full)
			if !v.wide() && len(temps) == 1 {
				t = []string{temps[0], mask}
			}
		}
		inner := f.label("loop")
		f.mark(inner)
		for j := range b {
			at := mem(j*v.bytes(), "SI")
			if masked && j == vecs-1 {
				loadMasked(f, v, at, mask, b[j])
			} else {
				f.in("VMOVUPS", at, b[j])
			}
		}
		f.in("ADDQ", "DI", "SI")
		for i := range rows {
			base := bases[i/4]
			at := [4]string{mem(0, base), indexed(base, "R12", 1), indexed(base, "R12", 2), indexed(base, "R13", 1)}[i%4]
			a := t[i%len(t)]
			f.in("VBROADCASTSS", at, a)
			for j := range b {
				f.in("VFMADD231PS", b[j], a, sum(i, j))
			}
			if i%4 == 3 || i == rows-1 {
				f.in("ADDQ", "BX", base)
			}
		}
		f.in("DECQ", "CX")
		f.in("JNZ", inner)
		again := func(counter, a, bOff string) {
			for _, r := range bases {
				f.in("ADDQ", a, r)
			}
			f.in("ADDQ", bOff, "SI")
			load(tileK0, "CX")
			f.in("DECQ", counter)
			f.in("JNZ", inner)
		}
		again("DX", "R15", "back1-8(SP)")
		load(tileK1, "DX")
		again("R14", "back3-24(SP)", "back2-16(SP)")
		if masked {
			f.in("JMP", epilogue)
		}
	}
	if !v.wide() {
		// The unmasked loop has used the mask's register as a temporary.
		columnMask(f, v, vecs, mask)
	}
	f.mark(epilogue)
	tileEpilogue(f, v, rows, vecs, sum, b, temps[0], mask)
	f.done()
}

// tileEpilogue adds what the flags ask for and stores the sums.
func tileEpilogue(f *file, v isa, rows, vecs int, sum func(i, j int) string, b []string, temp, mask string) {
	f.in("MOVQ", mem(tileLDC, "AX"), "R9")
	f.in("SHLQ", "$2", "R9")
	edge := func(j int) bool { return j == vecs-1 }
	noAccumulate, noBias, noReLU := f.label("plain"), f.label("unbiased"), f.label("linear")
	f.in("CMPB", mem(tileAccumulate, "AX"), "$0")
	f.in("JEQ", noAccumulate)
	f.in("MOVQ", mem(tileC, "AX"), "R8")
	for i := range rows {
		for j := range vecs {
			at := mem(j*v.bytes(), "R8")
			if edge(j) {
				loadMasked(f, v, at, mask, temp)
				f.in("VADDPS", temp, sum(i, j), sum(i, j))
			} else {
				f.in("VADDPS", at, sum(i, j), sum(i, j))
			}
		}
		if i < rows-1 {
			f.in("ADDQ", "R9", "R8")
		}
	}
	f.mark(noAccumulate)
	f.in("MOVQ", mem(tileBias, "AX"), "R8")
	f.in("TESTQ", "R8", "R8")
	f.in("JEQ", noBias)
	for j := range vecs {
		at := mem(j*v.bytes(), "R8")
		if edge(j) {
			loadMasked(f, v, at, mask, b[j])
		} else {
			f.in("VMOVUPS", at, b[j])
		}
		for i := range rows {
			f.in("VADDPS", b[j], sum(i, j), sum(i, j))
		}
	}
	f.mark(noBias)
	f.in("CMPB", mem(tileReLU, "AX"), "$0")
	f.in("JEQ", noReLU)
	zero(f, v, temp)
	for i := range rows {
		for j := range vecs {
			// VMAXPS returns its first operand here when the other is NaN.
			f.in("VMAXPS", sum(i, j), temp, sum(i, j))
		}
	}
	f.mark(noReLU)
	f.in("MOVQ", mem(tileC, "AX"), "R8")
	for i := range rows {
		for j := range vecs {
			at := mem(j*v.bytes(), "R8")
			if edge(j) {
				storeMasked(f, v, sum(i, j), mask, at)
			} else {
				f.in("VMOVUPS", sum(i, j), at)
			}
		}
		if i < rows-1 {
			f.in("ADDQ", "R9", "R8")
		}
	}
}

// columnMask makes the mask of the last vector's columns from Tile.Cols. It
// uses CX and R11 on AVX-512, R10 and R11 on AVX2, where tiles have two bases.
func columnMask(f *file, v isa, vecs int, mask string) {
	if v.wide() {
		f.in("MOVQ", mem(tileCols, "AX"), "CX")
		f.in("SUBQ", imm(v.lanes*(vecs-1)), "CX")
		f.in("MOVQ", "$-1", "R11")
		f.in("SHLQ", "CX", "R11")
		f.in("NOTQ", "R11")
		f.in("KMOVW", "R11", mask)
		return
	}
	f.in("MOVQ", mem(tileCols, "AX"), "R11")
	f.in("NEGQ", "R11")
	f.in("LEAQ", "·laneMask(SB)", "R10")
	f.in("VMOVUPS", fmt.Sprintf("%d(R10)(R11*4)", 4*v.lanes*vecs), mask)
}

func zero(f *file, v isa, reg string) {
	if v.wide() {
		f.in("VPXORD", reg, reg, reg)
	} else {
		f.in("VXORPS", reg, reg, reg)
	}
}

func loadMasked(f *file, v isa, at, mask, reg string) {
	if v.wide() {
		f.in("VMOVUPS.Z", at, mask, reg)
	} else {
		f.in("VMASKMOVPS", at, mask, reg)
	}
}

func storeMasked(f *file, v isa, reg, mask, at string) {
	if v.wide() {
		f.in("VMOVUPS", reg, mask, at)
	} else {
		f.in("VMASKMOVPS", reg, mask, at)
	}
}

// peak emits a loop of independent fused multiply-adds, 48 vectors
// for each count of n, against which kernels are measured.
func peak(f *file, v isa) {
	f.function("peak"+v.suffix, 0, 8)
	f.in("MOVQ", "n+0(FP)", "CX")
	for i := range 16 {
		zero(f, v, v.reg(i))
	}
	loop := f.label("loop")
	f.mark(loop)
	for range 4 {
		for i := range 12 {
			f.in("VFMADD231PS", v.reg(12), v.reg(13), v.reg(i))
		}
	}
	f.in("DECQ", "CX")
	f.in("JNZ", loop)
	f.done()
}
