package main

import (
	"fmt"
	"math"
)

// reduction describes a kernel that folds arrays into one number.
type reduction struct {
	name    string
	arrays  []string
	combine string // instruction that joins two accumulators
	// start is what accumulators and the lanes past the end begin with.
	start float32
	// extreme kernels return NaN if any element is NaN.
	extreme bool
	step    func(k *kern, in []string, sum string)
}

var reductionList = []reduction{
	{name: "sum", arrays: []string{"x"}, combine: "VADDPS", step: func(k *kern, in []string, sum string) {
		k.in("VADDPS", in[0], sum, sum)
	}},
	{name: "dot", arrays: []string{"a", "b"}, combine: "VADDPS", step: func(k *kern, in []string, sum string) {
		k.in("VFMADD231PS", in[0], in[1], sum)
	}},
	{name: "max", arrays: []string{"x"}, combine: "VMAXPS", start: float32(math.Inf(-1)), extreme: true, step: func(k *kern, in []string, sum string) {
		k.in("VMAXPS", in[0], sum, sum)
	}},
	{name: "min", arrays: []string{"x"}, combine: "VMINPS", start: float32(math.Inf(1)), extreme: true, step: func(k *kern, in []string, sum string) {
		k.in("VMINPS", in[0], sum, sum)
	}},
	{name: "maxAbs", arrays: []string{"x"}, combine: "VMAXPS", extreme: true, step: func(k *kern, in []string, sum string) {
		k.in("VANDPS", k.bits(magnitude), in[0], in[0])
		k.in("VMAXPS", in[0], sum, sum)
	}},
}

// accumulators hide the latency of additions.
const accumulators = 4

func reductions(v isa, s *stubs) *file {
	f := newAsm("reduce_" + v.file + "_amd64.s")
	k := newKern(f, v)
	for _, r := range reductionList {
		r.emit(k, s)
	}
	k.finish()
	return f
}

func (r *reduction) emit(k *kern, s *stubs) {
	p := &params{}
	p.add("*float32", 8, r.arrays...)
	p.add("int", 8, "n")
	name := r.name + "Of"
	fmt.Fprintf(&s.decl.b, "//go:noescape\nfunc %s%s(%s) float32\n\n", name, k.suffix, p.list())
	s.routeValue(name, p.list(), p.names())
	k.function(name+k.suffix, 0, p.total()+4)
	for i, a := range r.arrays {
		k.in("MOVQ", p.at[a], pointers[i])
	}
	k.in("MOVQ", p.at["n"], "CX")
	rest := "K1"
	// A NaN is noted in nan, because maxima forget it.
	nan := "K3"
	if !k.wide() {
		rest, nan = "Y15", "Y13"
	}
	sum := make([]string, accumulators)
	for i := range sum {
		sum[i] = k.reg(i)
		k.load(r.start, sum[i])
	}
	if r.extreme {
		if k.wide() {
			k.in("KXORW", nan, nan, nan)
		} else {
			k.in("VXORPS", nan, nan, nan)
		}
	}
	step := func(vectors int, masked bool) {
		for u := range vectors {
			var in []string
			for i := range r.arrays {
				reg := k.reg(accumulators + u*len(r.arrays) + i)
				in = append(in, reg)
				at := mem(u*k.bytes(), pointers[i])
				switch {
				case !masked:
					k.in("VMOVUPS", at, reg)
				case !r.extreme:
					loadMasked(k.file, k.isa, at, rest, reg)
				case k.wide():
					k.load(r.start, reg)
					k.in("VMOVUPS", at, rest, reg)
				default:
					loadMasked(k.file, k.isa, at, rest, reg)
					k.load(r.start, k.mask)
					k.in("VBLENDVPS", rest, reg, k.mask, reg)
				}
			}
			if r.extreme {
				k.compare(unordered, in[0], in[0])
				if k.wide() {
					k.in("KORW", k.mask, nan, nan)
				} else {
					k.in("VORPS", k.mask, nan, nan)
				}
			}
			r.step(k, in, sum[u])
		}
		for i := range r.arrays {
			k.in("ADDQ", imm(vectors*k.bytes()), pointers[i])
		}
	}
	for _, vectors := range []int{accumulators, 1} {
		again, done := k.label("loop"), k.label("rest")
		k.in("SUBQ", imm(vectors*k.lanes), "CX")
		k.in("JLT", done)
		k.mark(again)
		step(vectors, false)
		k.in("SUBQ", imm(vectors*k.lanes), "CX")
		k.in("JGE", again)
		k.mark(done)
		k.in("ADDQ", imm(vectors*k.lanes), "CX")
	}
	end := k.label("end")
	k.in("JEQ", end)
	k.restMask("CX", rest)
	step(1, true)
	k.mark(end)
	k.in(r.combine, sum[1], sum[0], sum[0])
	k.in(r.combine, sum[3], sum[2], sum[2])
	k.in(r.combine, sum[2], sum[0], sum[0])
	if k.wide() {
		k.in("VEXTRACTF64X4", "$1", "Z0", "Y1")
		k.in(r.combine, "Y1", "Y0", "Y0")
	}
	k.in("VEXTRACTF128", "$1", "Y0", "X1")
	k.in(r.combine, "X1", "X0", "X0")
	k.in("VPERMILPS", "$0x4e", "X0", "X1")
	k.in(r.combine, "X1", "X0", "X0")
	k.in("VPERMILPS", "$0xb1", "X0", "X1")
	k.in(r.combine, "X1", "X0", "X0")
	ret := fmt.Sprintf("ret+%d(FP)", p.total())
	k.in("VMOVSS", "X0", ret)
	if r.extreme {
		if k.wide() {
			k.in("KMOVW", nan, "AX")
		} else {
			k.in("VMOVMSKPS", nan, "AX")
		}
		number := k.label("number")
		k.in("TESTL", "AX", "AX")
		k.in("JEQ", number)
		k.in("MOVL", fmt.Sprintf("$0x%x", quietNaN), "AX")
		k.in("MOVL", "AX", ret)
		k.mark(number)
	}
	k.done()
}
