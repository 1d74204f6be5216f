package dataset

import (
	"archive/tar"
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func writeFiles(t *testing.T, files map[string][]byte) (dir string) {
	dir = t.TempDir()
	for name, b := range files {
		path := filepath.Join(dir, filepath.FromSlash(name))
		require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o777))
		require.NoError(t, os.WriteFile(path, b, 0o666))
	}
	return dir
}

func TestLoadFindsEveryForm(t *testing.T) {
	images, labels := idxFile([]byte("abcd"), 2, 1, 2), idxFile([]byte{1, 0}, 2)
	for _, c := range []struct {
		name  string
		split Split
		files map[string][]byte
		want  []int
	}{
		{"mnist", Train, map[string][]byte{"mnist/train-images-idx3-ubyte": images, "mnist/train-labels-idx1-ubyte.gz": zipped(labels)}, []int{1, 0}},
		{"MNIST", Test, map[string][]byte{"mnist/t10k-images.idx3-ubyte": images, "mnist/t10k-labels.idx1-ubyte": labels}, []int{1, 0}},
		{"fashion", Test, map[string][]byte{"fashion-mnist/t10k-images-idx3-ubyte.gz": zipped(images), "fashion-mnist/t10k-labels-idx1-ubyte": labels}, []int{1, 0}},
		{"cifar10", Test, map[string][]byte{"cifar10/test_batch.bin": cifarFile(5, 6)}, []int{5, 6}},
		{"cifar10", Train, map[string][]byte{"cifar10/data_batch_2.bin.gz": zipped(cifarFile(4)), "cifar10/data_batch_1.bin": cifarFile(7)}, []int{7, 4}},
		{"cifar10", Train, map[string][]byte{"cifar10/cifar-10-batches-bin/data_batch_5.bin": cifarFile(8)}, []int{8}},
		{"cifar10", Test, map[string][]byte{"cifar10/cifar-10-binary.tar.gz": cifarArchive(t, 6)}, []int{9}},
		{"cifar10", Train, map[string][]byte{"cifar10/cifar-10-binary.tar.gz": cifarArchive(t, 6)}, []int{1, 2, 3, 4, 5}},
		{"mnist-m", Train, map[string][]byte{"mnist-m/mnistm_train_first2.png": sheetFile(2, 32, 32), "mnist-m/mnistm-train-first2-labels-idx1-ubyte": labels}, []int{1, 0}},
		{"mnistm", Test, map[string][]byte{"mnist-m/mnistm_test.png": sheetFile(2, 32, 32), "mnist-m/mnistm-test-labels-idx1-ubyte.gz": zipped(labels)}, []int{1, 0}},
		{"usps", Train, map[string][]byte{"usps/zip.train.gz": zipped(uspsFile(2))}, []int{0, 1}},
		{"usps", Test, map[string][]byte{"usps/usps-test-images-idx3-ubyte": images, "usps/usps-test-labels-idx1-ubyte": labels}, []int{1, 0}},
		{"svhn", Train, map[string][]byte{"svhn/train_32x32.mat": svhnFile(binary.LittleEndian, true, 10, 3)}, []int{0, 3}},
		{"digits", Train, map[string][]byte{"digits/digits.csv": digitsFile(5)}, []int{0, 1, 2, 3}},
		{"digits", Test, map[string][]byte{"digits/digits.csv.gz": zipped(digitsFile(5))}, []int{4}},
	} {
		s, err := Load(writeFiles(t, c.files), c.name, c.split)
		require.NoError(t, err, "%s %v", c.name, c.split)
		assert.Equal(t, c.want, s.Labels, "%s %v", c.name, c.split)
		assert.Equal(t, 10, s.Classes)
		assert.Contains(t, s.Name, c.split.String())
	}
}

// cifarArchive is an archive of the first n of data_batch_1.bin (one image of
// class 1) to data_batch_5.bin (class 5) and test_batch.bin (class 9).
func cifarArchive(t *testing.T, n int) []byte {
	names := append(cifarFiles(Train), cifarFiles(Test)...)[:n]
	return cifarArchiveOf(t, names, []byte{1, 2, 3, 4, 5, 9})
}

// cifarArchiveOf is an archive of files of one image each, of the given labels.
func cifarArchiveOf(t *testing.T, names []string, labels []byte) []byte {
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for i, name := range names {
		file := cifarFile(labels[i])
		require.NoError(t, w.WriteHeader(&tar.Header{Name: "cifar-10-batches-bin/" + name, Size: int64(len(file)), Mode: 0o644}))
		_, err := w.Write(file)
		require.NoError(t, err)
	}
	require.NoError(t, w.Close())
	return zipped(b.Bytes())
}

func TestArchiveWithoutAFileIsAnError(t *testing.T) {
	_, err := ReadCIFARArchive(bytes.NewReader(cifarArchive(t, 5)), Test)
	require.ErrorContains(t, err, "archive has no test_batch.bin")
	whole := cifarArchive(t, 6)
	_, err = ReadCIFARArchive(bytes.NewReader(whole[:len(whole)/2]), Train)
	require.Error(t, err)
}

func TestCIFARRowSheetsTakeTheirOwnLabels(t *testing.T) {
	labels := make([]int, cifarBatches*cifarBatch)
	for i := range labels {
		labels[i] = i / cifarBatch
	}
	text, err := json.Marshal(labels)
	require.NoError(t, err)
	dir := writeFiles(t, map[string][]byte{
		"package/data_batch_3.png": sheetFile(cifarBatch, 32, 32), "package/train_lables.json": text,
	})
	s, err := LoadCIFAR10(dir, Train)
	require.NoError(t, err)
	assert.Equal(t, cifarBatch, s.Len())
	assert.Equal(t, []int{0, 0, cifarBatch, 0, 0, 0, 0, 0, 0, 0}, s.ClassCounts())
	assert.Equal(t, CIFAR10Classes, s.ClassNames)

	require.NoError(t, os.WriteFile(filepath.Join(dir, "package", "data_batch_3.png"), sheetFile(9, 32, 32), 0o666))
	_, err = LoadCIFAR10(dir, Train)
	require.ErrorContains(t, err, "10000 labels for 9 images")
	require.NoError(t, os.WriteFile(filepath.Join(dir, "package", "train_lables.json"), []byte("[1]"), 0o666))
	_, err = LoadCIFAR10(dir, Train)
	require.ErrorContains(t, err, "1 labels, want 50000")
}

func TestFindKnowsNamesInAnyCase(t *testing.T) {
	for name, want := range map[string]string{"MNIST": "mnist", "Fashion-MNIST": "fashion", "cifar-10": "cifar10", "mnist-m": "mnistm", "usps": "usps"} {
		got, err := Find(name)
		require.NoError(t, err)
		assert.Equal(t, want, got)
	}
	_, err := Find("imagenet")
	require.ErrorContains(t, err, `data set is "imagenet", want one of mnist, fashion,`)
}

func TestLoadErrorsNameFolderAndFiles(t *testing.T) {
	empty := t.TempDir()
	for _, name := range Names() {
		for _, split := range []Split{Train, Test} {
			_, err := Load(empty, name, split)
			require.ErrorIs(t, err, fs.ErrNotExist, name)
			require.ErrorContains(t, err, "dataset: ", name)
			require.ErrorContains(t, err, empty, name)
		}
	}
	dir := writeFiles(t, map[string][]byte{"mnist/x": nil, "cifar10/x": nil, "usps/x": nil})
	for name, want := range map[string]string{
		"mnist": "train-images-idx3-ubyte.gz", "cifar10": "cifar-10-binary.tar.gz nor row sheets", "usps": "usps-train-images-idx3-ubyte.gz",
	} {
		_, err := Load(dir, name, Train)
		require.ErrorIs(t, err, fs.ErrNotExist)
		require.ErrorContains(t, err, want)
	}
	_, err := Load(empty, "imagenet", Train)
	require.ErrorContains(t, err, `data set is "imagenet", want one of mnist, fashion`)
	_, err = Load(empty, "mnist", Split(7))
	require.ErrorContains(t, err, "split is Split(7), want train or test")

	images := idxFile([]byte("abcd"), 2, 1, 2)
	bad := writeFiles(t, map[string][]byte{"mnist/train-images-idx3-ubyte": images[:17], "mnist/train-labels-idx1-ubyte": idxFile([]byte{1, 0}, 2)})
	_, err = Load(bad, "mnist", Train)
	require.ErrorContains(t, err, "dataset: "+filepath.Join(bad, "mnist", "train-images-idx3-ubyte")+": idx: ")
}

func TestDirFromEnv(t *testing.T) {
	t.Setenv("REDOUBT_DATA", "somewhere")
	assert.Equal(t, "somewhere", DirFromEnv())
}

// The counts of the embedded cut are those of the first 2,000 and 1,000 labels
// of the original files.
func TestMNISTMini(t *testing.T) {
	train, test, err := MNISTMini()
	require.NoError(t, err)
	require.NoError(t, train.Check())
	require.NoError(t, test.Check())
	assert.Equal(t, []int{191, 220, 198, 191, 214, 180, 200, 224, 172, 210}, train.ClassCounts())
	assert.Equal(t, []int{85, 126, 116, 107, 110, 87, 87, 99, 89, 94}, test.ClassCounts())
	assert.Equal(t, []int{28, 28, 1}, []int{train.H, train.W, train.C})
}

func TestMNISTIsCompleteOrSaysWhyNot(t *testing.T) {
	train, test, source, err := MNIST()
	require.NoError(t, err)
	if train.Len() == 60000 {
		assert.Equal(t, 10000, test.Len())
		assert.Contains(t, source, "complete MNIST")
		requireMNIST(t, train, test)
		return
	}
	assert.Equal(t, 2000, train.Len())
	assert.Equal(t, 1000, test.Len())
	assert.Contains(t, source, "complete set not found")
}

func TestMNISTFallsBackToTheEmbeddedCut(t *testing.T) {
	damaged := t.TempDir()
	for name := range mnistSHA256 {
		require.NoError(t, os.WriteFile(filepath.Join(damaged, name), []byte("damaged"), 0o666))
	}
	train, test, source, err := mnistFrom(func(yield func(string, error) bool) {
		_ = yield("", errors.New("no such way")) && yield(filepath.Join(damaged, "absent"), nil) && yield(damaged, nil)
	})
	require.NoError(t, err)
	assert.Equal(t, 2000, train.Len())
	assert.Equal(t, 1000, test.Len())
	assert.Contains(t, source, "no such way")
	assert.Contains(t, source, "has SHA-256")
}

// The go command answers from its cache or not at all.
func TestTheGoCommandStaysOffTheNetwork(t *testing.T) {
	if _, err := exec.LookPath("go"); err != nil {
		t.Skip(err)
	}
	var asked atomic.Int32
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		asked.Add(1)
		http.NotFound(w, nil)
	}))
	defer proxy.Close()
	t.Setenv("GOPROXY", proxy.URL)
	t.Setenv("GOSUMDB", "off")
	t.Setenv("GOFLAGS", "-mod=vendor")
	t.Setenv("GOMODCACHE", t.TempDir())
	_, err := mnistFromGoCommand()
	require.ErrorContains(t, err, "go mod download")
	require.Zero(t, asked.Load(), "requests")
}

func TestEachWayToMNISTLeadsToTheModule(t *testing.T) {
	for name, find := range map[string]func() (string, error){"source file": mnistBesideSource, "go command": mnistFromGoCommand} {
		dir, err := find()
		if err != nil {
			t.Logf("%s: %v", name, err)
			continue
		}
		assert.Contains(t, filepath.ToSlash(dir), "!go!m!n!i!s!t@"+mnistVersion+"/data", name)
	}
	t.Setenv("GOMODCACHE", filepath.FromSlash("/cache"))
	dir, err := mnistInModuleCache()
	require.NoError(t, err)
	assert.Equal(t, "/cache/github.com/petar/!go!m!n!i!s!t@"+mnistVersion+"/data", filepath.ToSlash(dir))
	t.Setenv("GOMODCACHE", "")
	t.Setenv("GOPATH", filepath.FromSlash("/one")+string(filepath.ListSeparator)+filepath.FromSlash("/two"))
	dir, err = mnistInModuleCache()
	require.NoError(t, err)
	assert.Equal(t, "/one/pkg/mod/github.com/petar/!go!m!n!i!s!t@"+mnistVersion+"/data", filepath.ToSlash(dir))
}
