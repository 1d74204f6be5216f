package main

import (
	"context"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// long returns an experiment whose methods are measured twice on their way and stop
// within a pass over the images.
func long(t *testing.T, state string, methods ...string) *experiment {
	e := tiny(t, state, methods...)
	e.plan.steps, e.plan.curve, e.plan.test = 6, 2, 20
	e.test = e.test.Take(e.plan.test)
	e.x, e.y = e.test.All()
	e.workers, e.quick = 1, false
	return e
}

// requireSame compares all figures but times.
func requireSame(t *testing.T, want, got *experiment) {
	require.Len(t, got.out.Runs, len(want.out.Runs))
	for i, r := range got.out.Runs {
		w := want.out.Runs[i]
		r.Seconds, w.Seconds = 0, 0
		require.Equal(t, w, r)
	}
	require.Equal(t, want.out.Paired, got.out.Paired)
	require.Equal(t, want.out.Crossings, got.out.Crossings)
	require.Equal(t, want.out.Unfinished, got.out.Unfinished)
}

// A program that is interrupted inside of training, again and again, and started again
// with the same flags ends with the figures of one that was not.
func TestInterruptionsChangeNothing(t *testing.T) {
	methods := []string{simCLR, acl, advCL, advCLPseudo, supervised, random, dynACL, deACL, trades}
	whole := long(t, "", methods...)
	require.NoError(t, whole.Run(t.Context()))
	dir := t.TempDir()
	for starts := 1; ; starts++ {
		ctx, cancel := context.WithCancel(t.Context())
		e := long(t, dir, methods...)
		steps := 0
		e.progress.onStep = func(string, int) {
			if steps++; steps == 7 {
				cancel()
			}
		}
		err := e.Run(ctx)
		cancel()
		if err == nil {
			require.Greater(t, starts, 6, "8 methods of 6 steps, 7 each time")
			requireSame(t, whole, e)
			return
		}
		require.ErrorIs(t, err, context.Canceled)
		require.Equal(t, 7, steps, "it stops within a step")
		require.Less(t, starts, 12)
	}
}

// A program that is killed leaves what a later one goes on from, wherever it was: files
// are whole, and what was done after they were written is done again.
func TestAKilledProgramGoesOn(t *testing.T) {
	methods := []string{simCLR, acl, roCL, advCL, advCLPseudo}
	dir := t.TempDir()
	whole := long(t, filepath.Join(dir, "whole"), methods...)
	var copies []string
	// All that a killed program has is the folder as it is at that moment: between two
	// measurements, and right before one.
	whole.progress.onStep = func(name string, step int) {
		if (name != key(acl, 1) || step != 3) && (name != key(advCLPseudo, 1) || step != 4) {
			return
		}
		to := filepath.Join(dir, name)
		require.NoError(t, os.CopyFS(to, os.DirFS(whole.state)))
		copies = append(copies, to)
	}
	require.NoError(t, whole.Run(t.Context()))
	require.Len(t, copies, 2)
	for _, state := range copies {
		e := long(t, state, methods...)
		steps := 0
		e.progress.onStep = func(string, int) { steps++ }
		require.NoError(t, e.Run(t.Context()))
		requireSame(t, whole, e)
		require.Less(t, steps, 4*6, "it did not begin anew")
	}
}
