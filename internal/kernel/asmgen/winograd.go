package main

import "fmt"

// transform is a small matrix whose two-sided product with a square of vectors
// a kernel computes. Rows or columns that are equal up to signs come in pairs,
// of which the sum and the difference are formed once.
type transform struct {
	name     string
	matrix   [][]float32
	rowPairs [][2]int
	colPairs [][2]int
}

// The matrices of Winograd's F(4x4, 3x3) and F(2x2, 5x5) for the points 0, 1, -1, 2,
// -2 and infinity, and the transposes that their gradients need.
//
// Lavin and Gray, CVPR 2016, section 4.3.
var transforms = []transform{
	{name: "winogradImage", rowPairs: [][2]int{{1, 2}, {3, 4}}, matrix: [][]float32{
		{4, 0, -5, 0, 1, 0},
		{0, -4, -4, 1, 1, 0},
		{0, 4, -4, -1, 1, 0},
		{0, -2, -1, 2, 1, 0},
		{0, 2, -1, -2, 1, 0},
		{0, 4, 0, -5, 0, 1},
	}},
	{name: "winogradFilter3", rowPairs: [][2]int{{1, 2}, {3, 4}}, matrix: [][]float32{
		{1. / 4, 0, 0},
		{-1. / 6, -1. / 6, -1. / 6},
		{-1. / 6, 1. / 6, -1. / 6},
		{1. / 24, 1. / 12, 1. / 6},
		{1. / 24, -1. / 12, 1. / 6},
		{0, 0, 1},
	}},
	{name: "winogradOutput3", colPairs: [][2]int{{1, 2}, {3, 4}}, matrix: [][]float32{
		{1, 1, 1, 1, 1, 0},
		{0, 1, -1, 2, -2, 0},
		{0, 1, 1, 4, 4, 0},
		{0, 1, -1, 8, -8, 1},
	}},
	{name: "winogradOutputAdjoint3", rowPairs: [][2]int{{1, 2}, {3, 4}}, matrix: [][]float32{
		{1, 0, 0, 0},
		{1, 1, 1, 1},
		{1, -1, 1, -1},
		{1, 2, 4, 8},
		{1, -2, 4, -8},
		{0, 0, 0, 1},
	}},
	{name: "winogradFilterAdjoint3", colPairs: [][2]int{{1, 2}, {3, 4}}, matrix: [][]float32{
		{1. / 4, -1. / 6, -1. / 6, 1. / 24, 1. / 24, 0},
		{0, -1. / 6, 1. / 6, 1. / 12, -1. / 12, 0},
		{0, -1. / 6, -1. / 6, 1. / 6, 1. / 6, 1},
	}},
	{name: "winogradFilter5", rowPairs: [][2]int{{1, 2}, {3, 4}}, matrix: [][]float32{
		{1. / 4, 0, 0, 0, 0},
		{-1. / 6, -1. / 6, -1. / 6, -1. / 6, -1. / 6},
		{-1. / 6, 1. / 6, -1. / 6, 1. / 6, -1. / 6},
		{1. / 24, 1. / 12, 1. / 6, 1. / 3, 2. / 3},
		{1. / 24, -1. / 12, 1. / 6, -1. / 3, 2. / 3},
		{0, 0, 0, 0, 1},
	}},
	{name: "winogradOutput5", colPairs: [][2]int{{1, 2}, {3, 4}}, matrix: [][]float32{
		{1, 1, 1, 1, 1, 0},
		{0, 1, -1, 2, -2, 1},
	}},
	{name: "winogradOutputAdjoint5", rowPairs: [][2]int{{1, 2}, {3, 4}}, matrix: [][]float32{
		{1, 0},
		{1, 1},
		{1, -1},
		{1, 2},
		{1, -2},
		{0, 1},
	}},
	{name: "winogradFilterAdjoint5", colPairs: [][2]int{{1, 2}, {3, 4}}, matrix: [][]float32{
		{1. / 4, -1. / 6, -1. / 6, 1. / 24, 1. / 24, 0},
		{0, -1. / 6, 1. / 6, 1. / 12, -1. / 12, 0},
		{0, -1. / 6, -1. / 6, 1. / 6, 1. / 6, 0},
		{0, -1. / 6, 1. / 6, 1. / 3, -1. / 3, 0},
		{0, -1. / 6, -1. / 6, 2. / 3, 2. / 3, 1},
	}},
}

// winograd emits the kernels of all transforms: dst = M src Mᵀ for squares of
// vectors whose rows and columns lie given strides apart, n elements at a time.
func winograd(v isa, s *stubs) *file {
	f := newAsm("winograd_" + v.file + "_amd64.s")
	k := newKern(f, v)
	for _, t := range transforms {
		t.emit(k, s)
	}
	k.finish()
	return f
}

func (t *transform) emit(k *kern, s *stubs) {
	rows, cols := len(t.matrix), len(t.matrix[0])
	p := &params{}
	p.add("*float32", 8, "dst")
	p.add("int", 8, "dstRow", "dstCol")
	p.add("*float32", 8, "src")
	p.add("int", 8, "srcRow", "srcCol")
	p.add("*float32", 8, "tmp")
	p.add("int", 8, "n")
	s.declare(t.name+k.suffix, p.list())
	s.route(t.name, p.list(), p.names(), false)
	k.function(t.name+k.suffix, 0, p.total())
	for _, a := range []struct{ name, reg string }{
		{"dst", "DI"}, {"dstRow", "R8"}, {"dstCol", "R11"}, {"src", "SI"}, {"srcRow", "R9"}, {"srcCol", "R10"}, {"tmp", "R12"}, {"n", "CX"},
	} {
		k.in("MOVQ", p.at[a.name], a.reg)
	}
	for _, r := range []string{"R8", "R9", "R10", "R11"} {
		k.in("SHLQ", "$2", r)
	}
	loop := k.label("vector")
	k.mark(loop)
	// at is the i-th of a row of vectors that lie step apart, three of them
	// three apart.
	at := func(i int, base, step, three, five string) string {
		switch i {
		case 0:
			return mem(0, base)
		case 3:
			return indexed(base, three, 1)
		case 5:
			return indexed(base, five, 1)
		}
		return indexed(base, step, i)
	}
	x := make([]string, cols)
	for i := range x {
		x[i] = k.reg(i)
	}
	k.in("MOVQ", "SI", "AX")
	k.in("LEAQ", indexed("R9", "R9", 2), "BX")
	k.in("LEAQ", indexed("R9", "R9", 4), "DX")
	for j := range cols {
		for i := range cols {
			k.in("VMOVUPS", at(i, "AX", "R9", "BX", "DX"), x[i])
		}
		t.apply(k, x, func(i int, reg string) {
			k.in("VMOVUPS", reg, mem((i*cols+j)*k.bytes(), "R12"))
		})
		if j < cols-1 {
			k.in("ADDQ", "R10", "AX")
		}
	}
	k.in("MOVQ", "DI", "AX")
	k.in("LEAQ", indexed("R11", "R11", 2), "BX")
	k.in("LEAQ", indexed("R11", "R11", 4), "DX")
	for i := range rows {
		for j := range cols {
			k.in("VMOVUPS", mem((i*cols+j)*k.bytes(), "R12"), x[j])
		}
		t.apply(k, x, func(j int, reg string) {
			k.in("VMOVUPS", reg, at(j, "AX", "R11", "BX", "DX"))
		})
		if i < rows-1 {
			k.in("ADDQ", "R8", "AX")
		}
	}
	k.in("ADDQ", imm(k.bytes()), "SI")
	k.in("ADDQ", imm(k.bytes()), "DI")
	k.in("SUBQ", imm(k.lanes), "CX")
	k.in("JG", loop)
	k.done()
}

// apply computes the product of the matrix and the vector x, which it may
// overwrite, and passes each element on.
func (t *transform) apply(k *kern, x []string, store func(i int, reg string)) {
	sum, diff, out := k.reg(len(x)), k.reg(len(x)+1), k.reg(len(x)+2)
	m := t.matrix
	if t.colPairs != nil {
		// Each pair becomes its sum and its difference; a row needs one of
		// the two.
		for _, p := range t.colPairs {
			k.in("VADDPS", x[p[1]], x[p[0]], sum)
			k.in("VSUBPS", x[p[1]], x[p[0]], x[p[1]])
			k.in("VMOVAPS", sum, x[p[0]])
		}
		for i, row := range m {
			c := append([]float32(nil), row...)
			for _, p := range t.colPairs {
				switch {
				case c[p[0]] == c[p[1]]:
					c[p[1]] = 0
				case c[p[0]] == -c[p[1]]:
					c[p[0]], c[p[1]] = 0, c[p[0]]
				default:
					panic("asmgen: columns of " + t.name + " are no pair")
				}
			}
			k.combine(c, x, out)
			store(i, out)
		}
		return
	}
	paired := map[int]bool{}
	for _, p := range t.rowPairs {
		even, odd := make([]float32, len(x)), make([]float32, len(x))
		for j := range x {
			a, b := m[p[0]][j], m[p[1]][j]
			if a == b {
				even[j] = a
			} else if a == -b {
				odd[j] = a
			} else {
				panic("asmgen: rows of " + t.name + " are no pair")
			}
		}
		k.combine(even, x, sum)
		k.combine(odd, x, diff)
		k.in("VADDPS", diff, sum, out)
		store(p[0], out)
		k.in("VSUBPS", diff, sum, out)
		store(p[1], out)
		paired[p[0]], paired[p[1]] = true, true
	}
	for i, row := range m {
		if !paired[i] {
			k.combine(row, x, out)
			store(i, out)
		}
	}
}

// combine sets dst to the sum of c[j] x[j].
func (k *kern) combine(c []float32, x []string, dst string) {
	first := -1
	for j, v := range c {
		if v == 1 {
			first = j
			break
		}
	}
	begun := first >= 0
	if begun {
		k.in("VMOVAPS", x[first], dst)
	}
	for j, v := range c {
		switch {
		case v == 0 || j == first:
		case !begun:
			k.in("VMULPS", k.number(v), x[j], dst)
			begun = true
		case v == 1:
			k.in("VADDPS", x[j], dst, dst)
		case v == -1:
			k.in("VSUBPS", x[j], dst, dst)
		default:
			k.in("VFMADD231PS", k.number(v), x[j], dst)
		}
	}
	if !begun {
		panic(fmt.Sprintf("asmgen: empty combination %v", c))
	}
}
