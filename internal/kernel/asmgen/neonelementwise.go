package main

import "fmt"

// Go's assembler has no names for most vector instructions of arm64, so these are
// their codes, for four float32.
const (
	neonFADD  = 0x4E20D400
	neonFSUB  = 0x4EA0D400
	neonFMUL  = 0x6E20DC00
	neonFDIV  = 0x6E20FC00
	neonFMAX  = 0x4E20F400
	neonFMIN  = 0x4EA0F400
	neonFMLA  = 0x4E20CC00
	neonFABS  = 0x4EA0F800
	neonFNEG  = 0x6EA0F800
	neonFSQRT = 0x6EA1F800
	neonFCMGT = 0x4EA0C800 // greater than zero
	neonAND   = 0x4E201C00
)

// three emits dst = a op b, two dst = op a; for neonFMLA it is dst += a*b.
func (f *file) three(code uint32, a, b, dst int) {
	f.in("WORD", fmt.Sprintf("$0x%08X", code|uint32(b)<<16|uint32(a)<<5|uint32(dst)))
}

func (f *file) two(code uint32, a, dst int) { f.three(code, a, 0, dst) }

// neonLoop is a function of arrays and scalars, four elements at a time: n is a
// multiple of four. The first array is written.
type neonLoop struct {
	name    string
	arrays  []string
	scalars []string
	// reads says from which array on the arrays are read: 1 if the first is only
	// written.
	reads int
	// body computes one vector in the registers of the arrays that are read and
	// returns where it left it. It may use two more, temp and temp+4.
	body func(f *file, in, scalars []int, temp int) int
}

// neonBinary are the functions of two elements that have kernels.
var neonBinary = []struct {
	op   string
	body func(f *file, a, b, temp int) int
}{
	{"Add", neonPlain(neonFADD)}, {"Sub", neonPlain(neonFSUB)}, {"Mul", neonPlain(neonFMUL)}, {"Div", neonPlain(neonFDIV)},
	{"Maximum", neonPlain(neonFMAX)}, {"Minimum", neonPlain(neonFMIN)},
	{"ReLUGrad", func(f *file, a, b, temp int) int {
		f.two(neonFCMGT, b, temp)
		f.three(neonAND, a, temp, temp)
		return temp
	}},
}

func neonPlain(code uint32) func(f *file, a, b, temp int) int {
	return func(f *file, a, b, temp int) int {
		f.three(code, a, b, temp)
		return temp
	}
}

// neonUnary are the functions of one element that have kernels. zero and one are
// registers.
var neonUnary = []struct {
	op   string
	body func(f *file, x, zero, one, temp int)
}{
	{"Neg", func(f *file, x, _, _, temp int) { f.two(neonFNEG, x, temp) }},
	{"Abs", func(f *file, x, _, _, temp int) { f.two(neonFABS, x, temp) }},
	{"Square", func(f *file, x, _, _, temp int) { f.three(neonFMUL, x, x, temp) }},
	{"Sqrt", func(f *file, x, _, _, temp int) { f.two(neonFSQRT, x, temp) }},
	{"Recip", func(f *file, x, _, one, temp int) { f.three(neonFDIV, one, x, temp) }},
	{"ReLU", func(f *file, x, zero, _, temp int) { f.three(neonFMAX, x, zero, temp) }},
}

// neonElementwise emits the loops and their declarations into d.
func neonElementwise(d *file) *file {
	f := &file{name: "elementwise_neon_arm64.s"}
	f.b.WriteString(neonHeader + "#include \"textflag.h\"\n")
	var loops []neonLoop
	for _, o := range neonUnary {
		loops = append(loops, neonLoop{"unaryNEON" + o.op, []string{"dst", "x"}, nil, 1, func(f *file, in, sc []int, temp int) int {
			o.body(f, in[0], neonZero, neonOne, temp)
			return temp
		}})
	}
	for _, o := range neonBinary {
		loops = append(loops,
			neonLoop{"binaryNEON" + o.op, []string{"dst", "a", "b"}, nil, 1, func(f *file, in, sc []int, temp int) int { return o.body(f, in[0], in[1], temp) }},
			neonLoop{"scalarSecondNEON" + o.op, []string{"dst", "a"}, []string{"s"}, 1, func(f *file, in, sc []int, temp int) int { return o.body(f, in[0], sc[0], temp) }},
			neonLoop{"scalarFirstNEON" + o.op, []string{"dst", "b"}, []string{"s"}, 1, func(f *file, in, sc []int, temp int) int { return o.body(f, sc[0], in[0], temp) }})
	}
	loops = append(loops,
		neonLoop{"affineNEON", []string{"dst", "x"}, []string{"alpha", "beta"}, 1, func(f *file, in, sc []int, temp int) int {
			f.in("VMOV", neonBytes(sc[1]), neonBytes(temp))
			f.three(neonFMLA, in[0], sc[0], temp)
			return temp
		}},
		neonLoop{"axpyNEON", []string{"dst", "x"}, []string{"alpha"}, 0, func(f *file, in, sc []int, _ int) int {
			f.three(neonFMLA, in[1], sc[0], in[0])
			return in[0]
		}})
	for _, l := range loops {
		l.emit(f, d)
	}
	var unary, binary []string
	for _, o := range neonUnary {
		unary = append(unary, o.op)
	}
	for _, o := range neonBinary {
		binary = append(binary, o.op)
	}
	neonChoice(d, "unary", "op UnaryOp, dst, x *float32, n int", "dst, x, n", unary)
	neonChoice(d, "binary", "op BinaryOp, dst, a, b *float32, n int", "dst, a, b, n", binary)
	neonChoice(d, "scalarSecond", "op BinaryOp, dst, a *float32, s float32, n int", "dst, a, s, n", binary)
	neonChoice(d, "scalarFirst", "op BinaryOp, dst, b *float32, s float32, n int", "dst, b, s, n", binary)
	return f
}

// neonChoice writes nameNEON, which runs the kernel of an operation on n elements, a
// multiple of four, and says whether there is one.
func neonChoice(d *file, name, params, args string, ops []string) {
	fmt.Fprintf(&d.b, "func %sNEON(%s) bool {\n\tswitch op {\n", name, params)
	for _, op := range ops {
		fmt.Fprintf(&d.b, "\tcase %s:\n\t\t%sNEON%s(%s)\n", op, name, op, args)
	}
	fmt.Fprintf(&d.b, "\tdefault:\n\t\treturn false\n\t}\n\treturn true\n}\n\n")
}

const (
	neonZero    = 30
	neonOne     = 31
	neonScalars = 28 // the first register of scalars
	neonTemp    = 16 // the first of temporaries, one for each vector of a round
)

func neonBytes(reg int) string { return fmt.Sprintf("V%d.B16", reg) }

func (l *neonLoop) emit(f, d *file) {
	fmt.Fprintf(&d.b, "//go:noescape\nfunc %s(", l.name)
	for i, a := range l.arrays {
		if i > 0 {
			d.b.WriteString(", ")
		}
		d.b.WriteString(a)
	}
	d.b.WriteString(" *float32, ")
	for i, s := range l.scalars {
		if i > 0 {
			d.b.WriteString(", ")
		}
		d.b.WriteString(s)
	}
	if len(l.scalars) > 0 {
		d.b.WriteString(" float32, ")
	}
	d.b.WriteString("n int)\n\n")

	size := 8*len(l.arrays) + 4*len(l.scalars)
	size = (size + 7) / 8 * 8
	f.function(l.name, 0, size+8)
	for i, a := range l.arrays {
		f.in("MOVD", fmt.Sprintf("%s+%d(FP)", a, 8*i), fmt.Sprintf("R%d", i))
	}
	var scalars []int
	for i, s := range l.scalars {
		f.in("MOVWU", fmt.Sprintf("%s+%d(FP)", s, 8*len(l.arrays)+4*i), "R5")
		f.in("VDUP", "R5", fmt.Sprintf("V%d.S4", neonScalars+i))
		scalars = append(scalars, neonScalars+i)
	}
	f.in("VEOR", neonBytes(neonZero), neonBytes(neonZero), neonBytes(neonZero))
	f.in("MOVD", "$0x3f800000", "R5")
	f.in("VDUP", "R5", fmt.Sprintf("V%d.S4", neonOne))
	f.in("MOVD", fmt.Sprintf("n+%d(FP)", size), "R3")
	wide, single, end := f.label("wide"), f.label("single"), f.label("end")
	f.in("SUBS", "$16", "R3", "R3")
	f.in("BLT", single)
	f.mark(wide)
	l.round(f, 4, scalars)
	f.in("SUBS", "$16", "R3", "R3")
	f.in("BGE", wide)
	f.mark(single)
	f.in("ADDS", "$16", "R3", "R3")
	f.in("BEQ", end)
	one := f.label("one")
	f.mark(one)
	l.round(f, 1, scalars)
	f.in("SUBS", "$4", "R3", "R3")
	f.in("BNE", one)
	f.mark(end)
	f.in("RET")
}

// round computes vecs vectors.
func (l *neonLoop) round(f *file, vecs int, scalars []int) {
	reg := func(array, v int) int { return 4*(array-l.reads) + v }
	list := func(at func(v int) int) string {
		s := "["
		for v := range vecs {
			if v > 0 {
				s += ", "
			}
			s += fmt.Sprintf("V%d.S4", at(v))
		}
		return s + "]"
	}
	for i := l.reads; i < len(l.arrays); i++ {
		// The first array is written through the same pointer, which moves then.
		op, at := "VLD1.P", fmt.Sprintf("%d(R%d)", 16*vecs, i)
		if i == 0 {
			op, at = "VLD1", "(R0)"
		}
		f.in(op, at, list(func(v int) int { return reg(i, v) }))
	}
	var out int
	for v := range vecs {
		var in []int
		for i := l.reads; i < len(l.arrays); i++ {
			in = append(in, reg(i, v))
		}
		at := l.body(f, in, scalars, neonTemp+v)
		if v == 0 {
			out = at
		}
	}
	f.in("VST1.P", list(func(v int) int { return out + v }), fmt.Sprintf("%d(R0)", 16*vecs))
}
