package main

import (
	"context"
	"sync"

	"github.com/redoubt-ml/redoubt/internal/example"
	"github.com/redoubt-ml/redoubt/tensor"
)

// Small networks make better use of two cores when each core trains one of its own.
// Figures do not depend on the number of workers or threads.

// each calls job for 0 to n-1 on all workers. A single worker has all threads to
// itself; several have one each.
func (e *experiment) each(ctx context.Context, n int, job func(ctx context.Context, i int) error) error {
	if e.workers > 1 {
		defer tensor.SetThreads(tensor.Threads())
		tensor.SetThreads(1)
	}
	inner, cancel := context.WithCancel(ctx)
	defer cancel()
	var wg sync.WaitGroup
	var mu sync.Mutex
	var first error
	next := 0
	for range min(e.workers, n) {
		wg.Go(func() {
			for {
				mu.Lock()
				i := next
				next++
				stop := first != nil || i >= n
				mu.Unlock()
				if stop {
					return
				}
				if err := job(inner, i); err != nil {
					mu.Lock()
					if first == nil {
						first = err
					}
					mu.Unlock()
					cancel()
				}
			}
		})
	}
	wg.Wait()
	return first
}

// single does a piece of work once, however many workers ask for it; the others wait.
type single[T any] struct {
	mu   sync.Mutex
	done map[string]*outcomeOf[T]
}

type outcomeOf[T any] struct {
	ready chan struct{}
	value T
	err   error
}

func (s *single[T]) do(key string, work func() (T, error)) (T, error) {
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
	}
	<-o.ready
	return o.value, o.err
}

// progress sums the steps of all workers.
type progress struct {
	mu    sync.Mutex
	stage *example.Stage
	steps map[string]int
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
}

// say shows what is being done.
func (p *progress) say(name, what string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.stage.Note("%s, %s", name, what)
}
