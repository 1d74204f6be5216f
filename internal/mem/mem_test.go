package mem

import (
	"math/rand/v2"
	"sync"
	"testing"
	"unsafe"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestClassesGrowHoldAndWasteAnEighth(t *testing.T) {
	lastIndex, lastSize := 0, minClass
	for n := 1; n < 1<<17; n++ {
		i, size := class(n)
		require.GreaterOrEqual(t, size, n)
		if n > minClass {
			require.LessOrEqual(t, size-n, n/8+1, "n=%d", n)
		}
		if size == lastSize {
			require.Equal(t, lastIndex, i)
		} else {
			require.Equal(t, lastIndex+1, i, "n=%d", n)
			require.Greater(t, size, lastSize)
		}
		j, again := class(size)
		require.Equal(t, i, j)
		require.Equal(t, size, again)
		lastIndex, lastSize = i, size
	}
}

func TestPoolReusesAndAligns(t *testing.T) {
	var p Pool[float32]
	for _, n := range []int{1, 63, 64, 65, 1000, 4097} {
		s := p.Get(n)
		require.Len(t, s, n)
		first := unsafe.SliceData(s)
		assert.Zero(t, uintptr(unsafe.Pointer(first))%alignment)
		p.Put(s)
		again := p.Get(n)
		assert.Same(t, first, unsafe.SliceData(again))
	}
	assert.Empty(t, p.Get(0))
	p.Put(nil)
	p.Put(make([]float32, 67))
	assert.Len(t, p.Get(67), 67)
}

func TestPoolNeverLendsTwice(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	var p Pool[float64]
	var lent [][]float64
	for range 2000 {
		if len(lent) > 0 && rng.IntN(2) == 0 {
			i := rng.IntN(len(lent))
			p.Put(lent[i])
			lent[i] = lent[len(lent)-1]
			lent = lent[:len(lent)-1]
			continue
		}
		s := p.Get(1 + rng.IntN(500))
		all := s[:cap(s)]
		for _, other := range lent {
			o := other[:cap(other)]
			apart := &all[len(all)-1] != &o[len(o)-1] && &all[0] != &o[0]
			require.True(t, apart)
		}
		lent = append(lent, s)
	}
}

func TestPoolLeavesWhatIsNotItsOwn(t *testing.T) {
	var p Pool[float64]
	whole := p.Get(128)
	p.Put(whole[64-8+1:]) // of no class
	p.Put(make([]float64, 67))
	off := aligned[float64](65)[1:]
	p.Put(off) // of a class, not aligned
	for _, l := range p.free {
		assert.Empty(t, l)
	}
}

func TestShrinkingBatchesReuseWhatLargerOnesLeft(t *testing.T) {
	var p Pool[float32]
	first := p.Get(12800)
	p.Put(first)
	for n := 12700; n > 6400; n -= 100 {
		s := p.Get(n)
		require.Len(t, s, n)
		require.Same(t, unsafe.SliceData(first), unsafe.SliceData(s), "n = %d", n)
		p.Put(s)
	}
	small := p.Get(3000)
	assert.NotSame(t, unsafe.SliceData(first), unsafe.SliceData(small), "a slice of twice the size and more is not cut")
	assert.Same(t, unsafe.SliceData(first), unsafe.SliceData(p.Get(12800)))
}

func TestPoolSteadyStateAllocatesNothing(t *testing.T) {
	var p Pool[float32]
	step := func() {
		a, b := p.Get(5000), p.Get(5000)
		c := p.Get(70)
		p.Put(a)
		p.Put(b)
		p.Put(c)
	}
	step()
	assert.Zero(t, testing.AllocsPerRun(10, step))
}

func TestScratchIsSharedSafelyAndSettles(t *testing.T) {
	var s Scratch[float32]
	var wg sync.WaitGroup
	for g := range 4 {
		wg.Go(func() {
			for i := range 200 {
				b := s.Borrow(1 + (i*37+g)%3000)
				b.Data[0] = float32(g)
				for j := range b.Data {
					b.Data[j] = float32(g)
				}
				for _, v := range b.Data {
					if v != float32(g) {
						t.Errorf("a block was lent twice")
						return
					}
				}
				s.Return(b)
			}
		})
	}
	wg.Wait()
	b := s.Borrow(3000)
	s.Return(b)
	assert.Zero(t, testing.AllocsPerRun(10, func() { s.Return(s.Borrow(3000)) }))
}

func TestObjectsComeBackAsTheyWere(t *testing.T) {
	var o Objects[[4]int]
	a, fresh := o.Get()
	require.True(t, fresh)
	a[2] = 7
	o.Put(a)
	b, fresh := o.Get()
	require.False(t, fresh)
	require.Same(t, a, b)
	require.Equal(t, 7, b[2])
}
