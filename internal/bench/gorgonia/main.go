// Command gorgonia times training steps of the convolutional reference network
// in Gorgonia. Protocol: "setup train cnn batch threads", then "run reps". It is
// a module of its own so that Gorgonia burdens nobody but the benchmark.
package main

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"runtime"
	"strings"
	"syscall"
	"time"

	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// training is a compiled step: forward, gradients, SGD with momentum.
type training struct {
	machine G.VM
	params  G.Nodes
	solver  G.Solver
}

func (t *training) step() error {
	if err := t.machine.RunAll(); err != nil {
		return err
	}
	if err := t.solver.Step(G.NodesToValueGrads(t.params)); err != nil {
		return err
	}
	t.machine.Reset()
	return nil
}

// network collects the errors of graph construction.
type network struct {
	g      *G.ExprGraph
	params G.Nodes
	err    error
}

func (n *network) keep(node *G.Node, err error) *G.Node {
	n.err = errors.Join(n.err, err)
	return node
}

func (n *network) param(name string, dims ...int) *G.Node {
	p := G.NewTensor(n.g, tensor.Float32, len(dims), G.WithShape(dims...), G.WithName(name), G.WithInit(G.GlorotN(1)))
	if len(dims) == 2 {
		p = G.NewMatrix(n.g, tensor.Float32, G.WithShape(dims...), G.WithName(name), G.WithInit(G.GlorotN(1)))
	}
	n.params = append(n.params, p)
	return p
}

func (n *network) conv(x *G.Node, name string, in, out int) *G.Node {
	if n.err != nil {
		return nil
	}
	y := n.keep(G.Conv2d(x, n.param(name, out, in, 5, 5), tensor.Shape{5, 5}, []int{2, 2}, []int{1, 1}, []int{1, 1}))
	if n.err != nil {
		return nil
	}
	y = n.keep(G.Rectify(n.keep(G.BroadcastAdd(y, n.param(name+"b", 1, out, 1, 1), nil, []byte{0, 2, 3}))))
	return n.keep(G.MaxPool2D(y, tensor.Shape{2, 2}, []int{0, 0}, []int{2, 2}))
}

func (n *network) dense(x *G.Node, name string, in, out int) *G.Node {
	if n.err != nil {
		return nil
	}
	return n.keep(G.BroadcastAdd(n.keep(G.Mul(x, n.param(name, in, out))), n.param(name+"b", 1, out), nil, []byte{0}))
}

func setup(batch int) (*training, error) {
	n := &network{g: G.NewGraph()}
	pixels := make([]float32, batch*784)
	for i := range pixels {
		pixels[i] = float32(i%97) / 97
	}
	labels := make([]float32, batch*10)
	for i := range batch {
		labels[i*10+i%10] = 1
	}
	x := G.NewTensor(n.g, tensor.Float32, 4, G.WithShape(batch, 1, 28, 28), G.WithName("x"),
		G.WithValue(tensor.New(tensor.WithShape(batch, 1, 28, 28), tensor.WithBacking(pixels))))
	y := G.NewMatrix(n.g, tensor.Float32, G.WithShape(batch, 10), G.WithName("y"),
		G.WithValue(tensor.New(tensor.WithShape(batch, 10), tensor.WithBacking(labels))))
	h := n.conv(n.conv(x, "conv1", 1, 32), "conv2", 32, 64)
	if n.err != nil {
		return nil, n.err
	}
	h = n.keep(G.Reshape(h, tensor.Shape{batch, 3136}))
	h = n.dense(h, "fc1", 3136, 1024)
	if n.err != nil {
		return nil, n.err
	}
	h = n.dense(n.keep(G.Rectify(h)), "fc2", 1024, 10)
	if n.err != nil {
		return nil, n.err
	}
	p := n.keep(G.SoftMax(h))
	loss := n.keep(G.Neg(n.keep(G.Mean(n.keep(G.HadamardProd(n.keep(G.Log(p)), y))))))
	if n.err != nil {
		return nil, n.err
	}
	if _, err := G.Grad(loss, n.params...); err != nil {
		return nil, err
	}
	return &training{
		machine: G.NewTapeMachine(n.g, G.BindDualValues(n.params...)),
		params:  n.params,
		solver:  G.NewMomentum(G.WithLearnRate(1e-3), G.WithMomentum(0.9)),
	}, nil
}

var started = time.Now()

// now is in seconds, of the process's CPU time if the environment says so.
func now() float64 {
	var u syscall.Rusage
	if os.Getenv("BENCH_CLOCK") == "cpu" && syscall.Getrusage(syscall.RUSAGE_SELF, &u) == nil {
		return float64(u.Utime.Nano()+u.Stime.Nano()) / 1e9
	}
	return time.Since(started).Seconds()
}

// answer carries out one line.
func answer(line string, t **training) (string, error) {
	var batch, threads, reps int
	if c, _ := fmt.Sscanf(line, "setup train cnn %d %d", &batch, &threads); c == 2 {
		runtime.GOMAXPROCS(threads)
		fresh, err := setup(batch)
		*t = fresh
		return "ok", err
	}
	if c, _ := fmt.Sscanf(line, "run %d", &reps); c != 1 || *t == nil {
		return "", fmt.Errorf("unknown command %q", line)
	}
	var times []string
	for range reps {
		start := now()
		if err := (*t).step(); err != nil {
			return "", err
		}
		times = append(times, fmt.Sprintf("%.9f", now()-start))
	}
	return strings.Join(times, " "), nil
}

func main() {
	var t *training
	in := bufio.NewScanner(os.Stdin)
	for in.Scan() {
		a, err := answer(in.Text(), &t)
		if err != nil {
			first, _, _ := strings.Cut(err.Error(), "\n")
			a = "error: " + first
		}
		fmt.Println(a)
	}
}
