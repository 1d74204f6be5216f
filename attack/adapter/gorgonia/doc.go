// Package gorgonia makes a classifier that is a Gorgonia expression graph a model
// for attacks, with input gradients, and passes arrays between the two libraries
// without copying.
//
//	g := graph.NewGraph()
//	x := graph.NewTensor(g, graph.Float32, 4, graph.WithShape(32, 1, 28, 28))
//	logits := ... // the network, its weights bound to values
//	m, err := gorgonia.New(gorgonia.Net{Input: x, Logits: logits})
//	res, err := pgd.Run(ctx, m, images, labels)
//
// # How a graph answers
//
// A Gorgonia graph has a fixed batch size. A batch of any other size is cut and
// its last piece filled up with zeros. The gradient of an objective L(z(x)) is
// that of the sum of z(x) times a constant, (dz/dx)ᵀ dL/dz, so one graph serves
// every objective; the machine runs forward and then forward and backward. The
// machines are in evaluation mode.
//
// A graph serves one goroutine at a time. Several copies of it, each with its own
// nodes, may be given to New and are then used side by side.
//
// # Limits
//
// Gorgonia's derivatives are first order only, and some are wrong: in v0.9.18 that
// of BatchNorm with respect to its input, that of Dropout in evaluation mode, which
// is divided by the probability, and GlobalAveragePool2D panics. A wrong gradient
// makes a model look robust, so New refuses a graph with Dropout between input and
// logits (it does nothing in evaluation mode: build the graph without it), and
// Model.CheckGradient checks any other network. A panic within a running machine is outside of the
// caller's reach and ends the program.
package gorgonia
