package attack

import (
	"context"
	"fmt"
	"sync"

	"github.com/redoubt-ml/redoubt/internal/par"
	"github.com/redoubt-ml/redoubt/tensor"
)

// inBatches calls work for the batches [lo, hi) that cut n inputs, on several
// threads, with a tape to use. The first error ends it: the context that the
// other batches hold is cancelled, and no new one begins. An error of ctx itself
// comes back wrapped.
func inBatches(ctx context.Context, n, size int, progress func(done, total int), work func(ctx context.Context, tape *tensor.Tape, lo, hi int) error) error {
	inner, fail := context.WithCancelCause(ctx)
	defer fail(nil)
	var mu sync.Mutex
	done := 0
	par.For((n+size-1)/size, 1, func(first, last int) {
		if inner.Err() != nil {
			return
		}
		err := helped(inner, func(ctx context.Context) error {
			tape := tapes.Get().(*tensor.Tape)
			for b := first; b < last && ctx.Err() == nil; b++ {
				lo, hi := b*size, min(n, (b+1)*size)
				if err := work(ctx, tape, lo, hi); err != nil {
					return err
				}
				if progress != nil {
					mu.Lock()
					done += hi - lo
					progress(done, n)
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
		return fmt.Errorf("attack: stopped: %w", err)
	}
	if inner.Err() != nil {
		return context.Cause(inner)
	}
	return nil
}

// tapes keeps tapes with their memory from one batch, and one call, to the next.
var tapes = sync.Pool{New: func() any { return tensor.NewTape() }}

// between returns the integers from lo to hi-1.
func between(lo, hi int) []int {
	out := make([]int, hi-lo)
	for i := range out {
		out[i] = lo + i
	}
	return out
}
