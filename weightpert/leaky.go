package weightpert

import (
	"github.com/redoubt-ml/redoubt/tensor"
	"github.com/redoubt-ml/redoubt/tensor/nn"
)

// leaky returns a network that computes the same as net, with its parameters, but
// whose ReLUs pass slope times the gradient where they are off. ReLUs inside layers
// other than Sequentials stay as they are.
func leaky(net nn.Layer, slope float64) nn.Layer {
	s, ok := net.(*nn.Sequential)
	if !ok || slope <= 0 {
		return net
	}
	var layers []nn.Layer
	for _, l := range s.Layers() {
		if l == nn.ReLU {
			l = nn.Function(func(_ *nn.Pass, x *tensor.Tensor) *tensor.Tensor { return leakyBackward(x, slope) })
		} else {
			l = leaky(l, slope)
		}
		layers = append(layers, l)
	}
	return nn.NewSequential(layers...)
}

// leakyBackward is max(x, 0) with the gradient of a ReLU that leaks.
func leakyBackward(x *tensor.Tensor, slope float64) *tensor.Tensor {
	off := tensor.Neg(tensor.ReLU(tensor.Neg(x)))
	// The difference is 0, but its gradient is that of min(x, 0).
	return tensor.Add(tensor.ReLU(x), tensor.MulScalar(tensor.Sub(off, off.Detach()), slope))
}
