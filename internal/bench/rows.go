package main

import (
	"fmt"
	"math/rand/v2"
	"path/filepath"

	"gonum.org/v1/gonum/blas"
	gonum "gonum.org/v1/gonum/blas/gonum"

	"github.com/redoubt-ml/redoubt/internal/conv"
	"github.com/redoubt-ml/redoubt/internal/cpu"
	"github.com/redoubt-ml/redoubt/internal/gemm"
	"github.com/redoubt-ml/redoubt/internal/kernel"
)

func random(n int) []float32 {
	rng := rand.New(rand.NewPCG(1, uint64(n)))
	s := make([]float32, n)
	for i := range s {
		s[i] = rng.Float32() - 0.5
	}
	return s
}

// size is a matrix product.
type size struct{ m, n, k int }

func (s size) String() string { return fmt.Sprintf("%dx%dx%d", s.m, s.n, s.k) }

func (s size) ours() side {
	return inProcess(func() func() {
		a, b, c := random(s.m*s.k), random(s.k*s.n), make([]float32, s.m*s.n)
		return func() {
			gemm.Gemm(false, false, s.m, s.n, s.k, a, s.k, b, s.n, c, s.n, gemm.Epilogue[float32]{})
		}
	})
}

func (s size) gonum() side {
	return inProcess(func() func() {
		a, b, c := random(s.m*s.k), random(s.k*s.n), make([]float32, s.m*s.n)
		return func() {
			gonum.Implementation{}.Sgemm(blas.NoTrans, blas.NoTrans, s.m, s.n, s.k, 1, a, s.k, b, s.n, 0, c, s.n)
		}
	})
}

var skinny = []size{
	{128, 576, 1024}, {64, 1024, 576}, {576, 1024, 128}, {128, 784, 256},
	{64, 800, 12544}, {128, 3136, 1024}, {512, 64, 4608},
}

// layer is a square convolution.
type layer struct{ n, h, c, k, r, stride, pad int }

func (l layer) String() string {
	return fmt.Sprintf("%dx%dx%d %dx%d/%d to %d", l.n, l.h, l.c, l.r, l.r, l.stride, l.k)
}

var layers = []layer{
	{128, 28, 1, 32, 5, 1, 2}, {128, 14, 32, 64, 5, 1, 2},
	{32, 32, 3, 64, 3, 1, 1}, {32, 32, 64, 64, 3, 1, 1},
	{32, 32, 64, 128, 3, 2, 1}, {32, 32, 64, 128, 1, 2, 0}, {32, 16, 128, 128, 3, 1, 1},
	{32, 16, 128, 256, 3, 2, 1}, {32, 16, 128, 256, 1, 2, 0}, {32, 8, 256, 256, 3, 1, 1},
	{32, 8, 256, 512, 3, 2, 1}, {32, 8, 256, 512, 1, 2, 0}, {32, 4, 512, 512, 3, 1, 1},
}

// ours is a pass of the layer: F, BD or BW.
func (l layer) ours(pass string, winograd bool) side {
	return inProcess(func() func() {
		g := conv.Geometry{Winograd: winograd, N: l.n, H: l.h, W: l.h, C: l.c, K: l.k, R: l.r, S: l.r,
			StrideH: l.stride, StrideW: l.stride, PadT: l.pad, PadL: l.pad, PadB: l.pad, PadR: l.pad}
		if err := g.Complete(); err != nil {
			panic(err)
		}
		x, w, y := random(g.N*g.H*g.W*g.C), random(g.R*g.S*g.C*g.K), random(g.N*g.OH*g.OW*g.K)
		switch pass {
		case "F":
			return func() { conv.Forward(y, x, w, g, nil, false) }
		case "BD":
			return func() { conv.BackwardData(x, y, w, g) }
		}
		return func() { conv.BackwardFilter(w, x, y, g) }
	})
}

func (l layer) setup(pass string, threads int) string {
	return fmt.Sprintf("%s %d %d %d %d %d %d %d %d", pass, l.n, l.h, l.c, l.k, l.r, l.stride, l.pad, threads)
}

// microKernel compares a full tile on data in the first-level cache with the
// multiply-add peak.
func microKernel(level cpu.Level) (row, error) {
	r := row{name: "micro-kernel " + level.String(), peer: "FMA peak", threads: 1, higher: true, must: 0.95, aim: 0.98}
	if level > cpu.Active() {
		return r, fmt.Errorf("this processor has no %v; run on one that does", level)
	}
	r.items = func() []item {
		restore := cpu.Force(level)
		defer restore()
		rows, cols, _ := kernel.MaxTile[float32]()
		const k, count = 256, 500
		flops := float64(2 * rows * cols * k * count)
		per := float64(kernel.PeakLoop(1))
		loops := int(flops / per)
		at := func(f func()) func() func() {
			return func() func() {
				return func() {
					restore := cpu.Force(level)
					f()
					restore()
				}
			}
		}
		t := &kernel.Tile[float32]{
			A: random(rows * k), B: random(cols * k), C: make([]float32, rows*cols), RS: 1, KS: rows,
			K0: k, K1: 1, K2: 1, B0: cols, LDC: cols, Rows: rows, Cols: cols,
		}
		ours := inProcess(at(func() {
			for range count {
				t.Run()
			}
		}))
		peak := inProcess(at(func() { kernel.PeakLoop(loops) }))
		return []item{{fmt.Sprintf("%dx%dx%d", rows, cols, k), ours, scaled(peak, flops/(float64(loops)*per))}}
	}
	return r, nil
}

// rows are all lines of the table. A row that cannot be measured here comes with
// the reason.
func rows(p *peers) (all []row, impossible map[string]string) {
	impossible = map[string]string{}
	for _, level := range []cpu.Level{cpu.AVX512, cpu.AVX2} {
		r, err := microKernel(level)
		if err != nil {
			impossible[r.name] = err.Error()
		}
		all = append(all, r)
	}
	product := func(name string, threads int, must, aim float64, sizes ...size) {
		all = append(all, row{name: name, peer: "OpenBLAS", threads: threads, higher: true, must: must, aim: aim,
			items: func() (its []item) {
				for _, s := range sizes {
					its = append(its, item{s.String(), s.ours(), p.blas.side(fmt.Sprintf("%d %d %d %d", s.m, s.n, s.k, threads))})
				}
				return its
			}})
	}
	for _, threads := range p.threads {
		for _, n := range []int{256, 512, 1024, 2048} {
			product(fmt.Sprintf("matrix product, %d", n), threads, 0.95, 1.05, size{n, n, n})
		}
		product("matrix products, skinny", threads, 1.05, 1.2, skinny...)
	}
	for _, threads := range p.threads {
		all = append(all, row{name: "matrix product, 512", peer: "gonum", threads: threads, higher: true, must: 12, aim: 16,
			items: func() []item {
				s := size{512, 512, 512}
				return []item{{s.String(), s.ours(), s.gonum()}}
			}})
	}
	for _, threads := range p.threads {
		for _, pass := range []string{"F", "BD", "BW"} {
			all = append(all, row{name: "convolutions, direct, " + pass, peer: "oneDNN direct", threads: threads, higher: true, must: 1, aim: 1.1,
				items: func() (its []item) {
					for _, l := range layers {
						its = append(its, item{l.String(), l.ours(pass, false), p.dnn.side(l.setup(pass, threads))})
					}
					return its
				}})
		}
		all = append(all, row{name: "convolutions, Winograd's layers", peer: "oneDNN direct", threads: threads, higher: true, must: 1.4, aim: 1.6,
			items: func() (its []item) {
				for _, l := range layers {
					if l.r > 1 && l.stride == 1 && l.c >= 32 {
						for _, pass := range []string{"F", "BD", "BW"} {
							its = append(its, item{l.String() + " " + pass, l.ours(pass, true), p.dnn.side(l.setup(pass, threads))})
						}
					}
				}
				return its
			}})
	}
	return append(all, networkRows(p)...), impossible
}

func networkRows(p *peers) (all []row) {
	against := func(what, title string, w workload, n int, must, aim float64, ours func(n int) func()) {
		for _, threads := range p.threads {
			line := fmt.Sprintf("%s %s %d %d ", what, w.name, n, threads)
			all = append(all, row{name: fmt.Sprintf("%s, %s, batch %d", title, w.title, n), peer: "PyTorch", threads: threads, must: must, aim: aim,
				items: func() []item {
					return []item{{w.name, inProcess(func() func() { return ours(n) }), p.torch.side(line+"nchw", line+"nhwc")}}
				}})
		}
	}
	against("train", "training step", cnn, 128, 0.8, 0.6, cnn.training)
	against("train", "training step", resnet, 64, 0.85, 0.55, resnet.training)
	against("train", "training step", mlp, 128, 1, 0.7, mlp.training)
	against("pgd", "PGD-10", cnn, 128, 0.7, 0.5, cnn.pgd)
	against("pgd", "PGD-10", resnet, 16, 0.85, 0.55, resnet.pgd)
	against("match", "gradient matching", lenet, 1, 0.8, 0.4, lenet.matching)
	against("match", "gradient matching", lenet, 8, 0.9, 0.6, lenet.matching)
	against("match", "gradient matching", cnn, 8, 0.9, 0.7, cnn.matching)
	for _, threads := range p.threads {
		line := fmt.Sprintf("advcl resnet18 64 %d ", threads)
		all = append(all, row{name: "AdvCL step, ResNet-18, batch 64", peer: "PyTorch", threads: threads, must: 0.85, aim: 0.55,
			items: func() []item {
				return []item{{"resnet18", inProcess(func() func() { return pretraining(64) }), p.torch.side(line+"nchw", line+"nhwc")}}
			}})
	}
	for _, f := range []struct {
		workload
		n int
	}{{cnn, 128}, {resnet, 64}, {mlp, 128}} {
		for _, threads := range p.threads {
			all = append(all, row{name: fmt.Sprintf("forward pass, %s, batch %d", f.title, f.n), peer: "ONNX Runtime", threads: threads, must: 1.2, aim: 1,
				items: func() []item {
					path := filepath.Join(p.dir, f.name+".onnx")
					logits, err := f.export(path, f.n)
					theirs := p.ort.checked(func(answer string) error { return sameLogits(logits, answer) },
						fmt.Sprintf("%s %d %d %d %d %d", path, threads, f.n, f.c, f.size, f.size))
					if err != nil {
						theirs.setup = func() (string, error) { return "", err }
					}
					return []item{{f.name, inProcess(func() func() { return f.forward(f.n) }), theirs}}
				}})
		}
	}
	for _, threads := range p.threads {
		all = append(all, row{name: "training images a second, CNN, batch 128", peer: "Gorgonia", threads: threads, higher: true, must: 15, aim: 22,
			items: func() []item {
				return []item{{"cnn", inProcess(func() func() { return cnn.training(128) }), p.gorgonia.side(fmt.Sprintf("train cnn 128 %d", threads))}}
			}})
	}
	return append(all, ownRows(p)...)
}

// ownRows compare the engine with itself.
func ownRows(p *peers) (all []row) {
	for _, f := range []struct {
		workload
		n int
	}{{cnn, 128}, {resnet, 64}} {
		for _, threads := range p.threads {
			if threads == 1 {
				continue
			}
			r := row{name: fmt.Sprintf("training step, %s, batch %d, %d threads over 1", f.title, f.n, threads), peer: "itself", threads: threads, higher: true,
				items: func() []item {
					f1, fn := f.training(f.n), f.training(f.n)
					return []item{{f.name, inProcess(func() func() { return fn }), inProcess(func() func() { return onThreads(1, threads, f1) })}}
				}}
			if threads == 2 {
				r.must, r.aim = 1.75, 1.9
			}
			all = append(all, r)
		}
		all = append(all, row{name: fmt.Sprintf("training step, %s, batch %d, bytes allocated", f.title, f.n), peer: "none", threads: 2, must: 64 << 10, aim: 8 << 10,
			value: func() (float64, error) { return allocated(f.training(f.n), 5), nil }})
	}
	all = append(all, row{name: "AdvCL step, ResNet-18, batch 64, bytes in use", peer: "none", threads: 2, must: 3 << 30, aim: 3 << 30,
		value: func() (float64, error) { return held(pretraining(64)), nil }})
	return append(all, row{name: "training step, CNN, batch 128, GC cycles in 100", peer: "none", threads: 2,
		value: func() (float64, error) { return cycles(cnn.training(128), 100), nil }})
}
