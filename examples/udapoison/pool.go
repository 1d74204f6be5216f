package main

import (
	"container/heap"
	"context"
	"sync"
)

// work is one job of a pool.
type work struct {
	// cost orders the jobs that are ready: the time that it and what follows from it
	// take, in any unit.
	cost   float64
	number int // in order of adding
	run    func(ctx context.Context) error
}

// pool runs jobs on a few goroutines, always the most costly of those that are ready,
// so that short ones are left to fill the end.
type pool struct {
	mu      sync.Mutex
	changed *sync.Cond
	ready   queue
	added   int
	running int
	err     error
}

func newPool() *pool {
	p := &pool{}
	p.changed = sync.NewCond(&p.mu)
	return p
}

// add makes a job ready; jobs may add others.
func (p *pool) add(cost float64, run func(ctx context.Context) error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	heap.Push(&p.ready, work{cost, p.added, run})
	p.added++
	p.changed.Signal()
}

// run runs all jobs and those that they add, and returns the first error, or that of
// ctx; after one no further job begins.
func (p *pool) run(ctx context.Context, workers int) error {
	var wg sync.WaitGroup
	for range workers {
		wg.Go(func() {
			for {
				w, ok := p.next(ctx)
				if !ok {
					return
				}
				p.done(w.run(ctx))
			}
		})
	}
	wg.Wait()
	if p.err == nil {
		return ctx.Err()
	}
	return p.err
}

// next waits for a job; there is none when nothing is ready and nothing runs that
// could add one, or after an error.
func (p *pool) next(ctx context.Context) (work, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for len(p.ready) == 0 && p.running > 0 && p.err == nil {
		p.changed.Wait()
	}
	if len(p.ready) == 0 || p.err != nil || ctx.Err() != nil {
		p.changed.Broadcast()
		return work{}, false
	}
	p.running++
	return heap.Pop(&p.ready).(work), true
}

func (p *pool) done(err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.running--
	if err != nil && p.err == nil {
		p.err = err
	}
	p.changed.Broadcast()
}

// queue is a heap of jobs with the most costly on top; of equals, the one added first.
type queue []work

func (q queue) Len() int { return len(q) }
func (q queue) Less(a, b int) bool {
	if q[a].cost != q[b].cost {
		return q[a].cost > q[b].cost
	}
	return q[a].number < q[b].number
}
func (q queue) Swap(a, b int) { q[a], q[b] = q[b], q[a] }
func (q *queue) Push(x any)   { *q = append(*q, x.(work)) }
func (q *queue) Pop() any {
	last := (*q)[len(*q)-1]
	*q = (*q)[:len(*q)-1]
	return last
}
