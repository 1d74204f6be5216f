package dataset_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"

	"github.com/redoubt-ml/redoubt/tensor"
	"github.com/redoubt-ml/redoubt/tensor/dataset"
)

func ExampleMNISTMini() {
	train, _, err := dataset.MNISTMini()
	if err != nil {
		panic(err)
	}
	x, y := train.Batch([]int{0, 1, 2})
	fmt.Println(train.Len(), x.Shape(), y)
	// Output: 2000 [3 28 28 1] [5 0 4]
}

func ExampleBatches() {
	order, err := dataset.NewBatches(7, dataset.BatchOptions{Size: 3, Sequential: true})
	if err != nil {
		panic(err)
	}
	for idx := range order.Epoch() {
		fmt.Println(idx)
	}
	// Output:
	// [0 1 2]
	// [3 4 5]
	// [6]
}

func ExampleNewAugmenter() {
	train, _, err := dataset.MNISTMini()
	if err != nil {
		panic(err)
	}
	augment, err := dataset.NewAugmenter(1, dataset.PadCrop{Pad: 2}, dataset.HorizontalFlip{})
	if err != nil {
		panic(err)
	}
	idx := []int{3, 1, 4}
	x, _ := train.Batch(idx)
	augment.Apply(x, idx, 0)
	fmt.Println(x.Shape())
	// Output: [3 28 28 1]
}

// Two classes out of a set, at half the size and in colour.
func ExampleSet() {
	train, _, err := dataset.MNISTMini()
	if err != nil {
		panic(err)
	}
	var sevens []int
	for i, y := range train.Labels {
		if y == 7 {
			sevens = append(sevens, i)
		}
	}
	small := train.Subset(sevens).Resize(14, 14).RGB()
	first, rest := small.Split(10)
	fmt.Println(small.H, small.W, small.C, first.Len()+rest.Len() == len(sevens), small.ClassCounts()[7] == len(sevens))
	// Output: 14 14 3 true true
}

// A folder that is not there is an error that says so.
func ExampleLoad() {
	_, err := dataset.Load("/nowhere", "cifar10", dataset.Train)
	fmt.Println(errors.Is(err, fs.ErrNotExist))
	// Output: true
}

// A file of two images of 1x2 pixels, and what a damaged one says.
func ExampleReadIDX() {
	file := []byte{0, 0, 8, 3, 0, 0, 0, 2, 0, 0, 0, 1, 0, 0, 0, 2, 10, 20, 30, 40}
	x, err := dataset.ReadIDX(bytes.NewReader(file))
	fmt.Println(x.Dims, x.Data, err)
	_, err = dataset.ReadIDX(bytes.NewReader(file[:18]))
	fmt.Println(err != nil)
	// Output:
	// [2 1 2] [10 20 30 40] <nil>
	// true
}

// The order of an epoch depends on the seed and its number alone, so training can go
// on where it stopped.
func ExampleShuffler() {
	s := dataset.Shuffler{Seed: 1}
	fmt.Println(slices.Equal(s.Order(3, 100), s.Order(3, 100)), slices.Equal(s.Order(3, 100), s.Order(4, 100)))
	// Output: true false
}

// Digits drawn in fonts, where no data can be had.
func ExampleFontDigits() {
	s, err := dataset.FontDigits{Side: 16, Seed: 1}.Make(20)
	if err != nil {
		panic(err)
	}
	fmt.Println(s.Len(), s.H, s.W, s.C, s.ClassCounts())
	// Output: 20 16 16 1 [2 2 2 2 2 2 2 2 2 2]
}

// An augmentation of one's own: the negative of an image, now and then.
func ExampleAugment() {
	augment, err := dataset.NewAugmenter(1, negative{})
	if err != nil {
		panic(err)
	}
	x := tensor.Full(tensor.Float32, 0.25, 100, 2, 2, 1)
	idx := make([]int, 100)
	for i := range idx {
		idx[i] = i
	}
	augment.Apply(x, idx, 0)
	changed := 0
	for i := range idx {
		if x.At(i, 0, 0, 0) == 0.75 {
			changed++
		}
	}
	fmt.Println(changed > 25 && changed < 75)
	// Output: true
}

type negative struct{}

func (negative) Check() error { return nil }

func (negative) Augment(rng *rand.Rand, img *dataset.Image) {
	if rng.IntN(2) == 0 {
		return
	}
	for i, v := range img.Pix {
		img.Pix[i] = 1 - v
	}
}

// Nothing is fetched here; this is what Download would fetch.
func ExampleOriginals() {
	for _, f := range dataset.Originals("cifar10") {
		fmt.Println(f.Name, len(f.URLs) > 0, f.MD5)
	}
	// Output: cifar-10-binary.tar.gz true c32a1d4ab5d03f1284b67883e8d87530
}

func ExampleRandomResizedCrop() {
	err := dataset.RandomResizedCrop{Scale: [2]float64{0.2, 2}}.Check()
	fmt.Println(err != nil)
	// Output: true
}

// A file is fetched once, checked, and takes its name only then.
func ExampleDownload() {
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprint(w, "0,0,1\n")
	}))
	defer server.Close()
	dir, err := os.MkdirTemp("", "")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)
	o := dataset.DownloadOptions{
		Dir: dir, Name: "digits", Client: server.Client(),
		Files: []dataset.Remote{{Name: "digits.csv", URLs: []string{server.URL}, MD5: "00000000000000000000000000000000"}},
	}
	fmt.Println("a wrong checksum is an error:", dataset.Download(context.Background(), o) != nil)
	o.Files[0].MD5 = ""
	fmt.Println(dataset.Download(context.Background(), o))
	_, err = os.Stat(filepath.Join(dir, "digits", "digits.csv"))
	fmt.Println(err)
	// Output:
	// a wrong checksum is an error: true
	// <nil>
	// <nil>
}
