package minmax

import (
	"context"
	"fmt"
	"sync"

	"github.com/redoubt-ml/redoubt/internal/par"
	"github.com/redoubt-ml/redoubt/tensor"
)

// inBatches calls work for the batches that cut n rows, restart after restart, on
// several threads, with a tape to use. The first error ends it.
func inBatches(ctx context.Context, n, size, restarts int, progress func(done, total int),
	work func(ctx context.Context, tape *tensor.Tape, rows []int, restart int) error) error {
	inner, fail := context.WithCancelCause(ctx)
	defer fail(nil)
	var mu sync.Mutex
	done := 0
	par.For((n+size-1)/size, 1, func(first, last int) {
		tape := tapes.Get().(*tensor.Tape)
		defer func() {
			tape.Reset()
			tapes.Put(tape)
		}()
		for b := first; b < last; b++ {
			rows := between(b*size, min(n, (b+1)*size))
			for r := 0; r < restarts && inner.Err() == nil; r++ {
				if err := work(inner, tape, rows, r); err != nil {
					fail(err)
					return
				}
				if progress != nil {
					mu.Lock()
					done += len(rows)
					progress(done, n*restarts)
					mu.Unlock()
				}
			}
		}
	})
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("minmax: stopped: %w", err)
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
