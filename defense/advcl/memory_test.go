package advcl

import (
	"context"
	"math"
	"runtime"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/redoubt-ml/redoubt/tensor"
	"github.com/redoubt-ml/redoubt/tensor/dataset"
	"github.com/redoubt-ml/redoubt/tensor/nn"
	"github.com/redoubt-ml/redoubt/tensor/optim"
)

// bytesPerStep is the heap memory that a training step takes once it has begun.
func bytesPerStep(t *testing.T, net *Network, m Method, data *dataset.Set, size int) int {
	var before, after runtime.MemStats
	const from, to = 2, 5
	run := Pretraining{Net: net, Method: m, Data: data, Steps: to + 1, BatchSize: size, Schedule: optim.Constant(1e-3), OnStep: func(p nn.Progress) {
		switch p.Step {
		case from:
			runtime.ReadMemStats(&before)
		case to:
			runtime.ReadMemStats(&after)
		}
	}}
	require.NoError(t, run.Run(context.Background()))
	return int(after.TotalAlloc-before.TotalAlloc) / (to - from)
}

// A step keeps images, features and comparisons in memory of earlier steps: what it
// takes beside is bookkeeping, and hardly grows with the batch.
func TestStepsMakeNoGarbageOfImages(t *testing.T) {
	tensor.SetThreads(1)
	defer tensor.SetThreads(0)
	const size = 16
	data := blobs(2*size, 2, 1)
	ids := make([]int, data.Len())
	for i := range ids {
		ids[i] = i % 2
	}
	l := &PseudoLabels{Data: Checksum(data), Heads: []Labelling{{K: 2, ID: ids}}}
	from := teacher(t, data)
	tasks := TaskClasses(Rotation, Jigsaw, Selfie)
	for name, c := range map[string]struct {
		make    func() Method
		classes []int
		sets    []string
	}{
		"SimCLR":       {func() Method { return NewSimCLR(1) }, nil, []string{""}},
		"RoCL":         {func() Method { return NewRoCL(1) }, nil, []string{""}},
		"ACL":          {func() Method { return NewACL(1) }, nil, Routes},
		"AdvCL+pseudo": {func() Method { return NewAdvCL(1).WithPseudoLabels(l) }, []int{2}, Routes},
		"DeACL":        {func() Method { return NewDeACL(from, 1) }, nil, []string{""}},
		"AP-DPE":       {func() Method { return NewAPDPE(1) }, tasks, []string{"", Patches}},
	} {
		small := bytesPerStep(t, network(1, c.classes, c.sets...), c.make(), data, size)
		large := bytesPerStep(t, network(1, c.classes, c.sets...), c.make(), data, 2*size)
		images := size * data.H * data.W * data.C * 4
		assert.Less(t, large-small, images/2, name)
	}
}

// What keeps an anchor from itself is made once for each number of anchors, belongs to a
// training, and changes no value.
func TestDiagonalsAreMadeOnce(t *testing.T) {
	c, data := NewRoCL(1), blobs(16, 2, 1)
	net := network(1, nil)
	for range 2 {
		oneStep(t, c, net, data, 8)
	}
	require.Len(t, c.diagonals, 2, "of three and of two views")
	kept := c.diagonals.of(tensor.Float32, 24)
	require.Same(t, kept, c.diagonals.of(tensor.Float32, 24))
	for a := range 24 {
		for k := range 24 {
			if a == k {
				require.True(t, math.IsInf(kept.At(a, k), -1))
			} else {
				require.Zero(t, kept.At(a, k))
			}
		}
	}
	require.NotSame(t, diagonals(nil).of(tensor.Float32, 4), diagonals(nil).of(tensor.Float32, 4))
	require.Equal(t, tensor.Float64, c.diagonals.of(tensor.Float64, 24).DType())
	require.NoError(t, c.Check(net, data))
	oneStep(t, c, net, data, 4)
	require.Len(t, c.diagonals, 2, "those of the last training are gone")
}
