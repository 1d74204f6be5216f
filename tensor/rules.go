package tensor

// op names a primitive: an operation with a derivative rule of its own.
type op uint8

const (
	opLeaf op = iota
	opNeg
	opAbs
	opSquare
	opSqrt
	opRecip
	opExp
	opExpm1
	opLog
	opLog1p
	opTanh
	opSigmoid
	opSoftplus
	opSin
	opCos
	opReLU
	opMaskPositive
	opAffine
	opPowScalar
	opClamp
	opAdd
	opSub
	opMul
	opDiv
	opPow
	opMaximum
	opMinimum
	opWhere
	opBroadcastTo
	opSumTo
	opDot
	opMatMul
	opConv
	opConvImages
	opConvFilters
	opConvMaxPool
	opMaxPool
	opMaxUnpool
	opAvgPool
	opAvgUnpool
	opTake
	opPut
	opGather
	opScatterAdd
	opReshape
	opTranspose
	opSlice
	opPad
	opConcat
	opFlip
	opSoftmax
	opLogSoftmax
	opCrossEntropy
	opBatchNorm
	opScaleShift
	opCustom
	numOps
)

// names are what error messages call the primitives.
var names = [numOps]string{
	opLeaf: "Watch", opNeg: "Neg", opAbs: "Abs", opSquare: "Square", opSqrt: "Sqrt", opRecip: "Recip",
	opExp: "Exp", opExpm1: "Expm1", opLog: "Log", opLog1p: "Log1p", opTanh: "Tanh", opSigmoid: "Sigmoid",
	opSoftplus: "Softplus", opSin: "Sin", opCos: "Cos", opReLU: "ReLU", opMaskPositive: "ReLU backward",
	opAffine: "Affine", opPowScalar: "PowScalar", opClamp: "Clamp",
	opAdd: "Add", opSub: "Sub", opMul: "Mul", opDiv: "Div", opPow: "Pow",
	opMaximum: "Maximum", opMinimum: "Minimum", opWhere: "Where",
	opBroadcastTo: "BroadcastTo", opSumTo: "SumTo", opDot: "Dot", opMatMul: "MatMul",
	opConv: "Conv2D", opConvImages: "Conv2D backward to images", opConvFilters: "Conv2D backward to filters",
	opConvMaxPool: "Conv2DMaxPool", opMaxPool: "MaxPool", opMaxUnpool: "MaxPool backward",
	opAvgPool: "AvgPool", opAvgUnpool: "AvgPool backward", opTake: "Take", opPut: "Put",
	opGather: "Gather", opScatterAdd: "ScatterAdd",
	opReshape: "Reshape", opTranspose: "Transpose", opSlice: "Slice", opPad: "Pad", opConcat: "Concat", opFlip: "Flip",
	opSoftmax: "Softmax", opLogSoftmax: "LogSoftmax", opCrossEntropy: "CrossEntropy",
	opBatchNorm: "BatchNorm", opScaleShift: "ScaleShift", opCustom: "Custom",
}

// rules holds, for each primitive, the function that takes a gradient of its
// result back to its operands. The functions are written in the same
// primitives, so that a gradient can be differentiated in turn; each stands
// beside its primitive.
var rules = [numOps]func(*back){
	opNeg: backNeg, opAbs: backAbs, opSquare: backSquare, opSqrt: backSqrt, opRecip: backRecip,
	opExp: backExp, opExpm1: backExpm1, opLog: backLog, opLog1p: backLog1p, opTanh: backTanh, opSigmoid: backSigmoid,
	opSoftplus: backSoftplus, opSin: backSin, opCos: backCos, opReLU: backReLU, opMaskPositive: backMaskPositive,
	opAffine: backAffine, opPowScalar: backPowScalar, opClamp: backClamp,
	opAdd: backAdd, opSub: backSub, opMul: backMul, opDiv: backDiv, opPow: backPow,
	opMaximum: backMaximum, opMinimum: backMinimum, opWhere: backWhere,
	opBroadcastTo: backBroadcastTo, opSumTo: backSumTo, opDot: backDot, opMatMul: backMatMul,
	opConv: backConv, opConvImages: backConvImages, opConvFilters: backConvFilters,
	opConvMaxPool: backConvMaxPool, opMaxPool: backMaxPool, opMaxUnpool: backMaxUnpool,
	opAvgPool: backAvgPool, opAvgUnpool: backAvgUnpool, opTake: backTake, opPut: backPut,
	opGather: backGather, opScatterAdd: backScatterAdd,
	opReshape: backReshape, opTranspose: backTranspose, opSlice: backSlice, opPad: backPad, opConcat: backConcat, opFlip: backFlip,
	opSoftmax: backSoftmax, opLogSoftmax: backLogSoftmax, opCrossEntropy: backCrossEntropy,
	opBatchNorm: backBatchNorm, opScaleShift: backScaleShift, opCustom: backCustom,
}
