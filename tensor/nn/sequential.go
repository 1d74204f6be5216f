package nn

import (
	"fmt"
	"strconv"

	"github.com/redoubt-ml/redoubt/tensor"
)

// Sequential runs layers one after the other.
type Sequential struct {
	children []child
}

type child struct {
	name  string
	layer Layer
}

// activated is a layer that can apply an activation while it writes its result.
type activated interface {
	forwardActivated(p *Pass, x *tensor.Tensor, act tensor.Activation) *tensor.Tensor
}

// activating returns a layer of this package as one that applies activations, nil if it
// is none. A type that embeds such a layer is none: its own Forward must run.
func activating(l Layer) activated {
	switch l := l.(type) {
	case *Linear:
		return l
	case *Conv2D:
		return l
	case *BatchNorm:
		return l
	}
	return nil
}

// NewSequential returns a network of the given layers, which are named "0",
// "1", and so on.
func NewSequential(layers ...Layer) *Sequential {
	s := &Sequential{}
	for i, l := range layers {
		s.Add(strconv.Itoa(i), l)
	}
	return s
}

// Add appends a layer under a name and returns the network. It panics if the
// name is taken.
func (s *Sequential) Add(name string, l Layer) *Sequential {
	for _, c := range s.children {
		if c.name == name {
			panic(fmt.Sprintf("nn: Sequential: two layers named %q", name))
		}
	}
	s.children = append(s.children, child{name, l})
	return s
}

// Layers returns the layers in order.
func (s *Sequential) Layers() []Layer {
	out := make([]Layer, len(s.children))
	for i, c := range s.children {
		out[i] = c.layer
	}
	return out
}

// Forward runs x through the layers.
func (s *Sequential) Forward(p *Pass, x *tensor.Tensor) *tensor.Tensor {
	for i := 0; i < len(s.children); i++ {
		l := s.children[i].layer
		next, act := i+1, tensor.Identity
		if s.at(next) == ReLU {
			next, act = next+1, tensor.Rectify
		}
		if c, ok := l.(*Conv2D); ok {
			if pool, ok := s.at(next).(Pool2D); ok && !pool.Average {
				x, i = c.forwardPooled(p, x, act, pool), next
				continue
			}
		}
		if a := activating(l); a != nil && act == tensor.Rectify {
			x, i = a.forwardActivated(p, x, act), next-1
			continue
		}
		x = l.Forward(p, x)
	}
	return x
}

// at is layer i, nil behind the last.
func (s *Sequential) at(i int) Layer {
	if i >= len(s.children) {
		return nil
	}
	return s.children[i].layer
}

// Visit visits the layers in order, each under its name.
func (s *Sequential) Visit(prefix string, visit func(Slot)) {
	for _, c := range s.children {
		c.layer.Visit(prefix+c.name+".", visit)
	}
}

// BasicBlock is the residual block of two 3x3 convolutions: ReLU(F(x) + shortcut).
//
// He et al., CVPR 2016, Fig. 5 (left).
type BasicBlock struct {
	Conv1, Conv2 *Conv2D
	Norm1, Norm2 *BatchNorm
	// Shortcut projects x where F changes its shape; nil passes it on.
	Shortcut *Sequential
	// ShortcutName is the shortcut's name in files; "" means "downsample".
	ShortcutName string
}

// Forward computes the block's output.
func (b *BasicBlock) Forward(p *Pass, x *tensor.Tensor) *tensor.Tensor {
	y := b.Norm1.forwardActivated(p, b.Conv1.Forward(p, x), tensor.Rectify)
	y = b.Norm2.Forward(p, b.Conv2.Forward(p, y))
	if b.Shortcut != nil {
		x = b.Shortcut.Forward(p, x)
	}
	return tensor.ReLU(tensor.Add(y, x))
}

// Visit visits both convolutions and the shortcut.
func (b *BasicBlock) Visit(prefix string, visit func(Slot)) {
	b.Conv1.Visit(prefix+"conv1.", visit)
	b.Norm1.Visit(prefix+"bn1.", visit)
	b.Conv2.Visit(prefix+"conv2.", visit)
	b.Norm2.Visit(prefix+"bn2.", visit)
	if b.Shortcut != nil {
		name := b.ShortcutName
		if name == "" {
			name = "downsample"
		}
		b.Shortcut.Visit(prefix+name+".", visit)
	}
}
