package main

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"runtime"
	"runtime/metrics"

	"github.com/redoubt-ml/redoubt/attack"
	"github.com/redoubt-ml/redoubt/tensor"
	"github.com/redoubt-ml/redoubt/tensor/nn"
	"github.com/redoubt-ml/redoubt/tensor/optim"
)

// workload is a reference network and the size of its images.
type workload struct {
	name    string // for drivers
	title   string // in the table
	size, c int
	build   func(*rand.Rand) *nn.Sequential
}

var (
	cnn = workload{"cnn", "CNN", 28, 1, func(r *rand.Rand) *nn.Sequential { return nn.NewMNISTPoolNet(r, 1024) }}
	// The input normalisation of our ResNet-18 is extra work: the peers'
	// networks see normalised images.
	resnet = workload{"resnet18", "ResNet-18", 32, 3, func(r *rand.Rand) *nn.Sequential { return nn.NewResNet18(r, 10) }}
	mlp    = workload{"mlp", "MLP", 28, 1, func(r *rand.Rand) *nn.Sequential { return nn.NewMLP(r, 28, 28, 1, 256, 256, 10) }}
	lenet  = workload{"lenet", "LeNet", 32, 3, func(r *rand.Rand) *nn.Sequential { return nn.NewLeNet5(r, 32, 3, 10, nil) }}
)

// batch draws images with pixels in [0, 1] and labels.
func (w workload) batch(rng *rand.Rand, n int) (*tensor.Tensor, []int) {
	x := tensor.Zeros(tensor.Float32, n, w.size, w.size, w.c)
	for i := range x.Float32s() {
		x.Float32s()[i] = rng.Float32()
	}
	y := make([]int, n)
	for i := range y {
		y[i] = rng.IntN(10)
	}
	return x, y
}

// training is a step of training as nn.Trainer makes it: loss, gradients with
// the check that they are finite, and SGD with momentum.
func (w workload) training(n int) func() {
	rng := rand.New(rand.NewPCG(1, 1))
	net := w.build(rng)
	params := nn.Params(net)
	x, y := w.batch(rng, n)
	tape := tensor.NewTape()
	sgd := &optim.SGD{Momentum: 0.9}
	return func() {
		tape.Reset()
		pass := &nn.Pass{Train: true}
		watched := pass.Watch(tape, params)
		loss := tensor.Mean(tensor.CrossEntropy(net.Forward(pass, tape.Const(x)), y))
		grads := tensor.Grad(loss, watched...)
		for i, g := range grads {
			if !tensor.AllFinite(g) {
				panic(fmt.Sprintf("bench: gradient %d of %s is not finite", i, w.name))
			}
		}
		sgd.Step(1e-3, params, grads)
		pass.Commit()
	}
}

// pgd is an attack of ten steps on every image, all in one batch as the peer has
// them.
func (w workload) pgd(n int) func() {
	rng := rand.New(rand.NewPCG(1, 1))
	model := nn.Classifier{Net: w.build(rng)}
	x, y := w.batch(rng, n)
	a := &attack.PGD{Threat: attack.Threat{Norm: attack.Linf, Eps: 0.3}, Steps: 10, BatchSize: n}
	return func() {
		if _, err := a.Perturb(context.Background(), model, x, y); err != nil {
			panic(err)
		}
	}
}

// matching is a step of gradient inversion: the gradient, with respect to the
// images, of the distance between the parameters' gradient and a given one.
func (w workload) matching(n int) func() {
	rng := rand.New(rand.NewPCG(1, 1))
	net := w.build(rng)
	params := nn.Params(net)
	x, y := w.batch(rng, n)
	target := make([]*tensor.Tensor, len(params))
	for i, p := range params {
		target[i] = tensor.Zeros(tensor.Float32, p.Shape()...)
		for j := range target[i].Float32s() {
			target[i].Float32s()[j] = 1e-2 * float32(rng.NormFloat64())
		}
	}
	tape := tensor.NewTape()
	return func() {
		tape.Reset()
		pass := &nn.Pass{Train: true}
		watched := pass.Watch(tape, params)
		guess := tape.Watch(x)
		loss := tensor.Mean(tensor.CrossEntropy(net.Forward(pass, guess), y))
		var distance *tensor.Tensor
		for i, g := range tensor.Gradients(loss, tensor.GradOptions{CreateGraph: true}, watched...) {
			d := tensor.Sub(g, target[i])
			if s := tensor.Dot(d, d); distance == nil {
				distance = s
			} else {
				distance = tensor.Add(distance, s)
			}
		}
		tensor.Grad(distance, guess)
	}
}

// forward evaluates the network without gradients.
func (w workload) forward(n int) func() {
	rng := rand.New(rand.NewPCG(1, 1))
	net := w.build(rng)
	x, _ := w.batch(rng, n)
	tape := tensor.NewTape()
	return func() {
		tape.Reset()
		net.Forward(&nn.Pass{}, tape.Const(x))
	}
}

// allocated is the number of bytes that a steady call of f allocates. Working
// memory grows for a while, since which thread borrows which block is chance; so
// the least of a few windows counts.
func allocated(f func(), calls int) float64 {
	for range 3 {
		f()
	}
	least := math.Inf(1)
	for range 4 {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		for range calls {
			f()
		}
		runtime.ReadMemStats(&after)
		least = min(least, float64(after.TotalAlloc-before.TotalAlloc)/float64(calls))
	}
	return least
}

// held is the memory in use after two calls of f, in bytes, with what was in use before.
func held(f func()) float64 {
	runtime.GC()
	f()
	f()
	var after runtime.MemStats
	runtime.ReadMemStats(&after)
	return float64(after.HeapInuse + after.StackInuse)
}

// cycles is the number of garbage collections during steady calls of f.
func cycles(f func(), calls int) float64 {
	for range 3 {
		f()
	}
	runtime.GC()
	count := func() float64 {
		s := []metrics.Sample{{Name: "/gc/cycles/automatic:gc-cycles"}}
		metrics.Read(s)
		return float64(s[0].Value.Uint64())
	}
	before := count()
	for range calls {
		f()
	}
	return count() - before
}
