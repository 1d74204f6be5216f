package weightpert

import (
	"fmt"

	"github.com/redoubt-ml/redoubt/tensor"
	"github.com/redoubt-ml/redoubt/tensor/nn"
)

// denseLayers returns the dense layers of a network that is made of them, with ReLU
// between them: what the training losses with bounds are for.
func denseLayers(net nn.Layer) ([]*nn.Linear, error) {
	var out []*nn.Linear
	on := true // whether the next layer may be dense
	var walk func(l nn.Layer) error
	walk = func(l nn.Layer) error {
		switch l := l.(type) {
		case *nn.Sequential:
			for _, c := range l.Layers() {
				if err := walk(c); err != nil {
					return err
				}
			}
			return nil
		case *nn.Linear:
			if !on {
				return fmt.Errorf("dense layer %d follows another without ReLU between them", len(out))
			}
			out, on = append(out, l), false
			return nil
		case nn.Plain:
			if l == nn.Flatten {
				return nil
			}
			if l == nn.ReLU && !on {
				on = true
				return nil
			}
			return fmt.Errorf("%v behind dense layer %d, want dense layers with ReLU between them", l, len(out)-1)
		}
		return fmt.Errorf("%T behind dense layer %d, want dense layers with ReLU between them", l, len(out)-1)
	}
	if err := walk(net); err != nil {
		return nil, err
	}
	if len(out) == 0 || on {
		return nil, fmt.Errorf("%d dense layers and ReLU at the end: %v, want at least 1 layer and no ReLU at the end", len(out), on)
	}
	return out, nil
}

// rowSum returns ‖W‖∞ of the matrix whose transpose w [in, out] a layer holds.
func rowSum(w *tensor.Tensor) *tensor.Tensor {
	return tensor.Max(tensor.Sum(tensor.Abs(w), 0), 0)
}

// columnSum returns ‖W‖₁ of the matrix whose transpose w [in, out] a layer holds.
func columnSum(w *tensor.Tensor) *tensor.Tensor {
	return tensor.Max(tensor.Sum(tensor.Abs(w), 1), 0)
}

// differences returns W_i - W_j of the last layer's rows, [in, K, K].
func differences(w *tensor.Tensor) *tensor.Tensor {
	d, k := w.Dim(0), w.Dim(1)
	return tensor.Sub(tensor.Reshape(w, d, k, 1), tensor.Reshape(w, d, 1, k))
}

// l1 returns the sum of moduli of each row of z [N, d], [N, 1].
func l1(z *tensor.Tensor) *tensor.Tensor {
	return tensor.Reshape(tensor.Sum(tensor.Abs(z), 1), z.Dim(0), 1)
}

// optional is p.Value for a bias that may be missing.
func optional(p *nn.Pass, b *tensor.Tensor) *tensor.Tensor {
	if b == nil {
		return nil
	}
	return p.Value(b)
}

// rampAt returns the strength of a term in a training step that grows linearly from
// 0 before the step from to 1 at the step to.
func rampAt(step, from, to int) float64 {
	if step >= to {
		return 1
	}
	return max(0, float64(step+1-from)/float64(to-from+1))
}
