package main

import "fmt"

// rowLoop describes a kernel over the rows of matrices of the same shape, with
// vectors that have one element per column and stay in registers.
type rowLoop struct {
	name     string
	matrices []string // pointer parameters; the first is written if writes is set
	writes   bool
	reads    []string // matrices that body reads
	vectors  []string // vector parameters
	sums     []string // vectors that body changes
	temps    int
	// body handles one vector of one row: in are the elements read, vec the
	// vectors, and it returns the register to be written, if any.
	body func(k *kern, in, vec, temp []string) string
}

func rows(v isa, s *stubs) *file {
	f := newAsm("rows_" + v.file + "_amd64.s")
	k := newKern(f, v)
	loops := []*rowLoop{
		{
			name: "sumRows", matrices: []string{"x"}, reads: []string{"x"}, vectors: []string{"sum"}, sums: []string{"sum"},
			body: func(k *kern, in, vec, _ []string) string {
				k.in("VADDPS", in[0], vec[0], vec[0])
				return ""
			},
		},
		{
			name: "deviations", matrices: []string{"x"}, reads: []string{"x"}, vectors: []string{"mean", "sum"}, sums: []string{"sum"},
			body: func(k *kern, in, vec, _ []string) string {
				k.in("VSUBPS", vec[0], in[0], in[0])
				k.in("VFMADD231PS", in[0], in[0], vec[1])
				return ""
			},
		},
		{
			name: "normSums", matrices: []string{"dy", "x"}, reads: []string{"dy", "x"},
			vectors: []string{"mean", "sumDY", "sumDYX"}, sums: []string{"sumDY", "sumDYX"},
			body: func(k *kern, in, vec, _ []string) string {
				k.in("VADDPS", in[0], vec[1], vec[1])
				k.in("VSUBPS", vec[0], in[1], in[1])
				k.in("VFMADD231PS", in[0], in[1], vec[2])
				return ""
			},
		},
		{
			name: "normBackward", matrices: []string{"dx", "dy", "x"}, writes: true, reads: []string{"dy", "x"}, vectors: []string{"a", "b", "d"},
			body: func(k *kern, in, vec, _ []string) string {
				k.in("VFMADD213PS", vec[2], vec[1], in[1])
				k.in("VFMADD231PS", in[0], vec[0], in[1])
				return in[1]
			},
		},
	}
	for _, relu := range []bool{false, true} {
		l := &rowLoop{
			name: "scaleShift", matrices: []string{"dst", "x"}, writes: true, reads: []string{"x"}, vectors: []string{"scale", "shift"},
			body: func(k *kern, in, vec, temp []string) string {
				k.in("VFMADD213PS", vec[1], vec[0], in[0])
				if relu {
					zero(k.file, k.isa, temp[0])
					k.in("VMAXPS", in[0], temp[0], in[0])
				}
				return in[0]
			},
		}
		if relu {
			l.name, l.temps = "scaleShiftReLU", 1
		}
		loops = append(loops, l)
	}
	for _, l := range loops {
		l.emit(k, s)
		s.route(l.name, l.params().list(), l.params().names(), false)
	}
	for _, o := range binaryOps {
		l := &rowLoop{
			name: "rowSecond" + o.op, matrices: []string{"dst", "a"}, writes: true, reads: []string{"a"}, vectors: []string{"row"}, temps: o.temps,
			body: func(k *kern, in, vec, temp []string) string {
				o.body(k, in[0], vec[0], temp, in[0])
				return in[0]
			},
		}
		l.emit(k, s)
	}
	choice(s, v, "rowSecond", "op BinaryOp, dst, a, row *float32, rows, cols, stride int", "dst, a, row, rows, cols, stride", binaryNames())
	k.finish()
	return f
}

func (l *rowLoop) params() *params {
	p := &params{}
	p.add("*float32", 8, l.matrices...)
	p.add("*float32", 8, l.vectors...)
	p.add("int", 8, "rows", "cols", "stride")
	return p
}

// emit walks down the rows of blocks of columns: blocks of several vectors,
// then of one, then a masked one.
func (l *rowLoop) emit(k *kern, s *stubs) {
	p := l.params()
	name := l.name + k.suffix
	s.declare(name, p.list())
	k.function(name, 0, p.total())
	all := append(append([]string{}, l.matrices...), l.vectors...)
	names := []string{"DI", "SI", "R8", "R9", "R10", "R11", "R12"}
	ptr := map[string]string{}
	for i, a := range all {
		ptr[a] = names[i]
		k.in("MOVQ", p.at[a], names[i])
	}
	// R14 counts columns, R15 is the row stride and BX the row's offset.
	k.in("MOVQ", p.at["cols"], "R14")
	k.in("MOVQ", p.at["stride"], "R15")
	k.in("SHLQ", "$2", "R15")
	top, rest := k.regs, "K1"
	if !k.wide() {
		top, rest = top-2, "Y15"
	}
	per := len(l.vectors) + len(l.reads) + l.temps
	block := func(width int, masked bool) {
		load := func(at, reg string) {
			if masked {
				loadMasked(k.file, k.isa, at, rest, reg)
			} else {
				k.in("VMOVUPS", at, reg)
			}
		}
		store := func(reg, at string) {
			if masked {
				storeMasked(k.file, k.isa, reg, rest, at)
			} else {
				k.in("VMOVUPS", reg, at)
			}
		}
		reg := func(u, i int) string { return k.reg(u*per + i) }
		for u := range width {
			for i, a := range l.vectors {
				load(mem(u*k.bytes(), ptr[a]), reg(u, i))
			}
		}
		k.in("XORQ", "BX", "BX")
		k.in("MOVQ", p.at["rows"], "DX")
		again := k.label("row")
		k.mark(again)
		for u := range width {
			var vec, in, temp []string
			for i := range per {
				switch r := reg(u, i); {
				case i < len(l.vectors):
					vec = append(vec, r)
				case i < len(l.vectors)+len(l.reads):
					in = append(in, r)
				default:
					temp = append(temp, r)
				}
			}
			at := func(a string) string { return fmt.Sprintf("%d(%s)(BX*1)", u*k.bytes(), ptr[a]) }
			for i, a := range l.reads {
				load(at(a), in[i])
			}
			out := l.body(k, in, vec, temp)
			if l.writes {
				store(out, at(l.matrices[0]))
			}
		}
		k.in("ADDQ", "R15", "BX")
		k.in("DECQ", "DX")
		k.in("JNZ", again)
		for u := range width {
			for i, a := range l.vectors {
				for _, sum := range l.sums {
					if a == sum {
						store(reg(u, i), mem(u*k.bytes(), ptr[a]))
					}
				}
			}
		}
		for _, a := range all {
			k.in("ADDQ", imm(width*k.bytes()), ptr[a])
		}
	}
	end := k.label("end")
	k.in("CMPQ", p.at["rows"], "$0")
	k.in("JLE", end)
	widths := []int{min(4, top/per), 1}
	if widths[0] == 1 {
		widths = widths[1:]
	}
	for _, width := range widths {
		again, done := k.label("columns"), k.label("rest")
		k.in("SUBQ", imm(width*k.lanes), "R14")
		k.in("JLT", done)
		k.mark(again)
		block(width, false)
		k.in("SUBQ", imm(width*k.lanes), "R14")
		k.in("JGE", again)
		k.mark(done)
		k.in("ADDQ", imm(width*k.lanes), "R14")
	}
	k.in("JEQ", end)
	k.in("MOVQ", "R14", "CX")
	k.restMask("CX", rest)
	block(1, true)
	k.mark(end)
	k.done()
}
