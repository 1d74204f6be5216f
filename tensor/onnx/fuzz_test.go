package onnx

import (
	"bytes"
	"math/rand/v2"
	"runtime"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/redoubt-ml/redoubt/tensor"
	"github.com/redoubt-ml/redoubt/tensor/nn"
)

// FuzzRead checks that no file makes Read panic, hang or take much memory, and
// that a small model that is read also runs, with the shape that it announces.
func FuzzRead(f *testing.F) {
	r := rand.New(rand.NewPCG(3, 4))
	for _, c := range cases {
		for range 4 {
			g, _ := c.draw(r)
			g.double = coin(r)
			f.Add(g.file())
		}
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		m, err := Read(bytes.NewReader(b))
		runtime.ReadMemStats(&after)
		if took := after.TotalAlloc - before.TotalAlloc; took > 1<<20+200*uint64(len(b)) {
			t.Fatalf("reading %d bytes took %d bytes of memory", len(b), took)
		}
		if err != nil || m.largest > 1<<12 {
			return
		}
		x := tensor.Zeros(m.DType(), append([]int{2}, m.InputShape()...)...)
		y := m.Forward(&nn.Pass{}, x)
		require.Equal(t, append([]int{2}, m.OutputShape()...), y.Shape())
	})
}
