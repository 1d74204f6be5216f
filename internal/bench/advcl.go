package main

import (
	"context"
	"math/rand/v2"

	"github.com/redoubt-ml/redoubt/defense/advcl"
	"github.com/redoubt-ml/redoubt/tensor"
	"github.com/redoubt-ml/redoubt/tensor/dataset"
	"github.com/redoubt-ml/redoubt/tensor/nn"
	"github.com/redoubt-ml/redoubt/tensor/optim"
)

// pretraining is a step of AdvCL with pseudo-labels on ResNet-18, as nn.Trainer makes
// it: 5 attack steps, five views, three sets of statistics. The crops are given, as the
// peer has nothing for them.
func pretraining(n int) func() {
	rng := rand.New(rand.NewPCG(1, 1))
	images := &dataset.Set{Name: "noise", H: 32, W: 32, C: 3, Bytes: make([]byte, n*32*32*3)}
	for i := range images.Bytes {
		images.Bytes[i] = byte(rng.IntN(256))
	}
	labels := &advcl.PseudoLabels{Data: advcl.Checksum(images)}
	for _, k := range advcl.DefaultClusters {
		l := advcl.Labelling{K: k, ID: make([]int, n)}
		for i := range l.ID {
			l.ID[i] = rng.IntN(k)
		}
		labels.Heads = append(labels.Heads, l)
	}
	method := advcl.NewAdvCL(1).WithPseudoLabels(labels)
	for _, name := range []string{advcl.Strong1, advcl.Strong2, advcl.Weak} {
		method.Views[name] = advcl.View{Stats: advcl.Clean}
	}
	net := advcl.NewNetwork(rng, advcl.ResNet18, advcl.Projector{Widths: []int{512, 128}}, advcl.DefaultClusters, advcl.Routes...)
	params := nn.Params(net)
	idx := make([]int, n)
	for i := range idx {
		idx[i] = i
	}
	x, _ := images.Batch(idx)
	tape := tensor.NewTape()
	sgd := &optim.SGD{Momentum: 0.9, WeightDecay: 1e-4}
	return func() {
		tape.Reset()
		pass := &nn.Pass{Train: true}
		watched := pass.Watch(tape, params)
		loss, err := method.Loss(context.Background(), pass, net, nn.Batch{X: tape.Const(x), Index: idx})
		if err != nil {
			panic(err)
		}
		grads := tensor.Grad(loss, watched...)
		for _, g := range grads {
			if !tensor.AllFinite(g) {
				panic("bench: gradient of AdvCL is not finite")
			}
		}
		sgd.Step(1e-3, params, grads)
		pass.Commit()
	}
}
