package main

import (
	"fmt"
	"math"
)

// pools emits the loops over one window for every channel: its maximum with its
// index, its mean, and their adjoints.
func pools(v isa, s *stubs) *file {
	f := newAsm("pool_" + v.file + "_amd64.s")
	k := newKern(f, v)
	poolWindow(f, k, v, s, "maxWindow", false)
	poolWindow(f, k, v, s, "unpoolWindow", true)
	meanWindow(f, k, v, s, "meanWindow", false)
	meanWindow(f, k, v, s, "spreadWindow", true)
	f.b.WriteByte('\n')
	for i := range v.lanes {
		fmt.Fprintf(&f.b, "DATA laneIndex<>+%d(SB)/4, $%d\n", 4*i, i)
	}
	fmt.Fprintf(&f.b, "GLOBL laneIndex<>(SB), RODATA|NOPTR, $%d\n", v.bytes())
	k.finish()
	return f
}

// poolWindow emits maxWindow, which reads the window x and writes y and idx, or its
// adjoint, which reads those and writes every pixel of the window.
func poolWindow(f *file, k *kern, v isa, s *stubs, base string, adjoint bool) {
	p := &params{}
	p.add("*float32", 8, "y")
	p.add("*int32", 8, "idx")
	p.add("*float32", 8, "x")
	p.add("int", 8, "rows", "cols", "channels", "rowStep", "first")
	name := base + v.suffix
	s.declare(name, p.list())
	s.route(base, p.list(), p.names(), false)
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
		switch {
		case !adjoint:
			k.load(float32(math.Inf(-1)), best)
			k.in("VMOVAPS", lane, at)
		case masked:
			loadMasked(f, v, "(DI)", rest, best)
			loadMasked(f, v, "(SI)", rest, at)
		default:
			k.in("VMOVUPS", "(DI)", best)
			k.in("VMOVUPS", "(SI)", at)
		}
		k.in("MOVQ", "BX", "R8")
		k.in("MOVQ", "R13", "DX")
		row, col := k.label("row"), k.label("col")
		k.mark(row)
		k.in("VMOVAPS", lane, cur)
		k.in("MOVQ", "R8", "R9")
		k.in("MOVQ", "R14", "CX")
		k.mark(col)
		if adjoint {
			spread(f, k, v, masked, best, at, cur, value, rest)
		} else {
			challenge(f, k, v, masked, best, at, cur, value, spare, rest)
		}
		k.in(add, pixel, cur, cur)
		k.in("ADDQ", "R10", "R9")
		k.in("DECQ", "CX")
		k.in("JNZ", col)
		k.in(add, line, lane, lane)
		k.in("ADDQ", "R11", "R8")
		k.in("DECQ", "DX")
		k.in("JNZ", row)
		switch {
		case masked && adjoint:
			return
		case masked:
			storeMasked(f, v, best, rest, "(DI)")
			storeMasked(f, v, at, rest, "(SI)")
			return
		case !adjoint:
			k.in("VMOVUPS", best, "(DI)")
			k.in("VMOVUPS", at, "(SI)")
		}
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
}

// challenge emits: the pixel at R9 takes the place of best, and its index cur that of
// at, where it is greater, or is NaN and best is not.
func challenge(f *file, k *kern, v isa, masked bool, best, at, cur, value, spare, rest string) {
	if masked {
		loadMasked(f, v, "(R9)", rest, value)
	} else {
		k.in("VMOVUPS", "(R9)", value)
	}
	if v.wide() {
		k.in("VCMPPS", imm(notLessEqual), best, value, "K2")
		k.in("VCMPPS", imm(ordered), best, best, "K3")
		k.in("KANDW", "K3", "K2", "K2")
		k.in("VMOVAPS", value, "K2", best)
		k.in("VMOVDQA32", cur, "K2", at)
		return
	}
	k.in("VCMPPS", imm(notLessEqual), best, value, k.mask)
	k.in("VCMPPS", imm(ordered), best, best, spare)
	k.in("VANDPS", spare, k.mask, k.mask)
	k.in("VBLENDVPS", k.mask, value, best, best)
	k.in("VBLENDVPS", k.mask, cur, at, at)
}

// spread emits: the pixel at R9 becomes from where its index cur equals at, else 0.
func spread(f *file, k *kern, v isa, masked bool, from, at, cur, value, rest string) {
	if v.wide() {
		k.in("VPCMPEQD", cur, at, "K2")
		k.in("VMOVAPS.Z", from, "K2", value)
	} else {
		k.in("VPCMPEQD", cur, at, value)
		k.in("VANDPS", from, value, value)
	}
	if masked {
		storeMasked(f, v, value, rest, "(R9)")
		return
	}
	k.in("VMOVUPS", value, "(R9)")
}

// meanWindow emits meanWindow, which sets y to the sum of the window x divided by
// count, or its adjoint, which adds y divided by count to every pixel of the window.
func meanWindow(f *file, k *kern, v isa, s *stubs, base string, adjoint bool) {
	p := &params{}
	p.add("*float32", 8, "y", "x")
	p.add("int", 8, "rows", "cols", "channels", "rowStep", "count")
	name := base + v.suffix
	s.declare(name, p.list())
	s.route(base, p.list(), p.names(), false)
	k.function(name, 0, p.total())
	for _, a := range []struct{ name, reg string }{
		{"y", "DI"}, {"x", "BX"}, {"rows", "R13"}, {"cols", "R14"}, {"channels", "R15"}, {"rowStep", "R11"},
	} {
		k.in("MOVQ", p.at[a.name], a.reg)
	}
	k.in("MOVQ", "R15", "R10")
	k.in("SHLQ", "$2", "R10")
	k.in("SHLQ", "$2", "R11")
	mean, count, value := k.reg(0), k.reg(1), k.reg(2)
	rest := "K1"
	if !v.wide() {
		rest = "Y15"
	}
	k.in("MOVQ", p.at["count"], "AX")
	k.in("VXORPS", "X1", "X1", "X1")
	k.in("VCVTSI2SSQ", "AX", "X1", "X1")
	k.in("VBROADCASTSS", "X1", count)
	get := func(masked bool, at, reg string) {
		if masked {
			loadMasked(f, v, at, rest, reg)
		} else {
			k.in("VMOVUPS", at, reg)
		}
	}
	put := func(masked bool, reg, at string) {
		if masked {
			storeMasked(f, v, reg, rest, at)
		} else {
			k.in("VMOVUPS", reg, at)
		}
	}
	vector := func(masked bool) {
		if adjoint {
			get(masked, "(DI)", mean)
			k.in("VDIVPS", count, mean, mean)
		} else {
			k.in("VXORPS", mean, mean, mean)
		}
		k.in("MOVQ", "BX", "R8")
		k.in("MOVQ", "R13", "DX")
		row, col := k.label("row"), k.label("col")
		k.mark(row)
		k.in("MOVQ", "R8", "R9")
		k.in("MOVQ", "R14", "CX")
		k.mark(col)
		get(masked, "(R9)", value)
		if adjoint {
			k.in("VADDPS", mean, value, value)
			put(masked, value, "(R9)")
		} else {
			k.in("VADDPS", value, mean, mean)
		}
		k.in("ADDQ", "R10", "R9")
		k.in("DECQ", "CX")
		k.in("JNZ", col)
		k.in("ADDQ", "R11", "R8")
		k.in("DECQ", "DX")
		k.in("JNZ", row)
		if !adjoint {
			k.in("VDIVPS", count, mean, mean)
			put(masked, mean, "(DI)")
		}
		k.in("ADDQ", imm(v.bytes()), "DI")
		k.in("ADDQ", imm(v.bytes()), "BX")
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
}
