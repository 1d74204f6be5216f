package dataset

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/redoubt-ml/redoubt/internal/realdata"
)

// same returns n copies of v.
func same(n, v int) []int {
	out := make([]int, n)
	for i := range out {
		out[i] = v
	}
	return out
}

var (
	mnistTrainCounts = []int{5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949}
	mnistTestCounts  = []int{980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009}
)

// requireMNIST compares the moments and counts with the published ones.
func requireMNIST(t *testing.T, train, test *Set) {
	assert.Equal(t, mnistTrainCounts, train.ClassCounts())
	assert.Equal(t, mnistTestCounts, test.ClassCounts())
	mean, std := train.Moments()
	assert.InDelta(t, 0.1307, mean[0], 5e-5)
	assert.InDelta(t, 0.3081, std[0], 5e-5)
	assert.Equal(t, 60000*784, len(train.Bytes), "47 MB, not 188")
	assert.Nil(t, train.Floats)
}

// Counts of each class, means and deviations were computed from the files by other
// programs. Those of CIFAR-10's training images are of the first two files and of all
// five, those of MNIST-M's of the first 10,000; a set of another size is not compared.
func TestRealSetsHaveTheirPublishedStatistics(t *testing.T) {
	dir := realdata.Dir(t)
	for _, c := range []struct {
		name      string
		split     Split
		shape     [3]int
		counts    []int
		mean, std []float64
	}{
		{"mnist", Train, [3]int{28, 28, 1}, mnistTrainCounts, []float64{0.1307}, []float64{0.3081}},
		{"mnist", Test, [3]int{28, 28, 1}, mnistTestCounts, []float64{0.1325}, []float64{0.3105}},
		{"fashion-mnist", Train, [3]int{28, 28, 1}, same(10, 6000), []float64{0.2860}, []float64{0.3530}},
		{"fashion-mnist", Test, [3]int{28, 28, 1}, same(10, 1000), []float64{0.2868}, []float64{0.3524}},
		{"usps", Train, [3]int{16, 16, 1}, []int{1194, 1005, 731, 658, 652, 556, 664, 645, 542, 644}, []float64{(1 - 0.4910) / 2}, []float64{0.7692 / 2}},
		{"usps", Test, [3]int{16, 16, 1}, []int{359, 264, 198, 166, 200, 160, 170, 147, 166, 177}, []float64{(1 - 0.4648) / 2}, []float64{0.7852 / 2}},
		{"cifar10", Train, [3]int{32, 32, 3}, []int{1005 + 984, 974 + 1007, 1032 + 1010, 1016 + 995, 999 + 1010, 937 + 988, 1030 + 1008, 1001 + 1026, 1025 + 987, 981 + 985},
			[]float64{(0.4935 + 0.4921) / 2, (0.4834 + 0.4826) / 2, (0.4472 + 0.4468) / 2}, []float64{(0.2476 + 0.2472) / 2, (0.2446 + 0.2437) / 2, (0.2626 + 0.2615) / 2}},
		{"cifar10", Train, [3]int{32, 32, 3}, same(10, 5000), []float64{0.4914, 0.4822, 0.4465}, []float64{0.2470, 0.2435, 0.2616}},
		{"cifar10", Test, [3]int{32, 32, 3}, same(10, 1000), []float64{0.4942, 0.4851, 0.4504}, []float64{0.2467, 0.2429, 0.2616}},
		{"mnist-m", Train, [3]int{32, 32, 3}, []int{1001, 1127, 991, 1032, 980, 863, 1014, 1070, 944, 978},
			[]float64{0.4585, 0.4621, 0.4077}, []float64{0.2504, 0.2347, 0.2571}},
		{"mnist-m", Test, [3]int{32, 32, 3}, []int{878, 1016, 933, 908, 890, 807, 856, 914, 880, 919},
			[]float64{0.4609, 0.4644, 0.4109}, []float64{0.2526, 0.2379, 0.2587}},
	} {
		want := 0
		for _, n := range c.counts {
			want += n
		}
		t.Run(fmt.Sprintf("%s %v %d", c.name, c.split, want), func(t *testing.T) {
			s, err := Load(dir, c.name, c.split)
			realdata.Found(t, err)
			assert.Equal(t, c.shape, [3]int{s.H, s.W, s.C})
			if s.Len() != want {
				t.Skipf("found %d images, the statistics are of %d", s.Len(), want)
			}
			assert.Equal(t, c.counts, s.ClassCounts())
			mean, std := s.Moments()
			assert.InDeltaSlice(t, c.mean, mean, 1.01e-4, "mean")
			assert.InDeltaSlice(t, c.std, std, 1.01e-4, "standard deviation")
		})
	}
}

func TestRealDigits(t *testing.T) {
	dir := realdata.Dir(t)
	train, err := Load(dir, "digits", Train)
	realdata.Found(t, err)
	test, err := Load(dir, "digits", Test)
	require.NoError(t, err)
	all := train.Concat(test)
	if all.Len() != 1797 {
		t.Skipf("found %d digits, the statistics are of 1797", all.Len())
	}
	assert.Equal(t, 1437, train.Len())
	assert.Equal(t, []int{178, 182, 177, 183, 181, 182, 181, 179, 174, 180}, all.ClassCounts())
	mean, std := all.Moments()
	assert.InDelta(t, 4.8842/16, mean[0], 1e-5)
	assert.InDelta(t, 6.0168/16, std[0], 1e-5)
}

// The text form holds the values whose rounding the IDX form holds.
func TestRealUSPSFormsAgree(t *testing.T) {
	text, err := LoadUSPS(realdata.File(t, "usps"), Test)
	realdata.Found(t, err)
	if text.Floats == nil {
		t.Skip("found no text form of USPS")
	}
	idx, err := LoadIDX(realdata.File(t, "usps"), "usps-test", "USPS", 10)
	realdata.Found(t, err)
	assert.Equal(t, idx.Labels, text.Labels)
	for i, b := range idx.Bytes {
		require.InDelta(t, float64(b)/255, text.Floats[i], 0.5001/255, "pixel %d", i)
	}
}

func TestRealCIFARBinaryAndRowSheetAgree(t *testing.T) {
	cut := realdata.File(t, "cifar10", "test_batch_first200.bin.gz")
	sheets, err := LoadCIFARRowSheets(filepath.Dir(cut), Test)
	realdata.Found(t, err)
	binary, err := readFile(cut, ReadCIFARBinary)
	require.NoError(t, err)
	assert.Equal(t, 200, binary.Len())
	assert.Equal(t, sheets.Labels[:200], binary.Labels)
	assert.True(t, bytes.Equal(sheets.Take(200).Bytes, binary.Bytes))
}

func TestRealMiniIsTheBeginningOfMNIST(t *testing.T) {
	dir := realdata.Dir(t)
	miniTrain, miniTest, err := MNISTMini()
	require.NoError(t, err)
	for split, mini := range map[Split]*Set{Train: miniTrain, Test: miniTest} {
		full, err := Load(dir, "mnist", split)
		realdata.Found(t, err)
		assert.True(t, bytes.Equal(full.Take(mini.Len()).Bytes, mini.Bytes))
		assert.Equal(t, full.Take(mini.Len()).Labels, mini.Labels)
	}
}

func TestRealBackgroundPatches(t *testing.T) {
	f, err := os.Open(realdata.File(t, "bsds-patches", "bsds500_train_patches32_1000.png"))
	require.NoError(t, err)
	defer f.Close()
	s, err := ReadRowSheet(f, 32, 32)
	require.NoError(t, err)
	assert.Equal(t, 1000, s.Len())
	mean, std := s.Moments()
	assert.InDeltaSlice(t, []float64{0.4422, 0.4493, 0.3722}, mean, 1e-4)
	assert.InDeltaSlice(t, []float64{0.2480, 0.2325, 0.2427}, std, 1e-4)
}
