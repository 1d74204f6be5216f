package mem

import "sync"

// Objects is a free list of structs that describe a call in progress, so that
// a call that may be shared among goroutines need not allocate its
// description. The zero value is ready, and it is safe for concurrent use.
type Objects[T any] struct {
	mu   sync.Mutex
	free []*T
}

// Get returns a used object, as it was put back, or a new zero one; fresh says
// which.
func (o *Objects[T]) Get() (object *T, fresh bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if n := len(o.free); n > 0 {
		object = o.free[n-1]
		o.free = o.free[:n-1]
		return object, false
	}
	return new(T), true
}

// Put gives an object back.
func (o *Objects[T]) Put(object *T) {
	o.mu.Lock()
	o.free = append(o.free, object)
	o.mu.Unlock()
}
