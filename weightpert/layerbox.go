package weightpert

import "fmt"

// Activations is the set of pre-activations that one moving layer can produce: an
// axis-parallel box. Robustness against the weights of the layer is robustness of
// the network's Suffix behind it against inputs from this box, for which any
// verifier of input robustness will do, with one variable for each unit and none
// for each weight.
type Activations struct {
	Layer  int
	Lo, Hi []float64
	// Exact says that every point of the box is reached, but for its outward
	// rounding and a 1e-9th of its width, since rows move independently. The rows of a
	// convolution share weights: its box is larger than the set.
	Exact bool
}

// ActivationBox returns the box of pre-activations of the only hidden layer that
// may move, rounded outwards.
func ActivationBox(n *Network, b *Box, x []float64) (Activations, error) {
	p, err := prepare(n, b)
	if err != nil {
		return Activations{}, err
	}
	layer, err := p.single("ActivationBox")
	if err != nil {
		return Activations{}, err
	}
	if layer == len(n.layers)-1 {
		return Activations{}, fmt.Errorf("weightpert: ActivationBox: the last layer moves, want a hidden one: its box is that of the logits")
	}
	if err := n.checkInput(x, 0); err != nil {
		return Activations{}, fmt.Errorf("weightpert: ActivationBox: %w", err)
	}
	if err := p.assume("ActivationBox", false, false); err != nil {
		return Activations{}, err
	}
	r := p.newReach()
	p.propagate(r, x)
	return Activations{layer, r.pre[layer].lo, r.pre[layer].hi, n.layers[layer].Weight.Col == nil}, nil
}
