package onnx

import (
	"fmt"
	"math/rand/v2"
	"testing"
)

// cases holds, for each operator, what draws a graph that uses it with random
// shapes and attributes, and the output by the operator's plain definition.
var cases = []struct {
	name string
	draw func(r *rand.Rand) (*graph, array)
}{
	{"Conv", drawConv}, {"Gemm", drawGemm},
	{"MatMul of weights", drawMatMulWeights}, {"MatMul of stacks", drawMatMulStacks}, {"MatMul of vectors", drawMatMulVector},
	{"BatchNormalization", drawBatchNorm}, {"LayerNormalization", drawLayerNorm}, {"activations", drawActivation}, {"Clip", drawClip}, {"PRelu", drawPRelu},
	{"MaxPool", drawPool}, {"AveragePool", drawPool}, {"global pooling", drawGlobalPool}, {"ReduceMean and ReduceSum", drawReduce},
	{"Softmax", drawSoftmax}, {"Flatten", drawFlatten}, {"Flatten and Gemm", drawFlattenGemm}, {"Reshape", drawReshape},
	{"Transpose", drawTranspose}, {"Squeeze", drawSqueeze}, {"Unsqueeze", drawUnsqueeze},
	{"Concat", drawConcat}, {"Slice", drawSlice}, {"Split", drawSplit}, {"Pad", drawPad}, {"Gather", drawGather},
	{"arithmetic", drawArithmetic}, {"Pow", drawPow}, {"Sum, Max and Min", drawVariadic}, {"Dropout, Identity and Cast", drawPassing},
	{"shape computation", drawShapeChain}, {"computed pads", drawComputedPads}, {"folded constants", drawFolded}, {"images last", drawImagesLast},
}

func TestOperatorsAreTheirDefinitions(t *testing.T) {
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			for seed := range uint64(60) {
				ok := t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
					r := rand.New(rand.NewPCG(seed, uint64(len(c.name))))
					g, want := c.draw(r)
					g.check(t, want)
				})
				if !ok {
					break
				}
			}
		})
	}
}

func between(r *rand.Rand, lo, hi int) int { return lo + r.IntN(hi-lo+1) }

func coin(r *rand.Rand) bool { return r.IntN(2) == 0 }

func anyOpset(r *rand.Rand) int { return between(r, MinOpset, MaxOpset) }

// shape draws extents of which the first is the batch.
func shape(r *rand.Rand, rank int) []int {
	dims := make([]int, rank)
	for i := range dims {
		dims[i] = between(r, 1, 4)
	}
	return dims
}

func apply(a array, f func(v float64) float64) array {
	return fill(a.dims, func(idx []int) float64 { return f(a.at(idx...)) })
}

func reshaped(a array, dims ...int) array { return array{dims, a.v} }
