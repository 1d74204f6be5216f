package nn

import (
	"fmt"
	"slices"

	"github.com/redoubt-ml/redoubt/tensor"
)

// NormSet is one set of a normalisation layer's parameters and statistics, all
// [C].
type NormSet struct {
	Name        string
	Gamma, Beta *tensor.Tensor
	Mean, Var   *tensor.Tensor // running averages
}

// BatchNorm normalises each channel (the last axis) by its mean and variance:
// those of the batch in training, the running averages in evaluation. It can
// hold several sets of parameters and statistics, among which the Pass chooses,
// for batches of different distributions.
//
// Ioffe and Szegedy, ICML 2015; several sets: Xie et al., CVPR 2020.
type BatchNorm struct {
	Sets []*NormSet // at least one; the first is the default
	// Eps is added to the variance; 0 means 1e-5.
	Eps float64
	// Momentum is the weight of a batch in the running averages; 0 means 0.1.
	Momentum float64
}

// NewBatchNorm returns a float32 normalisation of c channels with the named sets
// of statistics; with no name, with one set. It panics if two sets have the same
// name, or one after the first has none.
func NewBatchNorm(c int, sets ...string) *BatchNorm {
	if len(sets) == 0 {
		sets = []string{""}
	}
	l := &BatchNorm{}
	for i, name := range sets {
		if slices.Contains(sets[:i], name) || i > 0 && name == "" {
			panic(fmt.Sprintf("nn: NewBatchNorm: sets of statistics %q, want different names", sets))
		}
		l.Sets = append(l.Sets, &NormSet{
			Name:  name,
			Gamma: tensor.Full(tensor.Float32, 1, c), Beta: tensor.Zeros(tensor.Float32, c),
			Mean: tensor.Zeros(tensor.Float32, c), Var: tensor.Full(tensor.Float32, 1, c),
		})
	}
	return l
}

// Forward normalises x [..., C]. It panics if a channel has a single value in training,
// which has no variance.
func (l *BatchNorm) Forward(p *Pass, x *tensor.Tensor) *tensor.Tensor {
	return l.forwardActivated(p, x, tensor.Identity)
}

func (l *BatchNorm) forwardActivated(p *Pass, x *tensor.Tensor, act tensor.Activation) *tensor.Tensor {
	s, eps := l.set(p.Stats), l.Eps
	if eps == 0 {
		eps = 1e-5
	}
	gamma, beta := p.Value(s.Gamma), p.Value(s.Beta)
	if !p.Train {
		inv := tensor.Recip(tensor.Sqrt(tensor.AddScalar(beside(x, s.Var), eps)))
		scale := tensor.Mul(gamma, inv)
		return tensor.ScaleShift(x, scale, tensor.Sub(beta, tensor.Mul(scale, s.Mean)), act)
	}
	if x.Len() == s.Gamma.Len() {
		panic(fmt.Sprintf("nn: BatchNorm: x of shape %v has one value for each channel, want at least 2 in training", x.Shape()))
	}
	y, mean, variance := tensor.BatchNorm(x, gamma, beta, eps, act)
	momentum := l.Momentum
	if momentum == 0 {
		momentum = 0.1
	}
	p.moments = append(p.moments, moments{s, momentum, mean, variance, x.Len() / mean.Len()})
	return y
}

// beside returns the constant c such that what is computed from it takes its
// memory from x's tape, if x is on one.
func beside(x, c *tensor.Tensor) *tensor.Tensor {
	if t := x.Tape(); t != nil {
		return t.Const(c)
	}
	return c
}

func (l *BatchNorm) set(name string) *NormSet {
	if name == "" {
		return l.Sets[0]
	}
	for _, s := range l.Sets {
		if s.Name == name {
			return s
		}
	}
	panic(fmt.Sprintf("nn: BatchNorm: no set of statistics named %q", name))
}

// Visit visits the parameters and statistics of all sets; the first has
// PyTorch's names, the others have the set's name before them.
func (l *BatchNorm) Visit(prefix string, visit func(Slot)) {
	for i, s := range l.Sets {
		set := prefix
		if i > 0 {
			set += s.Name + "."
		}
		visit(Slot{Name: set + "weight", Tensor: s.Gamma, Trainable: true})
		visit(Slot{Name: set + "bias", Tensor: s.Beta, Trainable: true})
		visit(Slot{Name: set + "running_mean", Tensor: s.Mean})
		visit(Slot{Name: set + "running_var", Tensor: s.Var, Range: NotNegative})
	}
}

// Normalize maps each channel of an image from pixel units to (x - mean)/std.
// As a layer of the network it keeps the units of an attack in pixels.
type Normalize struct {
	Mean, Std *tensor.Tensor // [C]
}

// NewNormalize returns a float32 normalisation of images. It panics unless there
// are as many means as deviations, all finite and the deviations above 0.
func NewNormalize(mean, std []float64) *Normalize {
	if len(mean) != len(std) {
		panic(fmt.Sprintf("nn: NewNormalize: %d means and %d deviations", len(mean), len(std)))
	}
	l := &Normalize{tensor.Zeros(tensor.Float32, len(mean)), tensor.Zeros(tensor.Float32, len(mean))}
	for i := range mean {
		l.Mean.Set(mean[i], i)
		l.Std.Set(std[i], i)
	}
	if err := Finite.holds(l.Mean); err != nil {
		panic(fmt.Sprintf("nn: NewNormalize: means %v: %v", mean, err))
	}
	if err := Positive.holds(l.Std); err != nil {
		panic(fmt.Sprintf("nn: NewNormalize: deviations %v: %v", std, err))
	}
	return l
}

// Forward normalises images x [N, H, W, C].
func (l *Normalize) Forward(_ *Pass, x *tensor.Tensor) *tensor.Tensor {
	scale := tensor.Recip(beside(x, l.Std))
	return tensor.ScaleShift(x, scale, tensor.Neg(tensor.Mul(l.Mean, scale)), tensor.Identity)
}

// Visit visits the two constants.
func (l *Normalize) Visit(prefix string, visit func(Slot)) {
	visit(Slot{Name: prefix + "mean", Tensor: l.Mean, Layout: Channel})
	visit(Slot{Name: prefix + "std", Tensor: l.Std, Layout: Channel, Range: Positive})
}
