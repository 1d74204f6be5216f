package advcl

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"

	"github.com/redoubt-ml/redoubt/tensor"
	"github.com/redoubt-ml/redoubt/tensor/nn"
)

// Names of the sets of normalisation statistics that kinds of images have to
// themselves.
const (
	Clean          = "normal" // clean views
	Attacked       = "pgd"    // the attacked view
	AttackedPseudo = "pgd_ce" // the view that is attacked through the pseudo-labels
)

// Routes are Clean, Attacked and AttackedPseudo: the sets of statistics of AdvCL's
// encoder, in the order of its files.
var Routes = []string{Clean, Attacked, AttackedPseudo}

// Projector is the form of a projection head, which turns features into what is
// compared: dense layers with normalisation and ReLU between them.
type Projector struct {
	// Widths are the outputs of each layer; none means the encoder's features
	// themselves are compared.
	Widths []int
	// Plain leaves normalisation out, as RoCL does.
	Plain bool
	// Routed gives the head the encoder's sets of statistics, as ACL does; otherwise
	// one set serves all.
	Routed bool
	// NormedOutput normalises the output as well and leaves the biases of all layers
	// but the first out, as ACL does.
	NormedOutput bool
}

// Network is an encoder with what pretraining needs on top of it: a projection head and
// linear heads for pseudo-labels. As a layer it computes the projection.
type Network struct {
	Encoder   *Encoder
	Projector *nn.Sequential
	// Routed says that the projector has the encoder's sets of statistics.
	Routed bool
	// Heads are classifiers of the encoder's features, one for each labelling.
	Heads []*nn.Linear
}

var _ nn.Layer = (*Network)(nil)

// NewNetwork returns a network with the named sets of normalisation statistics, none
// for a single set, and a linear head for each of the given numbers of classes.
func NewNetwork(rng *rand.Rand, f Form, p Projector, classes []int, sets ...string) *Network {
	n := &Network{Encoder: NewEncoder(rng, f, sets...), Projector: new(nn.Sequential), Routed: p.Routed}
	in := f.Features()
	headSets := []string{""}
	if p.Routed {
		headSets = n.Encoder.Sets
	}
	for i, out := range p.Widths {
		l, last := nn.NewLinear(rng, in, out), i == len(p.Widths)-1
		if p.NormedOutput && i > 0 {
			l.Bias = nil
		}
		n.Projector.Add("linear"+strconv.Itoa(i+1), l)
		if !p.Plain && (!last || p.NormedOutput) {
			n.Projector.Add("bn"+strconv.Itoa(i+1), nn.NewBatchNorm(out, headSets...))
		}
		if !last {
			n.Projector.Add("relu"+strconv.Itoa(i+1), nn.ReLU)
		}
		in = out
	}
	for _, k := range classes {
		n.Heads = append(n.Heads, nn.NewLinear(rng, f.Features(), k))
	}
	return n
}

// Features returns the encoder's output [N, D] for images x [N, S, S, 3] with the
// statistics that the pass names.
func (n *Network) Features(p *nn.Pass, x *tensor.Tensor) *tensor.Tensor {
	return n.Encoder.Forward(p, x)
}

// Forward returns the projection of images x [N, S, S, 3].
func (n *Network) Forward(p *nn.Pass, x *tensor.Tensor) *tensor.Tensor {
	f := n.Encoder.Forward(p, x)
	if !n.Routed {
		defer func(stats string) { p.Stats = stats }(p.Stats)
		p.Stats = ""
	}
	return n.Projector.Forward(p, f)
}

// Visit visits encoder, projector and heads.
func (n *Network) Visit(prefix string, visit func(nn.Slot)) {
	n.Encoder.Visit(prefix+"encoder.", visit)
	n.Projector.Visit(prefix+"projector.", visit)
	for i, h := range n.Heads {
		h.Visit(prefix+"heads."+strconv.Itoa(i)+".", visit)
	}
}

// on runs f with the pass on a set of statistics.
func on(p *nn.Pass, stats string, f func() *tensor.Tensor) *tensor.Tensor {
	defer func(old string) { p.Stats = old }(p.Stats)
	p.Stats = stats
	return f()
}

// asNetwork returns the layer as a Network.
func asNetwork(l nn.Layer) (*Network, error) {
	n, ok := l.(*Network)
	if !ok {
		return nil, fmt.Errorf("advcl: network is a %T, want a *advcl.Network", l)
	}
	return n, nil
}

// hasSets returns an error unless the encoder has all the named sets.
func (n *Network) hasSets(names ...string) error {
	for _, name := range names {
		if name != "" && !slices.Contains(n.Encoder.Sets, name) {
			return fmt.Errorf("advcl: encoder has the sets of normalisation statistics %q, want one named %q", n.Encoder.Sets, name)
		}
	}
	return nil
}
