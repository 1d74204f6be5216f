package advcl

import (
	"context"

	"github.com/redoubt-ml/redoubt/tensor"
	"github.com/redoubt-ml/redoubt/tensor/nn"
)

// gradientCache computes the gradients of a step chunk by chunk.
//
// Gao, Zhang, Han and Callan, RepL4NLP 2021.
type gradientCache struct {
	tape   *tensor.Tape // of a chunk
	loss   *tensor.Tape // of the comparison
	params []*tensor.Tensor
	grads  []*tensor.Tensor // sums over chunks
	used   []bool           // parameters that the step's loss depends on
	input  spare            // gradients of attacked images
}

func (c *Contrastive) gradients(net *Network) *gradientCache {
	if c.cache == nil {
		c.cache = &gradientCache{tape: tensor.NewTape(), loss: tensor.NewTape(), params: nn.Params(net), input: spare{}}
		for _, w := range c.cache.params {
			c.cache.grads = append(c.cache.grads, tensor.Zeros(w.DType(), w.Shape()...))
		}
	}
	return c.cache
}

// pieces cuts n images into as few chunks as Chunk allows, of nearly one size.
func (c *Contrastive) pieces(n int) [][2]int {
	k := (n + c.Chunk - 1) / c.Chunk
	out := make([][2]int, k)
	for i := range out {
		out[i] = [2]int{i * n / k, (i + 1) * n / k}
	}
	return out
}

// project returns the projections of images, computed without records.
func (c *Contrastive) project(s *step, stats string, x *tensor.Tensor, train bool) *tensor.Tensor {
	g := c.gradients(s.net)
	var parts []*tensor.Tensor
	for _, part := range c.pieces(x.Dim(0)) {
		g.tape.Reset()
		p := &nn.Pass{Train: train, Stats: stats, Rand: s.pass.Rand}
		parts = append(parts, s.net.Forward(p, tensor.Slice(g.tape.Const(x), 0, part[0], part[1])).Clone())
	}
	return tensor.Concat(0, parts...)
}

// chunked is Loss in chunks. The gradients are there before the tape asks for them.
func (c *Contrastive) chunked(ctx context.Context, s *step) (*tensor.Tensor, error) {
	g := c.gradients(s.net)
	for _, name := range s.clean {
		s.z[name] = c.project(s, c.Views[name].Stats, s.images[name], true)
	}
	if err := c.attack(ctx, s); err != nil {
		return nil, err
	}
	for _, name := range s.attacked {
		s.z[name] = c.project(s, c.Views[name].Stats, s.images[name], true)
	}
	var pseudo *tensor.Tensor
	if c.Pseudo != nil {
		var err error
		if pseudo, err = c.attackPseudo(ctx, s); err != nil {
			return nil, err
		}
	}
	g.loss.Reset()
	names := append(append([]string(nil), s.clean...), s.attacked...)
	z, list := map[string]*tensor.Tensor{}, make([]*tensor.Tensor, len(names))
	for i, name := range names {
		list[i] = g.loss.Watch(s.z[name])
		z[name] = list[i]
	}
	total, values, err := c.sum(z, s.batch.Epoch)
	if err != nil {
		return nil, err
	}
	value := total.Item()
	for _, sum := range g.grads {
		sum.Fill(0)
	}
	g.used = make([]bool, len(g.params))
	for i, dz := range tensor.Grad(total, list...) {
		c.accumulate(s, c.Views[names[i]].Stats, s.images[names[i]], func(p *nn.Pass, x *tensor.Tensor, part [2]int) (*tensor.Tensor, *tensor.Tensor) {
			return s.net.Forward(p, x), tensor.Slice(dz.Detach(), 0, part[0], part[1])
		})
	}
	if pseudo != nil {
		labels, known := c.Pseudo.of(s.batch.Index)
		c.accumulate(s, c.Pseudo.Stats, pseudo, func(p *nn.Pass, x *tensor.Tensor, part [2]int) (*tensor.Tensor, *tensor.Tensor) {
			ce := headsLoss(p, s.net.Heads, s.net.Features(p, x), within(labels, part), known)
			values.Pseudo += ce.Item()
			return ce, tensor.Full(ce.DType(), c.Pseudo.weight(), ce.Shape()...)
		})
		value += c.Pseudo.weight() * values.Pseudo
	}
	if c.OnStep != nil {
		c.OnStep(s.batch.Step, values)
	}
	var operands, sums []*tensor.Tensor
	for i, w := range g.params {
		if g.used[i] {
			operands, sums = append(operands, s.pass.Value(w)), append(sums, g.grads[i])
		}
	}
	rule := tensor.Rule{Name: "advcl: loss in chunks", FirstOrder: true, Backward: func(seed *tensor.Tensor, _ []bool) []*tensor.Tensor {
		out := make([]*tensor.Tensor, len(sums))
		for i, sum := range sums {
			out[i] = tensor.MulScalar(sum, seed.Item())
		}
		return out
	}}
	return tensor.Custom(rule, tensor.Full(total.DType(), value, total.Shape()...), operands...), nil
}

// within cuts the labels of a chunk out.
func within(labels [][]int, part [2]int) [][]int {
	out := make([][]int, len(labels))
	for i, l := range labels {
		out[i] = l[part[0]:part[1]]
	}
	return out
}

// accumulate passes images through the network chunk by chunk, with records, and adds
// the gradients of the result y, given that of the loss in y, to the sums.
func (c *Contrastive) accumulate(s *step, stats string, x *tensor.Tensor, forward func(p *nn.Pass, x *tensor.Tensor, part [2]int) (y, seed *tensor.Tensor)) {
	g := c.cache
	for _, part := range c.pieces(x.Dim(0)) {
		g.tape.Reset()
		p := &nn.Pass{Train: true, Stats: stats, Rand: s.pass.Rand}
		watched := p.Watch(g.tape, g.params)
		y, seed := forward(p, tensor.Slice(g.tape.Const(x), 0, part[0], part[1]), part)
		for i, d := range tensor.Gradients(y, tensor.GradOptions{Seed: seed, NilUnreached: true}, watched...) {
			if d != nil {
				g.grads[i].CopyFrom(tensor.Add(d, g.grads[i]))
				g.used[i] = true
			}
		}
		s.pass.Adopt(p)
	}
	g.tape.Reset()
}

// chunkedGradient is the gradient of the attacked term in the attacked images.
func (c *Contrastive) chunkedGradient(s *step, x []*tensor.Tensor, held map[string]*tensor.Tensor) ([]*tensor.Tensor, error) {
	g := c.gradients(s.net)
	projected := make([]*tensor.Tensor, len(x))
	for i, name := range s.attacked {
		projected[i] = c.project(s, c.Views[name].Stats, x[i].Detach(), !c.Attack.Eval)
	}
	g.loss.Reset()
	z := map[string]*tensor.Tensor{}
	for name, v := range held {
		z[name] = g.loss.Const(v)
	}
	list := make([]*tensor.Tensor, len(x))
	for i, name := range s.attacked {
		list[i] = g.loss.Watch(projected[i])
		z[name] = list[i]
	}
	value, err := c.Terms[c.Target].value(c.diagonals, z)
	if err != nil {
		return nil, err
	}
	out := make([]*tensor.Tensor, len(x))
	for i, dz := range tensor.Grad(value, list...) {
		out[i] = c.inChunks(s, s.attacked[i], x[i], c.Views[s.attacked[i]].Stats, func(p *nn.Pass, x *tensor.Tensor, part [2]int) (*tensor.Tensor, *tensor.Tensor) {
			return s.net.Forward(p, x), tensor.Slice(dz.Detach(), 0, part[0], part[1])
		})
	}
	return out, nil
}

// chunkedPseudoGradient is the gradient of the pseudo-supervised term in its images.
func (c *Contrastive) chunkedPseudoGradient(s *step, x *tensor.Tensor) ([]*tensor.Tensor, error) {
	c.gradients(s.net)
	labels, known := c.Pseudo.of(s.batch.Index)
	return []*tensor.Tensor{c.inChunks(s, "pseudo-labels", x, c.Pseudo.Stats, func(p *nn.Pass, x *tensor.Tensor, part [2]int) (*tensor.Tensor, *tensor.Tensor) {
		return headsLoss(p, s.net.Heads, s.net.Features(p, x), within(labels, part), known), nil
	})}, nil
}

// inChunks returns the gradient in the images x of what forward computes of them.
func (c *Contrastive) inChunks(s *step, name string, x *tensor.Tensor, stats string, forward func(p *nn.Pass, x *tensor.Tensor, part [2]int) (y, seed *tensor.Tensor)) *tensor.Tensor {
	g := c.cache
	out := g.input.like(name, x)
	size := x.Len() / x.Dim(0)
	for _, part := range c.pieces(x.Dim(0)) {
		g.tape.Reset()
		w := g.tape.Watch(tensor.Slice(x.Detach(), 0, part[0], part[1]))
		p := &nn.Pass{Train: !c.Attack.Eval, Stats: stats, Rand: s.pass.Rand}
		y, seed := forward(p, w, part)
		copy(out.Float32s()[part[0]*size:part[1]*size], tensor.Gradients(y, tensor.GradOptions{Seed: seed}, w)[0].Float32s())
		s.pass.Adopt(p)
	}
	out.Touch()
	return out
}
