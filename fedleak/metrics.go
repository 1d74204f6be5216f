package fedleak

import (
	"fmt"
	"math"
	"slices"

	"gonum.org/v1/gonum/stat"

	"github.com/redoubt-ml/redoubt/tensor"
)

// MSE returns the mean squared error of each of n images [n, H, W, C], in squared
// pixel units. It panics if the shapes differ.
func MSE(truth, guess *tensor.Tensor) []float64 {
	n, size := pairs("MSE", truth, guess)
	a, b := truth.Values(), guess.Values()
	out := make([]float64, n)
	for i := range out {
		for j := i * size; j < (i+1)*size; j++ {
			out[i] += (a[j] - b[j]) * (a[j] - b[j]) / float64(size)
		}
	}
	return out
}

func pairs(op string, a, b *tensor.Tensor) (n, size int) {
	if !slices.Equal(a.Shape(), b.Shape()) || a.Rank() != 4 || a.Dim(0) == 0 || a.Len() == 0 {
		panic(fmt.Sprintf("fedleak: %s: shapes %v and %v, want two equal ones [n, H, W, C]", op, a.Shape(), b.Shape()))
	}
	return a.Dim(0), a.Len() / a.Dim(0)
}

// PSNR returns the peak signal-to-noise ratio in dB of each image for a peak of 1, as
// the code released for CAFE computes it: -10 log10 of the squared error over all
// channels, with guess clipped to [0, 1]. It is +Inf for an exact image.
func PSNR(truth, guess *tensor.Tensor) []float64 {
	out := MSE(truth, tensor.Clamp(guess, 0, 1))
	for i, e := range out {
		out[i] = decibel(e)
	}
	return out
}

func decibel(mse float64) float64 { return -10 * math.Log10(mse) }

// ChannelPSNR returns the peak signal-to-noise ratio in dB of each image as the first
// version of CAFE's paper (submitted to ICLR 2021) defines it: the mean over channels,
// each with the largest value of the true image's own channel as its peak, and guess as
// it is. It is -Inf for an image with a black channel.
func ChannelPSNR(truth, guess *tensor.Tensor) []float64 {
	n, size := pairs("ChannelPSNR", truth, guess)
	channels := truth.Dim(3)
	a, b := truth.Values(), guess.Values()
	out := make([]float64, n)
	for i := range out {
		for c := range channels {
			peak, mse := 0.0, 0.0
			for j := i*size + c; j < (i+1)*size; j += channels {
				peak = math.Max(peak, a[j])
				mse += (a[j] - b[j]) * (a[j] - b[j]) * float64(channels) / float64(size)
			}
			if peak == 0 {
				out[i] = math.Inf(-1)
				break
			}
			out[i] += (20*math.Log10(peak) + decibel(mse)) / float64(channels)
		}
	}
	return out
}

// SSIM returns the mean structural similarity of each image, in [-1, 1], over all
// square windows of min(7, H, W) pixels with equal weights, for a range of values of
// 1, averaged over channels.
//
// Wang, Bovik, Sheikh and Simoncelli, IEEE Trans. Image Processing 2004, Eq. (13).
func SSIM(truth, guess *tensor.Tensor) []float64 {
	n, size := pairs("SSIM", truth, guess)
	h, w, channels := truth.Dim(1), truth.Dim(2), truth.Dim(3)
	side := min(7, h, w)
	a, b := truth.Values(), guess.Values()
	out := make([]float64, n)
	for i := range out {
		sum, windows := 0.0, 0
		for top := range h - side + 1 {
			for left := range w - side + 1 {
				for c := range channels {
					sum += windowSSIM(a, b, i*size+(top*w+left)*channels+c, side, w*channels, channels)
					windows++
				}
			}
		}
		out[i] = sum / float64(windows)
	}
	return out
}

// windowSSIM is the similarity of one window that begins at index at.
func windowSSIM(a, b []float64, at, side, row, pixel int) float64 {
	const c1, c2 = 0.01 * 0.01, 0.03 * 0.03
	var ma, mb, aa, bb, ab float64
	n := float64(side * side)
	for y := range side {
		for x := range side {
			u, v := a[at+y*row+x*pixel], b[at+y*row+x*pixel]
			ma, mb = ma+u/n, mb+v/n
			aa, bb, ab = aa+u*u, bb+v*v, ab+u*v
		}
	}
	va, vb, cov := 0.0, 0.0, 0.0
	if n > 1 {
		va, vb, cov = (aa-n*ma*ma)/(n-1), (bb-n*mb*mb)/(n-1), (ab-n*ma*mb)/(n-1)
	}
	return (2*ma*mb + c1) * (2*cov + c2) / ((ma*ma + mb*mb + c1) * (va + vb + c2))
}

// Score says how well samples were recovered.
type Score struct {
	Samples int `json:"samples"` // that were scored
	// PSNR of whole samples, joined from the slices, in dB with a peak of 1: mean
	// and median over the samples, and that of the mean squared error. Exact
	// samples count as 200 dB.
	Mean   float64 `json:"psnr_mean"`
	Median float64 `json:"psnr_median"`
	OfMean float64 `json:"psnr_of_mean"`
	// SliceMean is the mean of the PSNRs of single slices, as in CAFE's code.
	SliceMean float64 `json:"psnr_slices"`
	SSIM      float64 `json:"ssim"` // mean, in [-1, 1]
	MSE       float64 `json:"mse"`  // mean, in squared pixel units
	// Above20, Above30 and Above40 are the shares of samples above so many dB.
	Above20 float64 `json:"frac_above_20"`
	Above30 float64 `json:"frac_above_30"`
	Above40 float64 `json:"frac_above_40"`
	// Each holds the PSNR of each scored sample.
	Each []float64 `json:"-"`
}

// exact is the PSNR that an exact image counts as.
const exact = 200

// NewScore compares slices guess with truth, one tensor [N, H, W, C] per party, for
// the samples that are marked; nil marks all. With no sample marked it is zero.
func NewScore(truth, guess []*tensor.Tensor, marked []bool) Score {
	var ids []int
	for i := range truth[0].Dim(0) {
		if marked == nil || marked[i] {
			ids = append(ids, i)
		}
	}
	s := Score{Samples: len(ids)}
	if len(ids) == 0 {
		return s
	}
	total := make([]float64, len(ids))
	pixels := 0.0
	var slicePSNR, ssim []float64
	for p := range truth {
		a, b := tensor.Gather(truth[p], ids), tensor.Clamp(tensor.Gather(guess[p], ids), 0, 1)
		size := float64(a.Len() / len(ids))
		pixels += size
		for i, e := range MSE(a, b) {
			total[i] += e * size
			slicePSNR = append(slicePSNR, math.Min(exact, decibel(e)))
		}
		ssim = append(ssim, SSIM(a, b)...)
	}
	for _, e := range total {
		s.Each = append(s.Each, math.Min(exact, decibel(e/pixels)))
	}
	s.MSE = stat.Mean(total, nil) / pixels
	s.Mean, s.OfMean = stat.Mean(s.Each, nil), math.Min(exact, decibel(s.MSE))
	s.Median = median(s.Each)
	s.SliceMean, s.SSIM = stat.Mean(slicePSNR, nil), stat.Mean(ssim, nil)
	s.Above20, s.Above30, s.Above40 = above(s.Each, 20), above(s.Each, 30), above(s.Each, 40)
	return s
}

// median of values, of which there is at least one.
func median(v []float64) float64 {
	s := slices.Sorted(slices.Values(v))
	return (s[(len(s)-1)/2] + s[len(s)/2]) / 2
}

func above(v []float64, limit float64) float64 {
	k := 0.0
	for _, x := range v {
		if x > limit {
			k++
		}
	}
	return k / float64(len(v))
}

// LabelAccuracy returns the share of samples whose label was found.
func LabelAccuracy(truth, guess []int) float64 {
	if len(truth) != len(guess) || len(truth) == 0 {
		panic(fmt.Sprintf("fedleak: LabelAccuracy: %d and %d labels, want as many and at least 1", len(truth), len(guess)))
	}
	right := 0.0
	for i, y := range truth {
		if guess[i] == y {
			right++
		}
	}
	return right / float64(len(truth))
}

// MeanImage returns n copies of the mean of the slices known, one tensor per party:
// the guess of someone who knows what the data look like but not one sample. What an
// attack does not do better than this, it has not recovered.
func MeanImage(known []*tensor.Tensor, n int) []*tensor.Tensor {
	out := make([]*tensor.Tensor, len(known))
	for p, x := range known {
		out[p] = tensor.BroadcastTo(tensor.Mean(x, 0), append([]int{n}, x.Shape()[1:]...)...).Clone()
	}
	return out
}
