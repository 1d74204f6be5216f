package minmax

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"

	"github.com/redoubt-ml/redoubt/internal/ask"
	"github.com/redoubt-ml/redoubt/tensor"
)

// game plays one batch of rows from one start.
type game struct {
	*APGDA
	domains Domains
	names   []string
	tape    *tensor.Tape
	rows    []int
	restart int
	start   []float64
	res     *Result
	curves  *curves

	centre, point *tensor.Tensor
	weights       [][]float64   // by row
	path          [][][]float64 // weights by iteration and row
	best          []found       // by row
	residual      [][]float64   // by row and iteration
	mover         mover
}

// found is a point of a row and how it did.
type found struct {
	value   float64 // the rule's
	losses  []float64
	weights []float64
	fooled  []bool
	point   *tensor.Tensor // [1, ...]; nil for the current one
}

// play makes all iterations and hands over what was found.
func (g *game) play(ctx context.Context, centre *tensor.Tensor) error {
	g.begin(centre)
	for t := 0; ; t++ {
		if err := ctx.Err(); err != nil {
			return err
		}
		g.tape.Reset()
		last := t == g.Steps
		v := g.tape.Const(g.point)
		if !last || g.Residuals {
			v = g.tape.Watch(g.point)
		}
		at := g.at(t)
		out, err := g.domains.Play(ctx, v, at)
		if err != nil {
			return err
		}
		losses, err := g.judge(out, at)
		if err != nil {
			return err
		}
		g.path = append(g.path, copyRows(g.weights))
		if last && !g.Residuals {
			break
		}
		grad, err := g.gradient(out.Losses, v, at)
		if err != nil {
			return err
		}
		if g.Residuals {
			g.measure(grad, losses)
		}
		if last {
			break
		}
		g.step(grad, t)
	}
	g.deliver()
	if g.restart == g.Restarts-1 && (g.KeepBest || g.StepControl || g.Restarts > 1) {
		return g.again(ctx)
	}
	return nil
}

// again asks about the points that are kept once more. They were chosen by what they did,
// so a lucky draw of a random transformation or model is among the reasons; a fresh draw
// is none.
func (g *game) again(ctx context.Context) error {
	g.tape.Reset()
	at := g.at(g.Steps + 1)
	out, err := g.domains.Play(ctx, g.tape.Const(pick(g.res.Point, g.rows)), at)
	if err != nil {
		return err
	}
	losses, err := g.losses(out, at)
	if err != nil {
		return err
	}
	for i, row := range g.rows {
		g.res.Losses[row] = losses[i]
		if out.Fooled != nil {
			g.curves.fooled[row] = out.Fooled[i]
		}
	}
	return nil
}

// begin places the points and weights.
func (g *game) begin(centre *tensor.Tensor) {
	g.centre, g.point = centre, centre.Clone()
	n := len(g.rows)
	g.weights = make([][]float64, n)
	for i := range g.weights {
		g.weights[i] = slices.Clone(g.start)
	}
	g.best = make([]found, n)
	g.residual = make([][]float64, n)
	g.mover = newMover(g)
	start := g.Start
	if start == DomainStart {
		start = g.domains.Start()
	}
	if start == ZeroStart && g.restart > 0 {
		start = UniformStart
	}
	if start != ZeroStart {
		g.scatter(start)
	}
}

// stream gives the random numbers of a row: stream 0 is for the start, t+1 for
// iteration t.
func (g *game) stream(i int, stream uint64) *rand.Rand {
	return rowStream(g.Seed, g.rows[i], g.restart, stream)
}

func rowStream(seed uint64, row, restart int, stream uint64) *rand.Rand {
	// The odd factor keeps seeds, restarts and streams apart.
	return rand.New(rand.NewPCG(seed+(uint64(restart)<<40+stream)*0x9e3779b97f4a7c15, uint64(row)))
}

func (g *game) at(t int) Rows {
	return Rows{Index: g.rows, Step: t, Source: func(i int) *rand.Rand { return g.stream(i, uint64(t)+1) }}
}

// losses returns the losses of the points by row.
func (g *game) losses(out Outcome, at Rows) ([][]float64, error) {
	n, k := len(g.rows), len(g.names)
	if out.Losses == nil || out.Losses.Rank() != 2 || out.Losses.Dim(0) != n || out.Losses.Dim(1) != k {
		return nil, fmt.Errorf("minmax: domains gave no losses [%d, %d] for %d rows", n, k, n)
	}
	if err := checkFinite(out.Losses, g.names, at); err != nil {
		return nil, err
	}
	flat := out.Losses.Values()
	losses := make([][]float64, n)
	for i := range losses {
		losses[i] = flat[i*k : (i+1)*k : (i+1)*k]
	}
	return losses, nil
}

// judge moves the weights by the losses of the points and keeps the best ones.
func (g *game) judge(out Outcome, at Rows) ([][]float64, error) {
	losses, err := g.losses(out, at)
	if err != nil {
		return nil, err
	}
	for i, f := range losses {
		g.Rule.Update(g.weights[i], f, at.Step)
		now := found{value: g.Rule.Value(f), losses: f, weights: slices.Clone(g.weights[i])}
		if out.Fooled != nil {
			now.fooled = out.Fooled[i]
		}
		g.keep(i, now, at.Step)
	}
	return losses, nil
}

// keep decides whether the current point of row i is the one to return.
func (g *game) keep(i int, now found, t int) {
	if g.StepControl {
		g.mover.observe(i, now, t)
	}
	b := &g.best[i]
	switch first := b.losses == nil; {
	case g.KeepBest:
		if !first && !better(now.fooled, b.fooled, now.losses, b.losses) {
			return
		}
	case g.StepControl:
		if !first && !(now.value < b.value) {
			return
		}
	default:
		*b = now // the last one
		return
	}
	now.point = tensor.Slice(g.point, 0, i, i+1).Clone()
	*b = now
}

// gradient returns that of the weighted losses in the points.
func (g *game) gradient(losses, v *tensor.Tensor, at Rows) (grad *tensor.Tensor, err error) {
	if losses.Tape() == nil {
		return tensor.Zeros(v.DType(), v.Shape()...), nil
	}
	defer func() {
		if p := recover(); p != nil {
			err = ask.Raised(p, "minmax: gradient panicked at step %d", at.Step)
		}
	}()
	w := tensor.Zeros(losses.DType(), losses.Shape()...)
	flat := make([]float64, 0, losses.Len())
	for _, row := range g.weights {
		flat = append(flat, row...)
	}
	w.CopyFrom(tensor.FromFloat64(flat))
	grad = tensor.Grad(tensor.Dot(losses, w), v)[0]
	if !tensor.AllFinite(grad) {
		return nil, fmt.Errorf("minmax: gradient is not finite at step %d in a batch with row %d", at.Step, g.rows[0])
	}
	return grad, nil
}

// deliver writes what the rows found to the result, unless another restart did
// better. Restarts of a batch run one after the other.
func (g *game) deliver() {
	for i, row := range g.rows {
		b := g.best[i]
		if g.restart > 0 && !better(b.fooled, g.curves.fooled[row], b.losses, g.res.Losses[row]) {
			continue
		}
		from, at := g.point, i
		if b.point != nil {
			from, at = b.point, 0
		}
		copyRow(g.res.Point, row, from, at)
		g.res.Losses[row], g.res.Weights[row], g.curves.fooled[row] = b.losses, b.weights, b.fooled
		for t, w := range g.path {
			g.res.History.set(t, row, w[i])
		}
		if g.Residuals {
			g.curves.residual[row] = g.residual[i]
			g.res.Residual[row] = g.residual[i][len(g.residual[i])-1]
		}
	}
}

func copyRows(rows [][]float64) [][]float64 {
	out := make([][]float64, len(rows))
	for i, r := range rows {
		out[i] = slices.Clone(r)
	}
	return out
}

// readRow copies row i of x as float64.
func readRow(dst []float64, x *tensor.Tensor, i int) {
	d := len(dst)
	if x.DType() == tensor.Float64 {
		copy(dst, x.Float64s()[i*d:(i+1)*d])
		return
	}
	for k, v := range x.Float32s()[i*d : (i+1)*d] {
		dst[k] = float64(v)
	}
}

// pick returns rows of x on no tape. Goroutines that play with one tensor of the
// caller's read it so: a gather of a tensor that the caller's tape watches would be
// recorded there.
func pick(x *tensor.Tensor, rows []int) *tensor.Tensor {
	shape := x.Shape()
	shape[0] = len(rows)
	out := tensor.Zeros(x.DType(), shape...)
	for k, i := range rows {
		copyRow(out, k, x, i)
	}
	return out
}

// copyRow copies row i of src to row k of dst.
func copyRow(dst *tensor.Tensor, k int, src *tensor.Tensor, i int) {
	d := dst.Len() / dst.Dim(0)
	if dst.DType() == tensor.Float32 {
		copy(dst.Float32s()[k*d:(k+1)*d], src.Float32s()[i*d:(i+1)*d])
	} else {
		copy(dst.Float64s()[k*d:(k+1)*d], src.Float64s()[i*d:(i+1)*d])
	}
}
