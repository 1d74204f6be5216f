package attack_test

import (
	"context"
	"math/rand/v2"
	"runtime"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	. "github.com/redoubt-ml/redoubt/attack"
	"github.com/redoubt-ml/redoubt/tensor"
)

// everyAttack is each attack under each norm that it is for, on images [N, 2, 3, 1],
// with a second model to transfer from.
func everyAttack(surrogate Model) (out []Attack) {
	for _, th := range []Threat{{Norm: Linf, Eps: 0.3}, {Norm: L2, Eps: 0.7}, {Norm: L1, Eps: 1.1}, {Norm: L0, Eps: 2}} {
		out = append(append(out, attacks(th)...), imageAttacks(th)...)
		out = append(out, &Transfer{Surrogate: surrogate, Attack: &MIFGSM{Threat: th, AllSteps: true}})
		if th.Norm != L0 {
			out = append(out, &AutoAttack{Threat: th})
		}
	}
	return out
}

// No attack finds anything against a model that always answers the same, nor goes on
// for ever, nor fails.
func TestEveryAttackOnAConstantModel(t *testing.T) {
	m := function(func(x *tensor.Tensor) *tensor.Tensor {
		z := tensor.Zeros(x.DType(), x.Dim(0), 4)
		for i := range x.Dim(0) {
			z.Set(1, i, 2)
		}
		return z
	})
	x := tensor.Uniform(rand.New(rand.NewPCG(1, 19)), tensor.Float32, 0, 1, 5, 2, 3, 1)
	for _, a := range everyAttack(m) {
		res, err := a.Run(ctx, m, x, []int{2, 2, 1, 2, 2})
		require.NoError(t, err, "%v", a)
		require.Equal(t, []bool{false, false, true, false, false}, res.Success, "%v", a)
		require.Equal(t, []int{2, 2, 2, 2, 2}, res.Label, "%v", a)
	}
}

// A model that answers at random fails no attack; what is reported was seen.
func TestEveryAttackOnARandomModel(t *testing.T) {
	r := rand.New(rand.NewPCG(2, 19))
	plain := onImages(randomModel(r, 6, 4, tensor.Float32))
	var calls atomic.Uint64
	m := function(func(x *tensor.Tensor) *tensor.Tensor {
		z := plain.Logits(x)
		rng := rand.New(rand.NewPCG(3, calls.Add(1)))
		return tensor.Add(z, tensor.Normal(rng, tensor.Float32, 0, 1, z.Shape()...))
	})
	x := tensor.Uniform(r, tensor.Float32, 0, 1, 12, 2, 3, 1)
	y := tensor.ArgMax(plain.Logits(x))
	for _, a := range everyAttack(plain) {
		res, err := a.Run(ctx, m, x, y)
		require.NoError(t, err, "%v", a)
		for i, s := range res.Success {
			require.Equal(t, res.Label[i] != y[i], s, "%v", a)
			require.Positive(t, res.Queries[i], "%v", a)
		}
	}
}

// Cancelled from the start or on the way, an attack ends with the context's error, a
// result for every input, hardly another question, and no goroutine left behind.
func TestEveryAttackStops(t *testing.T) {
	r := rand.New(rand.NewPCG(4, 19))
	plain := onImages(randomModel(r, 6, 4, tensor.Float32))
	x := tensor.Uniform(r, tensor.Float32, 0, 1, 40, 2, 3, 1)
	y := tensor.ArgMax(plain.Logits(x))
	// Against this one nothing succeeds, so that all attacks are still at work.
	firm := function(func(x *tensor.Tensor) *tensor.Tensor {
		return tensor.Add(tensor.MulScalar(plain.Logits(x), 1e-3), tensor.FromFloat32([]float32{1, 0, 0, 0}, 1, 4))
	})
	for i := range y {
		y[i] = 0
	}
	before := goroutines(t)
	for _, a := range everyAttack(firm) {
		cancelled, cancel := context.WithCancel(ctx)
		cancel()
		res, err := a.Run(cancelled, firm, x, y)
		require.ErrorIs(t, err, context.Canceled, "%v", a)
		require.Equal(t, x.Values(), res.X.Values(), "%v", a)

		cancelled, cancel = context.WithCancel(ctx)
		var calls, since atomic.Int32
		var ended atomic.Bool
		m := function(func(x *tensor.Tensor) *tensor.Tensor {
			if ended.Load() {
				since.Add(1)
			}
			if calls.Add(1) == 3 {
				cancel()
				ended.Store(true)
			}
			return firm.Logits(x)
		})
		res, err = a.Run(cancelled, m, x, y)
		if err == nil { // done before the third question
			require.Less(t, calls.Load(), int32(6), "%v", a)
		} else {
			require.ErrorIs(t, err, context.Canceled, "%v", a)
		}
		require.LessOrEqual(t, since.Load(), int32(2+tensor.Threads()), "%v", a)
		require.Len(t, res.Label, len(y), "%v", a)
		cancel()
	}
	awaitGoroutines(t, before)
}

// goroutines is the number of them once the threads of the library have started.
func goroutines(t *testing.T) int {
	_, err := Predict(ctx, function(func(x *tensor.Tensor) *tensor.Tensor { return x }), tensor.Zeros(tensor.Float32, 1000, 2))
	require.NoError(t, err)
	return runtime.NumGoroutine()
}

// awaitGoroutines fails the test if there stay to be more goroutines than n.
func awaitGoroutines(t *testing.T, n int) {
	for range 100 {
		if runtime.NumGoroutine() <= n {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	require.LessOrEqual(t, runtime.NumGoroutine(), n)
}

// A model that does not answer does not hold an attack whose context is done; once it
// lets go, nothing is left running.
func TestEveryAttackLeavesAHungModel(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 19))
	plain := onImages(randomModel(r, 6, 4, tensor.Float32))
	x := tensor.Uniform(r, tensor.Float32, 0, 1, 20, 2, 3, 1)
	y := tensor.ArgMax(plain.Logits(x))
	before := goroutines(t)
	release := make(chan struct{})
	for _, a := range everyAttack(plain) {
		for _, call := range []int32{1, 2} {
			cancelled, cancel := context.WithCancel(ctx)
			var calls atomic.Int32
			m := function(func(x *tensor.Tensor) *tensor.Tensor {
				if calls.Add(1) < call {
					return plain.Logits(x)
				}
				cancel()
				<-release
				return plain.Logits(x)
			})
			res, err := a.Run(cancelled, m, x, y)
			require.ErrorIs(t, err, context.Canceled, "%v", a)
			require.Len(t, res.Label, len(y), "%v", a)
		}
	}
	close(release)
	awaitGoroutines(t, before)
}

// A model that ends its goroutine, as a failed test inside it does, is an error.
func TestModelThatEndsItsGoroutine(t *testing.T) {
	m := function(func(*tensor.Tensor) *tensor.Tensor {
		runtime.Goexit()
		return nil
	})
	_, err := (&FGSM{Threat: Threat{Eps: 0.1}}).Run(ctx, m, tensor.Zeros(tensor.Float32, 2, 3), []int{0, 1})
	require.ErrorContains(t, err, "ended its goroutine")
}
