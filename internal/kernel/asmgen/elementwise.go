package main

import "fmt"

// elementwise emits the functions of one and two elements.
func elementwise(v isa, s *stubs) *file {
	f := newAsm("elementwise_" + v.file + "_amd64.s")
	k := newKern(f, v)
	var loops []*loop
	for _, o := range unaryOps {
		unroll := 4
		if o.temps > 1 {
			unroll = 2
		}
		loops = append(loops, &loop{
			name: "unary" + o.op, arrays: []string{"dst", "x"}, outputs: 1, reads: []string{"x"},
			unroll: unroll, temps: o.temps,
			body: func(k *kern, in, _, temp []string) []string { return []string{o.body(k, in[0], temp)} },
		})
	}
	for _, o := range binaryOps {
		loops = append(loops,
			&loop{
				name: "binary" + o.op, arrays: []string{"dst", "a", "b"}, outputs: 1, reads: []string{"a", "b"},
				unroll: 4, temps: o.temps,
				body: func(k *kern, in, _, temp []string) []string {
					o.body(k, in[0], in[1], temp, in[0])
					return in[:1]
				},
			},
			&loop{
				name: "scalarSecond" + o.op, arrays: []string{"dst", "a"}, outputs: 1, reads: []string{"a"}, scalars: []string{"s"},
				unroll: 4, temps: o.temps,
				body: func(k *kern, in, sc, temp []string) []string {
					o.body(k, in[0], sc[0], temp, in[0])
					return in[:1]
				},
			},
			&loop{
				name: "scalarFirst" + o.op, arrays: []string{"dst", "b"}, outputs: 1, reads: []string{"b"}, scalars: []string{"s"},
				unroll: 4, temps: o.temps,
				body: func(k *kern, in, sc, temp []string) []string {
					o.body(k, sc[0], in[0], temp, in[0])
					return in[:1]
				},
			})
	}
	for _, l := range loops {
		l.emit(k, s)
	}
	k.finish()
	choice(s, v, "unary", "op UnaryOp, dst, x *float32, n int", "dst, x, n", unaryNames())
	choice(s, v, "binary", "op BinaryOp, dst, a, b *float32, n int", "dst, a, b, n", binaryNames())
	choice(s, v, "scalarSecond", "op BinaryOp, dst, a *float32, s float32, n int", "dst, a, s, n", binaryNames())
	choice(s, v, "scalarFirst", "op BinaryOp, dst, b *float32, s float32, n int", "dst, b, s, n", binaryNames())
	return f
}

func unaryNames() (n []string) {
	for _, o := range unaryOps {
		n = append(n, o.op)
	}
	return n
}

func binaryNames() (n []string) {
	for _, o := range binaryOps {
		n = append(n, o.op)
	}
	return n
}

// choice writes the Go function of one instruction set that calls the kernel
// of an operation, and registers the one that chooses the instruction set.
func choice(s *stubs, v isa, name, params, args string, ops []string) {
	d := &s.dispatch.b
	fmt.Fprintf(d, "func %s%s(%s) bool {\n\tswitch op {\n", name, v.suffix, params)
	for _, op := range ops {
		fmt.Fprintf(d, "\tcase %s:\n\t\t%s%s%s(%s)\n", op, name, op, v.suffix, args)
	}
	fmt.Fprintf(d, "\tdefault:\n\t\treturn false\n\t}\n\treturn true\n}\n\n")
	s.route(name, params, "op, "+args, true)
}
