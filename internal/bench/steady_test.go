package main

import (
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestSteadyStepsAllocateLittle(t *testing.T) {
	for _, c := range []struct {
		workload
		batch int
	}{{cnn, 8}, {mlp, 128}, {resnet, 2}} {
		bytes := allocated(c.training(c.batch), 2)
		t.Logf("%s: %.0f bytes per step", c.name, bytes)
		assert.Less(t, bytes, 64e3, c.name)
	}
}

func TestSteadyStepsNeedNoGarbageCollection(t *testing.T) {
	assert.Zero(t, cycles(mlp.training(128), 100))
	assert.Zero(t, cycles(cnn.training(2), 100))
}

func TestExportedNetworksAreComplete(t *testing.T) {
	for _, w := range []workload{cnn, mlp, resnet} {
		logits, err := w.export(t.TempDir()+"/net.onnx", 2)
		assert.NoError(t, err)
		assert.Len(t, logits, 10)
	}
}
