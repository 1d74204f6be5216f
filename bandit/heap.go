package bandit

// indexedHeap orders arms by a key, largest first and the lowest index first
// among equals. set takes O(log K), top and second O(1).
type indexedHeap struct {
	key   []float64 // by arm
	at    []int32   // arm at each place of the heap
	place []int32   // place of each arm
}

func newIndexedHeap(arms int, key float64) *indexedHeap {
	h := &indexedHeap{key: make([]float64, arms), at: make([]int32, arms), place: make([]int32, arms)}
	for i := range h.key {
		h.key[i] = key
		h.at[i], h.place[i] = int32(i), int32(i)
	}
	return h
}

// before says whether arm a comes before arm b.
func (h *indexedHeap) before(a, b int32) bool {
	return h.key[a] > h.key[b] || h.key[a] == h.key[b] && a < b
}

func (h *indexedHeap) swap(p, q int) {
	h.at[p], h.at[q] = h.at[q], h.at[p]
	h.place[h.at[p]], h.place[h.at[q]] = int32(p), int32(q)
}

func (h *indexedHeap) set(arm int, key float64) {
	h.key[arm] = key
	p := int(h.place[arm])
	for p > 0 && h.before(h.at[p], h.at[(p-1)/2]) {
		h.swap(p, (p-1)/2)
		p = (p - 1) / 2
	}
	for {
		c := 2*p + 1
		if c >= len(h.at) {
			return
		}
		if c+1 < len(h.at) && h.before(h.at[c+1], h.at[c]) {
			c++
		}
		if !h.before(h.at[c], h.at[p]) {
			return
		}
		h.swap(p, c)
		p = c
	}
}

// top returns the first arm.
func (h *indexedHeap) top() int { return int(h.at[0]) }

// except returns the first arm other than one; there are at least two.
func (h *indexedHeap) except(arm int) int {
	if int(h.at[0]) != arm {
		return int(h.at[0])
	}
	if len(h.at) > 2 && h.before(h.at[2], h.at[1]) {
		return int(h.at[2])
	}
	return int(h.at[1])
}
