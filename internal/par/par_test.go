package par

import (
	"runtime"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func withThreads(t *testing.T, n int) {
	old := Threads()
	SetThreads(n)
	t.Cleanup(func() { SetThreads(old) })
}

func TestForCoversEveryIndexOnce(t *testing.T) {
	for _, threads := range []int{1, 2, 3, 7} {
		withThreads(t, threads)
		for _, n := range []int{0, 1, 2, 9, 100, 1001} {
			for _, grain := range []int{-1, 1, 3, 100, 5000} {
				hits := make([]int32, n)
				For(n, grain, func(lo, hi int) {
					for i := lo; i < hi; i++ {
						atomic.AddInt32(&hits[i], 1)
					}
				})
				for i, h := range hits {
					require.EqualValues(t, 1, h, "threads %d n %d grain %d index %d", threads, n, grain, i)
				}
			}
		}
	}
}

func TestChunksDoNotDependOnThreads(t *testing.T) {
	cut := func(threads int) map[[2]int]bool {
		withThreads(t, threads)
		var mu sync.Mutex
		m := map[[2]int]bool{}
		For(1000, 7, func(lo, hi int) {
			mu.Lock()
			m[[2]int{lo, hi}] = true
			mu.Unlock()
		})
		return m
	}
	one := cut(1)
	assert.Len(t, one, 143)
	assert.Equal(t, one, cut(2))
	assert.Equal(t, one, cut(5))
}

func TestNestedAndConcurrentLoopsFinish(t *testing.T) {
	withThreads(t, 3)
	var total atomic.Int64
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for range 100 {
				For(10, 1, func(lo, hi int) {
					For(10, 2, func(lo, hi int) { total.Add(int64(hi - lo)) })
				})
			}
		})
	}
	wg.Wait()
	assert.EqualValues(t, 4*100*100, total.Load())
}

func TestPanicReachesTheCallerAndThePoolSurvives(t *testing.T) {
	withThreads(t, 2)
	for range 50 {
		for _, bad := range []int{0, 1, 17, 99} {
			require.PanicsWithValue(t, bad, func() {
				For(100, 1, func(lo, hi int) {
					if lo == bad {
						panic(bad)
					}
				})
			})
		}
		var n atomic.Int64
		For(100, 1, func(lo, hi int) { n.Add(1) })
		require.EqualValues(t, 100, n.Load())
	}
}

func TestGoexitInBodyLeavesThePoolUsable(t *testing.T) {
	withThreads(t, 2)
	done := make(chan struct{})
	go func() {
		defer close(done)
		For(8, 1, func(lo, hi int) { runtime.Goexit() })
	}()
	<-done
	var n atomic.Int64
	For(64, 1, func(lo, hi int) { n.Add(1) })
	assert.EqualValues(t, 64, n.Load())
}

func TestGoexitInAWorkerEndsTheCallerAndKeepsTheWorker(t *testing.T) {
	withThreads(t, 2)
	for range 3 {
		ended := make(chan bool)
		go func() {
			returned := false
			defer func() { ended <- !returned }()
			caller := make(chan struct{})
			first := true // is the caller's alone: the first to pass is stopped there
			var mu sync.Mutex
			For(2, 1, func(lo, hi int) {
				mu.Lock()
				mine := first
				first = false
				mu.Unlock()
				if mine {
					<-caller
					return
				}
				defer close(caller)
				runtime.Goexit()
			})
			returned = true
		}()
		assert.True(t, <-ended)
	}
	// Both chunks run at the same time, or neither ends.
	var both sync.WaitGroup
	both.Add(2)
	For(2, 1, func(lo, hi int) {
		both.Done()
		both.Wait()
	})
}

func TestLoopsAllocateNothing(t *testing.T) {
	withThreads(t, 2)
	var sink [64]float64
	body := func(lo, hi int) { sink[lo]++ }
	For(64, 1, body)
	assert.Zero(t, testing.AllocsPerRun(100, func() { For(64, 1, body) }))
}

func BenchmarkRoundTrip(b *testing.B) {
	body := func(lo, hi int) {}
	for b.Loop() {
		For(2, 1, body)
	}
}
