package tensor

import (
	"fmt"
	"math"

	"github.com/redoubt-ml/redoubt/internal/kernel"
	"github.com/redoubt-ml/redoubt/internal/par"
)

// normalisation describes a recorded batch normalisation.
type normalisation struct {
	eps       float64
	act       Activation
	mean, inv *Tensor // of the batch: mean and 1/sqrt(var + eps), [C]
}

// checkChannels panics unless each of ps is [C] for the last axis C of x.
func checkChannels(op string, x *Tensor, ps ...*Tensor) int {
	c := lastAxis(op, x)
	for _, p := range ps {
		if p.shape != shapeOf(c) {
			panic(fmt.Sprintf("tensor: %s: parameter of shape %v for x of shape %v, want [%d]", op, p.shape, x.shape, c))
		}
	}
	return c
}

// BatchNorm returns act(gamma (x - mean)/sqrt(variance + eps) + beta), where mean
// and variance (biased) are taken over all axes of x but the last, together
// with that mean and variance. The gradient flows through them into x; the
// returned ones are constants for keeping running averages.
//
// Ioffe and Szegedy, ICML 2015, Algorithm 1.
func BatchNorm(x, gamma, beta *Tensor, eps float64, act Activation) (y, mean, variance *Tensor) {
	act.check("BatchNorm")
	t := operandsOf("BatchNorm", x, gamma, beta)
	c := checkChannels("BatchNorm", x, gamma, beta)
	if x.Len() == 0 {
		panic(fmt.Sprintf("tensor: BatchNorm: x of shape %v has no elements", x.shape))
	}
	mean, variance = meanVar(t, x)
	n := normalisation{eps: eps, act: act, mean: mean, inv: newOn(t, x.dtype, shapeOf(c))}
	y = newOn(t, x.dtype, x.shape)
	if x.dtype == Float32 {
		normalise(y.f32, x.f32, n.inv.f32, gamma.f32, beta.f32, mean.f32, variance.f32, eps, act)
	} else {
		normalise(y.f64, x.f64, n.inv.f64, gamma.f64, beta.f64, mean.f64, variance.f64, eps, act)
	}
	return t.record(node{op: opBatchNorm, aux: n}, y, x, gamma, beta), mean, variance
}

// normalise works out inv and the channel-wise affine map that normalisation is,
// and applies it.
func normalise[T kernel.Float](y, x, inv, gamma, beta, mean, variance []T, eps float64, act Activation) {
	c := len(inv)
	work := scratch[T]().Borrow(2 * c)
	defer scratch[T]().Return(work)
	scale, shift := work.Data[:c], work.Data[c:]
	for j := range inv {
		inv[j] = T(1 / math.Sqrt(float64(variance[j])+eps))
		scale[j] = gamma[j] * inv[j]
		shift[j] = beta[j] - scale[j]*mean[j]
	}
	scaleShiftOn(y, x, scale, shift, act)
}

// meanVar returns the mean and the biased variance of each channel.
func meanVar(t *Tape, x *Tensor) (mean, variance *Tensor) {
	c := x.shape.last()
	mean, variance = newOn(t, x.dtype, shapeOf(c)), newOn(t, x.dtype, shapeOf(c))
	if x.dtype == Float32 {
		meanVarOn(mean.f32, variance.f32, x.f32, c)
	} else {
		meanVarOn(mean.f64, variance.f64, x.f64, c)
	}
	return mean, variance
}

func meanVarOn[T kernel.Float](mean, variance, x []T, c int) {
	rows := len(x) / c
	block := max(1, sumBlock/c)
	blocks := (rows + block - 1) / block
	if blocks == 1 {
		kernel.MeanVar(mean, variance, x, c)
		return
	}
	work := scratch[T]().Borrow(2 * blocks * c)
	defer scratch[T]().Return(work)
	means, vars := work.Data[:blocks*c], work.Data[blocks*c:]
	par.For(blocks, 1, func(lo, hi int) {
		for b := lo; b < hi; b++ {
			end := min(rows, (b+1)*block)
			kernel.MeanVar(means[b*c:(b+1)*c], vars[b*c:(b+1)*c], x[b*block*c:end*c], c)
		}
	})
	// Merging means and squared deviations block by block (Chan, Golub and
	// LeVeque 1983) does not suffer when the mean is large.
	for j := range c {
		var n, mu, m2 float64
		for b := range blocks {
			nb := float64(min(rows, (b+1)*block) - b*block)
			d := float64(means[b*c+j]) - mu
			m2 += float64(vars[b*c+j])*nb + d*d*n*nb/(n+nb)
			n += nb
			mu += d * nb / n
		}
		mean[j], variance[j] = T(mu), T(m2/n)
	}
}

func backBatchNorm(b *back) {
	n := b.aux.(normalisation)
	g := backActivation(b, n.act)
	if b.record {
		recordBatchNorm(b, g, n.eps)
		return
	}
	x, gamma := b.in[0], b.in[1]
	t, c := x.tape, gamma.Len()
	if t == nil {
		t = gamma.tape
	}
	sumG, sumGX := zerosOn(t, x.dtype, shapeOf(c)), zerosOn(t, x.dtype, shapeOf(c))
	if x.dtype == Float32 {
		normSums(sumG.f32, sumGX.f32, g.f32, x.f32, n.mean.f32)
	} else {
		normSums(sumG.f64, sumGX.f64, g.f64, x.f64, n.mean.f64)
	}
	if b.need[1] {
		b.grads[1] = Mul(sumGX, n.inv)
	}
	if b.need[2] {
		b.grads[2] = sumG
	}
	if !b.need[0] {
		return
	}
	dx := newOn(t, x.dtype, x.shape)
	if x.dtype == Float32 {
		normBackward(dx.f32, g.f32, x.f32, gamma.f32, n.mean.f32, n.inv.f32, sumG.f32, sumGX.f32)
	} else {
		normBackward(dx.f64, g.f64, x.f64, gamma.f64, n.mean.f64, n.inv.f64, sumG.f64, sumGX.f64)
	}
	b.grads[0] = dx
}

// normSums computes for each channel sum(g) and sum(g (x - mean)).
func normSums[T kernel.Float](sumG, sumGX, g, x, mean []T) {
	c := len(mean)
	rows := len(x) / c
	block := max(1, sumBlock/c)
	blocks := (rows + block - 1) / block
	if blocks == 1 {
		kernel.SumsForBatchNorm(sumG, sumGX, g, x, mean)
		return
	}
	work := scratch[T]().Borrow(2 * blocks * c)
	defer scratch[T]().Return(work)
	clear(work.Data)
	pg, pgx := work.Data[:blocks*c], work.Data[blocks*c:]
	par.For(blocks, 1, func(lo, hi int) {
		for b := lo; b < hi; b++ {
			end := min(rows, (b+1)*block)
			kernel.SumsForBatchNorm(pg[b*c:(b+1)*c], pgx[b*c:(b+1)*c], g[b*block*c:end*c], x[b*block*c:end*c], mean)
		}
	})
	kernel.SumRows(sumG, pg)
	kernel.SumRows(sumGX, pgx)
}

// normBackward computes, with m rows and sums over them,
//
//	dx = gamma inv (g - sum(g)/m - (x - mean) inv² sum(g (x - mean))/m)
//
// as the channel-wise form a g + b x + d.
func normBackward[T kernel.Float](dx, g, x, gamma, mean, inv, sumG, sumGX []T) {
	c := len(mean)
	m := T(len(x) / c)
	work := scratch[T]().Borrow(3 * c)
	defer scratch[T]().Return(work)
	a, b, d := work.Data[:c], work.Data[c:2*c], work.Data[2*c:]
	for j := range c {
		a[j] = gamma[j] * inv[j]
		b[j] = -a[j] * inv[j] * inv[j] * sumGX[j] / m
		d[j] = -a[j]*sumG[j]/m - b[j]*mean[j]
	}
	par.For(len(x)/c, max(1, grain/c), func(lo, hi int) {
		kernel.BatchNormBackward(dx[lo*c:hi*c], g[lo*c:hi*c], x[lo*c:hi*c], a, b, d)
	})
}

// recordBatchNorm is the same derivative in differentiable operations.
func recordBatchNorm(b *back, g *Tensor, eps float64) {
	x, gamma := b.in[0], b.in[1]
	c := gamma.Len()
	m := float64(x.Len() / c)
	g = reshape(g, shapeOf(x.Len()/c, c))
	x2 := reshape(x, g.shape)
	centred := Sub(x2, MulScalar(sumTo(x2, gamma.shape), 1/m))
	variance := MulScalar(sumTo(Square(centred), gamma.shape), 1/m)
	inv := Recip(Sqrt(AddScalar(variance, eps)))
	xhat := Mul(centred, inv)
	sumG, sumGX := sumTo(g, gamma.shape), sumTo(Mul(g, xhat), gamma.shape)
	if b.need[0] {
		inner := Sub(g, MulScalar(Add(sumG, Mul(xhat, sumGX)), 1/m))
		b.grads[0] = reshape(Mul(inner, Mul(gamma, inv)), x.shape)
	}
	b.grads[1], b.grads[2] = sumGX, sumG
}

// ScaleShift returns act(x scale + shift) for x [..., C], scale [C] and shift
// [C]: batch normalisation with fixed statistics, or the normalisation of input
// pixels.
func ScaleShift(x, scale, shift *Tensor, act Activation) *Tensor {
	act.check("ScaleShift")
	t := operandsOf("ScaleShift", x, scale, shift)
	checkChannels("ScaleShift", x, scale, shift)
	y := scaleShift(t, x, scale, shift, act)
	return t.record(node{op: opScaleShift, aux: act}, y, x, scale, shift)
}

func scaleShift(t *Tape, x, scale, shift *Tensor, act Activation) *Tensor {
	y := newOn(t, x.dtype, x.shape)
	if x.dtype == Float32 {
		scaleShiftOn(y.f32, x.f32, scale.f32, shift.f32, act)
	} else {
		scaleShiftOn(y.f64, x.f64, scale.f64, shift.f64, act)
	}
	return y
}

func scaleShiftOn[T kernel.Float](y, x, scale, shift []T, act Activation) {
	c := len(scale)
	par.For(len(x)/c, max(1, grain/c), func(lo, hi int) {
		kernel.ScaleShift(y[lo*c:hi*c], x[lo*c:hi*c], scale, shift, act == Rectify)
	})
}

func backScaleShift(b *back) {
	x, scale := b.in[0], b.in[1]
	g := backActivation(b, b.aux.(Activation))
	if b.need[0] {
		b.grads[0] = Mul(g, scale)
	}
	if b.need[1] {
		b.grads[1] = sumTo(Mul(g, x), scale.shape)
	}
	if b.need[2] {
		b.grads[2] = sumTo(g, b.in[2].shape)
	}
}
