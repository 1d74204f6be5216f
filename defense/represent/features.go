package represent

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/redoubt-ml/redoubt/internal/par"
	"github.com/redoubt-ml/redoubt/tensor"
	"github.com/redoubt-ml/redoubt/tensor/nn"
)

// Encoder maps inputs x [N, ...] to features [N, D], row by row. It may be called by
// several goroutines at once, each with a tape of its own.
type Encoder func(x *tensor.Tensor) *tensor.Tensor

// Network is a network in evaluation mode as an Encoder. stats names the set of
// normalisation statistics; "" is the first.
func Network(net nn.Layer, stats string) Encoder {
	return func(x *tensor.Tensor) *tensor.Tensor { return net.Forward(&nn.Pass{Stats: stats}, x) }
}

// tapes keeps tapes with their memory from one batch, and one call, to the next.
var tapes = sync.Pool{New: func() any { return tensor.NewTape() }}

// defaultBatch is the number of inputs in a forward pass.
const defaultBatch = 128

// Features returns the features [N, D] of inputs x [N, ...], worked out in batches on
// several threads; batch is their size, 0 means 128. Errors: no inputs, an encoder
// that panics or does not return a row for each input, features that are not finite,
// and ctx's.
func Features(ctx context.Context, enc Encoder, x *tensor.Tensor, batch int) (*tensor.Tensor, error) {
	switch {
	case enc == nil:
		return nil, errors.New("represent: no encoder")
	case x == nil || x.Rank() < 1 || x.Len() == 0:
		return nil, fmt.Errorf("represent: inputs are %s, want a batch [N, ...] of at least one", form(x))
	case batch < 0:
		return nil, fmt.Errorf("represent: batches of %d inputs, want 0 (for the default) or more", batch)
	}
	if batch == 0 {
		batch = defaultBatch
	}
	if x.Tape() != nil {
		x = x.Clone()
	}
	n := x.Dim(0)
	parts := make([]*tensor.Tensor, (n+batch-1)/batch)
	err := inBatches(ctx, n, batch, func(tape *tensor.Tape, lo, hi int) error {
		f := enc(tape.Const(tensor.Slice(x, 0, lo, hi)))
		if f == nil || f.Rank() != 2 || f.Dim(0) != hi-lo || f.Dim(1) == 0 {
			return fmt.Errorf("encoder returned %s for %d inputs, want features [%d, D]", form(f), hi-lo, hi-lo)
		}
		if !tensor.AllFinite(f) {
			return errors.New("features are not finite")
		}
		parts[lo/batch] = f.Clone()
		return nil
	})
	if err != nil {
		return nil, err
	}
	for _, p := range parts {
		if p.Dim(1) != parts[0].Dim(1) {
			return nil, fmt.Errorf("represent: encoder returned features of %d and of %d values", parts[0].Dim(1), p.Dim(1))
		}
	}
	return tensor.Concat(0, parts...), nil
}

// inBatches calls work for the batches [lo, hi) that cut n inputs, on several threads,
// with a tape that has been reset. The first error, or panic, ends it.
func inBatches(ctx context.Context, n, size int, work func(tape *tensor.Tape, lo, hi int) error) error {
	inner, fail := context.WithCancelCause(ctx)
	defer fail(nil)
	par.For((n+size-1)/size, 1, func(first, last int) {
		tape := tapes.Get().(*tensor.Tape)
		for b := first; b < last && inner.Err() == nil; b++ {
			lo, hi := b*size, min(n, (b+1)*size)
			tape.Reset()
			if err := guarded(func() error { return work(tape, lo, hi) }); err != nil {
				fail(fmt.Errorf("represent: inputs %d to %d: %w", lo, hi-1, err))
				return // a tape that a panic has left behind is not used again
			}
		}
		tape.Reset()
		tapes.Put(tape)
	})
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("represent: stopped: %w", err)
	}
	if inner.Err() != nil {
		return context.Cause(inner)
	}
	return nil
}

// guarded turns a panic into an error.
func guarded(f func() error) (err error) {
	defer func() {
		switch p := recover().(type) {
		case nil:
		case error:
			err = fmt.Errorf("panic: %w", p)
		default:
			err = fmt.Errorf("panic: %v", p)
		}
	}()
	return f()
}

// form names type and shape of a tensor.
func form(x *tensor.Tensor) string {
	if x == nil {
		return "nothing"
	}
	return fmt.Sprintf("%v%v", x.DType(), x.Shape())
}

// checkFeatures returns an error unless x is a matrix of at least least rows, all
// finite.
func checkFeatures(what string, x *tensor.Tensor, least int) error {
	if x == nil || x.Rank() != 2 || x.Dim(0) < least || x.Dim(1) < 1 {
		return fmt.Errorf("represent: %s are %s, want features [N, D] of at least %d inputs", what, form(x), least)
	}
	if !tensor.AllFinite(x) {
		for i, v := range x.Values() {
			if v-v != 0 {
				return fmt.Errorf("represent: value %d of row %d of the %s is %v, want a finite number", i%x.Dim(1), i/x.Dim(1), what, v)
			}
		}
	}
	return nil
}

// checkLabels returns an error unless there is a label from 0 on for each of n rows.
func checkLabels(what string, y []int, n int) error {
	if len(y) != n {
		return fmt.Errorf("represent: %d labels for %d %s", len(y), n, what)
	}
	for i, l := range y {
		if l < 0 {
			return fmt.Errorf("represent: label %d of the %s is %d, want 0 or more", i, what, l)
		}
	}
	return nil
}
