package tensor

import (
	"fmt"
	"math"

	"github.com/redoubt-ml/redoubt/internal/kernel"
	"github.com/redoubt-ml/redoubt/internal/par"
)

// Softmax returns exp(x)/sum(exp(x)) along the last axis.
func Softmax(x *Tensor) *Tensor { return rowOp(opSoftmax, x) }

func backSoftmax(b *back) {
	// p (g - sum(p g))
	pg := Mul(b.out, b.g)
	b.grads[0] = Sub(pg, Mul(b.out, sumLast(pg)))
}

// LogSoftmax returns x - log(sum(exp(x))) along the last axis.
func LogSoftmax(x *Tensor) *Tensor { return rowOp(opLogSoftmax, x) }

func backLogSoftmax(b *back) {
	// g - softmax sum(g)
	b.grads[0] = Sub(b.g, Mul(Exp(b.out), sumLast(b.g)))
}

// sumLast sums over the last axis and keeps it with extent 1.
func sumLast(x *Tensor) *Tensor { return sumTo(x, x.shape.with(x.shape.rank()-1, 1)) }

func rowOp(code op, x *Tensor) *Tensor {
	name := names[code]
	t := operandsOf(name, x)
	c := lastAxis(name, x)
	y := newOn(t, x.dtype, x.shape)
	if x.dtype == Float32 {
		rowOpOn(code, y.f32, x.f32, c)
	} else {
		rowOpOn(code, y.f64, x.f64, c)
	}
	return t.record(node{op: code}, y, x)
}

func rowOpOn[T kernel.Float](code op, y, x []T, c int) {
	par.For(len(x)/c, max(1, grain/(8*c)), func(lo, hi int) {
		if code == opSoftmax {
			kernel.Softmax(y[lo*c:hi*c], x[lo*c:hi*c], c)
		} else {
			kernel.LogSoftmax(y[lo*c:hi*c], x[lo*c:hi*c], c)
		}
	})
}

// LogSumExp returns log(sum(exp(x))) along the last axis, which disappears. A row
// whose largest element is infinite gives that element, -Inf or +Inf, and has the
// gradient 0.
func LogSumExp(x *Tensor) *Tensor {
	lastAxis("LogSumExp", x)
	last := x.shape.rank() - 1
	// Shifting by the maximum keeps exp in range; the shift cancels, so it is
	// a constant for the derivative.
	m := reshape(Max(x.Detach(), last), x.shape.with(last, 1))
	if !AllFinite(m) {
		// An infinite maximum is the result as it is, and zeros stand in for
		// its row, which would subtract infinity from infinity.
		infinite := Equal(Abs(m), Scalar(x.dtype, math.Inf(1)))
		rows, shift := zerosOn(x.tape, x.dtype, x.shape), zerosOn(x.tape, x.dtype, m.shape)
		y := logSumExp(Where(broadcastTo(infinite, x.shape), rows, x), Where(infinite, shift, m))
		return reshape(Where(infinite, m, y), x.shape.without(last))
	}
	return reshape(logSumExp(x, m), x.shape.without(last))
}

// logSumExp keeps the last axis and shifts each row by m.
func logSumExp(x, m *Tensor) *Tensor { return Add(m, Log(sumLast(Exp(Sub(x, m))))) }

// CrossEntropy returns, for each row of logits [n, c], the negative logarithm of
// the softmax probability of its label: a tensor [n] in nats. Labels lie in
// [0, c).
func CrossEntropy(logits *Tensor, labels []int) *Tensor {
	t := operandsOf("CrossEntropy", logits)
	if logits.shape.rank() != 2 || logits.shape.dim(0) != len(labels) {
		panic(fmt.Sprintf("tensor: CrossEntropy: %d labels for logits of shape %v, want one for each row", len(labels), logits.shape))
	}
	idx := smallIndices("CrossEntropy", t, labels, logits.shape.dim(1))
	y := newOn(t, logits.dtype, shapeOf(len(labels)))
	if logits.dtype == Float32 {
		kernel.SoftmaxCrossEntropy(y.f32, nil, logits.f32, idx, logits.shape.dim(1))
	} else {
		kernel.SoftmaxCrossEntropy(y.f64, nil, logits.f64, idx, logits.shape.dim(1))
	}
	return t.record(node{op: opCrossEntropy, aux: idx}, y, logits)
}

func backCrossEntropy(b *back) {
	// (softmax - onehot) g, where softmax - 1 at the label is minus the sum of
	// the others, lest it round to 0.
	logits, idx := b.in[0], b.aux.([]int32)
	g := reshape(b.g, shapeOf(len(idx), 1))
	if b.record {
		others := Mul(Softmax(logits), others(logits, idx))
		b.grads[0] = Sub(Mul(others, g), put(Mul(sumLast(others), g), idx, len(idx), logits.shape))
		return
	}
	d := newOn(logits.tape, logits.dtype, logits.shape)
	if logits.dtype == Float32 {
		crossEntropyGrad(d.f32, logits.f32, g.f32, idx)
	} else {
		crossEntropyGrad(d.f64, logits.f64, g.f64, idx)
	}
	b.grads[0] = d
}

// others is the constant of logits' shape that is 0 at the labels and 1 elsewhere.
func others(logits *Tensor, idx []int32) *Tensor {
	mask := newOn(logits.tape, logits.dtype, logits.shape)
	mask.Fill(1)
	for i, label := range idx {
		mask.Set(0, i, int(label))
	}
	return mask
}

func crossEntropyGrad[T kernel.Float](d, logits, g []T, idx []int32) {
	kernel.SoftmaxMinusOneHot(d, logits, idx, len(logits)/max(1, len(idx)))
	kernel.BinaryCol(kernel.Mul, d, d, g)
}

// OneHot returns the tensor [len(labels), classes] with a 1 at each row's label
// and 0 elsewhere.
func OneHot(dtype DType, labels []int, classes int) *Tensor {
	y := Zeros(dtype, len(labels), classes)
	for i, l := range labels {
		if l < 0 || l >= classes {
			panic(fmt.Sprintf("tensor: OneHot: label %d is %d, want 0 to %d", i, l, classes-1))
		}
		if dtype == Float32 {
			y.f32[i*classes+l] = 1
		} else {
			y.f64[i*classes+l] = 1
		}
	}
	return y
}
