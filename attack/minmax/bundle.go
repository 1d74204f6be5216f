package minmax

import (
	"context"
	"errors"
	"fmt"
	"math"

	"github.com/redoubt-ml/redoubt/attack"
	"github.com/redoubt-ml/redoubt/internal/ask"
	"github.com/redoubt-ml/redoubt/tensor"
)

var _ attack.ContextModel = Bundle{}

// Bundle is the classifier whose logits are the mean of several models', or the
// logarithm of the mean of their probabilities: the ensemble as one target, with
// one loss, instead of one loss for each model.
//
// Liu et al., ICLR 2017, section 5, with Probabilities.
type Bundle struct {
	Models        []attack.Model // at least one
	Probabilities bool           // average probabilities instead of logits
}

// Check returns an error if there are no models or one is nil.
func (b Bundle) Check() error {
	if len(b.Models) == 0 {
		return errors.New("minmax: bundle of no models")
	}
	for i, m := range b.Models {
		if m == nil {
			return fmt.Errorf("minmax: model %d of a bundle is nil", i)
		}
	}
	return nil
}

// Logits implements attack.Model. It panics if Check fails, a model's answer is none,
// or the models differ in their number of classes.
func (b Bundle) Logits(x *tensor.Tensor) *tensor.Tensor {
	return b.LogitsContext(context.Background(), x)
}

// LogitsContext implements attack.ContextModel: Logits, which gives up with a panic
// when ctx is done, also while a model does not answer.
func (b Bundle) LogitsContext(ctx context.Context, x *tensor.Tensor) *tensor.Tensor {
	if err := b.Check(); err != nil {
		panic(err)
	}
	var sum *tensor.Tensor    // of logits
	var logs []*tensor.Tensor // of probabilities, [n, classes, 1]
	classes := 0
	for i, m := range b.Models {
		z, err := ask.Logits(ctx, m, x, fmt.Sprintf("minmax: bundle: model %d", i), fmt.Sprintf("on %d inputs", x.Dim(0)))
		if err != nil {
			panic(err)
		}
		if i > 0 && z.Dim(1) != classes {
			panic(fmt.Errorf("minmax: bundle: model %d has %d classes, want %d as the first has", i, z.Dim(1), classes))
		}
		classes = z.Dim(1)
		switch {
		case b.Probabilities:
			logs = append(logs, tensor.Reshape(tensor.LogSoftmax(z), z.Dim(0), classes, 1))
		case i == 0:
			sum = z
		default:
			sum = tensor.Add(sum, z)
		}
	}
	share := 1 / float64(len(b.Models))
	if b.Probabilities {
		return tensor.AddScalar(tensor.LogSumExp(tensor.Concat(2, logs...)), math.Log(share))
	}
	return tensor.MulScalar(sum, share)
}
