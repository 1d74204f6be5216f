package attack

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
// work is raised again.
func helped(ctx context.Context, work func(ctx context.Context) error) error {
	h := new(helper)
	type outcome struct {
		err    error
		raised any
	}
	done := make(chan outcome, 1)
	go func() {
		out := outcome{err: errors.New("attack: the model, or a function of the caller, ended its goroutine")}
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

// wait runs question, which asks the model, unless ctx is done. It does not return in
// a helper that has been left behind meanwhile.
func wait(ctx context.Context, question func()) error {
	h, ok := ctx.Value(helperKey{}).(*helper)
	if !ok {
		return helped(ctx, func(ctx context.Context) error { return wait(ctx, question) })
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
