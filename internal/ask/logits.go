package ask

import (
	"context"
	"fmt"

	"github.com/redoubt-ml/redoubt/tensor"
)

// Model is attack.Model.
type Model interface {
	Logits(x *tensor.Tensor) *tensor.Tensor
}

// contextModel is attack.ContextModel.
type contextModel interface {
	LogitsContext(ctx context.Context, x *tensor.Tensor) *tensor.Tensor
}

// Logits asks m about x until ctx is done, and returns an error unless the answer is
// logits [N, classes] of x's type for its N inputs, with 2 classes or more. who stands
// before errors, and where says after a panic which question it was.
func Logits(ctx context.Context, m Model, x *tensor.Tensor, who, where string) (*tensor.Tensor, error) {
	logits, err := answer(ctx, m, x, who, where)
	if err != nil {
		return nil, err
	}
	n := x.Dim(0)
	if logits == nil || logits.Rank() != 2 || logits.Dim(0) != n || logits.DType() != x.DType() {
		got := "nothing"
		if logits != nil {
			got = fmt.Sprintf("%v%v", logits.DType(), logits.Shape())
		}
		return nil, fmt.Errorf("%s returned %s for %d inputs, want logits %v[%d classes]", who, got, n, x.DType(), n)
	}
	if classes := logits.Dim(1); classes < 2 {
		return nil, fmt.Errorf("%s has %d classes, want at least 2", who, classes)
	}
	return logits, nil
}

func answer(ctx context.Context, m Model, x *tensor.Tensor, who, where string) (logits *tensor.Tensor, err error) {
	if cm, ok := m.(contextModel); ok {
		defer func() {
			if p := recover(); p != nil {
				err = Raised(p, "%s panicked %s", who, where)
			}
		}()
		return cm.LogitsContext(ctx, x), nil
	}
	// Of its own, so that a goroutine that was left behind changes nothing.
	var own struct {
		z   *tensor.Tensor
		err error
	}
	err = Wait(ctx, who, func() {
		defer func() {
			if p := recover(); p != nil {
				own.err = Raised(p, "%s panicked %s", who, where)
			}
		}()
		own.z = m.Logits(x)
	})
	if err != nil {
		return nil, err
	}
	return own.z, own.err
}

// Raised makes an error of what a panic was raised with, after the formatted text; it
// wraps that if it is an error.
func Raised(p any, format string, args ...any) error {
	text := fmt.Sprintf(format, args...)
	if err, ok := p.(error); ok {
		return fmt.Errorf("%s: %w", text, err)
	}
	return fmt.Errorf("%s: %v", text, p)
}
