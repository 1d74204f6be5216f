package ask

import (
	"context"
	"errors"
	"runtime"
	"sync/atomic"
)

// helper is a goroutine that asks a model. When a context is done it is waited for
// while it works, which ends soon, and left behind while the model does not answer.
type helper struct{ state atomic.Int32 }

// States of a helper.
const (
	working = iota
	waiting // for the model
	left    // behind
)

type helperKey struct{}

// helped runs work in a helper of its own until it ends, or until ctx is done and the
// model does not answer; work learns of its helper through the context. A panic of
// work is raised again; who stands before the error of a goroutine that was ended.
func helped(ctx context.Context, who string, work func(ctx context.Context) error) error {
	h := new(helper)
	type outcome struct {
		err    error
		raised any
	}
	done := make(chan outcome, 1)
	go func() {
		out := outcome{err: errors.New(who + ": the model, or a function of the caller, ended its goroutine")}
		defer func() {
			out.raised = recover()
			done <- out
		}()
		out.err = work(context.WithValue(ctx, helperKey{}, h))
	}()
	var out outcome
	select {
	case out = <-done:
	case <-ctx.Done():
		if h.state.CompareAndSwap(waiting, left) {
			return ctx.Err()
		}
		out = <-done
	}
	if out.raised != nil {
		panic(out.raised)
	}
	return out.err
}

// Wait runs question, which asks a model, unless ctx is done: then it returns ctx's
// error, also if that comes before the answer. It does not return in the goroutine of
// Batches that has been left behind meanwhile. who stands before other errors.
func Wait(ctx context.Context, who string, question func()) error {
	h, ok := ctx.Value(helperKey{}).(*helper)
	if !ok {
		return helped(ctx, who, func(ctx context.Context) error { return Wait(ctx, who, question) })
	}
	// Whoever leaves does so after ctx is done: a question that begins then is seen
	// here or there.
	h.state.Store(waiting)
	err := ctx.Err()
	if err == nil {
		question()
	}
	if !h.state.CompareAndSwap(waiting, working) {
		runtime.Goexit()
	}
	return err
}
