package finetune

import (
	"github.com/redoubt-ml/redoubt/attack"
	"github.com/redoubt-ml/redoubt/defense/advcl"
	"github.com/redoubt-ml/redoubt/tensor"
	"github.com/redoubt-ml/redoubt/tensor/nn"
)

// Classifier is an encoder with one set of normalisation statistics and a linear layer
// on top.
type Classifier struct {
	Encoder *advcl.Encoder
	Head    *nn.Linear
}

var (
	_ nn.Layer     = (*Classifier)(nil)
	_ attack.Model = (*Classifier)(nil)
)

// Forward returns logits [N, classes] of images x [N, S, S, 3].
func (c *Classifier) Forward(p *nn.Pass, x *tensor.Tensor) *tensor.Tensor {
	return c.Head.Forward(p, c.Encoder.Forward(p, x))
}

// Visit visits encoder and layer.
func (c *Classifier) Visit(prefix string, visit func(nn.Slot)) {
	c.Encoder.Visit(prefix+"encoder.", visit)
	c.Head.Visit(prefix+"head.", visit)
}

// Logits returns the logits in evaluation mode, for attacks.
func (c *Classifier) Logits(x *tensor.Tensor) *tensor.Tensor { return c.Forward(&nn.Pass{}, x) }
