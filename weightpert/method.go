package weightpert

import (
	"context"
	"errors"
	"fmt"
	"math"
	"sync"

	"github.com/redoubt-ml/redoubt/internal/par"
	"github.com/redoubt-ml/redoubt/tensor"
)

// Method bounds margins from below under every weight of a box. Every bound is
// rounded outwards: it holds for real arithmetic with the given weights and box.
// What the rounding of a deployed kernel adds is not covered.
type Method interface {
	Name() string
	// prepare does what all examples share. An error says which assumption of
	// the method the network or box breaks.
	prepare(n *Network, b *Box) (bounder, error)
}

// bounder makes bounds with memory of their own, one for each goroutine.
type bounder func() margins

// margins fills in a lower bound of the margin f_y(x) - f_j(x) for every class j,
// 0 for y itself and -Inf where nothing is known.
type margins func(out, x []float64, y int)

// Margins returns, for each class j, a lower bound of the margin f_y(x) - f_j(x)
// over all weights of the box; 0 for the label y itself. An overflow gives -Inf.
func Margins(m Method, n *Network, b *Box, x []float64, y int) ([]float64, error) {
	if m == nil {
		return nil, errors.New("weightpert: Margins: no method")
	}
	bound, err := m.prepare(n, b)
	if err != nil {
		return nil, err
	}
	if err := n.checkInput(x, y); err != nil {
		return nil, fmt.Errorf("weightpert: %s: %w", m.Name(), err)
	}
	out := make([]float64, n.Classes())
	bound()(out, x, y)
	return out, nil
}

// least returns the smallest of the margins but that of y itself.
func least(m []float64, y int) float64 {
	low := math.Inf(1)
	for j, v := range m {
		if j != y {
			low = min(low, v)
		}
	}
	return low
}

// Certificate says which examples keep their label under every weight of a box.
type Certificate struct {
	Method string `json:"method"`
	// Margin is, for each example, a lower bound of its smallest margin.
	Margin []float64 `json:"-"`
	// Certified says for each example whether the bound is positive, with room
	// for the order in which logits are added up.
	Certified []bool `json:"-"`
	Count     int    `json:"count"` // of certified examples
	Total     int    `json:"total"`
}

// Share returns the share of certified examples: the certified accuracy.
func (c Certificate) Share() float64 { return float64(c.Count) / float64(c.Total) }

// Certify bounds the margins of examples x with labels y on several threads. An
// example that the network gets wrong is not certified. When ctx is cancelled it returns
// ctx's error and what it has: examples that it has not come to have a margin of -Inf and
// count as not certified.
func Certify(ctx context.Context, m Method, n *Network, b *Box, x [][]float64, y []int) (Certificate, error) {
	if m == nil {
		return Certificate{}, errors.New("weightpert: Certify: no method")
	}
	bound, err := m.prepare(n, b)
	if err != nil {
		return Certificate{}, err
	}
	if err := n.checkSet(x, y); err != nil {
		return Certificate{}, fmt.Errorf("weightpert: %s: %w", m.Name(), err)
	}
	c := Certificate{Method: m.Name(), Margin: make([]float64, len(x)), Certified: make([]bool, len(x)), Total: len(x)}
	for i := range c.Margin {
		c.Margin[i] = math.Inf(-1)
	}
	err = overSamples(ctx, len(x), func() func(int) {
		f := bound()
		out := make([]float64, n.Classes())
		return func(i int) {
			f(out, x[i], y[i])
			c.Margin[i] = least(out, y[i])
			c.Certified[i] = holds(c.Margin[i], n.Logits(x[i]))
		}
	})
	for _, ok := range c.Certified {
		if ok {
			c.Count++
		}
	}
	return c, err
}

// holds says whether a lower margin is a certificate beside the given logits.
func holds(margin float64, logits []float64) bool { return margin > room(logits) }

// room is the margin that a certificate must exceed.
func room(logits []float64) float64 {
	size := 0.0
	for _, f := range logits {
		size = max(size, math.Abs(f))
	}
	return slack * (1 + size)
}

// checkSet says what is wrong with a set of examples.
func (n *Network) checkSet(x [][]float64, y []int) error {
	if err := n.check(); err != nil {
		return err
	}
	if len(x) == 0 {
		return errors.New("0 examples, want at least 1")
	}
	if len(x) != len(y) {
		return fmt.Errorf("%d examples with %d labels, want as many", len(x), len(y))
	}
	for i := range x {
		if err := n.checkInput(x[i], y[i]); err != nil {
			return fmt.Errorf("example %d: %w", i, err)
		}
	}
	return nil
}

// overSamples calls the functions that worker makes, one for each goroutine, with
// 0 to n-1.
func overSamples(ctx context.Context, n int, worker func() func(i int)) error {
	pool := sync.Pool{New: func() any { return worker() }}
	par.For(n, 1, func(lo, hi int) {
		f := pool.Get().(func(int))
		defer pool.Put(f)
		for i := lo; i < hi && ctx.Err() == nil; i++ {
			f(i)
		}
	})
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("weightpert: stopped: %w", err)
	}
	return nil
}

// Examples returns a batch of inputs [N, ...] as float64 vectors, the form that
// bounds take.
func Examples(x *tensor.Tensor) [][]float64 {
	n := x.Dim(0)
	out := make([][]float64, n)
	v := x.Values()
	for i := range out {
		out[i] = v[i*len(v)/n : (i+1)*len(v)/n]
	}
	return out
}
