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
	params []*tensor.Tensor
	opt    optim.Optimizer
}

// pass is a forward pass in training mode; each has dropout masks of its own.
func (m *Model) pass() *nn.Pass { return &nn.Pass{Train: true, Rand: m.rng} }

// update moves the parameters of a network with the optimiser state of that name.
func (m *Model) update(state string, net nn.Layer, lr float64, grads []*tensor.Tensor) {
	g := m.optims[state]
	if g == nil {
		g = &group{nn.Params(net), m.newOptim()}
		m.optims[state] = g
	}
	g.opt.Step(lr, g.params, grads)
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

// tensors lists parameters and statistics of all networks.
func (m *Model) tensors() (all []*tensor.Tensor) {
	for _, l := range m.networks() {
		l.Visit("", func(s nn.Slot) { all = append(all, s.Tensor) })
	}
	return all
}

// State is a copy of a model's weights, statistics, class weights and optimisers.
type State struct {
	tensors []*tensor.Tensor
	optims  map[string]map[string]*tensor.Tensor
	weights []float64
}

// Snapshot copies the state of the model.
func (m *Model) Snapshot() *State {
	s := &State{optims: map[string]map[string]*tensor.Tensor{}}
	for _, t := range m.tensors() {
		s.tensors = append(s.tensors, t.Clone())
	}
	for name, g := range m.optims {
		kept := map[string]*tensor.Tensor{}
		for k, t := range g.opt.State() {
			kept[k] = t.Clone()
		}
		s.optims[name] = kept
	}
	if m.importance != nil {
		s.weights = slices.Clone(m.importance.weights)
	}
	return s
}

// Restore puts the model back into a state of its own, bit for bit. A state of a
// model of another form is an error and changes nothing.
func (m *Model) Restore(s *State) error {
	mine := m.tensors()
	if len(mine) != len(s.tensors) {
		return fmt.Errorf("uda: state has %d tensors, want %d", len(s.tensors), len(mine))
	}
	for i, t := range mine {
		if !slices.Equal(t.Shape(), s.tensors[i].Shape()) {
			return fmt.Errorf("uda: tensor %d of the state is %v, want %v", i, s.tensors[i].Shape(), t.Shape())
		}
	}
	for _, name := range slices.Sorted(maps.Keys(m.optims)) {
		if err := m.optims[name].opt.SetState(m.optims[name].params, s.optims[name]); err != nil {
			return fmt.Errorf("uda: optimiser %s: %w", name, err)
		}
	}
	for i, t := range mine {
		t.CopyFrom(s.tensors[i])
	}
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
