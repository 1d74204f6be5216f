package main

// updates emits the kernels that walk several arrays once: scaled additions,
// bounds, optimisers and the attack step.
func updates(v isa, s *stubs) *file {
	f := newAsm("update_" + v.file + "_amd64.s")
	k := newKern(f, v)
	for _, l := range updateLoops {
		l.emit(k, s)
		s.route(l.name, l.params().list(), l.params().names(), false)
	}
	k.finish()
	return f
}

// clamp bounds x from below and above; the operand order keeps a NaN in x.
func (k *kern) clamp(x, lo, hi string) {
	k.in("VMAXPS", x, lo, x)
	k.in("VMINPS", x, hi, x)
}

var updateLoops = []*loop{
	{
		name: "affine", arrays: []string{"dst", "x"}, outputs: 1, reads: []string{"x"}, scalars: []string{"alpha", "beta"}, unroll: 4,
		body: func(k *kern, in, s, _ []string) []string {
			k.in("VFMADD213PS", s[1], s[0], in[0])
			return in[:1]
		},
	},
	{
		name: "axpy", arrays: []string{"dst", "x"}, outputs: 1, reads: []string{"dst", "x"}, scalars: []string{"alpha"}, unroll: 4,
		body: func(k *kern, in, s, _ []string) []string {
			k.in("VFMADD231PS", in[1], s[0], in[0])
			return in[:1]
		},
	},
	{
		name: "clamp", arrays: []string{"dst", "x"}, outputs: 1, reads: []string{"x"}, scalars: []string{"lo", "hi"}, unroll: 4,
		body: func(k *kern, in, s, _ []string) []string {
			k.clamp(in[0], s[0], s[1])
			return in[:1]
		},
	},
	{
		name: "selectWhere", arrays: []string{"dst", "mask", "a", "b"}, outputs: 1, reads: []string{"mask", "a", "b"}, unroll: 2,
		body: func(k *kern, in, s, _ []string) []string {
			k.choose(notEqual, in[0], k.number(0), in[1], in[2], in[0])
			return in[:1]
		},
	},
	{
		name: "fill", arrays: []string{"dst"}, outputs: 1, scalars: []string{"v"}, unroll: 4,
		body: func(k *kern, in, s, _ []string) []string { return s },
	},
	{
		name: "sgd", arrays: []string{"w", "grad"}, outputs: 1, reads: []string{"w", "grad"}, scalars: []string{"lr", "weightDecay"}, unroll: 4,
		body: func(k *kern, in, s, _ []string) []string {
			k.in("VFMADD231PS", in[0], s[1], in[1])
			k.in("VFNMADD231PS", in[1], s[0], in[0])
			return in[:1]
		},
	},
	{
		// look is momentum for Nesterov's form; otherwise 1, with fresh 0.
		name: "sgdMomentum", arrays: []string{"w", "v", "grad"}, outputs: 2, reads: []string{"w", "v", "grad"},
		scalars: []string{"lr", "momentum", "weightDecay", "look", "fresh"}, unroll: 2, temps: 1,
		body: func(k *kern, in, s, t []string) []string {
			w, v, g := in[0], in[1], in[2]
			k.in("VFMADD231PS", w, s[2], g)
			k.in("VFMADD213PS", g, s[1], v)
			k.in("VMULPS", s[4], g, t[0])
			k.in("VFMADD231PS", v, s[3], t[0])
			k.in("VFNMADD231PS", t[0], s[0], w)
			return in[:2]
		},
	},
	{
		name: "adam", arrays: []string{"w", "m", "v", "grad"}, outputs: 3, reads: []string{"w", "m", "v", "grad"},
		scalars: []string{"keep", "decay", "beta1", "fresh1", "beta2", "fresh2", "step", "root", "eps"}, unroll: 2, temps: 1,
		body: func(k *kern, in, s, t []string) []string {
			w, m, v, g := in[0], in[1], in[2], in[3]
			keep, decay, beta1, fresh1, beta2, fresh2, step, root, eps := s[0], s[1], s[2], s[3], s[4], s[5], s[6], s[7], s[8]
			k.in("VMULPS", keep, w, w)
			k.in("VFMADD231PS", w, decay, g)
			k.in("VMULPS", beta1, m, m)
			k.in("VFMADD231PS", g, fresh1, m)
			k.in("VMULPS", g, g, g)
			k.in("VMULPS", beta2, v, v)
			k.in("VFMADD231PS", g, fresh2, v)
			k.in("VSQRTPS", v, g)
			k.in("VFMADD213PS", eps, root, g)
			k.in("VMULPS", step, m, t[0])
			k.in("VDIVPS", g, t[0], t[0])
			k.in("VSUBPS", t[0], w, w)
			return in[:3]
		},
	},
	{
		name: "signStep", arrays: []string{"x", "grad", "x0"}, outputs: 1, reads: []string{"x", "grad", "x0"},
		scalars: []string{"alpha", "eps", "lo", "hi"}, unroll: 2, temps: 1,
		body: func(k *kern, in, s, t []string) []string {
			x, g, x0 := in[0], in[1], in[2]
			k.in("VADDPS", s[0], x, t[0])
			k.choose(greater, g, k.number(0), t[0], x, t[0])
			k.in("VSUBPS", s[0], x, x)
			k.choose(less, g, k.number(0), x, t[0], x)
			k.in("VSUBPS", s[1], x0, t[0])
			k.in("VMAXPS", x, t[0], x)
			k.in("VADDPS", s[1], x0, t[0])
			k.in("VMINPS", x, t[0], x)
			k.clamp(x, s[2], s[3])
			return in[:1]
		},
	},
}
