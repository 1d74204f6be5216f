package advcl

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"strings"

	"github.com/redoubt-ml/redoubt/tensor"
	"github.com/redoubt-ml/redoubt/tensor/dataset"
	"github.com/redoubt-ml/redoubt/tensor/nn"
)

// Contrastive is pretraining by comparison of views: SimCLR, RoCL, ACL, DynACL, AdvCL
// and what lies between them are settings of it. A step
//
//   - makes the views and passes the clean ones through the network, once,
//   - attacks the others, with the clean projections held constant, and independently
//     of that attacks an image through its pseudo-labels,
//   - and sums the terms of the attacked views, with the tape of the clean passes.
//
// Algorithms A4 and A5 of the reference code of Fan et al., NeurIPS 2021, up to the
// clean passes, which it repeats in every attack step with the same outcome.
type Contrastive struct {
	Method string   // name, for tables
	Views  Registry // what the terms name
	Terms  []Term   // at least one
	Attack Attack   // on the views that are attacked
	// Pseudo adds the pseudo-supervised term; nil for none.
	Pseudo *Pseudo
	// Target is the position of the term that the attack makes large.
	Target int
	// Joint passes the views of each set of statistics through the network as one
	// batch, so that normalisation sees them together; otherwise each view is a batch
	// of its own. Chunks are of one view in any case.
	Joint bool
	// Chunk bounds the number of images of a view that are in memory with all their
	// intermediate values: projections are computed once without a tape and again,
	// chunk by chunk, with one. Normalisation then sees chunks in place of batches; the
	// comparison still sees all. 0 keeps everything in memory.
	Chunk int
	// Seed selects augmentation and the starts of attacks.
	Seed uint64
	// OnStep is called in each step with the values of the terms; nil for none.
	OnStep func(step int, v Values)

	studio    *studio
	tape      *tensor.Tape // of attacks
	spare     spare
	diagonals diagonals
	cache     *gradientCache
}

// Term is a contrastive loss of some views.
type Term struct {
	Views  []string // names in the registry, at least two
	Loss   NTXent   // their contrastive loss
	Weight float64  // 0 means 1
	// Anneal multiplies the weight in an epoch; nil for 1.
	Anneal Factor
}

// Factor is a number that depends on the epoch, counted from 0.
type Factor interface {
	At(epoch int) float64
	// String describes all settings that the outcome depends on.
	String() string
}

func (t Term) weight(epoch int) float64 {
	w := t.Weight
	if w == 0 {
		w = 1
	}
	if t.Anneal != nil {
		w *= t.Anneal.At(epoch)
	}
	return w
}

// Values are the parts of a step's loss.
type Values struct {
	Terms  []float64 `json:"terms"`  // before their weights
	Pseudo float64   `json:"pseudo"` // before its weight
	Short  int       `json:"short"`  // projections without a direction
}

var _ Method = (*Contrastive)(nil)

// Name returns the method's name.
func (c *Contrastive) Name() string { return c.Method }

// String describes all settings that the outcome depends on.
func (c *Contrastive) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s, attack %+v of term %d, joint %v, chunks of %d, seed %d", c.Method, c.Attack, c.Target, c.Joint, c.Chunk, c.Seed)
	for _, t := range c.Terms {
		fmt.Fprintf(&b, "; %v weight %v, annealed by %v, %+v", t.Views, Term{Weight: t.Weight}.weight(0), t.Anneal, t.Loss)
		for _, name := range t.Views {
			c.Views.describe(&b, name)
		}
	}
	if c.Pseudo != nil {
		fmt.Fprintf(&b, "; %v", c.Pseudo)
		c.Views.describe(&b, c.Pseudo.view())
	}
	return b.String()
}

// Passes is the work of a step for each image, in forward passes of the encoder: a
// gradient in the image costs one more than its forward pass, one in the parameters
// two more.
func (c *Contrastive) Passes() float64 {
	clean, attacked := c.split()
	n := 3 * (len(clean) + len(attacked))
	n += 2 * c.Attack.Steps * len(attacked)
	if c.Attack.Eval && len(attacked) > 0 {
		// Clean views of the attacked term are passed in evaluation mode as well.
		for _, name := range c.Terms[c.Target].Views {
			if !c.Views[name].Attacked {
				n++
			}
		}
	}
	if c.Pseudo != nil {
		n += 3 + 2*c.Attack.Steps
	}
	if c.Chunk > 0 {
		n += len(clean) + len(attacked) + c.Attack.Steps*len(attacked)
	}
	return float64(n)
}

// Kept is the number of images whose intermediate values a step on a batch keeps at once:
// all views of all images, the pseudo-labelled one too, or a chunk of one view.
func (c *Contrastive) Kept(batch int) int {
	if c.Chunk > 0 {
		return min(c.Chunk, batch)
	}
	clean, attacked := c.split()
	views := len(clean) + len(attacked)
	if c.Pseudo != nil {
		views++
	}
	return views * batch
}

// split returns the views of all terms, without repetition.
func (c *Contrastive) split() (clean, attacked []string) {
	seen := map[string]bool{}
	for _, t := range c.Terms {
		for _, name := range t.Views {
			if seen[name] {
				continue
			}
			seen[name] = true
			if c.Views[name].Attacked {
				attacked = append(attacked, name)
			} else {
				clean = append(clean, name)
			}
		}
	}
	return clean, attacked
}

// Check returns an error unless the settings make sense for the network and the data.
// A training begins with it: what was kept of another one is forgotten.
func (c *Contrastive) Check(net *Network, data *dataset.Set) error {
	c.studio, c.cache = nil, nil
	if err := c.Attack.Check(); err != nil {
		return err
	}
	if len(c.Terms) == 0 {
		return errors.New("advcl: no terms, want at least one")
	}
	if c.Target < 0 || c.Target >= len(c.Terms) {
		return fmt.Errorf("advcl: attack of term %d, want 0 to %d", c.Target, len(c.Terms)-1)
	}
	if c.Chunk < 0 || c.Chunk == 1 || c.Chunk == 2 {
		return fmt.Errorf("advcl: chunks of %d images, want 0 (for no chunks) or at least 3, so that none has a single image", c.Chunk)
	}
	var sets []string
	for i, t := range c.Terms {
		if err := t.Loss.Check(len(t.Views)); err != nil {
			return fmt.Errorf("advcl: term %d: %w", i, err)
		}
		if w := t.weight(0); !(w >= 0) || math.IsInf(w, 0) {
			return fmt.Errorf("advcl: term %d: weight is %v, want a finite number of 0 or more", i, w)
		}
		for _, name := range t.Views {
			if err := c.Views.check(name, data.H); err != nil {
				return err
			}
			sets = append(sets, c.Views[name].Stats)
		}
	}
	_, attacked := c.split()
	for _, name := range attacked {
		found := false
		for _, other := range c.Terms[c.Target].Views {
			found = found || other == name
		}
		if !found {
			return fmt.Errorf("advcl: attacked view %q is not in term %d, which the attack makes large", name, c.Target)
		}
	}
	if c.Pseudo != nil {
		if err := c.Pseudo.check(c.Views, net, data); err != nil {
			return err
		}
		sets = append(sets, c.Pseudo.Stats)
	}
	return net.hasSets(sets...)
}

// Loss is the loss of a batch of images without augmentation, for nn.Trainer. net is a
// *Network. It belongs to one training at a time.
func (c *Contrastive) Loss(ctx context.Context, p *nn.Pass, layer nn.Layer, b nn.Batch) (*tensor.Tensor, error) {
	net, err := asNetwork(layer)
	if err != nil {
		return nil, err
	}
	s, err := c.begin(p, net, b)
	if err != nil {
		return nil, err
	}
	if c.Chunk > 0 {
		return c.chunked(ctx, s)
	}
	c.pass(s, s.clean)
	if err := c.attack(ctx, s); err != nil {
		return nil, err
	}
	for _, name := range s.attacked {
		s.images[name] = b.X.Tape().Const(s.images[name])
	}
	c.pass(s, s.attacked)
	total, values, err := c.sum(s.z, b.Epoch)
	if err != nil {
		return nil, err
	}
	if c.Pseudo != nil {
		x, err := c.attackPseudo(ctx, s)
		if err != nil {
			return nil, err
		}
		ce := on(p, c.Pseudo.Stats, func() *tensor.Tensor {
			return c.Pseudo.loss(p, net, net.Features(p, b.X.Tape().Const(x)), b.Index)
		})
		values.Pseudo = ce.Item()
		total = tensor.Add(total, tensor.MulScalar(ce, c.Pseudo.weight()))
	}
	if c.OnStep != nil {
		c.OnStep(b.Step, values)
	}
	return total, nil
}

// pass computes the projections of the named views, whose images are on the step's
// tape.
func (c *Contrastive) pass(s *step, names []string) {
	for _, group := range c.groups(names) {
		images := make([]*tensor.Tensor, len(group))
		for i, name := range group {
			images[i] = s.images[name]
		}
		for i, z := range c.together(s.net, s.pass, c.Views[group[0]].Stats, images) {
			s.z[group[i]] = z
		}
	}
}

// groups says which of the named views are passed together.
func (c *Contrastive) groups(names []string) (out [][]string) {
	at := map[string]int{}
	for _, name := range names {
		stats := c.Views[name].Stats
		if i, found := at[stats]; found && c.Joint {
			out[i] = append(out[i], name)
			continue
		}
		at[stats] = len(out)
		out = append(out, []string{name})
	}
	return out
}

// together passes images of several views through the network as one batch, and
// returns the projections of each view.
func (c *Contrastive) together(net *Network, p *nn.Pass, stats string, images []*tensor.Tensor) []*tensor.Tensor {
	x := images[0]
	if len(images) > 1 {
		x = tensor.Concat(0, images...)
	}
	z := on(p, stats, func() *tensor.Tensor { return net.Forward(p, x) })
	if len(images) == 1 {
		return []*tensor.Tensor{z}
	}
	out, n := make([]*tensor.Tensor, len(images)), images[0].Dim(0)
	for i := range out {
		out[i] = tensor.Slice(z, 0, i*n, (i+1)*n)
	}
	return out
}

// step is the state of one training step.
type step struct {
	pass            *nn.Pass
	net             *Network
	batch           nn.Batch
	clean, attacked []string
	made            map[string]*tensor.Tensor // views without their attacks
	images          map[string]*tensor.Tensor // views as they are passed through the network
	z               map[string]*tensor.Tensor // their projections
}

// begin makes the views of a batch.
func (c *Contrastive) begin(p *nn.Pass, net *Network, b nn.Batch) (*step, error) {
	if c.studio == nil {
		c.studio, c.tape, c.spare, c.diagonals = newStudio(c.Views, c.Seed), tensor.NewTape(), spare{}, diagonals{}
	}
	s := &step{pass: p, net: net, batch: b, made: map[string]*tensor.Tensor{}, images: map[string]*tensor.Tensor{}, z: map[string]*tensor.Tensor{}}
	s.clean, s.attacked = c.split()
	for _, names := range [][]string{s.clean, s.attacked} {
		for _, name := range names {
			x, err := c.studio.make(name, b.X, b.Index, b.Epoch, s.made)
			if err != nil {
				return nil, err
			}
			s.images[name] = x
		}
	}
	return s, nil
}

// source gives the random numbers of a view's attack in a step.
func (c *Contrastive) source(name string, step int) *rand.Rand {
	return rand.New(rand.NewPCG(c.Seed^hash("noise of "+name), uint64(step)))
}

// attack replaces the images of attacked views by perturbed ones.
func (c *Contrastive) attack(ctx context.Context, s *step) error {
	if len(s.attacked) == 0 {
		return nil
	}
	var x0, x []*tensor.Tensor
	var noise []*rand.Rand
	for _, name := range s.attacked {
		x0 = append(x0, s.images[name].Detach())
		x = append(x, c.spare.copyOf(name, s.images[name]))
		noise = append(noise, c.source(name, s.batch.Step))
	}
	held, err := c.held(s)
	if err != nil {
		return err
	}
	term := c.Terms[c.Target]
	err = c.Attack.climb(ctx, c.tape, x0, x, noise, func(_ int, x []*tensor.Tensor) ([]*tensor.Tensor, error) {
		if c.Chunk > 0 {
			return c.chunkedGradient(s, x, held)
		}
		z := make(map[string]*tensor.Tensor, len(term.Views))
		for name, v := range held {
			z[name] = c.tape.Const(v)
		}
		position := map[string]int{}
		for i, name := range s.attacked {
			position[name] = i
		}
		for _, group := range c.groups(s.attacked) {
			images := make([]*tensor.Tensor, len(group))
			for i, name := range group {
				images[i] = x[position[name]]
			}
			for i, one := range c.probe(s, c.Views[group[0]].Stats, images...) {
				z[group[i]] = one
			}
		}
		value, err := term.value(c.diagonals, z)
		if err != nil {
			return nil, err
		}
		return tensor.Grad(value, x...), nil
	})
	for i, name := range s.attacked {
		s.images[name] = x[i]
	}
	return err
}

// probe passes attacked images through the network as their attack does.
func (c *Contrastive) probe(s *step, stats string, images ...*tensor.Tensor) []*tensor.Tensor {
	p := &nn.Pass{Train: !c.Attack.Eval, Rand: s.pass.Rand}
	z := c.together(s.net, p, stats, images)
	s.pass.Adopt(p)
	return z
}

// held returns the projections of the attacked term's clean views, as constants.
func (c *Contrastive) held(s *step) (map[string]*tensor.Tensor, error) {
	held := map[string]*tensor.Tensor{}
	for _, name := range c.Terms[c.Target].Views {
		switch {
		case c.Views[name].Attacked:
		case c.Attack.Eval && c.Chunk > 0:
			held[name] = c.project(s, c.Views[name].Stats, s.images[name], false)
		case c.Attack.Eval:
			c.tape.Reset()
			p := &nn.Pass{Stats: c.Views[name].Stats}
			held[name] = s.net.Forward(p, c.tape.Const(s.images[name])).Clone()
		default:
			held[name] = s.z[name].Detach()
		}
	}
	return held, nil
}

// value is the loss of the term, given the projections of its views.
func (t Term) value(d diagonals, z map[string]*tensor.Tensor) (*tensor.Tensor, error) {
	views := make([]*tensor.Tensor, len(t.Views))
	for i, name := range t.Views {
		views[i] = z[name]
	}
	return t.Loss.loss(d, views)
}

// sum is the weighted sum of all terms.
func (c *Contrastive) sum(z map[string]*tensor.Tensor, epoch int) (total *tensor.Tensor, values Values, err error) {
	for _, t := range c.Terms {
		l, err := t.value(c.diagonals, z)
		if err != nil {
			return nil, values, err
		}
		values.Terms = append(values.Terms, l.Item())
		if l = tensor.MulScalar(l, t.weight(epoch)); total == nil {
			total = l
		} else {
			total = tensor.Add(total, l)
		}
	}
	if c.OnStep != nil {
		for _, v := range z {
			values.Short += short(v)
		}
	}
	return total, values, nil
}

// attackPseudo perturbs the images of the pseudo-supervised term.
func (c *Contrastive) attackPseudo(ctx context.Context, s *step) (*tensor.Tensor, error) {
	base, err := c.studio.make(c.Pseudo.view(), s.batch.X, s.batch.Index, s.batch.Epoch, s.made)
	if err != nil {
		return nil, err
	}
	const name = "pseudo-labels"
	x := c.spare.copyOf(name, base)
	noise := []*rand.Rand{c.source(name, s.batch.Step)}
	err = c.Attack.climb(ctx, c.tape, []*tensor.Tensor{base.Detach()}, []*tensor.Tensor{x}, noise, func(_ int, x []*tensor.Tensor) ([]*tensor.Tensor, error) {
		if c.Chunk > 0 {
			return c.chunkedPseudoGradient(s, x[0])
		}
		p := &nn.Pass{Train: !c.Attack.Eval, Stats: c.Pseudo.Stats, Rand: s.pass.Rand}
		ce := c.Pseudo.loss(p, s.net, s.net.Features(p, x[0]), s.batch.Index)
		s.pass.Adopt(p)
		return tensor.Grad(ce, x...), nil
	})
	return x, err
}
