package minmax

import (
	"context"
	"errors"
	"fmt"
	"math"

	"github.com/redoubt-ml/redoubt/internal/ask"
	"github.com/redoubt-ml/redoubt/tensor"
)

var _ Domains = (*Functions)(nil)

// Functions are domains of the caller's own: any differentiable losses of a point.
type Functions struct {
	// At holds the centres [N, ...] of the balls.
	At *tensor.Tensor
	// Losses are the domains, at least one: each returns the losses [n] of points v
	// [n, ...], differentiable in v, for the rows that they belong to. Several
	// goroutines may call them.
	Losses []func(v *tensor.Tensor, at Rows) *tensor.Tensor
	// Labels are the names of the domains; nil means "domain 0" and so on.
	Labels []string
	// Lo and Hi are the ends of the box of the points, around all centres; both 0
	// mean none.
	Lo, Hi float64
}

// Names returns the labels.
func (f *Functions) Names() []string {
	if f.Labels != nil {
		return f.Labels
	}
	names := make([]string, len(f.Losses))
	for i := range names {
		names[i] = fmt.Sprintf("domain %d", i)
	}
	return names
}

// Check implements Domains.
func (f *Functions) Check() error {
	if len(f.Losses) == 0 {
		return errors.New("minmax: no domains")
	}
	for i, l := range f.Losses {
		if l == nil {
			return fmt.Errorf("minmax: loss of domain %d is nil", i)
		}
	}
	if f.Labels != nil && len(f.Labels) != len(f.Losses) {
		return fmt.Errorf("minmax: %d labels for %d domains", len(f.Labels), len(f.Losses))
	}
	if f.At == nil || f.At.Rank() < 2 || f.At.Len() == 0 {
		return errors.New("minmax: centres must be a batch [N, ...] that is not empty")
	}
	if !tensor.AllFinite(f.At) {
		return errors.New("minmax: a centre is not finite")
	}
	return nil
}

// Center returns At.
func (f *Functions) Center() *tensor.Tensor { return f.At }

// Box writes Lo and Hi, or infinities.
func (f *Functions) Box(_ int, lo, hi []float64) {
	l, h := f.Lo, f.Hi
	if l == 0 && h == 0 {
		l, h = math.Inf(-1), math.Inf(1)
	}
	for i := range lo {
		lo[i], hi[i] = l, h
	}
}

// Start returns ZeroStart.
func (f *Functions) Start() Start { return ZeroStart }

// Play implements Domains.
func (f *Functions) Play(ctx context.Context, v *tensor.Tensor, at Rows) (Outcome, error) {
	n := len(at.Index)
	columns := make([]*tensor.Tensor, len(f.Losses))
	for k, name := range f.Names() {
		values, err := call(ctx, f.Losses[k], name, v, at)
		if err != nil {
			return Outcome{}, err
		}
		columns[k] = tensor.Reshape(values, n, 1)
	}
	return Outcome{Losses: tensor.Concat(1, columns...)}, nil
}

func call(ctx context.Context, f func(*tensor.Tensor, Rows) *tensor.Tensor, name string, v *tensor.Tensor, at Rows) (*tensor.Tensor, error) {
	// Of its own, so that a goroutine that was left behind changes nothing.
	var own struct {
		values *tensor.Tensor
		err    error
	}
	err := ask.Wait(ctx, "minmax", func() {
		defer func() {
			if p := recover(); p != nil {
				own.err = ask.Raised(p, "minmax: %s: loss panicked at step %d", name, at.Step)
			}
		}()
		own.values = f(v, at)
	})
	if err == nil {
		err = own.err
	}
	if err != nil {
		return nil, err
	}
	values := own.values
	n := len(at.Index)
	if values == nil || values.Rank() != 1 || values.Dim(0) != n || values.DType() != v.DType() {
		got := "nothing"
		if values != nil {
			got = fmt.Sprintf("%v%v", values.DType(), values.Shape())
		}
		return nil, fmt.Errorf("minmax: %s: loss returned %s for %d points, want %v[%d]", name, got, n, v.DType(), n)
	}
	return values, nil
}
