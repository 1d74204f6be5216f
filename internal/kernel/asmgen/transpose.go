package main

import "fmt"

// transposes emits the transpose of 8 rows by a multiple of 8 columns. Wider
// vectors gain nothing here, so both levels share it.
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
	return f
}
