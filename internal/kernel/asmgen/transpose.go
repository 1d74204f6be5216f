package main

import "fmt"

// transposes emits the transpose of 8 rows by a multiple of 8 columns and the
// copies that packing needs. Wider vectors gain nothing here, so both levels
// share them.
func transposes(s *stubs) *file {
	f := newAsm("transpose_amd64.s")
	p := &params{}
	p.add("*float32", 8, "dst")
	p.add("int", 8, "ldd")
	p.add("*float32", 8, "src")
	p.add("int", 8, "lds", "blocks")
	s.declare("transpose8", p.list())
	f.function("transpose8", 0, p.total())
	for _, a := range []struct{ name, reg string }{{"dst", "DI"}, {"ldd", "R8"}, {"src", "SI"}, {"lds", "R9"}, {"blocks", "CX"}} {
		f.in("MOVQ", p.at[a.name], a.reg)
	}
	f.in("SHLQ", "$2", "R8")
	f.in("SHLQ", "$2", "R9")
	f.in("LEAQ", indexed("R8", "R8", 2), "R10")
	f.in("LEAQ", indexed("R9", "R9", 2), "R11")
	y := func(i int) string { return fmt.Sprintf("Y%d", i) }
	row := func(i int, low, high, one, three string) string {
		base := low
		if i >= 4 {
			base = high
		}
		return [4]string{mem(0, base), indexed(base, one, 1), indexed(base, one, 2), indexed(base, three, 1)}[i%4]
	}
	f.mark("block")
	f.in("LEAQ", indexed("SI", "R9", 4), "BX")
	for i := range 8 {
		f.in("VMOVUPS", row(i, "SI", "BX", "R9", "R11"), y(i))
	}
	for i := 0; i < 8; i += 2 {
		f.in("VUNPCKLPS", y(i+1), y(i), y(8+i))
		f.in("VUNPCKHPS", y(i+1), y(i), y(9+i))
	}
	for half := range 2 {
		for pair := range 2 {
			a, b := y(8+4*half+pair), y(8+4*half+2+pair)
			f.in("VSHUFPS", "$0x44", b, a, y(4*half+2*pair))
			f.in("VSHUFPS", "$0xee", b, a, y(4*half+2*pair+1))
		}
	}
	f.in("LEAQ", indexed("DI", "R8", 4), "BX")
	for i := range 4 {
		f.in("VPERM2F128", "$0x20", y(4+i), y(i), y(8+i))
		f.in("VPERM2F128", "$0x31", y(4+i), y(i), y(12+i))
	}
	for i := range 8 {
		f.in("VMOVUPS", y(8+i), row(i, "DI", "BX", "R8", "R10"))
	}
	f.in("ADDQ", "$32", "SI")
	f.in("LEAQ", indexed("DI", "R8", 8), "DI")
	f.in("DECQ", "CX")
	f.in("JNZ", "block")
	f.done()
	splits(f, s)
	narrows(f, s)
	return f
}

// splits emits copies of rows of whole panels, a panel being as many bytes as
// the suffix of the name says. Rows come from memory in the order in which they
// lie there, and each row asks for one a few rows ahead.
func splits(f *file, s *stubs) {
	for _, width := range []int{64, 128} {
		name := fmt.Sprintf("splitRows%d", width)
		p := &params{}
		p.add("*float32", 8, "dst")
		p.add("int", 8, "step")
		p.add("*float32", 8, "src")
		p.add("int", 8, "lds", "rows", "panels")
		s.declare(name, p.list())
		f.function(name, 0, p.total())
		for _, a := range []struct{ name, reg string }{{"dst", "DI"}, {"step", "R8"}, {"src", "SI"}, {"lds", "R9"}, {"rows", "CX"}, {"panels", "R10"}} {
			f.in("MOVQ", p.at[a.name], a.reg)
		}
		f.in("SHLQ", "$2", "R8")
		f.in("SHLQ", "$2", "R9")
		row, panel := f.label("row"), f.label("panel")
		f.mark(row)
		f.in("MOVQ", "DI", "AX")
		f.in("MOVQ", "SI", "BX")
		f.in("LEAQ", indexed("SI", "R9", 8), "R11")
		f.in("MOVQ", "R10", "DX")
		f.mark(panel)
		for at := 0; at < width; at += 64 {
			f.in("PREFETCHT0", mem(at, "R11"))
		}
		for at := 0; at < width; at += 32 {
			f.in("VMOVUPS", mem(at, "BX"), fmt.Sprintf("Y%d", at/32))
		}
		for at := 0; at < width; at += 32 {
			f.in("VMOVUPS", fmt.Sprintf("Y%d", at/32), mem(at, "AX"))
		}
		f.in("ADDQ", imm(width), "BX")
		f.in("ADDQ", imm(width), "R11")
		f.in("ADDQ", "R8", "AX")
		f.in("DECQ", "DX")
		f.in("JNZ", panel)
		f.in("ADDQ", "R9", "SI")
		f.in("ADDQ", imm(width), "DI")
		f.in("DECQ", "CX")
		f.in("JNZ", row)
		f.done()
	}
}

// narrows emits copies of a grid of rows of at most 8 or 16 elements to places
// that lie ldd apart, in whole vectors: each row overwrites what the one before
// it wrote too much.
func narrows(f *file, s *stubs) {
	for _, width := range []int{8, 16} {
		name := fmt.Sprintf("narrowRows%d", width)
		p := &params{}
		p.add("*float32", 8, "dst")
		p.add("int", 8, "ldd")
		p.add("*float32", 8, "src")
		p.add("int", 8, "step", "inner", "stride", "outer")
		s.declare(name, p.list())
		f.function(name, 0, p.total())
		for _, a := range []struct{ name, reg string }{
			{"dst", "DI"}, {"ldd", "R8"}, {"src", "SI"}, {"step", "R9"}, {"inner", "R10"}, {"stride", "R11"}, {"outer", "DX"},
		} {
			f.in("MOVQ", p.at[a.name], a.reg)
		}
		f.in("SHLQ", "$2", "R8")
		f.in("SHLQ", "$2", "R9")
		f.in("SHLQ", "$2", "R11")
		line, row := f.label("line"), f.label("row")
		f.mark(line)
		f.in("MOVQ", "SI", "BX")
		f.in("MOVQ", "R10", "CX")
		f.mark(row)
		f.in("PREFETCHT0", indexed("BX", "R9", 8))
		for at := 0; at < 4*width; at += 32 {
			f.in("VMOVUPS", mem(at, "BX"), fmt.Sprintf("Y%d", at/32))
		}
		for at := 0; at < 4*width; at += 32 {
			f.in("VMOVUPS", fmt.Sprintf("Y%d", at/32), mem(at, "DI"))
		}
		f.in("ADDQ", "R9", "BX")
		f.in("ADDQ", "R8", "DI")
		f.in("DECQ", "CX")
		f.in("JNZ", row)
		f.in("ADDQ", "R11", "SI")
		f.in("DECQ", "DX")
		f.in("JNZ", line)
		f.done()
	}
}
