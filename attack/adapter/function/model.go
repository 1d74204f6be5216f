package function

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/redoubt-ml/redoubt/attack"
	"github.com/redoubt-ml/redoubt/internal/ask"
	"github.com/redoubt-ml/redoubt/tensor"
)

var _ attack.ContextModel = (*Model)(nil)

// Errors that a call can end with, besides those of the function and of the
// context.
var (
	ErrBudget   = errors.New("query budget is spent")
	ErrGradient = errors.New("a black-box model has no gradient; use an attack that needs none")
)

// Options says how a function is called. The zero value calls it with whole
// batches, one call at a time, without limits.
type Options struct {
	// Context ends all calls when it is done; nil means context.Background.
	Context context.Context
	// Timeout is the longest that one call may take, waiting for its turn
	// included; 0 means no limit. The function's context is then done. One
	// that goes on all the same is left alone: its answer is dropped, and it
	// keeps its place among the Parallel calls until it returns.
	Timeout time.Duration
	// BatchSize is the largest number of inputs in one call; 0 means no limit.
	BatchSize int
	// Parallel is the number of calls that may run at once; 0 means 1.
	Parallel int
	// Budget is the number of inputs that the function may be asked about in
	// all; 0 means no limit. A batch that exceeds what is left, less what batches
	// under way have yet to ask, is not asked about. Of what attacks ask, their
	// own count leaves out up to 32 questions to begin with, and more for the State of
	// AutoAttack: see package attack.
	Budget int64
}

// Model is a function as the target of black-box attacks. Several goroutines may
// use it.
type Model struct {
	f     func(ctx context.Context, x *tensor.Tensor) (*tensor.Tensor, error)
	o     Options
	turns chan struct{}

	mu  sync.Mutex
	err error
	// Inputs that the function has been asked about, and those of batches under
	// way that it is still to be asked about.
	asked, reserved int64
}

// Scores returns the model of a function from inputs x [N, ...] to scores
// [N, classes], of which the highest is the answer: logits, or probabilities for
// attacks that do not need logits. x is the function's own; float32 and float64
// scores will do. It panics if f is nil or an option is negative.
func Scores(f func(ctx context.Context, x *tensor.Tensor) (*tensor.Tensor, error), o Options) *Model {
	if f == nil {
		panic("function: no function")
	}
	if o.Timeout < 0 || o.BatchSize < 0 || o.Parallel < 0 || o.Budget < 0 {
		panic(fmt.Sprintf("function: options %+v, want no negative number", o))
	}
	if o.Context == nil {
		o.Context = context.Background()
	}
	return &Model{f: f, o: o, turns: make(chan struct{}, max(1, o.Parallel))}
}

// Labels returns the model of a function from inputs x [N, ...] to one label, 0
// to classes-1, for each. The label's score is 1 and the others' 0, so the model
// suits attacks that go by the answer alone. It panics as Scores does, or with
// less than 2 classes.
func Labels(f func(ctx context.Context, x *tensor.Tensor) ([]int, error), classes int, o Options) *Model {
	if f == nil {
		panic("function: no function")
	}
	if classes < 2 {
		panic(fmt.Sprintf("function: %d classes, want at least 2", classes))
	}
	return Scores(func(ctx context.Context, x *tensor.Tensor) (*tensor.Tensor, error) {
		n, dtype := x.Dim(0), x.DType()
		labels, err := f(ctx, x)
		if err != nil {
			return nil, err
		}
		if len(labels) != n {
			return nil, fmt.Errorf("returned %d labels for %d inputs", len(labels), n)
		}
		for i, l := range labels {
			if l < 0 || l >= classes {
				return nil, fmt.Errorf("returned label %d for input %d of a call, want 0 to %d", l, i, classes-1)
			}
		}
		return tensor.OneHot(dtype, labels, classes), nil
	}, o)
}

// Queries returns the number of inputs that the function has been asked about,
// answered or not.
func (m *Model) Queries() int64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.asked
}

// Err returns the first error that a call ended with, nil for none.
func (m *Model) Err() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.err
}

// Logits asks the function about inputs x [N, ...]. It panics with an error if
// that goes wrong, see the package's documentation. What depends on x through it
// has no gradient: asking for it panics with ErrGradient.
func (m *Model) Logits(x *tensor.Tensor) *tensor.Tensor {
	return m.LogitsContext(context.Background(), x)
}

// LogitsContext is Logits until ctx is done: that ends the call as the end of
// Options.Context does. Attacks call it with their own context.
func (m *Model) LogitsContext(ctx context.Context, x *tensor.Tensor) *tensor.Tensor {
	y, err := m.ask(ctx, x)
	if err != nil {
		m.fail(err)
	}
	return tensor.Custom(tensor.Rule{
		Name: "function",
		Backward: func(*tensor.Tensor, []bool) []*tensor.Tensor {
			m.fail(ErrGradient)
			return nil
		},
	}, y, x)
}

// fail keeps the first error and panics.
func (m *Model) fail(err error) {
	err = fmt.Errorf("function: %w", err)
	m.mu.Lock()
	if m.err == nil {
		m.err = err
	}
	m.mu.Unlock()
	panic(err)
}

// ask calls the function, in pieces if the batch is too large for one call.
func (m *Model) ask(ctx context.Context, x *tensor.Tensor) (*tensor.Tensor, error) {
	if x == nil || x.Rank() < 1 || x.Dim(0) == 0 {
		return nil, errors.New("no inputs, want a batch [N, ...]")
	}
	n := x.Dim(0)
	if err := m.reserve(n); err != nil {
		return nil, err
	}
	left := n // to be asked about
	defer func() { m.move(left, 0) }()
	size := m.o.BatchSize
	if size == 0 || size > n {
		size = n
	}
	var parts []*tensor.Tensor
	for lo := 0; lo < n; lo += size {
		part := tensor.Slice(x.Detach(), 0, lo, min(lo+size, n)).Clone()
		k := part.Dim(0)
		y, err := m.call(ctx, part, func() {
			m.move(k, k)
			left -= k
		})
		if err != nil {
			return nil, err
		}
		if len(parts) > 0 && y.Dim(1) != parts[0].Dim(1) {
			return nil, fmt.Errorf("returned scores of %d classes and then of %d", parts[0].Dim(1), y.Dim(1))
		}
		parts = append(parts, y)
	}
	return tensor.Concat(0, parts...), nil
}

// reserve sets n questions of the budget aside.
func (m *Model) reserve(n int) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if taken := m.asked + m.reserved; m.o.Budget > 0 && int64(n) > m.o.Budget-taken {
		return fmt.Errorf("%d queries after %d of %d: %w", n, taken, m.o.Budget, ErrBudget)
	}
	m.reserved += int64(n)
	return nil
}

// move gives back questions that were set aside, of which some have been asked.
func (m *Model) move(reserved, asked int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.reserved -= int64(reserved)
	m.asked += int64(asked)
}

// outcome is what a call returned.
type outcome struct {
	y   *tensor.Tensor
	err error
}

// call makes one call in a goroutine of its own, so that a function that hangs
// does not hang its caller. It calls begin once the function is about to be asked.
func (m *Model) call(caller context.Context, x *tensor.Tensor, begin func()) (*tensor.Tensor, error) {
	ctx, end := context.WithCancelCause(m.o.Context)
	defer end(nil)
	defer context.AfterFunc(caller, func() { end(context.Cause(caller)) })()
	if caller.Err() != nil {
		return nil, context.Cause(caller)
	}
	if m.o.Timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeoutCause(ctx, m.o.Timeout, fmt.Errorf("no answer within %v: %w", m.o.Timeout, context.DeadlineExceeded))
		defer cancel()
	}
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	select {
	case m.turns <- struct{}{}:
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
	begin()
	n, dtype := x.Dim(0), x.DType()
	done := make(chan outcome, 1)
	go func() {
		defer func() { <-m.turns }()
		out := outcome{err: fmt.Errorf("ended its goroutine on %d inputs, want an answer", n)}
		defer func() { done <- out }() // also after runtime.Goexit
		out.y, out.err = m.guarded(ctx, x)
	}()
	select {
	case r := <-done:
		if r.err != nil {
			return nil, r.err
		}
		return checked(r.y, n, dtype)
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

// guarded turns a panic of the function into an error.
func (m *Model) guarded(ctx context.Context, x *tensor.Tensor) (y *tensor.Tensor, err error) {
	defer func() {
		if p := recover(); p != nil {
			y, err = nil, ask.Raised(p, "panicked on %d inputs", x.Dim(0))
		}
	}()
	return m.f(ctx, x)
}

// checked returns scores in the type of the inputs, in memory of their own.
func checked(y *tensor.Tensor, n int, dtype tensor.DType) (*tensor.Tensor, error) {
	if y == nil {
		return nil, fmt.Errorf("returned nothing for %d inputs, want scores [%d classes]", n, n)
	}
	if y.Rank() != 2 || y.Dim(0) != n || y.Dim(1) < 2 {
		return nil, fmt.Errorf("returned %v%v for %d inputs, want scores [%d classes] of at least 2 classes", y.DType(), y.Shape(), n, n)
	}
	return y.To(dtype), nil
}
