package main

import (
	"context"
	"errors"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestPoolTakesTheMostCostlyJobFirst(t *testing.T) {
	p := newPool()
	var order []float64
	job := func(cost float64, then ...float64) {
		p.add(cost, func(context.Context) error {
			order = append(order, cost)
			for _, c := range then {
				p.add(c, func(context.Context) error { order = append(order, c); return nil })
			}
			return nil
		})
	}
	job(1)
	job(5, 3, 0.5)
	job(4)
	require.NoError(t, p.run(context.Background(), 1))
	require.Equal(t, []float64{5, 4, 3, 1, 0.5}, order)
}

func TestPoolRunsWhatJobsAddOnAllWorkers(t *testing.T) {
	p := newPool()
	var mu sync.Mutex
	var ran int
	var grow func(depth int) func(context.Context) error
	grow = func(depth int) func(context.Context) error {
		return func(context.Context) error {
			mu.Lock()
			ran++
			mu.Unlock()
			for range 2 {
				if depth > 0 {
					p.add(float64(depth), grow(depth-1))
				}
			}
			return nil
		}
	}
	p.add(1, grow(7))
	require.NoError(t, p.run(context.Background(), 4))
	require.Equal(t, 255, ran)
}

func TestPoolStopsAtTheFirstError(t *testing.T) {
	p := newPool()
	bad := errors.New("bad")
	p.add(2, func(context.Context) error { return bad })
	p.add(1, func(context.Context) error { t.Error("a job began after an error"); return nil })
	require.ErrorIs(t, p.run(context.Background(), 1), bad)

	p = newPool()
	ctx, cancel := context.WithCancel(context.Background())
	p.add(2, func(context.Context) error { cancel(); return nil })
	p.add(1, func(context.Context) error { t.Error("a job began after the cancellation"); return nil })
	require.ErrorIs(t, p.run(ctx, 2), context.Canceled)
}
