package onnx

import (
	"bytes"
	"fmt"
	"testing"
	"time"
)

// manyNames is a file with n inputs that initializers give a value, and a node of n
// attributes, which Read refuses last.
func manyNames(n int) []byte {
	g := newGraph(13, zeros(1, 2))
	a := attrs{}
	for i := range n {
		a[fmt.Sprint("attribute", i)] = i
	}
	g.node("Relu", a, "x")
	b := g.graphProto()
	for i := range n {
		name := fmt.Sprint("given", i)
		b = message(b, 5, g.tensor(name, zeros(1), []int{1}))
		b = message(b, 11, valueInfo(name, g.floatType(), []int{1}, 1))
	}
	return g.modelProto(b)
}

// Time grows as the number of names does: with a tenfold number to about tenfold.
func BenchmarkReadManyNames(b *testing.B) {
	var took [2]time.Duration
	files := [2][]byte{manyNames(1000), manyNames(10000)}
	for b.Loop() {
		for i, file := range files {
			start := time.Now()
			if _, err := Read(bytes.NewReader(file)); err == nil {
				b.Fatal("read, want an error about an attribute")
			}
			took[i] += time.Since(start)
		}
	}
	b.ReportMetric(took[1].Seconds()/took[0].Seconds(), "times-for-tenfold")
}
