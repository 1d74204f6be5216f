package ask

import (
	"context"
	"fmt"
	"sync"

	"github.com/redoubt-ml/redoubt/internal/par"
	"github.com/redoubt-ml/redoubt/tensor"
)

// Batches calls work for the batches [lo, hi) that cut n inputs, on several threads,
// with a tape to use; each batch has its rounds, 0 and on, one after the other.
// progress, nil for none, hears the number of inputs done, rounds counted apart, and
// the number in all. The first error ends it: the context that the other batches hold
// is cancelled, and no new one begins. An error of ctx itself comes back wrapped, with
// who before it. A batch whose question in Wait is not answered then is left behind.
func Batches(ctx context.Context, who string, n, size, rounds int, progress func(done, total int),
	work func(ctx context.Context, tape *tensor.Tape, lo, hi, round int) error) error {
	inner, fail := context.WithCancelCause(ctx)
	defer fail(nil)
	var mu sync.Mutex
	done := 0
	par.For((n+size-1)/size, 1, func(first, last int) {
		if inner.Err() != nil {
			return
		}
		err := helped(inner, who, func(ctx context.Context) error {
			tape := tapes.Get().(*tensor.Tape)
			for k := first * rounds; k < last*rounds && ctx.Err() == nil; k++ {
				lo := k / rounds * size
				hi := min(n, lo+size)
				if err := work(ctx, tape, lo, hi, k%rounds); err != nil {
					return err
				}
				if progress != nil {
					mu.Lock()
					done += hi - lo
					progress(done, n*rounds)
					mu.Unlock()
				}
			}
			tape.Reset()
			tapes.Put(tape)
			return nil
		})
		if err != nil {
			fail(err)
		}
	})
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("%s: stopped: %w", who, err)
	}
	if inner.Err() != nil {
		return context.Cause(inner)
	}
	return nil
}

// tapes keeps tapes with their memory from one batch, and one call, to the next.
var tapes = sync.Pool{New: func() any { return tensor.NewTape() }}

// Range returns the integers from lo to hi-1.
func Range(lo, hi int) []int {
	out := make([]int, hi-lo)
	for i := range out {
		out[i] = lo + i
	}
	return out
}

// OffTape returns x's value on no tape, so that several goroutines can read it.
func OffTape(x *tensor.Tensor) *tensor.Tensor {
	if x.Tape() == nil {
		return x
	}
	return x.Clone()
}
