package dataset

import (
	"math"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/redoubt-ml/redoubt/tensor"
)

// byteSet has n images of 2x3x1 whose pixels count up, and labels 0, 1, 2, 0...
func byteSet(n int) *Set {
	s := &Set{Name: "counting", H: 2, W: 3, C: 1, Classes: 3, Bytes: []byte{}, Labels: []int{}}
	for i := range n {
		for range 6 {
			s.Bytes = append(s.Bytes, byte(len(s.Bytes)))
		}
		s.Labels = append(s.Labels, i%3)
	}
	return s
}

// floatSet is byteSet with floats.
func floatSet(n int) *Set {
	s := byteSet(n)
	s.Floats = make([]float32, len(s.Bytes))
	for i, b := range s.Bytes {
		s.Floats[i] = float32(b) / 255
	}
	s.Bytes = nil
	return s
}

func TestBatchHoldsTheImagesAskedFor(t *testing.T) {
	for _, s := range []*Set{byteSet(5), floatSet(5)} {
		x, y := s.Batch([]int{4, 0, 4})
		assert.Equal(t, []int{3, 2, 3, 1}, x.Shape())
		assert.Equal(t, []int{1, 0, 1}, y)
		for k, i := range []int{4, 0, 4} {
			for p := range 6 {
				assert.Equal(t, float32(6*i+p)/255, x.Float32s()[6*k+p])
			}
		}
		all, labels := s.All()
		assert.Equal(t, []int{5, 2, 3, 1}, all.Shape())
		assert.Equal(t, s.Labels, labels)
		assert.Equal(t, float32(29)/255, all.Float32s()[29])
	}
}

func TestBatchIntoAllocatesNothing(t *testing.T) {
	for _, s := range []*Set{byteSet(5), floatSet(5)} {
		x, y, idx := tensor.Zeros(tensor.Float32, 2, 2, 3, 1), make([]int, 2), []int{1, 3}
		assert.Zero(t, testing.AllocsPerRun(100, func() { s.BatchInto(x, y, idx) }))
		assert.Equal(t, []int{1, 0}, y)
		assert.Equal(t, float32(23)/255, x.Float32s()[11])
	}
}

func TestWrongShapesPanic(t *testing.T) {
	s := byteSet(3)
	x := tensor.Zeros(tensor.Float32, 2, 2, 3, 1)
	unlabelled := *s
	unlabelled.Labels, unlabelled.Classes = nil, 0
	for want, f := range map[string]func(){
		"dataset: BatchInto: x is float32[2 2 3 1], want float32[1 2 3 1]": func() { s.BatchInto(x, nil, []int{0}) },
		"dataset: BatchInto: y has length 1, want 2":                       func() { s.BatchInto(x, make([]int, 1), []int{0, 1}) },
		"dataset: BatchInto: index 3 at position 1, want 0 to 2":           func() { s.BatchInto(x, nil, []int{0, 3}) },
		"dataset: BatchInto: labels asked of counting, which has none":     func() { unlabelled.BatchInto(x, make([]int, 2), []int{0, 1}) },
		"dataset: Subset: index -1 at position 0, want 0 to 2":             func() { s.Subset([]int{-1}) },
		"dataset: Slice: range [2, 1), want inside [0, 3]":                 func() { s.Slice(2, 1) },
		"dataset: Split: at 4, want 0 to 3":                                func() { s.Split(4) },
		"dataset: Concat: other has 2 classes, want 3 as counting": func() {
			s.Concat(&Set{Name: "other", H: 2, W: 3, C: 1, Classes: 2, Bytes: []byte{}})
		},
		"dataset: Concat: images of other are 2x3x3, want 2x3x1 as in counting": func() {
			s.Concat(&Set{Name: "other", H: 2, W: 3, C: 3, Classes: 3})
		},
	} {
		assert.PanicsWithValue(t, want, f)
	}
}

func TestCutsAndUnions(t *testing.T) {
	s := byteSet(5)
	first, rest := s.Split(2)
	assert.Equal(t, 2, first.Len())
	assert.Equal(t, 3, rest.Len())
	assert.Equal(t, []int{2, 0, 1}, rest.Labels)
	assert.Equal(t, byte(12), rest.Bytes[0])
	assert.Equal(t, s, first.Concat(rest))
	assert.Equal(t, 5, s.Take(9).Len())
	assert.Equal(t, []int{2, 1}, s.Take(3).Subset([]int{2, 1}).Labels)
	assert.Equal(t, []int{2, 2, 1}, s.ClassCounts())

	mixed := first.Concat(floatSet(5).Slice(2, 5))
	assert.Nil(t, mixed.Bytes)
	assert.Equal(t, floatSet(5), mixed)
	assert.Equal(t, floatSet(5), floatSet(2).Concat(rest))
	require.NoError(t, mixed.Check())
	assert.Equal(t, 0, s.Slice(3, 3).Len())

	// A cut must not let append write into its neighbour.
	_ = append(first.Bytes, 99)
	assert.Equal(t, byte(12), s.Bytes[12])
}

func TestMomentsOfBytesAndFloatsAgree(t *testing.T) {
	mean, std := byteSet(5).Moments()
	// 0 ... 29: mean 14.5, variance (30*30-1)/12.
	assert.InDelta(t, 14.5/255, mean[0], 1e-12)
	assert.InDelta(t, math.Sqrt(899./12)/255, std[0], 1e-12)
	mean2, std2 := floatSet(5).Moments()
	assert.InDelta(t, mean[0], mean2[0], 1e-7)
	assert.InDelta(t, std[0], std2[0], 1e-7)

	colour := &Set{H: 1, W: 2, C: 2, Bytes: []byte{0, 255, 255, 255}}
	mean, std = colour.Moments()
	assert.Equal(t, []float64{0.5, 1}, mean)
	assert.Equal(t, []float64{0.5, 0}, std)
}

func TestValidateNamesWhatIsWrong(t *testing.T) {
	require.NoError(t, byteSet(4).Check())
	require.NoError(t, floatSet(4).Check())
	for want, change := range map[string]func(s *Set){
		"image size is 0x3x1":                       func(s *Set) { s.H = 0 },
		"image size is 2x3x-1":                      func(s *Set) { s.C = -1 },
		"in both Bytes":                             func(s *Set) { s.Bytes = make([]byte, 24) },
		"23 pixels, want a multiple of":             func(s *Set) { s.Floats = s.Floats[:23] },
		"3 labels for 4 images":                     func(s *Set) { s.Labels = s.Labels[:3] },
		"0 labels for 4 images":                     func(s *Set) { s.Labels = nil },
		"-1 classes":                                func(s *Set) { s.Classes = -1 },
		"4 labels with Classes 0":                   func(s *Set) { s.Classes = 0 },
		"2 class names for 3 classes":               func(s *Set) { s.ClassNames = []string{"a", "b"} },
		"label of image 2 is 3, want 0 t":           func(s *Set) { s.Labels[2] = 3 },
		"label of image 1 is -1":                    func(s *Set) { s.Labels[1] = -1 },
		"pixel (1, 2), channel 0 of image 1 is NaN": func(s *Set) { s.Floats[11] = float32(math.NaN()) },
		"of image 0 is 1.5, want 0 to 1":            func(s *Set) { s.Floats[0] = 1.5 },
		"of image 0 is -0.1":                        func(s *Set) { s.Floats[0] = -0.1 },
	} {
		s := floatSet(4)
		change(s)
		require.ErrorContains(t, s.Check(), "dataset: counting: ")
		require.ErrorContains(t, s.Check(), want)
	}
}
