package kernel

// MeanVar sets mean[j] and variance[j] (biased: divided by the number of rows)
// of the columns of x, which is [r, c] with r >= 1. The mean of a block of rows
// is found first, then the deviations from it, and blocks are merged as Chan,
// Golub and LeVeque (1979) do, so neither large means nor many rows cost
// accuracy. Where the rounding of a mean could show in a small variance, the
// deviations correct both (the two-pass algorithm of Chan, Golub and LeVeque, The
// American Statistician 1983, eq. 1.7).
func MeanVar[T Float](mean, variance, x []T, c int) {
	mean, variance = mean[:c], variance[:c]
	Fill(mean, 0)
	Fill(variance, 0)
	var means, sums [spread]T
	for j0 := 0; j0 < c; j0 += spread {
		w := min(spread, c-j0)
		m, v := mean[j0:j0+w], variance[j0:j0+w]
		bm, bv := means[:w], sums[:w]
		rows := len(x) / c
		for r0 := 0; r0 < rows; r0 += rowsAtOnce {
			n := min(rowsAtOnce, rows-r0)
			Fill(bm, 0)
			Fill(bv, 0)
			sumRows(bm, x[r0*c+j0:], n, c)
			Affine(bm, bm, 1/T(n), 0)
			deviations(bv, bm, x[r0*c+j0:], n, c)
			correct(bm, bv, x[r0*c+j0:], n, c)
			total := T(r0 + n)
			share := T(n) / total
			weight := T(r0) * share
			for j := range bm {
				d := bm[j] - m[j]
				m[j] += d * share
				v[j] += bv[j] + d*d*weight
			}
		}
		Affine(v, v, 1/T(rows), 0)
	}
}

// correct takes what the deviations from a mean add up to, which is 0 but for rounding,
// out of the mean and the sum of squares of a block of rows, in the columns where that
// may be more than 1e-4 of it.
func correct[T Float](mean, squares, x []T, rows, stride int) {
	ulp := T(0x1p-53)
	if single[T]() {
		ulp = 0x1p-24
	}
	n := T(rows)
	for j, m := range mean {
		if most := n * ulp * m; n*most*most <= 1e-4*squares[j] {
			continue
		}
		var rest T
		for i := range rows {
			rest += x[i*stride+j] - m
		}
		mean[j] += rest / n
		squares[j] = max(0, squares[j]-rest*rest/n)
	}
}

// deviations adds the squared distances from mean of rows that lie stride
// apart.
func deviations[T Float](sum, mean, x []T, rows, stride int) {
	c := len(sum)
	x = x[:(rows-1)*stride+c]
	if single[T]() && deviationsVector(ptr(x), ptr(mean), ptr(sum), rows, c, stride) {
		return
	}
	for lo := 0; lo < len(x); lo += stride {
		for j, u := range x[lo : lo+c] {
			d := u - mean[j]
			sum[j] += d * d
		}
	}
}

// ScaleShift sets dst[i,j] = x[i,j]*scale[j] + shift[j] for x of
// [r, len(scale)], followed by max(., 0) if relu is set. dst may be x.
func ScaleShift[T Float](dst, x, scale, shift []T, relu bool) {
	c := len(scale)
	if c == 0 {
		return
	}
	shift, x = shift[:c], x[:len(x)/c*c]
	dst = dst[:len(x)]
	if single[T]() {
		if relu && scaleShiftReLUVector(ptr(dst), ptr(x), ptr(scale), ptr(shift), len(x)/c, c, c) ||
			!relu && scaleShiftVector(ptr(dst), ptr(x), ptr(scale), ptr(shift), len(x)/c, c, c) {
			return
		}
	}
	for lo := 0; lo < len(x); lo += c {
		d := dst[lo : lo+c]
		for j, v := range x[lo : lo+c] {
			d[j] = v*scale[j] + shift[j]
		}
		if relu {
			Unary(ReLU, d, d)
		}
	}
}

// SumsForBatchNorm adds, over the rows i of dy and x, both [r, len(mean)],
// dy[i,j] to sumDY[j] and dy[i,j]*(x[i,j]-mean[j]) to sumDYX[j].
func SumsForBatchNorm[T Float](sumDY, sumDYX, dy, x, mean []T) {
	c := len(mean)
	if c == 0 {
		return
	}
	sumDY, sumDYX = sumDY[:c], sumDYX[:c]
	rows := len(dy) / c
	x = x[:rows*c]
	var sums, products [spread]T
	for j0 := 0; j0 < c; j0 += spread {
		j1 := min(j0+spread, c)
		a, b, m := sums[:j1-j0], products[:j1-j0], mean[j0:j1]
		for r := 0; r < rows; r += rowsAtOnce {
			Fill(a, 0)
			Fill(b, 0)
			normSums(a, b, dy[r*c+j0:], x[r*c+j0:], m, min(rowsAtOnce, rows-r), c)
			Binary(Add, sumDY[j0:j1], sumDY[j0:j1], a)
			Binary(Add, sumDYX[j0:j1], sumDYX[j0:j1], b)
		}
	}
}

// normSums is SumsForBatchNorm over a few rows that lie stride apart.
func normSums[T Float](sumDY, sumDYX, dy, x, mean []T, rows, stride int) {
	c := len(mean)
	dy, x = dy[:(rows-1)*stride+c], x[:(rows-1)*stride+c]
	if single[T]() && normSumsVector(ptr(dy), ptr(x), ptr(mean), ptr(sumDY), ptr(sumDYX), rows, c, stride) {
		return
	}
	for lo := 0; lo < len(dy); lo += stride {
		u := x[lo : lo+c]
		for j, g := range dy[lo : lo+c] {
			sumDY[j] += g
			sumDYX[j] += g * (u[j] - mean[j])
		}
	}
}

// BatchNormBackward sets dx[i,j] = a[j]*dy[i,j] + b[j]*x[i,j] + d[j] for dy
// and x of [r, len(a)]. dx may be dy or x.
func BatchNormBackward[T Float](dx, dy, x, a, b, d []T) {
	c := len(a)
	if c == 0 {
		return
	}
	b, d = b[:c], d[:c]
	dy = dy[:len(dy)/c*c]
	dx, x = dx[:len(dy)], x[:len(dy)]
	if single[T]() && normBackwardVector(ptr(dx), ptr(dy), ptr(x), ptr(a), ptr(b), ptr(d), len(dy)/c, c, c) {
		return
	}
	for lo := 0; lo < len(dy); lo += c {
		out, u := dx[lo:lo+c], x[lo:lo+c]
		for j, g := range dy[lo : lo+c] {
			out[j] = a[j]*g + b[j]*u[j] + d[j]
		}
	}
}
