package minmax_test

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/redoubt-ml/redoubt/attack"
	. "github.com/redoubt-ml/redoubt/attack/minmax"
	"github.com/redoubt-ml/redoubt/tensor"
)

// hanging answers until the call'th question; that one cancels, and no answer comes
// before release is closed.
func hanging(m attack.Model, call int32, cancel func(), release chan struct{}) attack.Model {
	calls := new(atomic.Int32)
	return answering(func(x *tensor.Tensor) *tensor.Tensor {
		if calls.Add(1) >= call {
			cancel()
			<-release
		}
		return m.Logits(x)
	})
}

// A model that does not answer does not hold a call whose context is done, whatever
// the domains; that nothing is left running then is checked after the tests.
func TestHungModelIsLeft(t *testing.T) {
	x, y := inputs(1, 6, 4, 4)
	m := network(1, 4, 4)
	release := make(chan struct{})
	defer close(release)
	for name, call := range map[string]func(ctx context.Context, hung attack.Model) error{
		"ensemble": func(ctx context.Context, hung attack.Model) error {
			res, err := (&APGDA{Threat: box(0.1)}).Run(ctx, Ensemble([]attack.Model{m, hung}, x, y))
			require.Len(t, res.Losses, len(y))
			return err
		},
		"group": func(ctx context.Context, hung attack.Model) error {
			_, err := (&APGDA{Threat: box(0.1), Restarts: 2}).Run(ctx, &Group{Model: hung, X: x, Y: y, Size: 2})
			return err
		},
		"functions": func(ctx context.Context, hung attack.Model) error {
			f := &Functions{At: tensor.Zeros(x.DType(), x.Shape()...)}
			for k := range 2 {
				f.Losses = append(f.Losses, func(v *tensor.Tensor, _ Rows) *tensor.Tensor {
					return tensor.Sum(tensor.Slice(hung.Logits(v), 1, k, k+1), 1)
				})
			}
			_, err := (&APGDA{Threat: box(0.1)}).Run(ctx, f)
			return err
		},
		"judge": func(ctx context.Context, hung attack.Model) error {
			_, _, err := Judge(ctx, Ensemble([]attack.Model{hung, m, hung}, x, y), x, 1)
			return err
		},
		"clean labels": func(ctx context.Context, hung attack.Model) error {
			_, err := Ensemble([]attack.Model{hung, m, hung}, x, y).CleanLabels(ctx, 1)
			return err
		},
		"bundle": func(ctx context.Context, hung attack.Model) error {
			_, err := (&attack.PGD{Threat: box(0.1), Steps: 3}).Run(ctx, Bundle{Models: []attack.Model{m, hung}}, x, y)
			return err
		},
		"bundle in an ensemble": func(ctx context.Context, hung attack.Model) error {
			_, err := (&APGDA{Threat: box(0.1)}).Run(ctx, Ensemble([]attack.Model{m, Bundle{Models: []attack.Model{hung}}}, x, y))
			return err
		},
	} {
		for _, at := range []int32{1, 2} {
			ctx, cancel := context.WithCancel(t.Context())
			require.ErrorIs(t, call(ctx, hanging(m, at, cancel, release)), context.Canceled, "%s, question %d", name, at)
			cancel()
		}
	}
}

// contextual is a model that gives up by itself.
type contextual struct {
	attack.Model
	asked *atomic.Int32
	first chan struct{} // closed by the first question
}

func (m contextual) LogitsContext(ctx context.Context, x *tensor.Tensor) *tensor.Tensor {
	if m.asked.Add(1) == 1 {
		close(m.first)
	}
	<-ctx.Done()
	panic(ctx.Err())
}

func TestContextModelHearsTheContext(t *testing.T) {
	x, y := inputs(1, 2, 4, 4)
	plain := network(1, 4, 4)
	for _, wrap := range []func(attack.Model) attack.Model{
		same, func(m attack.Model) attack.Model { return Bundle{Models: []attack.Model{m}} },
	} {
		m := contextual{plain, new(atomic.Int32), make(chan struct{})}
		done, stop := context.WithCancel(t.Context())
		go func() {
			<-m.first
			stop()
		}()
		_, _, err := Judge(done, Ensemble([]attack.Model{plain, wrap(m)}, x, y), x, 1)
		require.ErrorIs(t, err, context.Canceled)
	}
}

// The error that a model, a loss or a transformation panics with can be told.
func TestPanicsAreWrapped(t *testing.T) {
	x, y := inputs(1, 2, 4, 4)
	m := network(1, 4, 4)
	luck := errors.New("no luck")
	unlucky := answering(func(*tensor.Tensor) *tensor.Tensor { panic(luck) })
	_, err := (&APGDA{}).Run(t.Context(), Ensemble([]attack.Model{m, unlucky}, x, y))
	require.ErrorIs(t, err, luck)
	require.ErrorContains(t, err, "minmax: model 1: model panicked at step 0: no luck")
	_, err = (&APGDA{}).Run(t.Context(), Ensemble([]attack.Model{m, Bundle{Models: []attack.Model{m, unlucky}}}, x, y))
	require.ErrorIs(t, err, luck)
	_, err = (&APGDA{}).Run(t.Context(), &Functions{At: point(2), Losses: []func(*tensor.Tensor, Rows) *tensor.Tensor{
		func(*tensor.Tensor, Rows) *tensor.Tensor { panic(luck) }, parabolas().Losses[0],
	}})
	require.ErrorIs(t, err, luck)
}
