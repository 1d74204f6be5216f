package nn_test

import (
	"runtime"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/redoubt-ml/redoubt/tensor"
	"github.com/redoubt-ml/redoubt/tensor/nn"
)

// bytesPerRun is the heap memory that f takes when it is called again and again.
func bytesPerRun(f func()) int {
	tensor.SetThreads(1)
	defer tensor.SetThreads(0)
	f()
	const runs = 20
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for range runs {
		f()
	}
	runtime.ReadMemStats(&after)
	return int(after.TotalAlloc-before.TotalAlloc) / runs
}

// On a tape a layer computes everything in the tape's memory: what is left is
// bookkeeping, however wide the layer.
func TestLayersMakeNoGarbageOnATape(t *testing.T) {
	const c = 1 << 14
	x := tensor.Full(tensor.Float32, 0.5, 2, c)
	ones := make([]float64, c)
	for i := range ones {
		ones[i] = 1
	}
	r := rng()
	for name, l := range map[string]nn.Layer{
		"BatchNorm": nn.NewBatchNorm(c), "Normalize": nn.NewNormalize(ones, ones), "Dropout": nn.Dropout(0.5),
	} {
		for _, watch := range []bool{false, true} {
			tape := tensor.NewTape()
			got := bytesPerRun(func() {
				tape.Reset()
				p := &nn.Pass{Train: name == "Dropout", Rand: r}
				if watch {
					l.Forward(p, tape.Watch(x))
				} else {
					l.Forward(p, tape.Const(x))
				}
			})
			require.Less(t, got, 8<<10, "%s, watched %v", name, watch)
		}
	}
}
