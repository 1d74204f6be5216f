package mem

import "sync"

// Scratch lends working memory for the length of one kernel call. The zero
// value is ready, and it is safe for concurrent use. It keeps what it has lent
// once, so that a repeated sequence of calls stops allocating.
type Scratch[T any] struct {
	mu   sync.Mutex
	free []*Block[T]
}

// Block is one loan: Data has the length that was asked for, is 64-byte
// aligned, and has undefined contents.
type Block[T any] struct {
	Data []T
}

// Borrow lends a block of n elements: the smallest free one that holds n, or,
// when none does, the largest free one after growing it.
func (s *Scratch[T]) Borrow(n int) *Block[T] {
	s.mu.Lock()
	fit, largest := -1, -1
	for i, b := range s.free {
		c := cap(b.Data)
		if c >= n && (fit < 0 || c < cap(s.free[fit].Data)) {
			fit = i
		}
		if largest < 0 || c > cap(s.free[largest].Data) {
			largest = i
		}
	}
	if fit < 0 {
		fit = largest
	}
	var b *Block[T]
	if fit >= 0 {
		last := len(s.free) - 1
		b = s.free[fit]
		s.free[fit] = s.free[last]
		s.free[last] = nil
		s.free = s.free[:last]
	}
	s.mu.Unlock()
	if b == nil {
		b = new(Block[T])
	}
	if cap(b.Data) < n {
		_, size := class(n)
		b.Data = aligned[T](size)
	}
	b.Data = b.Data[:n]
	return b
}

// Return ends a loan. The block must not be used afterwards.
func (s *Scratch[T]) Return(b *Block[T]) {
	s.mu.Lock()
	s.free = append(s.free, b)
	s.mu.Unlock()
}
