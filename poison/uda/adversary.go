package uda

import (
	"fmt"
	"math/rand/v2"

	"github.com/redoubt-ml/redoubt/tensor"
	"github.com/redoubt-ml/redoubt/tensor/nn"
)

// Mode says how features learn from the discriminator.
type Mode int

const (
	// InvertedLabels lets discriminator and features take turns; the features
	// minimise the cross-entropy with inverted domains, at weight 1.
	InvertedLabels Mode = iota
	// GradientReversal makes one step of everything, in which the gradient of the
	// domain loss is multiplied by -Lambda(progress) on its way into the features.
	// For a row that the discriminator gets right by a margin s of its logits, the
	// other mode's gradient is exp(s) times as large. Ganin et al. train it with SGD
	// of momentum 0.9 from a rate of 0.01 that falls with Anneal: set
	// Training.Optimizer, LR and Schedule.
	GradientReversal
)

// Adversary holds the settings that DANN, CDAN and their weighted forms share.
type Adversary struct {
	Mode Mode // the zero value is InvertedLabels
	// Repeats is the number of times that an iteration runs on its batch; 0 means
	// 1. The reference has 3 for all pairs but MNIST to USPS.
	Repeats int
	// SharedForward computes the features once for the discriminator's step and
	// that of the features, with the same dropout, where the reference has three
	// passes with masks of their own. It halves the time. GradientReversal always
	// does it.
	SharedForward bool
	// FeaturesFirst makes the step of the features before that of the
	// discriminator. It excludes SharedForward.
	FeaturesFirst bool
}

var _ Method = DANN{}

// DANN aligns features with a domain discriminator D:
//
//	D minimises CE(d, D(G(x))), G and C minimise CE(y_s, C(G(x_s))) + CE(1-d, D(G(x)))
//
// over source and target, with d = 0 for source and 1 for target.
//
// Ganin et al., JMLR 17, 2016; with inverted labels as in Mehra et al., NeurIPS 2021.
type DANN struct{ Adversary }

// Name returns "DANN", or "DANN (GRL)".
func (d DANN) Name() string { return d.named("DANN") }

// Prepare adds the discriminator.
func (d DANN) Prepare(m *Model, rng *rand.Rand) error { return d.prepare(m, rng, nil) }

// Step makes one iteration.
func (d DANN) Step(m *Model, b Batch) Losses { return d.run(m, b, adversarial{rows: DomainCE}) }

var _ Method = CDAN{}

// CDAN is DANN with a discriminator that sees features and predictions p together,
// through a multilinear map, and has two sigmoid units.
//
// Long et al., NeurIPS 2018.
type CDAN struct {
	Adversary
	// Exact takes the outer product in place of the random map.
	Exact bool
	// MapWidth is the width of the random map; 0 means 500.
	MapWidth int
	// Entropy weighs examples by EntropyWeights: CDAN+E.
	Entropy bool
	// DetachPredictions keeps the domain loss from reaching the features through p,
	// as Long et al.'s code does; Mehra et al. let it.
	DetachPredictions bool
}

// Name returns "CDAN", with +E and (GRL) where they are set.
func (c CDAN) Name() string {
	if c.Entropy {
		return c.named("CDAN+E")
	}
	return c.named("CDAN")
}

// Prepare adds map and discriminator.
func (c CDAN) Prepare(m *Model, rng *rand.Rand) error {
	joint, err := conditional(rng, c.Exact, c.MapWidth, m.Width, m.Classes)
	if err != nil {
		return err
	}
	return c.prepare(m, rng, joint)
}

// Step makes one iteration.
func (c CDAN) Step(m *Model, b Batch) Losses { return c.run(m, b, c.adversarial()) }

func (c CDAN) adversarial() adversarial {
	return adversarial{rows: DomainBCE, entropy: c.Entropy, detach: c.DetachPredictions}
}

func (a Adversary) named(name string) string {
	if a.Mode == GradientReversal {
		return name + " (GRL)"
	}
	return name
}

func (a Adversary) prepare(m *Model, rng *rand.Rand, joint Map) error {
	switch {
	case a.Mode != InvertedLabels && a.Mode != GradientReversal:
		return fmt.Errorf("uda: mode %d, want InvertedLabels or GradientReversal", a.Mode)
	case a.Repeats < 0:
		return fmt.Errorf("uda: %d repeats, want 0 (1) or more", a.Repeats)
	case a.SharedForward && a.FeaturesFirst:
		return fmt.Errorf("uda: SharedForward with FeaturesFirst, want one of them")
	}
	width := m.Width
	if joint != nil {
		m.Map, width = joint, joint.Width()
	}
	m.Discriminator = m.Arch.Discriminator(rng, width)
	return nil
}

// adversarial is what the losses of an iteration depend on.
type adversarial struct {
	rows            func(logits *tensor.Tensor, domains []int) *tensor.Tensor
	entropy, detach bool
}

func (a Adversary) run(m *Model, b Batch, l adversarial) (out Losses) {
	t := turn{Model: m, adversarial: l, b: b, n: b.Source.Dim(0)}
	t.both = tensor.Concat(0, b.Source, b.Target)
	t.truth, t.inverted = domains(t.n, b.Target.Dim(0))
	if m.importance != nil {
		t.weights = m.importance.rows(b.Y, len(t.truth))
	}
	repeats := max(1, a.Repeats)
	for range repeats {
		var one Losses
		switch {
		case a.Mode == GradientReversal:
			t.reversed(&one)
		case a.SharedForward:
			t.shared(&one)
		case a.FeaturesFirst:
			t.features(&one)
			t.discriminate(&one)
		default:
			t.discriminate(&one)
			t.features(&one)
		}
		out.add(one, 1/float64(repeats))
	}
	return out
}

// turn is one run over a batch.
type turn struct {
	*Model
	adversarial
	b               Batch
	n               int // number of source rows
	both            *tensor.Tensor
	truth, inverted []int
	weights         *tensor.Tensor // of the rows, nil for ones
}

// see returns what the discriminator sees of features f, and the predictions where
// something depends on them. p holds whatever of G is watched, and C as a constant.
func (t *turn) see(p *nn.Pass, f *tensor.Tensor) (in, predictions *tensor.Tensor) {
	if t.Map == nil && !t.entropy && t.importance == nil {
		return f, nil
	}
	predictions = tensor.Softmax(t.Heads[0].Forward(p, f))
	if t.Map == nil {
		return f, predictions
	}
	joined := predictions
	if t.detach {
		joined = predictions.Detach()
	}
	return t.Map.Join(f, joined), predictions
}

// loss is the domain loss of logits z.
func (t *turn) loss(z, predictions *tensor.Tensor, domains []int) *tensor.Tensor {
	rows := t.rows(z, domains)
	if t.weights != nil {
		rows = tensor.Mul(rows, t.weights)
	}
	if t.entropy {
		return weightedLoss(rows, EntropyWeights(predictions), t.n)
	}
	return tensor.Mean(rows)
}

// class is the loss of C on source features; p watches C.
func (t *turn) class(p *nn.Pass, f *tensor.Tensor) *tensor.Tensor {
	rows := tensor.CrossEntropy(t.Heads[0].Forward(p, f), t.b.Y)
	if t.importance != nil {
		rows = tensor.Mul(rows, t.importance.classRows(t.b.Y))
	}
	return tensor.Mean(rows)
}

// learn makes the step of D on the input in, which is a constant.
func (t *turn) learn(in, predictions *tensor.Tensor, out *Losses) {
	p := t.pass()
	wd := p.Watch(t.tape, nn.Params(t.Discriminator))
	z := t.Discriminator.Forward(p, in)
	loss := t.loss(z, predictions, t.truth)
	grads := gradients(loss, wd...)
	t.update("discriminator", t.Discriminator, t.b.LR, grads)
	p.Commit()
	out.Domain, out.DomainAccuracy = loss.Item(), balanced(z, t.n)
	if t.importance != nil {
		t.importance.count(predictions, t.b.Y)
	}
}

// discriminate makes the step of D.
func (t *turn) discriminate(out *Losses) {
	defer t.tape.Reset()
	p := t.pass()
	in, predictions := t.see(p, t.G.Forward(p, t.tape.Const(t.both)))
	t.learn(in, predictions, out)
	p.Commit()
}

// features makes the step of G and C against inverted domains.
func (t *turn) features(out *Losses) {
	defer t.tape.Reset()
	p := t.pass()
	wg, wc := p.Watch(t.tape, nn.Params(t.G)), p.Watch(t.tape, nn.Params(t.Heads[0]))
	class := t.class(p, t.G.Forward(p, t.tape.Const(t.b.Source)))
	q := t.pass()
	for i, w := range nn.Params(t.G) {
		q.Use(w, wg[i])
	}
	t.step(class, q, t.G.Forward(q, t.tape.Const(t.both)), wg, wc, out)
	p.Commit()
	q.Commit()
}

// shared makes both steps on the features of one pass.
func (t *turn) shared(out *Losses) {
	defer t.tape.Reset()
	p := t.pass()
	wg, wc := p.Watch(t.tape, nn.Params(t.G)), p.Watch(t.tape, nn.Params(t.Heads[0]))
	f := t.G.Forward(p, t.tape.Const(t.both))
	q := t.pass()
	in, predictions := t.see(q, f.Detach())
	t.learn(in, predictions, out)
	t.step(t.class(p, tensor.Slice(f, 0, 0, t.n)), q, f, wg, wc, out)
	p.Commit()
	q.Commit()
}

// step moves G and C along the gradient of the class loss plus the domain loss of
// features f with inverted domains. q watches neither C nor D.
func (t *turn) step(class *tensor.Tensor, q *nn.Pass, f *tensor.Tensor, wg, wc []*tensor.Tensor, out *Losses) {
	in, predictions := t.see(q, f)
	domain := t.loss(t.Discriminator.Forward(q, in), predictions, t.inverted)
	grads := gradients(tensor.Add(class, domain), append(wg[:len(wg):len(wg)], wc...)...)
	t.update("features", t.G, t.b.LR, grads[:len(wg)])
	t.update("head", t.Heads[0], t.b.LR, grads[len(wg):])
	out.Class, out.Confusion = class.Item(), domain.Item()
}

// reversed makes one step of everything with a gradient reversal layer.
func (t *turn) reversed(out *Losses) {
	defer t.tape.Reset()
	lambda := Lambda(t.b.Progress)
	p := t.pass()
	wg, wc := p.Watch(t.tape, nn.Params(t.G)), p.Watch(t.tape, nn.Params(t.Heads[0]))
	wd := p.Watch(t.tape, nn.Params(t.Discriminator))
	f := t.G.Forward(p, t.tape.Const(t.both))
	class := t.class(p, tensor.Slice(f, 0, 0, t.n))
	// Everything that lies between G and D passes the reversal once, the weights of
	// CDAN+E too.
	q := t.pass()
	in, predictions := t.see(q, f)
	in = ReverseGradient(in, lambda)
	if predictions != nil {
		predictions = ReverseGradient(predictions, lambda)
	}
	z := t.Discriminator.Forward(p, in)
	domain := t.loss(z, predictions, t.truth)
	all := append(append(wg[:len(wg):len(wg)], wc...), wd...)
	grads := gradients(tensor.Add(class, domain), all...)
	t.update("features", t.G, t.b.LR, grads[:len(wg)])
	t.update("head", t.Heads[0], t.b.LR, grads[len(wg):len(wg)+len(wc)])
	t.update("discriminator", t.Discriminator, t.b.LR, grads[len(wg)+len(wc):])
	out.Class, out.Domain, out.DomainAccuracy = class.Item(), domain.Item(), balanced(z, t.n)
	if t.importance != nil {
		t.importance.count(predictions, t.b.Y)
	}
	p.Commit()
	q.Commit()
}
