package function_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/redoubt-ml/redoubt/attack"
	"github.com/redoubt-ml/redoubt/attack/adapter/function"
	"github.com/redoubt-ml/redoubt/tensor"
)

// linear scores images [N, 4, 4, 1] by a fixed matrix.
func linear(_ context.Context, x *tensor.Tensor) (*tensor.Tensor, error) {
	w := tensor.Normal(rand.New(rand.NewPCG(1, 2)), x.DType(), 0, 1, 16, 3)
	return tensor.MatMul(tensor.Flatten(x), w), nil
}

func images(n int) *tensor.Tensor {
	return tensor.Uniform(rand.New(rand.NewPCG(3, 4)), tensor.Float32, 0.3, 0.7, n, 4, 4, 1)
}

func answers(x *tensor.Tensor) []int {
	y, _ := linear(context.Background(), x)
	return tensor.ArgMax(y)
}

var threat = attack.Threat{Norm: attack.Linf, Eps: 0.25}

func TestBlackBoxAttackBreaksAFunction(t *testing.T) {
	x := images(40)
	y := answers(x)
	m := function.Scores(linear, function.Options{})
	res, err := (&attack.Square{Threat: threat, Queries: 300, Rescale: true, Inclusive: true}).Run(context.Background(), m, x, y)
	require.NoError(t, err)
	broken, asked := 0, 0
	for i, ok := range res.Success {
		if ok {
			broken++
		}
		asked += res.Queries[i]
	}
	assert.Greater(t, broken, 30)
	assert.GreaterOrEqual(t, m.Queries(), int64(asked))
	assert.NoError(t, m.Err())
	assert.Equal(t, res.Label, answers(res.X))
}

// The function sees the inputs in calls of at most BatchSize, in order, as its own
// copy, and the caller's type comes back.
func TestCallsAreCutAndCopied(t *testing.T) {
	x := images(10)
	before := x.Clone()
	var sizes []int
	m := function.Scores(func(ctx context.Context, x *tensor.Tensor) (*tensor.Tensor, error) {
		sizes = append(sizes, x.Dim(0))
		y, err := linear(ctx, x)
		y = y.To(tensor.Float64)
		x.Fill(7)
		return y, err
	}, function.Options{BatchSize: 4})
	tape := tensor.NewTape()
	got := m.Logits(tape.Const(x))
	want, _ := linear(context.Background(), x)
	assert.Equal(t, []int{4, 4, 2}, sizes)
	assert.Equal(t, tensor.Float32, got.DType())
	assert.InDeltaSlice(t, want.Values(), got.Values(), 1e-6)
	assert.Equal(t, before.Values(), x.Values())
	assert.Equal(t, int64(10), m.Queries())
	assert.Equal(t, 0, tape.Len())
}

func TestGradientAttacksAreToldThatThereIsNone(t *testing.T) {
	x := images(5)
	m := function.Scores(linear, function.Options{})
	_, err := (&attack.PGD{Threat: threat, Steps: 3}).Run(context.Background(), m, x, answers(x))
	require.ErrorContains(t, err, "function: a black-box model has no gradient; use an attack that needs none")
	require.ErrorIs(t, m.Err(), function.ErrGradient)
}

func TestLabelsOnly(t *testing.T) {
	x := images(6)
	labels := func(_ context.Context, x *tensor.Tensor) ([]int, error) { return answers(x), nil }
	m := function.Labels(labels, 3, function.Options{})
	z := m.Logits(x)
	assert.Equal(t, answers(x), tensor.ArgMax(z))
	assert.Equal(t, 6.0, tensor.Sum(z).Item())
	got, err := attack.Predict(context.Background(), m, x)
	require.NoError(t, err)
	assert.Equal(t, answers(x), got)

	for _, bad := range [][]int{{0, 1, 2, 3, 0, 0}, {0, -1, 0, 0, 0, 0}, {0}} {
		m := function.Labels(func(context.Context, *tensor.Tensor) ([]int, error) { return bad, nil }, 3, function.Options{})
		_, err := attack.Predict(context.Background(), m, x)
		require.ErrorContains(t, err, "returned", "%v", bad)
	}
	require.Panics(t, func() { function.Labels(labels, 1, function.Options{}) })
	require.Panics(t, func() { function.Scores(nil, function.Options{}) })
	require.Panics(t, func() { function.Scores(linear, function.Options{Budget: -1}) })
}

// What goes wrong in the function is an error of the attack that says what.
func TestErrorsAndPanicsOfTheFunction(t *testing.T) {
	sentinel := errors.New("server is down")
	x := images(4)
	for _, c := range []struct {
		want string
		f    func(ctx context.Context, x *tensor.Tensor) (*tensor.Tensor, error)
	}{
		{"server is down", func(context.Context, *tensor.Tensor) (*tensor.Tensor, error) { return nil, sentinel }},
		{"function: panicked on 4 inputs: index out", func(context.Context, *tensor.Tensor) (*tensor.Tensor, error) { panic("index out") }},
		{"function: panicked on 4 inputs: server is down", func(context.Context, *tensor.Tensor) (*tensor.Tensor, error) { panic(sentinel) }},
		{"function: ended its goroutine on 4 inputs", func(context.Context, *tensor.Tensor) (*tensor.Tensor, error) {
			runtime.Goexit() // as t.FailNow does
			return nil, nil
		}},
		{"function: returned nothing for 4 inputs", func(context.Context, *tensor.Tensor) (*tensor.Tensor, error) { return nil, nil }},
		{"function: returned float32[3 2] for 4 inputs, want scores [4 classes]", func(context.Context, *tensor.Tensor) (*tensor.Tensor, error) {
			return tensor.Zeros(tensor.Float32, 3, 2), nil
		}},
		{"of at least 2 classes", func(context.Context, *tensor.Tensor) (*tensor.Tensor, error) {
			return tensor.Zeros(tensor.Float32, 4, 1), nil
		}},
	} {
		m := function.Scores(c.f, function.Options{})
		_, err := attack.Predict(context.Background(), m, x)
		require.ErrorContains(t, err, c.want)
		require.ErrorContains(t, m.Err(), c.want)
		require.Equal(t, strings.Contains(c.want, "server is down"), errors.Is(err, sentinel), c.want)
	}
	m := function.Scores(func(context.Context, *tensor.Tensor) (*tensor.Tensor, error) { return nil, sentinel }, function.Options{})
	_, err := (&attack.Square{Threat: threat}).Run(context.Background(), m, x, answers(x))
	require.ErrorContains(t, err, "server is down")
	require.ErrorIs(t, m.Err(), sentinel)

	classes := 2
	m = function.Scores(func(_ context.Context, x *tensor.Tensor) (*tensor.Tensor, error) {
		classes++
		return tensor.Zeros(tensor.Float32, x.Dim(0), classes), nil
	}, function.Options{BatchSize: 2})
	_, err = attack.Predict(context.Background(), m, x)
	require.ErrorContains(t, err, "returned scores of 3 classes and then of 4")
}

func TestBudgetEndsTheAttack(t *testing.T) {
	x := images(8)
	var asked atomic.Int64
	m := function.Scores(func(ctx context.Context, x *tensor.Tensor) (*tensor.Tensor, error) {
		asked.Add(int64(x.Dim(0)))
		return linear(ctx, x)
	}, function.Options{Budget: 50})
	_, err := (&attack.Square{Threat: attack.Threat{Norm: attack.Linf, Eps: 0.001}, Queries: 100}).Run(context.Background(), m, x, answers(x))
	require.ErrorContains(t, err, "query budget is spent")
	require.ErrorIs(t, m.Err(), function.ErrBudget)
	assert.LessOrEqual(t, asked.Load(), int64(50))
	assert.Equal(t, asked.Load(), m.Queries())
}

// Of a batch whose third call fails, the inputs of the calls after that one are not
// counted and stay in the budget.
func TestOnlyWhatIsAskedIsCounted(t *testing.T) {
	x := images(10)
	calls := 0
	m := function.Scores(func(ctx context.Context, x *tensor.Tensor) (*tensor.Tensor, error) {
		if calls++; calls == 3 {
			return nil, errors.New("server is down")
		}
		return linear(ctx, x)
	}, function.Options{BatchSize: 2, Budget: 16})
	require.Panics(t, func() { m.Logits(x) })
	require.EqualValues(t, 6, m.Queries())
	require.NotPanics(t, func() { m.Logits(x) })
	require.EqualValues(t, 16, m.Queries())
	require.PanicsWithError(t, "function: 1 queries after 16 of 16: query budget is spent", func() { m.Logits(images(1)) })

	// A call that ends while it waits for its turn has asked nothing.
	begun, release := make(chan struct{}), make(chan struct{})
	m = function.Scores(func(ctx context.Context, x *tensor.Tensor) (*tensor.Tensor, error) {
		close(begun)
		<-release
		return linear(ctx, x)
	}, function.Options{Budget: 10})
	answered := make(chan struct{})
	go func() {
		defer close(answered)
		m.Logits(images(4))
	}()
	<-begun
	ctx, cancel := context.WithTimeout(context.Background(), time.Millisecond)
	defer cancel()
	require.Panics(t, func() { m.LogitsContext(ctx, images(6)) })
	require.EqualValues(t, 4, m.Queries())
	require.Panics(t, func() { m.Logits(images(7)) }, "the budget is of 10")
	close(release)
	<-answered
}

// A batch that is refused takes nothing from those that ask meanwhile.
func TestRefusalsDisturbNobody(t *testing.T) {
	const n = 20000
	large, one := images(n+1), images(1)
	answer := tensor.Zeros(tensor.Float32, 1, 2)
	m := function.Scores(func(context.Context, *tensor.Tensor) (*tensor.Tensor, error) { return answer, nil }, function.Options{Budget: n, Parallel: 4})
	try := func(x *tensor.Tensor) (refused bool) {
		defer func() { refused = recover() != nil }()
		m.Logits(x)
		return false
	}
	var left, lost atomic.Int64
	left.Store(n)
	var wg sync.WaitGroup
	for range 2 {
		wg.Go(func() {
			for left.Load() > 0 {
				try(large)
			}
		})
		wg.Go(func() {
			for left.Add(-1) >= 0 {
				if try(one) {
					lost.Add(1)
				}
			}
		})
	}
	wg.Wait()
	assert.Zero(t, lost.Load())
	assert.EqualValues(t, n, m.Queries())
}

// A function that hangs, whether or not it heeds its context, does not hang the
// attack; once it lets go, nothing is left running.
func TestHungFunctionIsGivenUp(t *testing.T) {
	x := images(3)
	_, err := attack.Predict(context.Background(), function.Scores(linear, function.Options{}), x) // starts the thread pool
	require.NoError(t, err)
	before := runtime.NumGoroutine()
	release := make(chan struct{})
	for _, heeds := range []bool{true, false} {
		m := function.Scores(func(ctx context.Context, x *tensor.Tensor) (*tensor.Tensor, error) {
			if heeds {
				<-ctx.Done()
				return nil, ctx.Err()
			}
			<-release
			return linear(ctx, x)
		}, function.Options{Timeout: 20 * time.Millisecond})
		for range 2 { // the second call waits for the first one's turn
			_, err := attack.Predict(context.Background(), m, x)
			require.Error(t, err)
			require.ErrorIs(t, m.Err(), context.DeadlineExceeded)
		}

		ctx, cancel := context.WithCancel(context.Background())
		m = function.Scores(func(context.Context, *tensor.Tensor) (*tensor.Tensor, error) {
			cancel()
			<-release
			return nil, nil
		}, function.Options{Context: ctx})
		_, err := (&attack.Square{Threat: threat}).Run(context.Background(), m, x, answers(x))
		require.ErrorContains(t, err, "context canceled")
		require.ErrorIs(t, m.Err(), context.Canceled)
		_, err = attack.Predict(context.Background(), m, x)
		require.ErrorContains(t, err, "context canceled", "no call begins after the end")

		// The attack's own context ends a call as well.
		ctx, cancel = context.WithCancel(context.Background())
		m = function.Scores(func(ctx context.Context, _ *tensor.Tensor) (*tensor.Tensor, error) {
			cancel()
			if heeds {
				<-ctx.Done()
				return nil, ctx.Err()
			}
			<-release
			return nil, nil
		}, function.Options{})
		_, err = (&attack.Square{Threat: threat}).Run(ctx, m, x, answers(x))
		require.ErrorIs(t, err, context.Canceled)
	}
	close(release)
	for runtime.NumGoroutine() > before {
		time.Sleep(time.Millisecond) // a leak ends in the test's time-out
	}
}

func TestCallsRunAtOnceOnlyAsAllowed(t *testing.T) {
	for _, parallel := range []int{0, 3} {
		var now, most atomic.Int64
		m := function.Scores(func(ctx context.Context, x *tensor.Tensor) (*tensor.Tensor, error) {
			n := now.Add(1)
			for old := most.Load(); n > old && !most.CompareAndSwap(old, n); old = most.Load() {
			}
			runtime.Gosched()
			defer now.Add(-1)
			return linear(ctx, x)
		}, function.Options{Parallel: parallel})
		x := images(2)
		var wg sync.WaitGroup
		for range 50 {
			wg.Add(1)
			go func() {
				defer wg.Done()
				m.Logits(x)
			}()
		}
		wg.Wait()
		assert.LessOrEqual(t, most.Load(), int64(max(1, parallel)))
		assert.Equal(t, int64(100), m.Queries())
	}
}
