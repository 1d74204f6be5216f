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
	tilePadded     = 202
	tileCount      = 208
	tileANext      = 216
	tileCNext      = 224
)

// maxRows is the tallest tile: all registers but those for two vectors of B
// and the broadcast elements of A hold sums.
func maxRows(v isa) int {
	if v.wide() {
		return 14
	}
	return 6
}

// form says which stride of A a kernel takes to be one.
type form int

const (
	rowUnit  form = iota // RS = 1: packed and transposed A
	stepUnit             // KS = 1: plain A, images
)

// unroll is the number of steps of the innermost loop that share the updates
// of pointers: scalar instructions compete with FMAs for two of their ports.
const unroll = 4

// tiles emits one kernel for every form, number of rows and width.
func tiles(v isa, s *stubs) *file {
	f := newAsm("tile_" + v.file + "_amd64.s")
	d := &s.dispatch.b
	for _, fm := range []form{rowUnit, stepUnit} {
		fmt.Fprintf(d, "func %s(t *Tile[float32]) {\n", tileName(v, fm, 0, 0))
		for vecs := 2; vecs >= 1; vecs-- {
			if vecs == 2 {
				fmt.Fprintf(d, "\tif t.Cols > %d {\n", v.lanes)
			}
			fmt.Fprintf(d, "\t\tswitch t.Rows {\n")
			for rows := 1; rows <= maxRows(v); rows++ {
				name := tileName(v, fm, rows, vecs)
				tile(f, v, fm, rows, vecs)
				s.declare(name, "t *Tile[float32]")
				fmt.Fprintf(d, "\t\tcase %d:\n\t\t\t%s(t)\n", rows, name)
			}
			fmt.Fprintf(d, "\t\t}\n")
			if vecs == 2 {
				fmt.Fprintf(d, "\t\treturn\n\t}\n")
			}
		}
		fmt.Fprintf(d, "}\n\n")
	}
	peak(f, v)
	s.declare("peak"+v.suffix, "n int")
	return f
}

// tileName is the name of a kernel, or, with rows = 0, of the function that
// chooses among them.
func tileName(v isa, fm form, rows, vecs int) string {
	name := "tile" + [...]string{rowUnit: "RowUnit", stepUnit: "StepUnit"}[fm]
	if rows > 0 {
		name += fmt.Sprintf("%dx%d", rows, vecs)
	}
	return name + v.suffix
}

// tile emits the kernel for one form, height and width.
//
// SI points into B and DI is its step; CX, DX and R14 count the three loops.
// In the row-unit form R8 points into A, R12 is its step and R13 three times
// that. In the step-unit form R8 to R11 point at rows 0, 4, 8 and 12, the rows
// between are reached by R12 (row stride) and R13 (three times that). BX is
// three times DI, or, in loops of single steps, not used. R15 moves A from the
// end of an inner loop to the start of the next. Where A and C of the tile at hand
// begin, and how many tiles are left, is on the stack.
func tile(f *file, v isa, fm form, rows, vecs int) {
	bases := []string{"R8"}
	if fm == stepUnit {
		bases = []string{"R8", "R9", "R10", "R11"}[:(rows+3)/4]
	}
	sum := func(i, j int) string { return v.reg(i*vecs + j) }
	next := rows * vecs
	b := make([]string, vecs)
	for j := range b {
		b[j] = v.reg(next)
		next++
	}
	temps := []string{v.reg(next)}
	// A full AVX2 tile lends its second temporary to the column mask.
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

	f.function(tileName(v, fm, rows, vecs), 48, 8)
	f.in("MOVQ", "t+0(FP)", "AX")
	columnMask(f, v, vecs, mask)
	load := func(off int, reg string) { f.in("MOVQ", mem(off, "AX"), reg) }
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
	if fm == rowUnit {
		load(tileKS, "R12")
	} else {
		load(tileRS, "R12")
	}
	f.in("SHLQ", "$2", "R12")
	f.in("LEAQ", indexed("R12", "R12", 2), "R13")
	for _, v := range []struct {
		field int
		slot  string
	}{{tileCount, tilesLeft}, {tileA, atA}, {tileC, atC}} {
		load(v.field, "R8")
		f.in("MOVQ", "R8", v.slot)
	}
	start := f.label("tile")
	f.mark(start)
	prefetchTile(f, v, rows, vecs)
	load(tileB0, "DI")
	load(tileK1, "DX")
	load(tileK2, "R14")
	f.in("MOVQ", atA, "R8")
	load(tileB, "SI")
	f.in("SHLQ", "$2", "DI")
	f.in("LEAQ", indexed("DI", "DI", 2), "BX")
	for i := 1; i < len(bases); i++ {
		f.in("LEAQ", indexed(bases[i-1], "R12", 4), bases[i])
	}
	for i := range rows {
		for j := range vecs {
			zero(f, v, sum(i, j))
		}
	}
	// third is where step or row u of four lies from its base.
	third := func(u int, disp int, base, one, three string) string {
		at := [4]string{mem(disp, base), indexed(base, one, 1), indexed(base, one, 2), indexed(base, three, 1)}[u]
		if u > 0 && disp != 0 {
			at = fmt.Sprint(disp) + at
		}
		return at
	}
	steps := func(n int, masked bool, t []string) {
		for u := range n {
			for j := range b {
				at := third(u, j*v.bytes(), "SI", "DI", "BX")
				if masked && j == vecs-1 {
					loadMasked(f, v, at, mask, b[j])
				} else {
					f.in("VMOVUPS", at, b[j])
				}
			}
			for i := range rows {
				var at string
				if fm == rowUnit {
					at = third(u, 4*i, "R8", "R12", "R13")
				} else {
					at = third(i%4, 4*u, bases[i/4], "R12", "R13")
				}
				a := t[i%len(t)]
				f.in("VBROADCASTSS", at, a)
				for j := range b {
					f.in("VFMADD231PS", b[j], a, sum(i, j))
				}
			}
		}
		if n == unroll {
			f.in("LEAQ", indexed("SI", "DI", 4), "SI")
		} else {
			f.in("ADDQ", "DI", "SI")
		}
		switch {
		case fm == stepUnit:
			for _, r := range bases {
				f.in("ADDQ", imm(4*n), r)
			}
		case n == unroll:
			f.in("LEAQ", indexed("R8", "R12", 4), "R8")
		default:
			f.in("ADDQ", "R12", "R8")
		}
	}
	// again moves the pointers and repeats a loop until its counter is zero.
	again := func(counter, a, bOff, label string) {
		for _, r := range bases {
			f.in("ADDQ", a, r)
		}
		f.in("ADDQ", bOff, "SI")
		f.in("DECQ", counter)
		f.in("JNZ", label)
	}
	nest := func(body func()) {
		outer := f.label("outer")
		f.mark(outer)
		load(tileK0, "CX")
		body()
		again("DX", "R15", "back1-8(SP)", outer)
		load(tileK1, "DX")
		again("R14", "back3-24(SP)", "back2-16(SP)", outer)
	}
	full, whole, epilogue := f.label("full"), f.label("whole"), f.label("epilogue")
	f.in("CMPQ", mem(tileCols, "AX"), imm(v.lanes*vecs))
	f.in("JEQ", full)
	f.in("CMPB", mem(tilePadded, "AX"), "$0")
	f.in("JNE", full)
	nest(func() {
		one := f.label("masked")
		f.mark(one)
		steps(1, true, temps)
		f.in("DECQ", "CX")
		f.in("JNZ", one)
	})
	f.in("JMP", epilogue)
	f.mark(full)
	t := temps
	if len(t) == 1 {
		t = append(t, mask)
	}
	nest(func() {
		four, rest, one, end := f.label("four"), f.label("rest"), f.label("one"), f.label("end")
		f.in("SUBQ", imm(unroll), "CX")
		f.in("JLT", rest)
		f.mark(four)
		steps(unroll, false, t)
		f.in("SUBQ", imm(unroll), "CX")
		f.in("JGE", four)
		f.mark(rest)
		f.in("ADDQ", imm(unroll), "CX")
		f.in("JEQ", end)
		f.mark(one)
		steps(1, false, t)
		f.in("DECQ", "CX")
		f.in("JNZ", one)
		f.mark(end)
	})
	if !v.wide() {
		f.in("CMPQ", mem(tileCols, "AX"), imm(v.lanes*vecs))
		f.in("JEQ", whole)
		columnMask(f, v, vecs, mask)
		f.in("JMP", epilogue)
		f.mark(whole)
		// Some processors take tens of cycles for each masked AVX2 store.
		tileEpilogue(f, v, rows, vecs, sum, b, temps[0], "")
		nextTile(f, start)
	}
	f.mark(epilogue)
	tileEpilogue(f, v, rows, vecs, sum, b, temps[0], mask)
	nextTile(f, start)
}

// Stack slots of a run of tiles.
const (
	tilesLeft = "left-32(SP)"
	atA       = "atA-40(SP)"
	atC       = "atC-48(SP)"
)

// nextTile moves on to the next tile, or ends the function behind the last one.
func nextTile(f *file, start string) {
	last := f.label("last")
	f.in("DECQ", tilesLeft)
	f.in("JLE", last)
	for _, step := range []struct {
		field int
		slot  string
	}{{tileANext, atA}, {tileCNext, atC}} {
		f.in("MOVQ", mem(step.field, "AX"), "R8")
		f.in("SHLQ", "$2", "R8")
		f.in("ADDQ", "R8", step.slot)
	}
	f.in("JMP", start)
	f.mark(last)
	f.done()
}

// tileEpilogue adds what the flags ask for and stores the sums. With no mask
// all columns are there.
func tileEpilogue(f *file, v isa, rows, vecs int, sum func(i, j int) string, b []string, temp, mask string) {
	f.in("MOVQ", mem(tileLDC, "AX"), "R9")
	f.in("SHLQ", "$2", "R9")
	edge := func(j int) bool { return j == vecs-1 && mask != "" }
	noAccumulate, noBias, noReLU := f.label("plain"), f.label("unbiased"), f.label("linear")
	f.in("CMPB", mem(tileAccumulate, "AX"), "$0")
	f.in("JEQ", noAccumulate)
	f.in("MOVQ", atC, "R8")
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
	f.in("MOVQ", atC, "R8")
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

// prefetchTile asks for the lines of C, which are needed when the sums are
// done. It uses SI and DI.
func prefetchTile(f *file, v isa, rows, vecs int) {
	f.in("MOVQ", atC, "SI")
	f.in("MOVQ", mem(tileLDC, "AX"), "DI")
	for i := range rows {
		for at := 0; at < vecs*v.bytes(); at += 64 {
			f.in("PREFETCHT0", mem(at, "SI"))
		}
		f.in("PREFETCHT0", mem(vecs*v.bytes()-4, "SI"))
		if i < rows-1 {
			f.in("LEAQ", indexed("SI", "DI", 4), "SI")
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
