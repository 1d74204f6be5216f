package weightpert

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"strings"

	"github.com/redoubt-ml/redoubt/tensor"
	"github.com/redoubt-ml/redoubt/tensor/nn"
)

// RandomBitErrors returns a copy in which each stored bit is flipped with
// probability p. The seed is the chip: at a higher p the same chip has the same
// errors and more.
//
// Stutz et al., MLSys 2021, section 3.
func (q *Quantized) RandomBitErrors(p float64, seed uint64) (*Quantized, error) {
	if !(p >= 0 && p <= 1) {
		return nil, fmt.Errorf("weightpert: RandomBitErrors: probability is %v, want 0 to 1", p)
	}
	c := q.Clone()
	rng := rand.New(rand.NewPCG(seed, 0xb17))
	for i := range c.Layers {
		l := &c.Layers[i]
		for k := range l.Code {
			mask := uint8(0)
			for bit := range q.Width {
				if rng.Float64() < p {
					mask |= 1 << bit
				}
			}
			l.Code[k] = flip(l.Code[k], mask, q.Width)
		}
		l.dequantise()
	}
	return c, nil
}

// RandomFlips returns a copy with the given number of distinct bits flipped, drawn
// without replacement.
func (q *Quantized) RandomFlips(flips int, seed uint64) (*Quantized, error) {
	if flips < 0 || flips > q.Bits() {
		return nil, fmt.Errorf("weightpert: RandomFlips: %d flips, want 0 to the %d bits", flips, q.Bits())
	}
	c := q.Clone()
	rng := rand.New(rand.NewPCG(seed, 0xf119))
	for at := range distinct(rng, flips, q.Bits()) {
		for i := range c.Layers {
			n := q.Width * len(c.Layers[i].Code)
			if at < n {
				c.flip(i, at/q.Width, at%q.Width)
				break
			}
			at -= n
		}
	}
	return c, nil
}

// distinct draws k different numbers below n (Floyd's method).
func distinct(rng *rand.Rand, k, n int) map[int]bool {
	out := make(map[int]bool, k)
	for i := n - k; i < n; i++ {
		if v := rng.IntN(i + 1); !out[v] {
			out[v] = true
		} else {
			out[i] = true
		}
	}
	return out
}

// StuckBits returns a copy in which each stored bit is stuck at 0, or at 1 if one is
// set, with probability p; a seed is a chip, as in RandomBitErrors.
func (q *Quantized) StuckBits(p float64, one bool, seed uint64) (*Quantized, error) {
	if !(p >= 0 && p <= 1) {
		return nil, fmt.Errorf("weightpert: StuckBits: probability is %v, want 0 to 1", p)
	}
	c := q.Clone()
	rng := rand.New(rand.NewPCG(seed, 0x57b))
	for i := range c.Layers {
		l := &c.Layers[i]
		for k, v := range l.Code {
			mask := uint8(0)
			for bit := range q.Width {
				if rng.Float64() < p && (uint8(v)>>bit&1 == 1) != one {
					mask |= 1 << bit
				}
			}
			l.Code[k] = flip(v, mask, q.Width)
		}
		l.dequantise()
	}
	return c, nil
}

// GaussianNoise returns the network with normal noise added to its weight matrices,
// of alpha times the standard deviation of each.
func GaussianNoise(net nn.Layer, alpha float64, seed uint64) (Perturbed, error) {
	if !(alpha >= 0 && alpha <= math.MaxFloat32) {
		return Perturbed{}, fmt.Errorf("weightpert: GaussianNoise: alpha is %v, want a finite number of 0 or more", alpha)
	}
	if err := hasMatrices(net); err != nil {
		return Perturbed{}, fmt.Errorf("weightpert: GaussianNoise: %w", err)
	}
	rng := rand.New(rand.NewPCG(seed, 0x6a))
	return changed(net, Matrices(net), func(w *tensor.Tensor) func(v float64, _ int) float64 {
		s := alpha * deviation(w)
		return func(v float64, _ int) float64 { return v + s*rng.NormFloat64() }
	}), nil
}

// DrawGaussian returns the network with all of its parameters, weights and biases alike,
// drawn from normal distributions of deviation sigma around their values, independently
// of one another: a draw of the weights for PACBayes. Seeds make independent draws.
func DrawGaussian(net nn.Layer, sigma float64, seed uint64) (Perturbed, error) {
	if !(sigma >= 0 && sigma <= math.MaxFloat32) {
		return Perturbed{}, fmt.Errorf("weightpert: DrawGaussian: sigma is %v, want a finite number of 0 or more", sigma)
	}
	if net == nil {
		return Perturbed{}, errors.New("weightpert: DrawGaussian: no network")
	}
	params := nn.Params(net)
	if len(params) == 0 {
		return Perturbed{}, errors.New("weightpert: DrawGaussian: network has no parameters")
	}
	rng := rand.New(rand.NewPCG(seed, 0xd9a))
	return changed(net, params, func(*tensor.Tensor) func(float64, int) float64 {
		return func(v float64, _ int) float64 { return v + sigma*rng.NormFloat64() }
	}), nil
}

// StuckWeights returns the network with each weight of its matrices stuck at value
// with probability p; a seed is a chip, as in RandomBitErrors.
func StuckWeights(net nn.Layer, p, value float64, seed uint64) (Perturbed, error) {
	if !(p >= 0 && p <= 1) {
		return Perturbed{}, fmt.Errorf("weightpert: StuckWeights: probability is %v, want 0 to 1", p)
	}
	if math.IsNaN(value) || math.IsInf(value, 0) {
		return Perturbed{}, fmt.Errorf("weightpert: StuckWeights: value is %v, want a finite number", value)
	}
	if err := hasMatrices(net); err != nil {
		return Perturbed{}, fmt.Errorf("weightpert: StuckWeights: %w", err)
	}
	rng := rand.New(rand.NewPCG(seed, 0x57))
	return changed(net, Matrices(net), func(*tensor.Tensor) func(float64, int) float64 {
		return func(v float64, _ int) float64 {
			if rng.Float64() < p {
				return value
			}
			return v
		}
	}), nil
}

// DeadUnits returns the network with each output unit of its weight matrices dead with
// probability p, the last matrix left out: its weights are 0, and so is its bias where
// the layer has one, as nn.Linear and nn.Conv2D do. What its activation makes of 0, and a
// normalisation between the two, still comes out. A seed is a chip, as in
// RandomBitErrors.
func DeadUnits(net nn.Layer, p float64, seed uint64) (Perturbed, error) {
	if !(p >= 0 && p <= 1) {
		return Perturbed{}, fmt.Errorf("weightpert: DeadUnits: probability is %v, want 0 to 1", p)
	}
	if err := hasMatrices(net); err != nil {
		return Perturbed{}, fmt.Errorf("weightpert: DeadUnits: %w", err)
	}
	rng := rand.New(rand.NewPCG(seed, 0xdead))
	params, biases := Matrices(net), biases(net)
	last := params[len(params)-1]
	dead := make(map[*tensor.Tensor][]bool)
	for _, w := range params {
		units := make([]bool, w.Dim(w.Rank()-1))
		for i := range units {
			units[i] = rng.Float64() < p && w != last
		}
		dead[w] = units
		if b := biases[w]; b != nil && dead[b] == nil && w != last {
			dead[b] = units
			params = append(params, b)
		}
	}
	return changed(net, params, func(w *tensor.Tensor) func(float64, int) float64 {
		units := dead[w]
		return func(v float64, k int) float64 {
			if units[k%len(units)] {
				return 0
			}
			return v
		}
	}), nil
}

// biases returns the biases of weight matrices: what is visited as bias under the
// prefix under which a matrix is visited as weight, with a value for each of its units.
func biases(net nn.Layer) map[*tensor.Tensor]*tensor.Tensor {
	named := make(map[string]*tensor.Tensor)
	net.Visit("", func(s nn.Slot) { named[s.Name] = s.Tensor })
	out := make(map[*tensor.Tensor]*tensor.Tensor)
	for name, w := range named {
		prefix, ok := strings.CutSuffix(name, "weight")
		if b := named[prefix+"bias"]; ok && b != nil && w.Rank() > 1 && b.Rank() == 1 && b.Len() == w.Dim(w.Rank()-1) {
			out[w] = b
		}
	}
	return out
}

// hasMatrices returns an error unless there is a network with weight matrices.
func hasMatrices(net nn.Layer) error {
	if net == nil {
		return errors.New("no network")
	}
	_, err := chosen(Matrices(net), nil)
	return err
}

// changed returns the network with each value of the given parameters replaced.
func changed(net nn.Layer, params []*tensor.Tensor, of func(w *tensor.Tensor) func(v float64, k int) float64) Perturbed {
	out := Perturbed{Net: net, Params: params}
	for _, w := range out.Params {
		f := of(w)
		v := w.Values()
		for k := range v {
			v[k] = f(v[k], k)
		}
		out.Values = append(out.Values, tensor.FromFloat64(v, w.Shape()...).To(w.DType()))
	}
	return out
}
