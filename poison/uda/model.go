package uda

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"

	"github.com/redoubt-ml/redoubt/tensor"
	"github.com/redoubt-ml/redoubt/tensor/nn"
	"github.com/redoubt-ml/redoubt/tensor/optim"
)

// Model is a network in training, with the state of its optimisers. Logits and
// Features evaluate it and may be called by many goroutines while nothing trains it.
type Model struct {
	Arch             Architecture
	H, W, C, Classes int

	G             nn.Layer   // features, [N, H, W, C] to [N, Width]
	Heads         []nn.Layer // classifiers; the first one predicts
	Discriminator nn.Layer   // nil for methods without one
	Pretext       nn.Layer   // head of the task without labels, or nil
	Map           Map        // what the discriminator sees, nil for the features
	Width         int        // number of features

	statistics bool // some network keeps running averages
	importance *importance
	newOptim   func() optim.Optimizer
	optims     map[string]*group
	tape       *tensor.Tape
	rng        *rand.Rand // dropout and the classes of pretext tasks
}

// group is an optimiser with the parameters it moves.
type group struct {
	network int // in networks()
	params  []*tensor.Tensor
	opt     optim.Optimizer
}

// pass is a forward pass in training mode; each has dropout masks of its own.
func (m *Model) pass() *nn.Pass { return &nn.Pass{Train: true, Rand: m.rng} }

// update moves the parameters of a network with the optimiser state of that name.
func (m *Model) update(state string, net nn.Layer, lr float64, grads []*tensor.Tensor) {
	g := m.optims[state]
	if g == nil {
		params := nn.Params(net)
		at := slices.IndexFunc(m.networks(), func(l nn.Layer) bool { return slices.Equal(nn.Params(l), params) })
		g = &group{at, params, m.newOptim()}
		m.optims[state] = g
	}
	g.opt.Step(lr, g.params, grads)
}

// gradients returns the gradients of y with respect to parameters, nil for those that
// it does not depend on.
func gradients(y *tensor.Tensor, params ...*tensor.Tensor) []*tensor.Tensor {
	return tensor.Gradients(y, tensor.GradOptions{NilUnreached: true}, params...)
}

// Logits returns the scores [N, Classes] of the first classifier for images x in
// evaluation mode; differentiable in x.
func (m *Model) Logits(x *tensor.Tensor) *tensor.Tensor {
	return m.Heads[0].Forward(&nn.Pass{}, m.Features(x))
}

// Features returns G(x) [N, Width] in evaluation mode; differentiable in x.
func (m *Model) Features(x *tensor.Tensor) *tensor.Tensor { return m.G.Forward(&nn.Pass{}, x) }

// networks lists all networks of the model.
func (m *Model) networks() []nn.Layer {
	all := append([]nn.Layer{m.G}, m.Heads...)
	for _, l := range []nn.Layer{m.Discriminator, m.Pretext} {
		if l != nil {
			all = append(all, l)
		}
	}
	return all
}

// tensors lists parameters and statistics of all networks, and the matrices of a random
// map, without which a discriminator is that of another model.
func (m *Model) tensors() (all []*tensor.Tensor) {
	for _, l := range m.networks() {
		l.Visit("", func(s nn.Slot) { all = append(all, s.Tensor) })
	}
	if r, ok := m.Map.(RandomMap); ok {
		all = append(all, r.F, r.P)
	}
	return all
}

// State is a copy of a model's weights, statistics, random map, class weights and
// optimisers.
type State struct {
	tensors []*tensor.Tensor
	optims  map[string]memory
	weights []float64 // nil for methods without class weights
}

// memory is the state of an optimiser of one network.
type memory struct {
	network int // in networks()
	tensors map[string]*tensor.Tensor
}

// Snapshot copies the state of the model.
func (m *Model) Snapshot() *State {
	s := &State{optims: map[string]memory{}}
	for _, t := range m.tensors() {
		s.tensors = append(s.tensors, t.Clone())
	}
	for name, g := range m.optims {
		s.optims[name] = memory{g.network, cloned(g.opt.State())}
	}
	if m.importance != nil {
		s.weights = slices.Clone(m.importance.weights)
	}
	return s
}

func cloned(all map[string]*tensor.Tensor) map[string]*tensor.Tensor {
	out := map[string]*tensor.Tensor{}
	for name, t := range all {
		out[name] = t.Clone()
	}
	return out
}

// Restore puts the model into the state, bit for bit, of this model or of another one
// of the same method, architecture and optimiser. A state that does not fit is an error
// and changes nothing.
func (m *Model) Restore(s *State) error {
	if s == nil {
		return fmt.Errorf("uda: no state to restore")
	}
	mine := m.tensors()
	if len(mine) != len(s.tensors) {
		return fmt.Errorf("uda: state has %d tensors, want %d", len(s.tensors), len(mine))
	}
	for i, t := range mine {
		if t.DType() != s.tensors[i].DType() || !slices.Equal(t.Shape(), s.tensors[i].Shape()) {
			return fmt.Errorf("uda: tensor %d of the state is %v%v, want %v%v", i, s.tensors[i].DType(), s.tensors[i].Shape(), t.DType(), t.Shape())
		}
	}
	weights := 0
	if m.importance != nil {
		weights = m.Classes
	}
	if len(s.weights) != weights {
		return fmt.Errorf("uda: state has %d class weights, want %d", len(s.weights), weights)
	}
	networks, optims := m.networks(), map[string]*group{}
	for _, name := range slices.Sorted(maps.Keys(s.optims)) {
		kept := s.optims[name]
		if kept.network < 0 || kept.network >= len(networks) {
			return fmt.Errorf("uda: optimiser %q of the state is for network %d, want it in [0, %d)", name, kept.network, len(networks))
		}
		g := &group{kept.network, nn.Params(networks[kept.network]), m.newOptim()}
		if err := g.opt.SetState(g.params, cloned(kept.tensors)); err != nil {
			return fmt.Errorf("uda: optimiser %q: %w", name, err)
		}
		optims[name] = g
	}
	for i, t := range mine {
		t.CopyFrom(s.tensors[i])
	}
	m.optims = optims
	if m.importance != nil {
		m.importance.restart(s.weights)
	}
	return nil
}

// Weights returns the class weights of IWDAN and IWCDAN, nil for other methods.
func (m *Model) Weights() []float64 {
	if m.importance == nil {
		return nil
	}
	return slices.Clone(m.importance.weights)
}
