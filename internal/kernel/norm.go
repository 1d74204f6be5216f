package kernel

// statRows is how many rows a block of MeanVar holds: the mean of a block is
// found first, then the deviations from it, and blocks are merged as Chan et
// al. do, so neither large means nor many rows cost accuracy.
const statRows = 64

// MeanVar sets mean[j] and variance[j] (biased: divided by the number of rows)
// of the columns of x, which is [r, c] with r >= 1.
func MeanVar[T Float](mean, variance, x []T, c int) {
	mean, variance = mean[:c], variance[:c]
	Fill(mean, 0)
	Fill(variance, 0)
	var block, spreadOf [spread]T
	for j0 := 0; j0 < c; j0 += spread {
		w := min(spread, c-j0)
		m, v := mean[j0:j0+w], variance[j0:j0+w]
		bm, bv := block[:w], spreadOf[:w]
		rows := len(x) / c
		for r0 := 0; r0 < rows; r0 += statRows {
			n := min(statRows, rows-r0)
			Fill(bm, 0)
			Fill(bv, 0)
			for r := r0; r < r0+n; r++ {
				Binary(Add, bm, bm, x[r*c+j0:r*c+j0+w])
			}
			Affine(bm, bm, 1/T(n), 0)
			for r := r0; r < r0+n; r++ {
				for j, u := range x[r*c+j0 : r*c+j0+w] {
					d := u - bm[j]
					bv[j] += d * d
				}
			}
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

// ScaleShift sets dst[i,j] = x[i,j]*scale[j] + shift[j] for x of
// [r, len(scale)], followed by max(., 0) if relu is set. dst may be x.
func ScaleShift[T Float](dst, x, scale, shift []T, relu bool) {
	c := len(scale)
	if c == 0 {
		return
	}
	shift = shift[:c]
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
	x = x[:len(dy)]
	for lo := 0; lo < len(dy); lo += c {
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
	for lo := 0; lo < len(dy); lo += c {
		out, u := dx[lo:lo+c], x[lo:lo+c]
		for j, g := range dy[lo : lo+c] {
			out[j] = a[j]*g + b[j]*u[j] + d[j]
		}
	}
}
