package main

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
)

// loop describes a kernel that walks several arrays in step.
type loop struct {
	name    string
	arrays  []string // pointer parameters, the outputs first
	outputs int
	reads   []string // arrays that body reads, loaded into the first registers
	scalars []string // float32 parameters
	unroll  int      // vectors per turn on AVX-512; AVX2 takes half
	temps   int      // registers that body needs beside those of reads
	// body leaves the outputs in registers and returns their names. in holds
	// the loaded arrays, then come the broadcast scalars and the temporaries;
	// it may overwrite any but the scalars.
	body func(k *kern, in, scalar, temp []string) []string
}

// kern emits the inside of a kernel.
type kern struct {
	*file
	isa
	constants map[uint32]bool
	// mask is a spare register for a comparison's outcome.
	mask string
}

func newKern(f *file, v isa) *kern {
	k := &kern{file: f, isa: v, constants: map[uint32]bool{}, mask: "K2"}
	if !v.wide() {
		k.mask = "Y14"
	}
	return k
}

// number is a memory operand that holds a float32 in every lane.
func (k *kern) number(v float32) string { return k.bits(math.Float32bits(v)) }

// bits is a memory operand that holds an integer in every lane.
func (k *kern) bits(b uint32) string {
	k.constants[b] = true
	return fmt.Sprintf("c%08x<>(SB)", b)
}

// finish emits the constants that have been asked for.
func (k *kern) finish() {
	for _, b := range slices.Sorted(maps.Keys(k.constants)) {
		k.b.WriteByte('\n')
		for i := range k.lanes {
			fmt.Fprintf(&k.b, "DATA c%08x<>+%d(SB)/4, $0x%08x\n", b, 4*i, b)
		}
		fmt.Fprintf(&k.b, "GLOBL c%08x<>(SB), RODATA|NOPTR, $%d\n", b, k.bytes())
	}
}

// Comparison predicates: false for NaN unless noted, and quiet.
const (
	equal        = 0x00
	unordered    = 0x03
	notEqual     = 0x04 // true for NaN
	ordered      = 0x07
	less         = 0x11
	lessEqual    = 0x12
	notLessEqual = 0x16 // true for NaN
	greaterEqual = 0x1d
	greater      = 0x1e
)

// compare leaves a ? b in k.mask.
func (k *kern) compare(pred int, a, b string) {
	k.in("VCMPPS", imm(pred), b, a, k.mask)
}

// choose sets dst = (a ? b) x : y.
func (k *kern) choose(pred int, a, b, x, y, dst string) {
	k.compare(pred, a, b)
	k.blend(x, y, dst)
}

// blend sets dst to x where k.mask holds, to y elsewhere.
func (k *kern) blend(x, y, dst string) {
	if k.wide() {
		k.in("VBLENDMPS", x, y, k.mask, dst)
	} else {
		k.in("VBLENDVPS", k.mask, x, y, dst)
	}
}

// keep sets dst = (a ? b) x : 0.
func (k *kern) keep(pred int, a, b, x, dst string) {
	k.compare(pred, a, b)
	if k.wide() {
		k.in("VMOVUPS.Z", x, k.mask, dst)
	} else {
		k.in("VANDPS", x, k.mask, dst)
	}
}

// params lays out the arguments of a kernel as Go's assembler ABI does.
type params struct {
	decl []string
	at   map[string]string
	size int
}

func (p *params) add(kind string, size int, names ...string) {
	if p.at == nil {
		p.at = map[string]string{}
	}
	for _, n := range names {
		p.size = (p.size + size - 1) / size * size
		p.at[n] = fmt.Sprintf("%s+%d(FP)", n, p.size)
		p.size += size
		p.decl = append(p.decl, n+" "+kind)
	}
}

func (p *params) list() string { return strings.Join(p.decl, ", ") }

func (p *params) total() int { return (p.size + 7) / 8 * 8 }

// names are the parameters without their types.
func (p *params) names() string {
	var n []string
	for _, d := range p.decl {
		n = append(n, strings.Fields(d)[0])
	}
	return strings.Join(n, ", ")
}

var pointers = []string{"DI", "SI", "R8", "R9", "R10", "R11"}

func (l *loop) params() *params {
	p := &params{}
	p.add("*float32", 8, l.arrays...)
	p.add("float32", 4, l.scalars...)
	p.add("int", 8, "n")
	return p
}

// emit writes the kernel: an unrolled loop, a loop of single vectors and a
// masked rest.
func (l *loop) emit(k *kern, s *stubs) {
	p := l.params()
	name := l.name + k.suffix
	s.declare(name, p.list())
	k.function(name, 0, p.total())
	ptr := map[string]string{}
	for i, a := range l.arrays {
		ptr[a] = pointers[i]
		k.in("MOVQ", p.at[a], pointers[i])
	}
	k.in("MOVQ", p.at["n"], "CX")
	top := k.regs
	rest := "K1"
	if !k.wide() {
		rest, top = "Y15", top-2
	}
	var scalars []string
	for _, sc := range l.scalars {
		top--
		scalars = append(scalars, k.reg(top))
		k.in("VBROADCASTSS", p.at[sc], k.reg(top))
	}
	perVector := len(l.reads) + l.temps
	unroll := max(1, l.unroll)
	if !k.wide() {
		unroll = (unroll + 1) / 2
	}
	unroll = max(1, min(unroll, top/max(perVector, 1)))
	// turn processes the vectors at the pointers.
	turn := func(vectors int, masked bool) {
		for u := range vectors {
			regs := make([]string, perVector)
			for i := range regs {
				regs[i] = k.reg(u*perVector + i)
			}
			in, temp := regs[:len(l.reads)], regs[len(l.reads):]
			for i, a := range l.reads {
				at := mem(u*k.bytes(), ptr[a])
				if masked {
					loadMasked(k.file, k.isa, at, rest, in[i])
				} else {
					k.in("VMOVUPS", at, in[i])
				}
			}
			for i, out := range l.body(k, in, scalars, temp) {
				at := mem(u*k.bytes(), ptr[l.arrays[i]])
				if masked {
					storeMasked(k.file, k.isa, out, rest, at)
				} else {
					k.in("VMOVUPS", out, at)
				}
			}
		}
		if !masked {
			for _, a := range l.arrays {
				k.in("ADDQ", imm(vectors*k.bytes()), ptr[a])
			}
		}
	}
	end := k.label("end")
	for _, vectors := range []int{unroll, 1} {
		again, done := k.label("loop"), k.label("rest")
		k.in("SUBQ", imm(vectors*k.lanes), "CX")
		k.in("JLT", done)
		k.mark(again)
		turn(vectors, false)
		k.in("SUBQ", imm(vectors*k.lanes), "CX")
		k.in("JGE", again)
		k.mark(done)
		k.in("ADDQ", imm(vectors*k.lanes), "CX")
		if unroll == 1 {
			break
		}
	}
	k.in("JEQ", end)
	k.restMask("CX", rest)
	turn(1, true)
	k.mark(end)
	k.done()
}

// restMask makes the mask of the first lanes, counted by CX, which is less
// than a vector has. It uses AX and DX.
func (k *kern) restMask(count, mask string) {
	if k.wide() {
		k.in("MOVQ", "$-1", "AX")
		k.in("SHLQ", count, "AX")
		k.in("NOTQ", "AX")
		k.in("KMOVW", "AX", mask)
		return
	}
	k.in("LEAQ", "·laneMask(SB)", "AX")
	k.in("MOVQ", count, "DX")
	k.in("NEGQ", "DX")
	k.in("VMOVUPS", fmt.Sprintf("%d(AX)(DX*4)", 4*k.lanes), mask)
}
