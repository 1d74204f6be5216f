package bandit

import (
	"encoding/binary"
	"fmt"
	"math"
	"slices"
)

// ordered is a sample kept in increasing order, 8 bytes a reward.
type ordered struct{ x []float64 }

// insert adds one reward and returns its place: O(log n) comparisons and one move.
func (o *ordered) insert(v float64) int {
	at, _ := slices.BinarySearch(o.x, v)
	o.x = slices.Insert(o.x, at, v)
	return at
}

// merge adds several rewards, in time linear in the sample.
func (o *ordered) merge(batch []float64) {
	if len(batch) == 1 {
		o.insert(batch[0])
		return
	}
	n, k := len(o.x), len(batch)
	o.x = slices.Grow(o.x, k)[:n+k]
	// The new rewards are sorted at the end and merged from the back; only they
	// need a copy.
	fresh := slices.Clone(batch)
	slices.Sort(fresh)
	for at := n + k - 1; k > 0; at-- {
		if n > 0 && o.x[n-1] > fresh[k-1] {
			n--
			o.x[at] = o.x[n]
		} else {
			k--
			o.x[at] = fresh[k]
		}
	}
}

// median is the middle of the sample, halfway between the middle two of an even
// number; one of them if the two are infinities of opposite signs.
func (o *ordered) median() float64 { return medianOf(o.x) }

func medianOf(sorted []float64) float64 {
	n := len(sorted)
	if n == 0 {
		return 0
	}
	lo, hi := sorted[(n-1)/2], sorted[n/2]
	mid := lo/2 + hi/2
	if math.IsNaN(mid) {
		return lo
	}
	return mid
}

// packFloats is the saved form of a sample: little-endian float64 values.
func packFloats(x ...[]float64) []byte {
	var b []byte
	for _, part := range x {
		for _, v := range part {
			b = binary.LittleEndian.AppendUint64(b, math.Float64bits(v))
		}
	}
	return b
}

// unpackFloats reads what packFloats wrote: head numbers, then the rest.
func unpackFloats(b []byte, head int) (scalars, rest []float64, err error) {
	if len(b)%8 != 0 || len(b) < 8*head {
		return nil, nil, fmt.Errorf("saved sample has %d bytes, want a multiple of 8 and at least %d", len(b), 8*head)
	}
	x := make([]float64, len(b)/8)
	for i := range x {
		x[i] = math.Float64frombits(binary.LittleEndian.Uint64(b[8*i:]))
		if math.IsNaN(x[i]) {
			return nil, nil, fmt.Errorf("saved sample has NaN at number %d", i)
		}
	}
	return x[:head:head], x[head:], nil
}

// takesAnything says that Add returns no error.
func (o *ordered) takesAnything() {}

// Len implements Sample.
func (o *ordered) Len() int { return len(o.x) }

// MarshalBinary implements Sample.
func (o *ordered) MarshalBinary() ([]byte, error) { return packFloats(o.x), nil }

// UnmarshalBinary implements Sample.
func (o *ordered) UnmarshalBinary(b []byte) error {
	_, x, err := unpackFloats(b, 0)
	if err != nil {
		return err
	}
	return o.restore(x)
}

func (o *ordered) restore(x []float64) error {
	if !slices.IsSorted(x) {
		return fmt.Errorf("saved sample of %d rewards is not in increasing order", len(x))
	}
	o.x = x
	return nil
}
