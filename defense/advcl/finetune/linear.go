package finetune

import (
	"context"
	"math"

	"github.com/redoubt-ml/redoubt/tensor"
	"github.com/redoubt-ml/redoubt/tensor/dataset"
	"github.com/redoubt-ml/redoubt/tensor/nn"
)

// cached is the cross-entropy of a layer on features [N, D] of all images.
func cached(f *tensor.Tensor) nn.Loss {
	return func(_ context.Context, p *nn.Pass, head nn.Layer, b nn.Batch) (*tensor.Tensor, error) {
		return crossEntropy(p, head, tensor.Gather(b.X.Tape().Const(f), b.Index), b.Y), nil
	}
}

// labelsOf is a set of as many images, of one pixel, with the labels of the data, for a
// loss that looks at no image.
func labelsOf(data *dataset.Set) *dataset.Set {
	return &dataset.Set{Name: data.Name, H: 1, W: 1, C: 1, Bytes: make([]byte, data.Len()), Labels: data.Labels, Classes: data.Classes}
}

// frozen is the cross-entropy of the layer on features of the batch.
func frozen(c *Classifier) nn.Loss {
	return func(_ context.Context, p *nn.Pass, head nn.Layer, b nn.Batch) (*tensor.Tensor, error) {
		return crossEntropy(p, head, c.Encoder.Forward(&nn.Pass{}, b.X), b.Y), nil
	}
}

// attacked is the cross-entropy of the layer on features of the attacked batch.
func (t Tuning) attacked(c *Classifier) nn.Loss {
	return func(ctx context.Context, p *nn.Pass, head nn.Layer, b nn.Batch) (*tensor.Tensor, error) {
		pgd := t.Attack
		pgd.Seed = t.stream(b.Step)
		x, err := pgd.Perturb(ctx, c, b.X.Detach(), b.Y)
		if err != nil {
			return nil, err
		}
		return crossEntropy(p, head, c.Encoder.Forward(&nn.Pass{}, b.X.Tape().Const(x)), b.Y), nil
	}
}

// stream is the seed of a step's attack.
func (t Tuning) stream(step int) uint64 {
	// The odd factor keeps seeds apart.
	return t.Attack.Seed ^ t.Seed + uint64(step+1)*0x9e3779b97f4a7c15
}

func crossEntropy(p *nn.Pass, head nn.Layer, f *tensor.Tensor, y []int) *tensor.Tensor {
	return tensor.Mean(tensor.CrossEntropy(head.Forward(p, f), y))
}

// standardize scales features [N, D] to mean 0 and variance 1, in place, and returns
// what makes a layer trained on them one for the features as they were. A feature that
// never changes is only shifted.
func standardize(f *tensor.Tensor) (fold func(head *nn.Linear)) {
	n, d := f.Dim(0), f.Dim(1)
	mean, inv := make([]float64, d), make([]float64, d)
	data := f.Float32s()
	for i := range n {
		for j := range d {
			mean[j] += float64(data[i*d+j]) / float64(n)
		}
	}
	for i := range n {
		for j := range d {
			v := float64(data[i*d+j]) - mean[j]
			inv[j] += v * v / float64(n)
		}
	}
	for j, v := range inv {
		inv[j] = 1
		if v > 1e-24 {
			inv[j] = 1 / math.Sqrt(v)
		}
	}
	for i := range n {
		for j := range d {
			data[i*d+j] = float32((float64(data[i*d+j]) - mean[j]) * inv[j])
		}
	}
	f.Touch()
	return func(head *nn.Linear) {
		classes := head.Weight.Dim(1)
		for k := range classes {
			bias := head.Bias.At(k)
			for j := range d {
				w := head.Weight.At(j, k) * inv[j]
				head.Weight.Set(w, j, k)
				bias -= w * mean[j]
			}
			head.Bias.Set(bias, k)
		}
	}
}
