package uda

import (
	"math/rand/v2"

	"github.com/redoubt-ml/redoubt/tensor"
	"github.com/redoubt-ml/redoubt/tensor/nn"
)

var _ Method = SSL{}

// SSL aligns the domains by a task without labels, which one head has to solve on
// both: min CE(y_s, C(G(x_s))) + CE(r, A(G(change_r(x)))). C sees unchanged source
// images only.
//
// Sun et al., arXiv 1909.11825; with the summed loss as in Mehra et al., NeurIPS 2021.
type SSL struct {
	// Task is what the head A has to say.
	Task Pretext
	// Alternate makes a step on the task and then one on the labels, each with an
	// optimiser state of its own, as Sun et al. do; by default there is one step on
	// the sum.
	Alternate bool
}

// Name returns "SSL", with the task if it is not rotation.
func (s SSL) Name() string {
	if s.Task != Rotation {
		return "SSL (" + s.Task.String() + ")"
	}
	return "SSL"
}

// Prepare adds the head of the task.
func (s SSL) Prepare(m *Model, rng *rand.Rand) error {
	if err := s.Task.Check(m.H, m.W); err != nil {
		return err
	}
	m.Pretext = m.Arch.Head(rng, m.Width, s.Task.Classes())
	return nil
}

// Step makes one iteration.
func (s SSL) Step(m *Model, b Batch) (out Losses) {
	both := tensor.Concat(0, b.Source, b.Target)
	r := make([]int, both.Dim(0))
	for i := range r {
		r[i] = m.rng.IntN(s.Task.Classes())
	}
	changed := s.Task.Apply(both, r)
	if s.Alternate {
		out.Pretext = m.solve(b, changed, r, false).Pretext
		out.Class = m.supervised(b, "")
		return out
	}
	return m.solve(b, changed, r, true)
}

// solve makes a step on the task, together with one on the labels if joint is set.
func (m *Model) solve(b Batch, changed *tensor.Tensor, r []int, joint bool) (out Losses) {
	defer m.tape.Reset()
	p := m.pass()
	wg, wa := p.Watch(m.tape, nn.Params(m.G)), p.Watch(m.tape, nn.Params(m.Pretext))
	task := tensor.Mean(tensor.CrossEntropy(m.Pretext.Forward(p, m.G.Forward(p, m.tape.Const(changed))), r))
	out.Pretext = task.Item()
	all, state := append(wg[:len(wg):len(wg)], wa...), "features of the task"
	if joint {
		state = "features"
		all = append(all, p.Watch(m.tape, nn.Params(m.Heads[0]))...)
		class := tensor.Mean(tensor.CrossEntropy(m.Heads[0].Forward(p, m.G.Forward(p, m.tape.Const(b.Source))), b.Y))
		out.Class, task = class.Item(), tensor.Add(class, task)
	}
	grads := gradients(task, all...)
	m.update(state, m.G, b.LR, grads[:len(wg)])
	m.update("pretext", m.Pretext, b.LR, grads[len(wg):len(wg)+len(wa)])
	if joint {
		m.update("head", m.Heads[0], b.LR, grads[len(wg)+len(wa):])
	}
	p.Commit()
	return out
}
