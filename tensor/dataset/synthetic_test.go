package dataset_test

import (
	"math"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/redoubt-ml/redoubt/internal/realdata"
	"github.com/redoubt-ml/redoubt/tensor/dataset"
)

func TestFontDigits(t *testing.T) {
	f := dataset.FontDigits{Seed: 3}
	s, err := f.Make(200)
	require.NoError(t, err)
	require.NoError(t, s.Check())
	require.Equal(t, []int{28, 28, 1, 200, 10}, []int{s.H, s.W, s.C, s.Len(), s.Classes})
	mean, _ := s.Moments()
	require.InDelta(t, 0.13, mean[0], 0.06, "as much ink as in MNIST")
	few, err := f.Make(7)
	require.NoError(t, err)
	require.Equal(t, few.Bytes, s.Take(7).Bytes)
	other, err := dataset.FontDigits{Seed: 4, Noise: .1}.Make(7)
	require.NoError(t, err)
	require.NotEqual(t, few.Bytes, other.Bytes)
	// A digit touches no border, and different digits differ.
	for i := range 10 {
		x, _ := s.Batch([]int{i, i + 10})
		require.Less(t, x.At(0, 0, 0, 0), .01)
		require.NotEqual(t, x.Values()[:784], x.Values()[784:])
	}
	for _, bad := range []dataset.FontDigits{{Side: 7}, {Noise: -1}} {
		_, err := bad.Make(1)
		require.ErrorContains(t, err, "font digits")
	}
}

func TestBlendInvertsTheBackgroundUnderInk(t *testing.T) {
	digits := &dataset.Set{Name: "d", H: 1, W: 2, C: 1, Classes: 2, Labels: []int{1}, Bytes: []byte{0, 9}}
	photo := &dataset.Set{Name: "p", H: 1, W: 2, C: 3, Bytes: []byte{10, 20, 30, 40, 50, 60}}
	s, err := dataset.Blend(digits, photo, 1)
	require.NoError(t, err)
	require.Equal(t, []byte{10, 20, 30, 215, 205, 195}, s.Bytes)
	require.NoError(t, s.Check())
	require.NoError(t, dataset.Aligned(digits, s))
	_, err = dataset.Blend(digits, digits, 1)
	require.ErrorContains(t, err, "want at least 1, bytes in 3")
	_, err = dataset.Blend(photo, photo, 1)
	require.ErrorContains(t, err, "3 channels")
	photo.H, photo.W = 2, 1
	_, err = dataset.Blend(digits, photo, 1)
	require.ErrorContains(t, err, "2x1, want at least 1x2")
}

func TestMisalignmentIsAnError(t *testing.T) {
	a := &dataset.Set{Name: "a", Labels: []int{1, 2, 3}}
	require.NoError(t, dataset.Aligned(a, &dataset.Set{Name: "b", Labels: []int{1, 2}}))
	require.ErrorContains(t, dataset.Aligned(a, &dataset.Set{Name: "b", Labels: []int{2, 3}}), "image 0 of b is labelled 2, want 1")
	require.ErrorContains(t, dataset.Aligned(a, &dataset.Set{Name: "b", Labels: []int{1, 2, 3, 4}}), "3 labels and b 4")
}

// The official MNIST-M is aligned with MNIST.
func TestRealMNISTMIsAligned(t *testing.T) {
	dir := realdata.Dir(t)
	for _, split := range []dataset.Split{dataset.Train, dataset.Test} {
		a, err := dataset.Load(dir, "mnist", split)
		realdata.Found(t, err)
		b, err := dataset.Load(dir, "mnistm", split)
		realdata.Found(t, err)
		require.NoError(t, dataset.Aligned(a, b))
		require.Error(t, dataset.Aligned(a.Slice(5, a.Len()), b.Take(8000)))
	}
}

func TestFontDigitsBeyondMemoryAreRefused(t *testing.T) {
	for _, c := range []struct {
		f dataset.FontDigits
		n int
	}{{dataset.FontDigits{}, math.MaxInt}, {dataset.FontDigits{Side: math.MaxInt}, 1}, {dataset.FontDigits{Side: 1 << 15}, 1 << 20}} {
		_, err := c.f.Make(c.n)
		require.ErrorContains(t, err, "want at most")
	}
	require.ErrorContains(t, dataset.Aligned(nil, &dataset.Set{}), "found none")
	require.ErrorContains(t, dataset.Aligned(&dataset.Set{}, nil), "found none")
}
