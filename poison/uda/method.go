package uda

import (
	"math"
	"math/rand/v2"

	"github.com/redoubt-ml/redoubt/tensor"
	"github.com/redoubt-ml/redoubt/tensor/nn"
)

// Method is a method of adaptation with its settings.
type Method interface {
	// Name is the method's name in tables.
	Name() string
	// Prepare gives a model that has G and one classifier what else the method
	// needs.
	Prepare(m *Model, rng *rand.Rand) error
	// Step makes one iteration on a batch.
	Step(m *Model, b Batch) Losses
}

// Batch is what one iteration sees.
type Batch struct {
	Source   *tensor.Tensor // images [n, H, W, C]
	Y        []int          // labels of the source
	Target   *tensor.Tensor // images [m, H, W, C]; nil if there is no target
	LR       float64        // learning rate
	Progress float64        // of training, in [0, 1)
}

// Losses are the losses of one iteration, or their means over an epoch, in nats,
// each before the step that it belongs to. A method leaves 0 what it has not.
type Losses struct {
	Class       float64 `json:"class"`                 // cross-entropy on the source
	Domain      float64 `json:"domain,omitempty"`      // of the discriminator, on true domains
	Confusion   float64 `json:"confusion,omitempty"`   // of the features, on inverted domains
	Discrepancy float64 `json:"discrepancy,omitempty"` // between two classifiers on the target
	Pretext     float64 `json:"pretext,omitempty"`     // of the task without labels
	// DomainAccuracy is the mean over the two domains of the share that the
	// discriminator gets right: 0.5 when the features are aligned.
	DomainAccuracy float64 `json:"domain_accuracy,omitempty"`
}

// add adds w times the losses o.
func (l *Losses) add(o Losses, w float64) {
	l.Class += w * o.Class
	l.Domain += w * o.Domain
	l.Confusion += w * o.Confusion
	l.Discrepancy += w * o.Discrepancy
	l.Pretext += w * o.Pretext
	l.DomainAccuracy += w * o.DomainAccuracy
}

// finite says whether all losses are numbers.
func (l Losses) finite() bool {
	s := l.Class + l.Domain + l.Confusion + l.Discrepancy + l.Pretext
	return !math.IsNaN(s) && !math.IsInf(s, 0)
}

var _ Method = SourceOnly{}

// SourceOnly is ordinary training on the source: min CE(y_s, C(G(x_s))).
type SourceOnly struct{}

// Name returns "source only".
func (SourceOnly) Name() string { return "source only" }

// Prepare adds nothing.
func (SourceOnly) Prepare(*Model, *rand.Rand) error { return nil }

// Step makes one step on the source.
func (SourceOnly) Step(m *Model, b Batch) Losses {
	return Losses{Class: m.supervised(b, "")}
}

// supervised makes one step of G and the first classifier on the source, with the
// optimiser states of that suffix, and returns the loss.
func (m *Model) supervised(b Batch, suffix string) float64 {
	defer m.tape.Reset()
	p := m.pass()
	wg, wc := p.Watch(m.tape, nn.Params(m.G)), p.Watch(m.tape, nn.Params(m.Heads[0]))
	f := m.G.Forward(p, m.tape.Const(b.Source))
	loss := tensor.Mean(tensor.CrossEntropy(m.Heads[0].Forward(p, f), b.Y))
	grads := gradients(loss, append(wg, wc...)...)
	m.update("features"+suffix, m.G, b.LR, grads[:len(wg)])
	m.update("head"+suffix, m.Heads[0], b.LR, grads[len(wg):])
	p.Commit()
	return loss.Item()
}
