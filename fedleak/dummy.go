package fedleak

import (
	"github.com/redoubt-ml/redoubt/tensor"
	"github.com/redoubt-ml/redoubt/tensor/nn"
)

// dummy is a batch of guessed samples on a tape, and what the model makes of it.
type dummy struct {
	xs       []*tensor.Tensor // watched slices, [k, H, W, C] each
	labels   *tensor.Tensor   // watched logits of the labels [k, classes], nil if given
	features []*tensor.Tensor // inputs of the first dense layers, [k, d1] each
	grads    []*tensor.Tensor // of the mean loss by all parameters, in the order of Model.Refs
	norms    []moments        // of the inputs of normalisation layers
	target   *tensor.Tensor   // distributions of labels [k, classes]
}

// moments are the statistics of a normalisation layer's input and those it holds.
type moments struct {
	mean, variance, wantMean, wantVar *tensor.Tensor
	first                             bool // of its party's layers
}

// guess runs the model in a new pass on guessed slices and watches them. labels are
// logits [k, classes]; with fixed set they are the distributions themselves, and not
// watched. With second set the gradients by the parameters are computed so that they can
// be differentiated.
func (m *Model) guess(pass *nn.Pass, tape *tensor.Tape, xs []*tensor.Tensor, labels *tensor.Tensor, fixed, second bool) *dummy {
	d := &dummy{}
	var params []*tensor.Tensor
	if second {
		for _, r := range m.Refs() {
			w, _ := m.param(r)
			params = append(params, w)
		}
		params = pass.Watch(tape, params)
	}
	outs := make([]*tensor.Tensor, len(xs))
	for p, x := range xs {
		w := tape.Watch(x)
		d.xs = append(d.xs, w)
		outs[p] = d.through(m.Bottoms[p], pass, w)
	}
	d.target = labels
	if !fixed {
		d.labels = tape.Watch(labels)
		d.target = tensor.Softmax(d.labels)
	}
	if !second {
		return d
	}
	joined := outs[0]
	if len(outs) > 1 {
		joined = tensor.Concat(1, outs...)
	}
	loss := tensor.Mean(m.Losses(m.Top.Forward(pass, joined), d.target))
	d.grads = tensor.Gradients(loss, tensor.GradOptions{CreateGraph: true}, params...)
	return d
}

// through runs a bottom network and keeps the input of its first dense layer and the
// statistics of its normalisation layers.
func (d *dummy) through(net *nn.Sequential, pass *nn.Pass, x *tensor.Tensor) *tensor.Tensor {
	layers := net.Layers()
	seen := false
	from, others := 0, len(d.norms)
	flush := func(to int) {
		if to > from {
			x = nn.NewSequential(layers[from:to]...).Forward(pass, x)
		}
		from = to
	}
	for i, l := range layers {
		switch b := l.(type) {
		case *nn.Linear:
			if !seen {
				flush(i)
				d.features = append(d.features, x)
				seen = true
			}
		case *nn.BatchNorm:
			flush(i)
			axes := make([]int, x.Rank()-1)
			for j := range axes {
				axes[j] = j
			}
			d.norms = append(d.norms, moments{tensor.Mean(x, axes...), tensor.Var(x, axes...), b.Sets[0].Mean, b.Sets[0].Var, len(d.norms) == others})
		}
	}
	flush(len(layers))
	return x
}
