package main

import (
	"cmp"
	"context"
	"slices"
	"sync"

	"github.com/redoubt-ml/redoubt/internal/example"
	"github.com/redoubt-ml/redoubt/tensor"
)

// Small networks make better use of two cores when each core trains one of its own.
// Figures do not depend on the number of workers or threads.

// threadsOf is the number of threads that the loops of jobs under way may use, of all:
// every job has its own, and those left over help, so that a job alone has all. The loop
// of one job has helpers at a time, those of the others run without.
func threadsOf(jobs, all int) int { return max(1, all-max(0, jobs-1)) }

// each calls job for every turn, on all workers. A job may let others go before it, see
// turns.
func (e *experiment) each(ctx context.Context, list []turn, job func(ctx context.Context, i int) error) error {
	threads := tensor.Threads()
	defer tensor.SetThreads(threads)
	inner, cancel := context.WithCancel(ctx)
	defer cancel()
	e.turns = &turns{workers: e.workers, threads: threads}
	defer func() { e.turns = nil }()
	var wg sync.WaitGroup
	var mu sync.Mutex
	var first error
	for i, at := range list {
		w := e.turns.queue(at)
		wg.Go(func() {
			err := e.turns.take(inner, w)
			if err == nil {
				err = job(inner, i)
				e.turns.give()
			}
			if err != nil {
				mu.Lock()
				if first == nil {
					first = err
				}
				mu.Unlock()
				cancel()
			}
		})
	}
	for range e.workers {
		e.turns.give()
	}
	wg.Wait()
	return first
}

// turn says when a job is next: that of the first seed, of one seed that with the fewest
// steps, of those with as many the one in front in the list.
type turn struct{ seed, step, place int }

func (t turn) compare(u turn) int {
	return cmp.Or(cmp.Compare(t.seed, u.seed), cmp.Compare(t.step, u.step), cmp.Compare(t.place, u.place))
}

// turns shares workers among jobs. No turns at all (nil) let every job go on.
type turns struct {
	mu      sync.Mutex
	workers int
	threads int // of all of them together
	free    int // workers without a job
	waiting []*waiter
}

type waiter struct {
	turn
	ready chan struct{}
}

// queue asks for a worker.
func (t *turns) queue(at turn) *waiter {
	t.mu.Lock()
	defer t.mu.Unlock()
	w := &waiter{at, make(chan struct{})}
	t.waiting = append(t.waiting, w)
	t.start()
	return w
}

// take waits for the worker. The error is ctx's, and then there is none.
func (t *turns) take(ctx context.Context, w *waiter) error {
	select {
	case <-w.ready:
		return nil
	case <-ctx.Done():
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if i := slices.Index(t.waiting, w); i >= 0 {
		t.waiting = slices.Delete(t.waiting, i, i+1)
	} else { // it came at the same time
		t.free++
		t.start()
	}
	return ctx.Err()
}

// give returns the worker of a job.
func (t *turns) give() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.free++
	t.start()
}

// start gives free workers to those who are next, and threads to those that have one.
func (t *turns) start() {
	for t.free > 0 && len(t.waiting) > 0 {
		next := slices.MinFunc(t.waiting, func(a, b *waiter) int { return a.compare(b.turn) })
		i := slices.Index(t.waiting, next)
		t.waiting = slices.Delete(t.waiting, i, i+1)
		t.free--
		close(next.ready)
	}
	tensor.SetThreads(threadsOf(t.workers-t.free, t.threads))
}

// pass lets jobs go on that are before this one, which has a worker again when pass
// returns, unless there is an error, which is ctx's: then all jobs end.
func (t *turns) pass(ctx context.Context, at turn) error {
	return t.without(ctx, at, func() {})
}

// without calls wait while others have this job's worker.
func (t *turns) without(ctx context.Context, at turn, wait func()) error {
	if t == nil {
		wait()
		return nil
	}
	t.give()
	wait()
	err := t.take(ctx, t.queue(at))
	if err != nil {
		t.mu.Lock()
		t.free-- // as if it had come: the job returns it at its end
		t.mu.Unlock()
	}
	return err
}

// single does a piece of work once, however many jobs ask for it; the others wait.
type single[T any] struct {
	mu   sync.Mutex
	done map[string]*outcomeOf[T]
}

type outcomeOf[T any] struct {
	ready chan struct{}
	value T
	err   error
}

// do returns what work returns, or returned, for the key. If another job is at it, idle
// is called with a function that waits for it.
func (s *single[T]) do(key string, idle func(wait func()) error, work func() (T, error)) (T, error) {
	s.mu.Lock()
	if s.done == nil {
		s.done = map[string]*outcomeOf[T]{}
	}
	o := s.done[key]
	mine := o == nil
	if mine {
		o = &outcomeOf[T]{ready: make(chan struct{})}
		s.done[key] = o
	}
	s.mu.Unlock()
	if mine {
		o.value, o.err = work()
		close(o.ready)
		return o.value, o.err
	}
	select {
	case <-o.ready:
		return o.value, o.err
	default:
	}
	if err := idle(func() { <-o.ready }); err != nil {
		var none T
		return none, err
	}
	return o.value, o.err
}

// progress sums the steps of all workers.
type progress struct {
	mu     sync.Mutex
	stage  *example.Stage
	steps  map[string]int
	onStep func(name string, step int) // is called after each step; nil for none
}

// at says how far a piece of work is.
func (p *progress) at(name string, step int, loss float64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.steps == nil {
		p.steps = map[string]int{}
	}
	p.steps[name] = step
	sum := 0
	for _, n := range p.steps {
		sum += n
	}
	p.stage.Done(sum)
	p.stage.Note("%s, loss %.3g", name, loss)
	if p.onStep != nil {
		p.onStep(name, step)
	}
}

// say shows what is being done.
func (p *progress) say(name, what string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.stage.Note("%s, %s", name, what)
}
