package smoothing

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"

	"github.com/redoubt-ml/redoubt/attack"
	"github.com/redoubt-ml/redoubt/internal/par"
	"github.com/redoubt-ml/redoubt/tensor"
)

// The uses of noise, so that draws for one are independent of those for another.
const (
	selecting uint64 = iota + 1
	counting
	training
)

// source gives the noise of one noisy copy of an input.
func source(seed, use, id, copy uint64) rand.PCG {
	h := mix(seed)
	for _, v := range []uint64{use, id, copy} {
		h = mix(h ^ v)
	}
	var p rand.PCG
	p.Seed(h, mix(h))
	return p
}

// mix is the finalizer of SplitMix64 (Steele, Lea and Flood, OOPSLA 2014).
func mix(z uint64) uint64 {
	z += 0x9e3779b97f4a7c15
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return z ^ z>>31
}

// addNoise sets row r of dst to row i of x and noise.
func addNoise(dst *tensor.Tensor, r int, x *tensor.Tensor, i int, p rand.PCG, sigma float64) {
	d := x.Len() / x.Dim(0)
	if x.DType() == tensor.Float32 {
		sum(dst.Float32s()[r*d:(r+1)*d], x.Float32s()[i*d:(i+1)*d], p, sigma)
	} else {
		sum(dst.Float64s()[r*d:(r+1)*d], x.Float64s()[i*d:(i+1)*d], p, sigma)
	}
}

func sum[T float32 | float64](dst, x []T, p rand.PCG, sigma float64) {
	rng := rand.New(&p)
	for k, v := range x {
		dst[k] = v + T(sigma*rng.NormFloat64())
	}
}

// group is how many inputs from the first on are worked on together, so that there
// is something to do for every thread.
func (s *settings) group(n int) int {
	each := (n + s.BatchSize - 1) / s.BatchSize
	return max(1, 4*par.Threads()/each)
}

// votes counts the model's answers to n noisy copies of the inputs [from, to).
func (s *settings) votes(ctx context.Context, from, to, n int, use uint64) ([][]int, error) {
	each := (n + s.BatchSize - 1) / s.BatchSize
	counts := make([][]int, to-from)
	inner, fail := context.WithCancelCause(ctx)
	defer fail(nil)
	var mu sync.Mutex
	var buffers sync.Pool
	par.For((to-from)*each, 1, func(first, last int) {
		for b := first; b < last && inner.Err() == nil; b++ {
			i, lo := from+b/each, b%each*s.BatchSize
			answers, err := s.ask(inner, &buffers, i, lo, min(n, lo+s.BatchSize), use)
			if err != nil {
				fail(fmt.Errorf("smoothing: noisy copies %d to %d of input %d: %w", lo, min(n, lo+s.BatchSize)-1, i, err))
				return
			}
			mu.Lock()
			for _, a := range answers {
				for len(counts[i-from]) <= a {
					counts[i-from] = append(counts[i-from], 0)
				}
				counts[i-from][a]++
			}
			mu.Unlock()
		}
	})
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("smoothing: stopped: %w", err)
	}
	if inner.Err() != nil {
		return nil, context.Cause(inner)
	}
	return counts, nil
}

// ask returns the model's answers to the noisy copies [lo, hi) of input i.
func (s *settings) ask(ctx context.Context, buffers *sync.Pool, i, lo, hi int, use uint64) ([]int, error) {
	batch, ok := buffers.Get().(*tensor.Tensor)
	if !ok || batch.Dim(0) != hi-lo {
		shape := s.x.Shape()
		shape[0] = hi - lo
		batch = tensor.Zeros(s.x.DType(), shape...)
	}
	for j := lo; j < hi; j++ {
		addNoise(batch, j-lo, s.x, i, source(s.Seed, use, s.id(i), uint64(j)), s.Sigma)
	}
	batch.Touch()
	answers, err := attack.Predict(ctx, s.Model, batch)
	if err == nil {
		buffers.Put(batch)
	}
	return answers, err
}

// topTwo returns the most frequent answers, of equals the lower one; second is -1 if
// there was one answer only.
func topTwo(counts []int) (first, second int) {
	first, second = -1, -1
	for c, n := range counts {
		switch {
		case n == 0:
		case first < 0 || n > counts[first]:
			first, second = c, first
		case second < 0 || n > counts[second]:
			second = c
		}
	}
	return first, second
}
