package defense

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"sync"

	"github.com/redoubt-ml/redoubt/attack"
	"github.com/redoubt-ml/redoubt/internal/par"
	"github.com/redoubt-ml/redoubt/internal/quickselect"
	"github.com/redoubt-ml/redoubt/tensor"
	"github.com/redoubt-ml/redoubt/tensor/nn"
)

// inner is the inner maximisation of AMPGD on some examples of a batch.
type inner struct {
	*AMPGD
	model attack.Model
	tape  *tensor.Tape
	x     *tensor.Tensor
	y     []int
	first int // position of the first example in the batch
	step  int // of training

	copies          []*tensor.Tensor // by threat
	weights, losses [][]float64      // by example
}

// climb makes all steps of the attacks, and of the weights unless they are global.
func (in *inner) climb(ctx context.Context, start []float64) error {
	n := len(in.y)
	in.weights = make([][]float64, n)
	for i := range in.weights {
		in.weights[i] = slices.Clone(start)
	}
	for k, th := range in.Threats {
		x := in.x.Clone()
		if !in.NoRandomStart {
			th.Sample(func(i int) *rand.Rand { return in.source(i, k, 0) }, x, in.x)
		}
		in.copies = append(in.copies, x)
	}
	for r := 0; ; r++ {
		if err := ctx.Err(); err != nil {
			return err
		}
		in.tape.Reset()
		watched := make([]*tensor.Tensor, len(in.copies))
		for k, x := range in.copies {
			watched[k] = in.tape.Const(x)
			if r < in.Steps {
				watched[k] = in.tape.Watch(x)
			}
		}
		losses := in.crossEntropies(watched)
		if err := in.hear(losses, r); err != nil {
			return err
		}
		if r == in.Steps {
			return nil
		}
		for k, g := range in.gradients(losses, watched) {
			if !tensor.AllFinite(g) {
				return fmt.Errorf("gradient under %v is not finite", in.Threats[k])
			}
			in.move(k, g, r)
		}
	}
}

// source gives the random numbers of an example: draw 0 is for its start under
// threat k, r+1 for step r.
func (in *inner) source(i, k, draw int) *rand.Rand {
	stream := uint64(in.step+1)<<20 | uint64(draw)<<8 | uint64(k)
	return rand.New(rand.NewPCG(in.Seed+stream*0x9e3779b97f4a7c15, uint64(in.first+i)))
}

// crossEntropies returns the cross-entropies [n] of each threat's copies, from one pass.
func (in *inner) crossEntropies(copies []*tensor.Tensor) []*tensor.Tensor {
	n := len(in.y)
	labels := make([]int, 0, n*len(copies))
	for range copies {
		labels = append(labels, in.y...)
	}
	ce := tensor.CrossEntropy(in.model.Logits(tensor.Concat(0, copies...)), labels)
	out := make([]*tensor.Tensor, len(copies))
	for k := range out {
		out[k] = tensor.Slice(ce, 0, k*n, (k+1)*n)
	}
	return out
}

// hear moves the weights by the losses after r steps.
func (in *inner) hear(losses []*tensor.Tensor, r int) error {
	in.losses = make([][]float64, len(in.y))
	for i := range in.losses {
		in.losses[i] = make([]float64, len(losses))
	}
	for k, l := range losses {
		for i, v := range l.Values() {
			if v-v != 0 {
				return fmt.Errorf("loss of an example under %v is %v, want a finite number", in.Threats[k], v)
			}
			in.losses[i][k] = v
		}
	}
	if in.Global {
		return nil
	}
	for i, w := range in.weights {
		in.Rule.Update(w, in.losses[i], r)
	}
	return nil
}

// gradients are those that the copies climb: of sum_i w_i L_i + DPAR h. A step along the
// direction alone does not depend on w_i without the second term, and w_i is left out.
func (in *inner) gradients(losses, copies []*tensor.Tensor) []*tensor.Tensor {
	var total *tensor.Tensor
	for k, l := range losses {
		if in.Raw || in.DPAR > 0 {
			w := tensor.Zeros(l.DType(), len(in.y))
			for i, row := range in.weights {
				w.Set(row[k], i)
			}
			l = tensor.Mul(l, w)
		}
		if l = tensor.Sum(l); k == 0 {
			total = l
		} else {
			total = tensor.Add(total, l)
		}
	}
	if in.DPAR > 0 {
		g := tensor.Gradients(sumAll(losses), tensor.GradOptions{CreateGraph: true}, copies...)
		total = tensor.Add(total, tensor.MulScalar(tensor.Sum(LogDet(0, g...)), in.DPAR))
	}
	return tensor.Grad(total, copies...)
}

func sumAll(losses []*tensor.Tensor) *tensor.Tensor {
	return tensor.Sum(tensor.Concat(0, losses...))
}

// move makes a step of the copies under threat k.
func (in *inner) move(k int, g *tensor.Tensor, r int) {
	th, size, x := in.Threats[k], in.StepSizes[k], in.copies[k]
	switch {
	case in.Raw:
		x.CopyFrom(tensor.Add(x, tensor.MulScalar(g.Detach(), size)))
		x.Touch()
		th.Project(x, in.x)
	case th.Norm == attack.L1:
		sparseStep(th, x, g, in.x, size, func(i int) *rand.Rand { return in.source(i, k, r+1) })
	default:
		th.Step(x, g, in.x, size)
	}
}

// sparseStep moves every example of x by size along the signs of its 5 to 20 largest
// gradient entries that the box leaves room for, and projects.
//
// Maini, Wong and Kolter, ICML 2020 (their l1 steepest descent).
func sparseStep(th attack.Threat, x, g, x0 *tensor.Tensor, size float64, rng func(example int) *rand.Rand) {
	n := x.Dim(0)
	for i := range n {
		q := 5 + rng(i).IntN(16)
		if x.DType() == tensor.Float32 {
			d := x.Len() / n
			sparse(th, x.Float32s()[i*d:(i+1)*d], g.Float32s()[i*d:(i+1)*d], size, q)
		} else {
			d := x.Len() / n
			sparse(th, x.Float64s()[i*d:(i+1)*d], g.Float64s()[i*d:(i+1)*d], size, q)
		}
	}
	x.Touch()
	th.Project(x, x0)
}

func sparse[T float32 | float64](th attack.Threat, x, g []T, size float64, q int) {
	lo, hi := th.Lo, th.Hi
	if lo == 0 && hi == 0 {
		hi = 1
	}
	open := make([]int, 0, len(x))
	for i, v := range g {
		if v > 0 && float64(x[i]) < hi || v < 0 && float64(x[i]) > lo {
			open = append(open, i)
		}
	}
	step := size / float64(min(q, len(open)))
	for _, i := range largest(open, g, q) {
		x[i] += T(math.Copysign(step, float64(g[i])))
	}
}

// largest keeps, in their order, the q entries of g, named by their positions, of the
// largest magnitudes, and of equals the first ones.
func largest[T float32 | float64](at []int, g []T, q int) []int {
	if len(at) <= q {
		return at
	}
	magnitude := make([]float64, len(at))
	for i, p := range at {
		magnitude[i] = math.Abs(float64(g[p]))
	}
	least, room := quickselect.Kth(slices.Clone(magnitude), len(at)-q), q
	for _, v := range magnitude {
		if v > least {
			room--
		}
	}
	kept := at[:0]
	for i, p := range at {
		if v := magnitude[i]; v > least {
			kept = append(kept, p)
		} else if v == least && room > 0 {
			room--
			kept = append(kept, p)
		}
	}
	return kept
}

// checkBatch returns an error unless a training batch can be attacked under all threats.
func checkBatch(m attack.Model, b nn.Batch, threats []attack.Threat) error {
	for _, th := range threats {
		if err := attack.CheckInputs(m, b.X, b.Y, th); err != nil {
			return err
		}
	}
	return nil
}

// chunk is the number of examples that one thread attacks together.
const chunk = 16

// inChunks calls work for chunks of n examples on several threads, with a tape each.
func inChunks(ctx context.Context, n int, work func(tape *tensor.Tape, lo, hi int) error) error {
	var mu sync.Mutex
	var first error
	par.For((n+chunk-1)/chunk, 1, func(from, to int) {
		tape := tapes.Get().(*tensor.Tape)
		defer func() {
			tape.Reset()
			tapes.Put(tape)
		}()
		for c := from; c < to; c++ {
			if err := guarded(func() error { return work(tape, c*chunk, min(n, (c+1)*chunk)) }); err != nil {
				mu.Lock()
				if first == nil {
					first = err
				}
				mu.Unlock()
				return
			}
		}
	})
	if err := ctx.Err(); err != nil {
		return err
	}
	return first
}

// guarded turns a panic of a network into an error.
func guarded(f func() error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("attack panicked: %v", p)
		}
	}()
	return f()
}

// tapes keeps tapes with their memory from one training step to the next.
var tapes = sync.Pool{New: func() any { return tensor.NewTape() }}

// copyRow copies example i of src to example k of dst.
func copyRow(dst *tensor.Tensor, k int, src *tensor.Tensor, i int) {
	d := dst.Len() / dst.Dim(0)
	if dst.DType() == tensor.Float32 {
		copy(dst.Float32s()[k*d:(k+1)*d], src.Float32s()[i*d:(i+1)*d])
	} else {
		copy(dst.Float64s()[k*d:(k+1)*d], src.Float64s()[i*d:(i+1)*d])
	}
}
