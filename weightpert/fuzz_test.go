package weightpert

import (
	"math"
	"testing"
)

// Networks and boxes of any numbers, however large: an error or bounds that are no
// NaN and that the unchanged network keeps.
func FuzzMargins(f *testing.F) {
	f.Add(1.0, -1.0, .5, 2.0, 1.0, .5, .1, uint8(0))
	f.Add(1e300, -1e300, 1e-300, 1e200, 1e150, -1e150, 1e308, uint8(1))
	f.Add(0.0, math.Inf(1), math.NaN(), 1.0, 1.0, 1.0, 0.0, uint8(3))
	f.Add(1e154, 1e154, -1e154, 1e154, 1e154, 1e-154, 5e-324, uint8(2))
	f.Fuzz(func(t *testing.T, a, b, c, d, x0, x1, eps float64, kind uint8) {
		act := Activation(kind % 6)
		n, err := NewNetwork(
			Layer{Weight: NewMatrix([]float64{a, b}, []float64{c, d}), Act: act},
			Layer{Weight: NewMatrix([]float64{d, -a}, []float64{b, c}), Bias: []float64{a, d}, Act: act},
			Layer{Weight: NewMatrix([]float64{c, a}, []float64{-b, d})})
		if err != nil {
			return
		}
		box, err := Absolute()(n, eps)
		if err != nil {
			return
		}
		x := []float64{x0, x1}
		for _, m := range everyMethod {
			out, err := Margins(m, n, box, x, 1)
			if err != nil {
				continue
			}
			logits := n.Logits(x)
			for j, v := range out {
				if math.IsNaN(v) || v > math.MaxFloat64 {
					t.Fatalf("%s: margin over %d is %v", m.Name(), j, v)
				}
				clean := logits[1] - logits[j]
				scale := math.Abs(logits[0]) + math.Abs(logits[1])
				// Logits in float64 can cancel; only where they did not, compare.
				if eps == 0 || math.IsNaN(clean) || math.IsInf(scale, 0) {
					continue
				}
				if v > clean+1e-9*(1+scale)+sumOfProducts(n, x)*1e-12 {
					t.Fatalf("%s: bound %v over %d exceeds the clean margin %v", m.Name(), v, j, clean)
				}
			}
		}
	})
}

// sumOfProducts is the size that rounding errors of the logits are relative to.
func sumOfProducts(n *Network, x []float64) float64 {
	z := make([]float64, len(x))
	for k, v := range x {
		z[k] = math.Abs(v)
	}
	for i := range n.layers {
		l := &n.layers[i]
		next := make([]float64, l.Weight.Rows)
		for r := range next {
			from, to := l.Weight.span(r)
			for k := from; k < to; k++ {
				next[r] += math.Abs(l.Weight.Val[k]) * z[k-from]
			}
			if l.Bias != nil {
				next[r] += math.Abs(l.Bias[r])
			}
			next[r]++ // softplus and sigmoid are not 0 at 0
		}
		z = next
	}
	return z[0] + z[1]
}

// Flips stay inside their width and undo themselves.
func FuzzFlip(f *testing.F) {
	f.Add(int8(21), uint8(128), uint8(8))
	f.Add(int8(-1), uint8(3), uint8(2))
	f.Fuzz(func(t *testing.T, v int8, mask, w uint8) {
		width := 2 + int(w)%7
		v = v << (8 - width) >> (8 - width)
		mask &= uint8(1<<width - 1)
		u := flip(v, mask, width)
		if int(u) < -(1<<(width-1)) || int(u) > highest(width) {
			t.Fatalf("%d with bits %08b flipped is %d, outside %d bits", v, mask, u, width)
		}
		if back := flip(u, mask, width); back != v {
			t.Fatalf("%d flipped twice is %d", v, back)
		}
	})
}
