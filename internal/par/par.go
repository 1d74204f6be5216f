package par

import (
	"runtime"
	"sync"
	"sync/atomic"
)

const (
	// open is set in pool.state while workers may join the region.
	open = 1
	// running counts, in bits 1 to 15, the workers inside the region.
	running     = 2
	runningMask = 1<<16 - 2
	// epoch numbers, from bit 16 up, tell one region from the next.
	epoch = 1 << 16

	// A worker polls this many times, with a pause of about 50 ns after each,
	// before it parks, and yields to the scheduler now and then meanwhile.
	spins      = 800
	yieldEvery = 100
)

// pool is the one set of workers of the process. The fields of the region are
// written by the goroutine that holds busy, before it opens state, and read by
// workers after they have joined through state.
var pool struct {
	busy atomic.Bool

	state    atomic.Uint64
	wanted   atomic.Int32
	n, grain int
	body     func(lo, hi int)
	next     atomic.Int64
	failure  atomic.Pointer[failure]

	mu      sync.Mutex
	threads atomic.Int32
	spin    atomic.Bool
	workers atomic.Pointer[[]*worker]
}

// failure is how body failed: by a panic, or by ending its goroutine.
type failure struct {
	value  any
	goexit bool
}

type worker struct {
	parked atomic.Bool
	wake   chan struct{}
}

// SetThreads sets how many goroutines take part in a loop, the caller
// included. n <= 0 means GOMAXPROCS; 1 means that loops run in the caller.
func SetThreads(n int) {
	procs := runtime.GOMAXPROCS(0)
	if n <= 0 {
		n = procs
	}
	n = min(n, 1<<14)
	pool.mu.Lock()
	defer pool.mu.Unlock()
	pool.spin.Store(procs > 1 && n <= procs)
	pool.threads.Store(int32(n))
}

// Threads is the number of goroutines that take part in a loop.
func Threads() int {
	if n := pool.threads.Load(); n > 0 {
		return int(n)
	}
	SetThreads(0)
	return int(pool.threads.Load())
}

// Available is the number of goroutines that would take part in a loop begun now: one
// while another loop runs. It is of use for cutting work, where no result depends on
// the cut.
func Available() int {
	if pool.busy.Load() {
		return 1
	}
	return Threads()
}

// Rounds is how many chunks as large as each other the slowest of some threads is
// expected to work on: its share, and half a chunk more, as threads are not equally fast.
// Cuts into chunks are compared by it.
func Rounds(chunks, threads int) float64 {
	return float64((chunks+threads-1)/threads) + 0.5
}

// For calls body on consecutive chunks [lo, hi) that cover [0, n), each of
// grain elements (the last may be shorter; grain < 1 counts as 1), and returns
// when all have returned. Chunks may run at the same time and in any order.
// A call made while another loop runs, from inside its body or from another
// goroutine, runs in its caller alone. A panic in body is raised again in the
// caller after the other chunks in progress have ended; chunks that had not
// begun are dropped. In the same way the caller's goroutine ends if body ends its
// own, by runtime.Goexit.
func For(n, grain int, body func(lo, hi int)) {
	grain = max(grain, 1)
	if n <= 0 {
		return
	}
	threads := Threads()
	if n <= grain || threads == 1 || !pool.busy.CompareAndSwap(false, true) {
		for lo := 0; lo < n; lo += grain {
			body(lo, min(lo+grain, n))
		}
		return
	}
	pool.n, pool.grain, pool.body = n, grain, body
	pool.next.Store(0)
	pool.failure.Store(nil)
	helpers := min(threads, (n+grain-1)/grain) - 1
	pool.wanted.Store(int32(helpers))
	pool.state.Store((pool.state.Load()/epoch+1)*epoch | open)
	wake(helpers)
	defer finish()
	chunks()
}

// finish closes the region, waits for the workers inside it, and passes a
// panic of body on. It runs deferred so that runtime.Goexit inside body, which
// is how a failed test ends, leaves the pool usable.
func finish() {
	for {
		s := pool.state.Load()
		if pool.state.CompareAndSwap(s, s&^open) {
			break
		}
	}
	for i := 1; pool.state.Load()&runningMask != 0; i++ {
		pause()
		if i%yieldEvery == 0 || !pool.spin.Load() {
			runtime.Gosched()
		}
	}
	f := pool.failure.Load()
	pool.body = nil
	pool.busy.Store(false)
	if f != nil && f.goexit {
		runtime.Goexit()
	}
	if f != nil {
		panic(f.value)
	}
}

// chunks takes chunks until none is left.
func chunks() {
	defer func() {
		if v := recover(); v != nil {
			pool.failure.CompareAndSwap(nil, &failure{value: v})
			pool.next.Store(int64(pool.n))
		}
	}()
	n, grain, body := pool.n, pool.grain, pool.body
	for {
		lo := int(pool.next.Add(int64(grain))) - grain
		if lo >= n {
			return
		}
		body(lo, min(lo+grain, n))
	}
}

// wake makes sure that k workers exist and that none of them is parked.
func wake(k int) {
	var ws []*worker
	if p := pool.workers.Load(); p != nil {
		ws = *p
	}
	if len(ws) < k {
		grown := append([]*worker(nil), ws...)
		for len(grown) < k {
			w := &worker{wake: make(chan struct{}, 1)}
			grown = append(grown, w)
			go w.loop(len(grown) - 1)
		}
		ws = grown
		pool.workers.Store(&grown)
	}
	for _, w := range ws[:k] {
		if w.parked.CompareAndSwap(true, false) {
			w.wake <- struct{}{}
		}
	}
}

// join enters the open region if it is not the one of epoch last and wants a
// worker of this index. It returns the epoch joined.
func join(index int, last uint64) (uint64, bool) {
	for {
		s := pool.state.Load()
		if s&open == 0 || s/epoch == last || index >= int(pool.wanted.Load()) {
			return last, false
		}
		if pool.state.CompareAndSwap(s, s+running) {
			return s / epoch, true
		}
	}
}

func (w *worker) loop(index int) {
	var last uint64
	for {
		joined := false
		for i := 1; i <= spins; i++ {
			if last, joined = join(index, last); joined {
				break
			}
			if !pool.spin.Load() {
				break
			}
			pause()
			if i%yieldEvery == 0 {
				runtime.Gosched()
			}
		}
		if !joined {
			w.parked.Store(true)
			// A region opened between the last poll and the store above has
			// seen this worker awake and sends no token.
			if last, joined = join(index, last); !joined {
				<-w.wake
				continue
			}
			if !w.parked.CompareAndSwap(true, false) {
				<-w.wake
			}
		}
		w.help(index)
	}
}

// help takes chunks and leaves the region. If body ends the goroutine, so it does the
// caller's, and another one takes the worker over.
func (w *worker) help(index int) {
	returned := false
	defer func() {
		if !returned {
			pool.failure.CompareAndSwap(nil, &failure{goexit: true})
			pool.next.Store(int64(pool.n))
		}
		pool.state.Add(^uint64(running - 1))
		if !returned {
			go w.loop(index)
		}
	}()
	chunks()
	returned = true
}
