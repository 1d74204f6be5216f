package ask

import (
	"context"
	"errors"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/redoubt-ml/redoubt/tensor"
)

func TestEveryBatchHasItsRoundsInOrder(t *testing.T) {
	const n, size, rounds = 10, 4, 3
	var mu sync.Mutex
	seen := map[[2]int][]int{}
	var done []int
	err := Batches(t.Context(), "test", n, size, rounds, func(d, total int) {
		require.Equal(t, n*rounds, total)
		done = append(done, d)
	}, func(_ context.Context, _ *tensor.Tape, lo, hi, round int) error {
		mu.Lock()
		defer mu.Unlock()
		seen[[2]int{lo, hi}] = append(seen[[2]int{lo, hi}], round)
		return nil
	})
	require.NoError(t, err)
	require.Equal(t, map[[2]int][]int{{0, 4}: {0, 1, 2}, {4, 8}: {0, 1, 2}, {8, 10}: {0, 1, 2}}, seen)
	require.IsIncreasing(t, done)
	require.Equal(t, n*rounds, done[len(done)-1])
}

// The first error comes back, cancels the context of the other batches and lets no new
// one begin.
func TestFirstErrorEndsBatches(t *testing.T) {
	defer tensor.SetThreads(0)
	for threads := 1; threads <= 2; threads++ {
		tensor.SetThreads(threads)
		bad := errors.New("bad batch")
		var mu sync.Mutex
		begun := 0
		err := Batches(t.Context(), "test", 100, 1, 1, nil, func(ctx context.Context, _ *tensor.Tape, lo, _, _ int) error {
			mu.Lock()
			begun++
			first := begun == 1
			mu.Unlock()
			if first {
				return bad
			}
			<-ctx.Done()
			return ctx.Err()
		})
		require.ErrorIs(t, err, bad)
		require.LessOrEqual(t, begun, threads)
	}
}

func TestEndOfTheContextIsTold(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	err := Batches(ctx, "test", 10, 1, 1, nil, func(context.Context, *tensor.Tape, int, int, int) error {
		cancel()
		return nil
	})
	require.ErrorIs(t, err, context.Canceled)
	require.ErrorContains(t, err, "test: stopped: ")
	asked := false
	require.ErrorIs(t, Wait(ctx, "test", func() { asked = true }), context.Canceled)
	require.False(t, asked)
}

// A question that is not answered is left, inside of batches and outside, and what
// follows it in a batch does not run.
func TestUnansweredQuestionsAreLeft(t *testing.T) {
	release := make(chan struct{})
	defer close(release)
	hang := func(cancel func()) func() {
		return func() {
			cancel()
			<-release
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	require.ErrorIs(t, Wait(ctx, "test", hang(cancel)), context.Canceled)

	ctx, cancel = context.WithCancel(t.Context())
	defer cancel()
	err := Batches(ctx, "test", 1, 1, 1, nil, func(ctx context.Context, _ *tensor.Tape, _, _, _ int) error {
		err := Wait(ctx, "test", hang(cancel))
		panic("the question was answered: " + err.Error())
	})
	require.ErrorIs(t, err, context.Canceled)
}

type model func(x *tensor.Tensor) *tensor.Tensor

func (m model) Logits(x *tensor.Tensor) *tensor.Tensor { return m(x) }

func TestAnswersThatAreNoLogitsAreNamed(t *testing.T) {
	x := tensor.Zeros(tensor.Float32, 3, 5)
	luck := errors.New("no luck")
	for _, c := range []struct {
		answer func() *tensor.Tensor
		want   string
	}{
		{func() *tensor.Tensor { return nil }, "test: model returned nothing for 3 inputs, want logits float32[3 classes]"},
		{func() *tensor.Tensor { return tensor.Zeros(tensor.Float64, 3, 2) }, "test: model returned float64[3 2] for 3 inputs"},
		{func() *tensor.Tensor { return tensor.Zeros(tensor.Float32, 2, 2) }, "returned float32[2 2]"},
		{func() *tensor.Tensor { return tensor.Zeros(tensor.Float32, 3, 1) }, "test: model has 1 classes, want at least 2"},
		{func() *tensor.Tensor { panic(luck) }, "test: model panicked at the first: no luck"},
		{func() *tensor.Tensor { panic("a text") }, "test: model panicked at the first: a text"},
	} {
		_, err := Logits(t.Context(), model(func(*tensor.Tensor) *tensor.Tensor { return c.answer() }), x, "test: model", "at the first")
		require.ErrorContains(t, err, c.want)
		require.Equal(t, c.want[len(c.want)-4:] == "luck", errors.Is(err, luck))
	}
	z, err := Logits(t.Context(), model(func(x *tensor.Tensor) *tensor.Tensor { return x }), x, "test: model", "")
	require.NoError(t, err)
	require.Same(t, x, z)
}
