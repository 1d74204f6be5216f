package main

import (
	"fmt"
	"math"
)

// pools emits the maximum over one window for every channel, with its index.
func pools(v isa, s *stubs) *file {
	f := newAsm("pool_" + v.file + "_amd64.s")
	k := newKern(f, v)
	p := &params{}
	p.add("*float32", 8, "y")
	p.add("*int32", 8, "idx")
	p.add("*float32", 8, "x")
	p.add("int", 8, "rows", "cols", "channels", "rowStep", "first")
	name := "maxWindow" + v.suffix
	s.declare(name, p.list())
	s.route("maxWindow", p.list(), p.names(), false)
	k.function(name, 0, p.total())
	// R8 and R9 walk over the window; R13 and R14 hold its size, R10 the
	// distance of pixels and R11 that of rows, in bytes.
	for _, a := range []struct{ name, reg string }{
		{"y", "DI"}, {"idx", "SI"}, {"x", "BX"}, {"rows", "R13"}, {"cols", "R14"}, {"channels", "R15"}, {"rowStep", "R11"},
	} {
		k.in("MOVQ", p.at[a.name], a.reg)
	}
	k.in("MOVQ", "R15", "R10")
	best, at, cur, value := k.reg(0), k.reg(1), k.reg(2), k.reg(3)
	pixel, line, lane := k.reg(4), k.reg(5), k.reg(6)
	spare := k.reg(7)
	rest, x := "K1", "X7"
	broadcast := func(gpr, reg string) {
		k.in("VMOVD", gpr, x)
		k.in("VPBROADCASTD", x, reg)
	}
	move, add := "VMOVDQU", "VPADDD"
	if v.wide() {
		move = "VMOVDQU32"
	} else {
		rest = "Y15"
	}
	broadcast("R10", pixel)
	broadcast("R11", line)
	k.in(move, "laneIndex<>(SB)", lane)
	k.in("MOVQ", p.at["first"], "AX")
	broadcast("AX", spare)
	k.in(add, spare, lane, lane)
	k.in("SHLQ", "$2", "R10")
	k.in("SHLQ", "$2", "R11")
	vector := func(masked bool) {
		k.load(float32(math.Inf(-1)), best)
		k.in("VMOVAPS", lane, at)
		k.in("MOVQ", "BX", "R8")
		k.in("MOVQ", "R13", "DX")
		row, col := k.label("row"), k.label("col")
		k.mark(row)
		k.in("VMOVAPS", lane, cur)
		k.in("MOVQ", "R8", "R9")
		k.in("MOVQ", "R14", "CX")
		k.mark(col)
		if masked {
			loadMasked(f, v, "(R9)", rest, value)
		} else {
			k.in("VMOVUPS", "(R9)", value)
		}
		// value > best, or value is NaN and best is not.
		if v.wide() {
			k.in("VCMPPS", imm(notLessEqual), best, value, "K2")
			k.in("VCMPPS", imm(ordered), best, best, "K3")
			k.in("KANDW", "K3", "K2", "K2")
			k.in("VMOVAPS", value, "K2", best)
			k.in("VMOVDQA32", cur, "K2", at)
		} else {
			k.in("VCMPPS", imm(notLessEqual), best, value, k.mask)
			k.in("VCMPPS", imm(ordered), best, best, spare)
			k.in("VANDPS", spare, k.mask, k.mask)
			k.in("VBLENDVPS", k.mask, value, best, best)
			k.in("VBLENDVPS", k.mask, cur, at, at)
		}
		k.in(add, pixel, cur, cur)
		k.in("ADDQ", "R10", "R9")
		k.in("DECQ", "CX")
		k.in("JNZ", col)
		k.in(add, line, lane, lane)
		k.in("ADDQ", "R11", "R8")
		k.in("DECQ", "DX")
		k.in("JNZ", row)
		if masked {
			storeMasked(f, v, best, rest, "(DI)")
			storeMasked(f, v, at, rest, "(SI)")
			return
		}
		k.in("VMOVUPS", best, "(DI)")
		k.in("VMOVUPS", at, "(SI)")
		// Back to the first row, on to the next channels.
		k.in("MOVQ", "R13", "AX")
		k.in("IMULQ", p.at["rowStep"], "AX")
		k.in("NEGQ", "AX")
		k.in("ADDQ", imm(v.lanes), "AX")
		broadcast("AX", spare)
		k.in(add, spare, lane, lane)
		for _, r := range []string{"DI", "SI", "BX"} {
			k.in("ADDQ", imm(v.bytes()), r)
		}
	}
	again, tail, end := k.label("channels"), k.label("tail"), k.label("end")
	k.in("SUBQ", imm(v.lanes), "R15")
	k.in("JLT", tail)
	k.mark(again)
	vector(false)
	k.in("SUBQ", imm(v.lanes), "R15")
	k.in("JGE", again)
	k.mark(tail)
	k.in("ADDQ", imm(v.lanes), "R15")
	k.in("JEQ", end)
	k.in("MOVQ", "R15", "CX")
	k.restMask("CX", rest)
	vector(true)
	k.mark(end)
	k.done()
	f.b.WriteByte('\n')
	for i := range v.lanes {
		fmt.Fprintf(&f.b, "DATA laneIndex<>+%d(SB)/4, $%d\n", 4*i, i)
	}
	fmt.Fprintf(&f.b, "GLOBL laneIndex<>(SB), RODATA|NOPTR, $%d\n", v.bytes())
	k.finish()
	return f
}
