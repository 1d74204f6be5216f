package onnx

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// folding says which inputs become operands of the computation when all of a
// node's inputs are constants.
type folding uint8

const (
	foldNone  folding = iota // not computed ahead
	foldFirst                // the first; the others are read while compiling
	foldAll
)

// operator is a supported operator.
type operator struct {
	least, most int // inputs
	fold        folding
	build       func(k *call) (*value, error)
	// onWholes, if not nil, computes the operator where the first input holds
	// whole numbers.
	onWholes func(k *call) (*value, error)
}

// operators holds all that are supported.
var operators = supported()

func supported() map[string]operator {
	all := map[string]operator{
		"Conv": {2, 3, foldNone, buildConv, nil},
		"Gemm": {2, 3, foldNone, buildGemm, nil}, "MatMul": {2, 2, foldNone, buildMatMul, nil},
		"BatchNormalization": {5, 5, foldNone, buildBatchNorm, nil},
		"MaxPool":            {1, 1, foldNone, buildMaxPool, nil}, "AveragePool": {1, 1, foldNone, buildAveragePool, nil},
		"GlobalAveragePool": {1, 1, foldNone, buildGlobalPool, nil}, "GlobalMaxPool": {1, 1, foldNone, buildGlobalPool, nil},
		"ReduceMean": {1, 2, foldFirst, buildReduce, nil}, "ReduceSum": {1, 2, foldFirst, buildReduce, nil},
		"LayerNormalization": {2, 3, foldNone, buildLayerNorm, nil}, "Split": {1, 2, foldNone, buildSplit, nil},
		"Sum": {1, maxElements, foldAll, buildVariadic, nil}, "Max": {1, maxElements, foldAll, buildVariadic, nil}, "Min": {1, maxElements, foldAll, buildVariadic, nil},
		"Softmax": {1, 1, foldFirst, buildSoftmax, nil}, "LogSoftmax": {1, 1, foldFirst, buildSoftmax, nil},
		"Dropout":  {1, 3, foldFirst, buildDropout, nil},
		"Clip":     {1, 3, foldFirst, buildClip, nil},
		"Identity": {1, 1, foldNone, buildIdentity, buildIdentity}, "Cast": {1, 1, foldNone, buildCast, castWholes},
		"Constant": {0, 0, foldNone, buildConstant, nil}, "ConstantOfShape": {1, 1, foldNone, buildConstantOfShape, buildConstantOfShape}, "Shape": {1, 1, foldNone, buildShape, buildShape},
		"Flatten": {1, 1, foldFirst, buildFlatten, nil}, "Reshape": {2, 2, foldFirst, buildReshape, moving(foldFirst, buildReshape)},
		"Transpose": {1, 1, foldFirst, buildTranspose, moving(foldFirst, buildTranspose)},
		"Squeeze":   {1, 2, foldFirst, buildSqueeze, moving(foldFirst, buildSqueeze)}, "Unsqueeze": {1, 2, foldFirst, buildUnsqueeze, moving(foldFirst, buildUnsqueeze)},
		"Concat": {1, maxElements, foldAll, buildConcat, moving(foldAll, buildConcat)}, "Slice": {1, 5, foldFirst, buildSlice, moving(foldFirst, buildSlice)},
		"Pad": {1, 4, foldFirst, buildPad, nil}, "Gather": {2, 2, foldFirst, buildGather, moving(foldFirst, buildGather)},
		"Add": {2, 2, foldAll, buildArithmetic, arithmeticOnWholes}, "Sub": {2, 2, foldAll, buildArithmetic, arithmeticOnWholes},
		"Mul": {2, 2, foldAll, buildArithmetic, arithmeticOnWholes}, "Div": {2, 2, foldAll, buildArithmetic, arithmeticOnWholes},
		"Pow": {2, 2, foldAll, buildArithmetic, nil}, "PRelu": {2, 2, foldNone, buildArithmetic, nil},
	}
	for name := range activations {
		all[name] = operator{1, 1, foldFirst, buildActivation, nil}
	}
	return all
}

// checkOperators returns an error that names the first node whose operator is
// not supported, and all such operators.
func checkOperators(nodes []*nodeProto) error {
	var first *nodeProto
	missing := map[string]bool{}
	for _, n := range nodes {
		name := n.op
		if domain := domainName(n.domain); domain != "" {
			name = domain + "." + n.op
		} else if _, ok := operators[n.op]; ok {
			continue
		}
		missing[name] = true
		if first == nil {
			first = n
		}
	}
	if first == nil {
		return nil
	}
	return fmt.Errorf("%v: operator not supported; the model needs %s, and supported are %s", first,
		strings.Join(slices.Sorted(maps.Keys(missing)), ", "), strings.Join(slices.Sorted(maps.Keys(operators)), ", "))
}
