package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/redoubt-ml/redoubt/tensor"
)

// Jobs take turns: the first seed first, then the one with the fewest steps, then the
// one in front; never more at once than there are workers.
func TestJobsTakeTurns(t *testing.T) {
	for _, workers := range []int{1, 2} {
		e := &experiment{workers: workers}
		list := []turn{{0, 0, 0}, {0, 0, 1}, {0, 0, 2}, {1, 0, 0}}
		var mu sync.Mutex
		var order []string
		running, most := 0, 0
		count := func(by int) {
			mu.Lock()
			defer mu.Unlock()
			running += by
			most = max(most, running)
		}
		require.NoError(t, e.each(t.Context(), list, func(ctx context.Context, i int) error {
			for step := range 3 {
				count(1)
				mu.Lock()
				order = append(order, fmt.Sprint(i, step))
				mu.Unlock()
				count(-1)
				if err := e.turns.pass(ctx, turn{list[i].seed, step + 1, list[i].place}); err != nil {
					return err
				}
			}
			return nil
		}))
		require.LessOrEqual(t, most, workers)
		if workers == 1 {
			require.Equal(t, []string{"0 0", "1 0", "2 0", "0 1", "1 1", "2 1", "0 2", "1 2", "2 2", "3 0", "3 1", "3 2"}, order)
		}
		require.Len(t, order, 12)
	}
}

// Threads that have no job of their own help the others.
func TestTheLastJobHasAllThreads(t *testing.T) {
	defer tensor.SetThreads(tensor.Threads())
	tensor.SetThreads(4)
	e := &experiment{workers: 2}
	read := make(chan bool)
	require.NoError(t, e.each(t.Context(), make([]turn, 2), func(_ context.Context, i int) error {
		if i == 0 {
			<-read
			return nil
		}
		assert.Eventually(t, func() bool { return tensor.Threads() == 3 }, time.Minute, time.Millisecond)
		close(read)
		assert.Eventually(t, func() bool { return tensor.Threads() == 4 }, time.Minute, time.Millisecond)
		return nil
	}))
	require.Equal(t, 4, tensor.Threads())
}

// An error ends all jobs, and is the one that is returned; workers are neither lost nor
// made.
func TestAnErrorEndsAllJobs(t *testing.T) {
	bad := errors.New("bad")
	e := &experiment{workers: 2}
	var mu sync.Mutex
	var all *turns
	err := e.each(t.Context(), []turn{{0, 0, 0}, {0, 0, 1}, {0, 0, 2}, {0, 0, 3}}, func(ctx context.Context, i int) error {
		mu.Lock()
		all = e.turns
		mu.Unlock()
		if i == 1 {
			return bad
		}
		for step := 1; ; step++ {
			if err := e.turns.pass(ctx, turn{0, step, i}); err != nil {
				return err
			}
		}
	})
	require.Equal(t, bad, err)
	require.Equal(t, 2, all.free)
	require.Empty(t, all.waiting)
}

// Who waits for another's work leaves its worker to it.
func TestWaitingTakesNoWorker(t *testing.T) {
	e := &experiment{workers: 1}
	var s single[int]
	require.NoError(t, e.each(t.Context(), make([]turn, 3), func(ctx context.Context, i int) error {
		idle := func(wait func()) error { return e.turns.without(ctx, turn{}, wait) }
		v, err := s.do("x", idle, func() (int, error) { return 7, e.turns.pass(ctx, turn{step: 1}) })
		require.Equal(t, 7, v)
		return err
	}))
}

// A program that is stopped on its way has learning curves of all methods, up to the
// same step, and shows them; the encoder that others wait for goes first. What is
// started again ends with the figures of one that was not stopped.
func TestMethodsMoveTogether(t *testing.T) {
	methods := []string{simCLR, acl, roCL, advCL, advCLPseudo}
	small := func(state string) *experiment {
		e := long(t, state, methods...)
		e.plan.steps, e.plan.curve = 4, 1
		e.workers = 2
		return e
	}
	whole := small("")
	require.NoError(t, whole.Run(t.Context()))
	require.Empty(t, whole.out.Unfinished)

	for _, state := range []string{"", filepath.Join(t.TempDir(), "state")} {
		ctx, cancel := context.WithCancel(t.Context())
		stopped := small(state)
		stopped.workers = 1
		stopped.progress.onStep = func(name string, step int) {
			if name == key(advCLPseudo, 1) && step == 3 {
				cancel()
			}
		}
		require.ErrorIs(t, stopped.Run(ctx), context.Canceled)
		require.Len(t, stopped.out.Runs, 1)
		require.Equal(t, simCLR, stopped.out.Runs[0].Method)
		require.Len(t, stopped.out.Unfinished, 4)
		for k, u := range stopped.out.Unfinished {
			require.Equal(t, methods[1+k], u.Method)
			require.Equal(t, []int{3, 3, 3, 2}[k], u.Step, u.Method)
			require.Len(t, u.Curve, u.Step)
			for i, p := range u.Curve {
				require.Equal(t, whole.out.curve(u.Method, 1)[i], p)
			}
		}
		names, _ := stopped.out.curves()
		require.Len(t, names, 5)
		require.Contains(t, stopped.crossingTable().Text(), "up to 2:")
		page, err := stopped.Page(t.Context())
		require.NoError(t, err)
		html, err := page.HTML()
		require.NoError(t, err)
		require.Contains(t, string(html), "is not finished")
		if state == "" {
			continue
		}
		shown := small(state)
		shown.show = true
		require.NoError(t, shown.Run(t.Context()))
		require.Equal(t, stopped.out.Unfinished, shown.out.Unfinished)
		require.Equal(t, stopped.out.Crossings, shown.out.Crossings)
		require.Equal(t, stopped.out.Runs[0].SA, shown.out.Runs[0].SA)
		require.Empty(t, shown.trainings.done)
		again := small(state)
		require.NoError(t, again.Run(t.Context()))
		requireSame(t, whole, again)
	}
	empty := small(t.TempDir())
	empty.show = true
	require.ErrorContains(t, empty.Run(t.Context()), "neither results nor learning curves")
}
