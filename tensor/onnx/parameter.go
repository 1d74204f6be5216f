package onnx

import (
	"fmt"

	"github.com/redoubt-ml/redoubt/tensor"
	"github.com/redoubt-ml/redoubt/tensor/nn"
)

// parameter is a tensor that the model learns, or a statistic.
type parameter struct {
	nn.Slot
	form form
}

// form is the way from a weight's layout in the file to ours.
type form struct {
	layout nn.Layout // Vector, Matrix or Filter
	turned bool      // a Matrix that the file holds as [out, in]
	// image holds the extents [H, W, C] of the images whose features, flattened
	// channel by channel, are the rows of a Matrix; zero for none.
	image [3]int
}

// fromFile returns a weight of the file in our layout.
func (f form) fromFile(t *tensor.Tensor) *tensor.Tensor {
	switch f.layout {
	case nn.Filter:
		return tensor.Transpose(t, 2, 3, 1, 0)
	case nn.Matrix:
		if f.turned {
			t = tensor.Transpose(t)
		}
		if im := f.image; im != [3]int{} {
			y := tensor.Reshape(t, im[2], im[0], im[1], t.Dim(1))
			return tensor.Reshape(tensor.Transpose(y, 1, 2, 0, 3), t.Shape()...)
		}
	}
	return t
}

// toFile is the inverse of fromFile.
func (f form) toFile(t *tensor.Tensor) *tensor.Tensor {
	switch f.layout {
	case nn.Filter:
		return tensor.Transpose(t, 3, 2, 0, 1)
	case nn.Matrix:
		if im := f.image; im != [3]int{} {
			y := tensor.Reshape(t, im[0], im[1], im[2], t.Dim(1))
			t = tensor.Reshape(tensor.Transpose(y, 2, 0, 1, 3), t.Shape()...)
		}
		if f.turned {
			return tensor.Transpose(t)
		}
	}
	return t
}

// parameter makes a constant of the file a parameter of the model, or a
// statistic, and returns it. The first use decides its form.
func (c *compiler) parameter(k *constant, f form, trainable bool) (*parameter, error) {
	p := c.byConstant[k]
	if p == nil {
		if !tensor.AllFinite(k.values) {
			return nil, fmt.Errorf("tensor %q holds a value that is not finite", k.name)
		}
		if err := c.spend(k.name, k.values.Len(), c.numberSize()); err != nil {
			return nil, err
		}
		p = &parameter{form: f, Slot: nn.Slot{
			Name: k.name, Tensor: f.fromFile(k.values).Clone(), Layout: f.layout, Image: f.image,
		}}
		c.byConstant[k] = p
		c.parameters = append(c.parameters, p)
	}
	p.Trainable = p.Trainable || trainable
	return p, nil
}

// weight makes a constant of the file a parameter and returns access to its
// value in the given form.
func (c *compiler) weight(k *constant, f form) (operand, error) {
	p, err := c.parameter(k, f, true)
	if err != nil {
		return nil, err
	}
	c.learns = true
	if p.form == f {
		return func(r *run) *tensor.Tensor { return r.Value(p.Tensor) }, nil
	}
	return func(r *run) *tensor.Tensor { return f.fromFile(p.form.toFile(r.Value(p.Tensor))) }, nil
}
