package weightpert

import (
	"github.com/redoubt-ml/redoubt/tensor"
	"github.com/redoubt-ml/redoubt/tensor/nn"
)

// leaky returns a network that computes the same as net, with its parameters, but
// whose ReLUs pass slope times the gradient where they are off, and whether it has
// such ReLUs: those of Sequentials, BasicBlocks and Perturbed networks. Those inside
// other layers stay as they are.
func leaky(net nn.Layer, slope float64) (nn.Layer, bool) {
	relu := func(x *tensor.Tensor) *tensor.Tensor { return leakyBackward(x, slope) }
	switch l := net.(type) {
	case nn.Plain:
		if l == nn.ReLU {
			return nn.Function(func(_ *nn.Pass, x *tensor.Tensor) *tensor.Tensor { return relu(x) }), true
		}
	case *nn.Sequential:
		var layers []nn.Layer
		any := false
		for _, child := range l.Layers() {
			child, found := leaky(child, slope)
			layers, any = append(layers, child), any || found
		}
		return nn.NewSequential(layers...), any
	case *nn.BasicBlock:
		var shortcut nn.Layer
		if l.Shortcut != nil {
			shortcut, _ = leaky(l.Shortcut, slope)
		}
		return nn.Function(func(p *nn.Pass, x *tensor.Tensor) *tensor.Tensor {
			y := relu(l.Norm1.Forward(p, l.Conv1.Forward(p, x)))
			y = l.Norm2.Forward(p, l.Conv2.Forward(p, y))
			if shortcut != nil {
				x = shortcut.Forward(p, x)
			}
			return relu(tensor.Add(y, x))
		}), true
	case Perturbed:
		var found bool
		l.Net, found = leaky(l.Net, slope)
		return l, found
	}
	return net, false
}

// leakyBackward is max(x, 0) with the gradient of a ReLU that leaks.
func leakyBackward(x *tensor.Tensor, slope float64) *tensor.Tensor {
	off := tensor.Neg(tensor.ReLU(tensor.Neg(x)))
	// The difference is 0, but its gradient is that of min(x, 0).
	return tensor.Add(tensor.ReLU(x), tensor.MulScalar(tensor.Sub(off, off.Detach()), slope))
}
