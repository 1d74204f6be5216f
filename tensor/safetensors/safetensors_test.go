package safetensors

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/redoubt-ml/redoubt/internal/realdata"
	"github.com/redoubt-ml/redoubt/tensor"
)

// raw is a file with the given header text and data.
func raw(header string, data ...byte) []byte {
	b := binary.LittleEndian.AppendUint64(nil, uint64(len(header)))
	return append(append(b, header...), data...)
}

// readBoth reads b through both readers, which must agree on whether it is a
// file.
func readBoth(t *testing.T, b []byte) (*File, error) {
	t.Helper()
	f, err := Read(bytes.NewReader(b))
	_, errAt := ReadAt(bytes.NewReader(b), int64(len(b)))
	require.Equal(t, err == nil, errAt == nil, "Read: %v, ReadAt: %v", err, errAt)
	return f, err
}

func sample() Contents {
	return Contents{
		Tensors: map[string]*tensor.Tensor{
			"b.weight": tensor.FromFloat32([]float32{1, -2.5, float32(math.Inf(1)), 0, math.SmallestNonzeroFloat32, 6}, 2, 3),
			"a<&>\"\\": tensor.FromFloat64([]float64{math.Pi, -1e300}, 2),
			"empty":    tensor.Zeros(tensor.Float32, 0, 5),
			"scalar":   tensor.Scalar(tensor.Float32, 7),
		},
		Ints:     map[string]IntTensor{"step": {Data: []int64{math.MinInt64}}, "rng": {Shape: []int{2}, Data: []int64{-1, 1 << 62}}},
		Metadata: map[string]string{"format": "pt", "epoch": "3"},
	}
}

func TestWrittenFileReadsBackExactly(t *testing.T) {
	path := filepath.Join(t.TempDir(), "model.safetensors")
	c := sample()
	require.NoError(t, Write(path, c))
	f, err := Open(path)
	require.NoError(t, err)
	defer f.Close()
	assert.Equal(t, []string{"a<&>\"\\", "b.weight", "empty", "rng", "scalar", "step"}, f.Names())
	assert.Equal(t, c.Metadata, f.Metadata())
	for name, want := range c.Tensors {
		got, err := f.Tensor(name)
		require.NoError(t, err, name)
		assert.Equal(t, want.Shape(), got.Shape(), name)
		assert.Equal(t, want.DType(), got.DType(), name)
		assert.Equal(t, want.Values(), got.Values(), name)
	}
	for name, want := range c.Ints {
		got, err := f.Ints(name)
		require.NoError(t, err, name)
		assert.Equal(t, want.Data, got, name)
	}
	info, ok := f.Info("rng")
	require.True(t, ok)
	assert.Equal(t, I64, info.DType)
	assert.Equal(t, []int{2}, info.Shape)
	_, ok = f.Info("absent")
	assert.False(t, ok)
}

func TestEqualContentsMakeEqualBytes(t *testing.T) {
	var first bytes.Buffer
	require.NoError(t, Encode(&first, sample()))
	for range 20 {
		var again bytes.Buffer
		require.NoError(t, Encode(&again, sample()))
		require.Equal(t, first.Bytes(), again.Bytes())
	}
	n := binary.LittleEndian.Uint64(first.Bytes())
	assert.Zero(t, n%8, "the data begins at a multiple of eight bytes")
}

func TestLargeTensorCrossesPieces(t *testing.T) {
	const seed = 11
	rng := rand.New(rand.NewPCG(seed, 0))
	values, wide := make([]float32, 70001), make([]float64, 20011)
	for i := range values {
		values[i] = rng.Float32()
	}
	for i := range wide {
		wide[i] = rng.Float64()
	}
	var b bytes.Buffer
	require.NoError(t, Encode(&b, Contents{Tensors: map[string]*tensor.Tensor{
		"x": tensor.FromFloat32(values), "w": tensor.FromFloat64(wide)}}))
	f, err := Read(&b)
	require.NoError(t, err)
	x, err := f.Tensor("x")
	require.NoError(t, err)
	assert.Equal(t, values, x.Float32s(), "seed %d", seed)
	w, err := f.Tensor("w")
	require.NoError(t, err)
	assert.Equal(t, wide, w.Float64s(), "seed %d", seed)
}

func TestWriteRefusesBadContents(t *testing.T) {
	x := tensor.Zeros(tensor.Float32, 2)
	for name, c := range map[string]Contents{
		"occurs in":                          {Tensors: map[string]*tensor.Tensor{"x": x}, Ints: map[string]IntTensor{"x": {Data: []int64{1}}}},
		"want 6 for":                         {Ints: map[string]IntTensor{"n": {Shape: []int{2, 3}, Data: []int64{1}}}},
		"extents of 0":                       {Ints: map[string]IntTensor{"n": {Shape: []int{-1}, Data: nil}}},
		"tensor name":                        {Tensors: map[string]*tensor.Tensor{"\xff": x}},
		"__metadata__":                       {Tensors: map[string]*tensor.Tensor{"__metadata__": x}},
		"metadata":                           {Metadata: map[string]string{"k": "\xff"}},
		"[2147483647 2147483647 2147483647]": {Ints: map[string]IntTensor{"n": {Shape: []int{math.MaxInt32, math.MaxInt32, math.MaxInt32}}}},
		`tensor "x" is n`:                    {Tensors: map[string]*tensor.Tensor{"x": nil}},
	} {
		dir := t.TempDir()
		err := Write(filepath.Join(dir, "f"), c)
		require.ErrorContains(t, err, name)
		left, err := os.ReadDir(dir)
		require.NoError(t, err)
		assert.Empty(t, left, name)
	}
}

func TestFailedWriteLeavesOldFileAndNothingElse(t *testing.T) {
	dir := t.TempDir()
	target := filepath.Join(dir, "taken")
	require.NoError(t, os.Mkdir(target, 0o777))
	require.NoError(t, os.WriteFile(filepath.Join(target, "inside"), nil, 0o666))
	require.ErrorContains(t, Write(target, sample()), "safetensors: ")
	left, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Len(t, left, 1)
	assert.Equal(t, "taken", left[0].Name())
	require.Error(t, Write(filepath.Join(dir, "absent", "f"), sample()))
}

func TestWriteReplacesAnOlderFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "f")
	require.NoError(t, os.WriteFile(path, []byte("old"), 0o666))
	require.NoError(t, Write(path, sample()))
	f, err := Open(path)
	require.NoError(t, err)
	require.NoError(t, f.Close())
}

// shortWriter fails after some bytes, like a full disk.
type shortWriter int

func (w *shortWriter) Write(p []byte) (int, error) {
	if *w -= shortWriter(len(p)); *w < 0 {
		return 0, errors.New("disk is full")
	}
	return len(p), nil
}

func TestEncodeReportsAFullDisk(t *testing.T) {
	room := shortWriter(100)
	require.ErrorContains(t, Encode(&room, sample()), "disk is full")
}

// The widened values are those of IEEE 754-2019, table 3.5, and of bfloat16,
// which is the upper half of a float32.
func TestHalfPrecisionIsConvertedExactly(t *testing.T) {
	for bits, want := range map[uint16]float64{
		0x0000: 0, 0x3c00: 1, 0xc000: -2, 0x7bff: 65504, 0x0400: 0x1p-14, 0x0001: 0x1p-24, 0x03ff: 1023 * 0x1p-24,
		0x7c00: math.Inf(1), 0xfc00: math.Inf(-1), 0x3555: 0.333251953125,
	} {
		assert.Equal(t, want, float64(halfToFloat32(bits)), "0x%04x", bits)
	}
	assert.True(t, math.Signbit(float64(halfToFloat32(0x8000))))
	assert.True(t, math.IsNaN(float64(halfToFloat32(0x7e00))))
	f, err := Read(bytes.NewReader(raw(`{"h":{"dtype":"F16","shape":[2],"data_offsets":[0,4]},"b":{"dtype":"BF16","shape":[2],"data_offsets":[4,8]}}`,
		0x00, 0x3e, 0x00, 0xc0, 0xc0, 0x3f, 0x00, 0xc0)))
	require.NoError(t, err)
	for _, name := range []string{"h", "b"} {
		x, err := f.Tensor(name)
		require.NoError(t, err)
		assert.Equal(t, []float32{1.5, -2}, x.Float32s(), name)
	}
}

func TestIntsOfEveryType(t *testing.T) {
	f, err := Read(bytes.NewReader(raw(`{"i32":{"dtype":"I32","shape":[1],"data_offsets":[0,4]},"i16":{"dtype":"I16","shape":[1],"data_offsets":[4,6]},`+
		`"i8":{"dtype":"I8","shape":[1],"data_offsets":[6,7]},"u8":{"dtype":"U8","shape":[1],"data_offsets":[7,8]},`+
		`"ok":{"dtype":"BOOL","shape":[2],"data_offsets":[8,10]},"bad":{"dtype":"BOOL","shape":[1],"data_offsets":[10,11]}}`,
		0xfe, 0xff, 0xff, 0xff, 0xfd, 0xff, 0xfc, 0xfb, 0, 1, 2)))
	require.NoError(t, err)
	for name, want := range map[string][]int64{"i32": {-2}, "i16": {-3}, "i8": {-4}, "u8": {251}, "ok": {0, 1}} {
		got, err := f.Ints(name)
		require.NoError(t, err, name)
		assert.Equal(t, want, got, name)
	}
	_, err = f.Ints("bad")
	require.ErrorContains(t, err, "BOOL element 0 is 2, want 0 or 1")
	_, err = f.Tensor("i32")
	require.ErrorContains(t, err, "want F64, F32, F16 or BF16")
	_, err = f.Ints("absent")
	require.ErrorContains(t, err, `found no tensor "absent" among 6`)
}

// Tensors of types that are not read do not keep the others of a file from being read.
func TestTensorsOfEveryTypeOfTheFormat(t *testing.T) {
	file := func(typ DType, shape string, size int) []byte {
		return raw(fmt.Sprintf(`{"f":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"x":{"dtype":%q,"shape":%s,"data_offsets":[4,%d]}}`, typ, shape, 4+size),
			append([]byte{0, 0, 0xc0, 0x3f}, bytes.Repeat([]byte{0xfe}, size)...)...)
	}
	for typ, size := range map[DType]int{C64: 8, F8E5M2: 1, F8E4M3: 1, F8E8M0: 1} {
		require.Equal(t, size, typ.Size(), typ)
		f, err := readBoth(t, file(typ, "[3]", 3*size))
		require.NoError(t, err, typ)
		x, err := f.Tensor("f")
		require.NoError(t, err)
		require.Equal(t, []float32{1.5}, x.Float32s())
		_, err = f.Tensor("x")
		require.ErrorContains(t, err, `tensor "x": element type is `+string(typ)+`, want F64`)
		_, err = f.Ints("x")
		require.ErrorContains(t, err, `tensor "x": element type is `+string(typ)+`, want I64`)
	}
	for typ, size := range map[DType]int{F4: 2, F6E2M3: 3, F6E3M2: 3} {
		f, err := readBoth(t, file(typ, "[4]", size))
		require.NoError(t, err, typ)
		_, err = f.Ints("x")
		require.ErrorContains(t, err, "element type is "+string(typ))
		_, err = readBoth(t, file(typ, "[3]", size))
		require.ErrorContains(t, err, "want whole bytes")
	}
	for typ, want := range map[DType]int64{U16: 0xfefe, U32: 0xfefefefe} {
		f, err := readBoth(t, file(typ, "[1]", typ.Size()))
		require.NoError(t, err)
		v, err := f.Ints("x")
		require.NoError(t, err)
		require.Equal(t, []int64{want}, v)
	}
	f, err := readBoth(t, file(U64, "[1]", 8))
	require.NoError(t, err)
	_, err = f.Ints("x")
	require.ErrorContains(t, err, "found a U64 element of 18374403900871474942, want at most 9223372036854775807")
	f, err = Read(bytes.NewReader(raw(`{"x":{"dtype":"U64","shape":[1],"data_offsets":[0,8]}}`, 7, 0, 0, 0, 0, 0, 0, 0x10)))
	require.NoError(t, err)
	v, err := f.Ints("x")
	require.NoError(t, err)
	require.Equal(t, []int64{1<<60 + 7}, v)
}

func TestTensorBeyondTheLibrarysLimits(t *testing.T) {
	f, err := Read(bytes.NewReader(raw(`{"deep":{"dtype":"F32","shape":[1,1,1,1,1,1,1],"data_offsets":[0,4]},`+
		`"wide":{"dtype":"F32","shape":[0,4294967296],"data_offsets":[0,0]}}`+"    ", 0, 0, 0, 0)))
	require.NoError(t, err)
	_, err = f.Tensor("deep")
	require.ErrorContains(t, err, "7 axes")
	_, err = f.Tensor("wide")
	require.ErrorContains(t, err, "extent 4294967296")
}

func TestBadHeadersNameTheField(t *testing.T) {
	const a = `"a":{"dtype":"U8","shape":[2],"data_offsets":[0,2]}`
	for _, c := range []struct{ header, want string }{
		{`{` + a + `,"b":{"dtype":"U8","shape":[2],"data_offsets":[0,2]}}`, `tensor "b": data begins at 0, want 2 (an overlap)`},
		{`{"a":{"dtype":"U8","shape":[1],"data_offsets":[1,2]}}`, `tensor "a": data begins at 1, want 0 (a hole before it)`},
		{`{` + a + `,` + a + `}`, `name "a" occurs twice`},
		{`{"a":{"dtype":"U8","dtype":"U8","shape":[2],"data_offsets":[0,2]}}`, `field "dtype" occurs twice`},
		{`{"a":{"dtype":"U8","shape":[2],"data_offsets":[0,2],"x":1}}`, `tensor "a": found field "x"`},
		{`{"a":{"dtype":"U9","shape":[2],"data_offsets":[0,2]}}`, `tensor "a": dtype: found "U9"`},
		{`{"a":{"dtype":"U8","shape":[2.0],"data_offsets":[0,2]}}`, `tensor "a": shape: found 2.0`},
		{`{"a":{"dtype":"U8","shape":[-2],"data_offsets":[0,2]}}`, `tensor "a": shape: found -2`},
		{`{"a":{"dtype":"U8","shape":[2e0],"data_offsets":[0,2]}}`, `tensor "a": shape: found 2e0`},
		{`{"a":{"dtype":"U8","shape":{},"data_offsets":[0,2]}}`, `tensor "a": shape: found '{', want '['`},
		{`{"a":{"dtype":"U8","shape":[2],"data_offsets":[0,1]}}`, `tensor "a": data_offsets: found 1 bytes, want 2 for U8[2]`},
		{`{"a":{"dtype":"U8","shape":[2],"data_offsets":[2,0]}}`, `tensor "a": data_offsets: found [2, 0]`},
		{`{"a":{"dtype":"U8","shape":[2],"data_offsets":[0,2,3]}}`, `tensor "a": data_offsets: found 3 numbers`},
		{`{"a":{"dtype":"U8","shape":[2]}}`, `tensor "a": found no field "data_offsets"`},
		{`{"a":null}`, `tensor "a": found null, want '{'`},
		{`{"__metadata__":{"k":1}}`, `__metadata__: key "k": found 1`},
		{`{"__metadata__":{"k":"1","k":"2"}}`, `__metadata__: key "k" occurs twice`},
		{`{"__metadata__":[]}`, `__metadata__: found '[', want '{'`},
		{`{` + a, `header: `},
		{`{` + a + `}x`, `found "x" after the JSON object`},
		{` {` + a + `}`, `header: begins with ' '`},
		{`{"\ud800":{"dtype":"U8","shape":[0],"data_offsets":[0,0]},"\udc00":{"dtype":"U8","shape":[2],"data_offsets":[0,2]}}`, "occurs twice"},
		{`{}`, `data has`},
		{`{"a":{"dtype":"U8","shape":[3],"data_offsets":[0,3]}}`, `tensor "a": data_offsets end at 3, want at most the 2 bytes`},
		{`{"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}}`, "want the 1 of the tensors"},
	} {
		_, err := readBoth(t, raw(c.header, 1, 2))
		require.ErrorContains(t, err, c.want, c.header)
		require.ErrorContains(t, err, "safetensors: ")
	}
}

func TestEveryCutIsAnError(t *testing.T) {
	var b bytes.Buffer
	require.NoError(t, Encode(&b, sample()))
	for n := range b.Len() {
		_, err := readBoth(t, b.Bytes()[:n])
		require.Error(t, err, "%d of %d bytes", n, b.Len())
	}
	_, err := readBoth(t, append(b.Bytes(), 0))
	require.ErrorContains(t, err, "data has")
}

func TestClaimedLengthsCostNoMemory(t *testing.T) {
	huge := raw(`{"a":{"dtype":"F32","shape":[1073741824,64],"data_offsets":[0,274877906944]}}`, 1, 2, 3)
	long := binary.LittleEndian.AppendUint64(nil, maxHeader)
	long = append(long, "{    "...)
	for _, b := range [][]byte{huge, long} {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		_, err := readBoth(t, b)
		runtime.ReadMemStats(&after)
		require.Error(t, err)
		assert.Less(t, after.TotalAlloc-before.TotalAlloc, uint64(1<<20))
	}
}

// failingReader gives its bytes and then an error that is not io.EOF.
type failingReader struct{ r io.Reader }

func (f failingReader) Read(p []byte) (int, error) {
	n, err := f.r.Read(p)
	if errors.Is(err, io.EOF) {
		err = errors.New("cable pulled")
	}
	return n, err
}

func TestReadErrorIsPassedOn(t *testing.T) {
	var b bytes.Buffer
	require.NoError(t, Encode(&b, sample()))
	for _, n := range []int{3, 40, b.Len() - 3, b.Len()} {
		_, err := Read(failingReader{bytes.NewReader(b.Bytes()[:n])})
		require.ErrorContains(t, err, "cable pulled", "after %d bytes", n)
	}
}

func TestFileCutAfterOpenIsAnError(t *testing.T) {
	path := filepath.Join(t.TempDir(), "f")
	require.NoError(t, Write(path, sample()))
	f, err := Open(path)
	require.NoError(t, err)
	defer f.Close()
	require.NoError(t, os.Truncate(path, 16))
	_, err = f.Tensor("b.weight")
	require.ErrorIs(t, err, io.ErrUnexpectedEOF)
	_, err = f.Ints("rng")
	require.ErrorIs(t, err, io.ErrUnexpectedEOF)
}

func TestOpenOfNoFile(t *testing.T) {
	_, err := Open(filepath.Join(t.TempDir(), "absent"))
	require.ErrorIs(t, err, os.ErrNotExist)
	_, err = Open(t.TempDir())
	require.ErrorContains(t, err, "no regular file")
	path := filepath.Join(t.TempDir(), "short")
	require.NoError(t, os.WriteFile(path, []byte("abc"), 0o600))
	_, err = Open(path)
	require.EqualError(t, err, "safetensors: "+path+": file has 3 bytes, want 8 for the header's length")
	_, err = ReadAt(strings.NewReader("abc"), 3)
	require.EqualError(t, err, "safetensors: file has 3 bytes, want 8 for the header's length")
}

func TestReferenceFilesGoodAndBad(t *testing.T) {
	dir := realdata.File(t, "models", "broken")
	index, err := os.ReadFile(filepath.Join(dir, "index.json"))
	require.NoError(t, err)
	var list []struct {
		File, What string
		Valid      bool
	}
	require.NoError(t, json.Unmarshal(index, &list))
	seen := 0
	for _, c := range list {
		if !strings.HasSuffix(c.File, ".safetensors") {
			continue
		}
		seen++
		f, err := Open(filepath.Join(dir, c.File))
		b, readErr := os.ReadFile(filepath.Join(dir, c.File))
		require.NoError(t, readErr)
		_, err2 := Read(bytes.NewReader(b))
		if !c.Valid {
			assert.Error(t, err, "%s: %s", c.File, c.What)
			assert.Error(t, err2, "%s: %s", c.File, c.What)
			continue
		}
		require.NoError(t, err, "%s: %s", c.File, c.What)
		require.NoError(t, err2, "%s: %s", c.File, c.What)
		for _, name := range f.Names() {
			info, _ := f.Info(name)
			if info.DType.isFloat() {
				_, err = f.Tensor(name)
			} else {
				_, err = f.Ints(name)
			}
			assert.NoError(t, err, "%s: %s", c.File, name)
		}
		require.NoError(t, f.Close())
	}
	assert.Equal(t, 44, seen, "files listed in index.json")

	f, err := Open(filepath.Join(dir, "good-f16-bf16-f64.safetensors"))
	require.NoError(t, err)
	defer f.Close()
	for name, want := range map[string][]float64{"h": {1.5, -2}, "bf": {1.5, -2}, "d": {0.1}} {
		x, err := f.Tensor(name)
		require.NoError(t, err)
		assert.Equal(t, want, x.Values(), "value from index.json")
	}
	g, err := Open(filepath.Join(dir, "good-scalar.safetensors"))
	require.NoError(t, err)
	defer g.Close()
	z, err := g.Ints("z")
	require.NoError(t, err)
	assert.Equal(t, []int64{7}, z, "value from index.json")
}

// The parameter counts are those of the framework that wrote the files.
func TestReferenceModelsHaveTheirParameters(t *testing.T) {
	for name, want := range map[string]int{"mnist-cnn": 166406, "mnist-cnn-at": 166406, "mnist-pool": 454922, "mlp": 111146} {
		t.Run(name, func(t *testing.T) {
			f, err := Open(realdata.File(t, "models", name+".safetensors"))
			require.NoError(t, err)
			assert.Equal(t, "pt", f.Metadata()["format"])
			total := 0
			for _, tensorName := range f.Names() {
				x, err := f.Tensor(tensorName)
				require.NoError(t, err)
				total += x.Len()
			}
			assert.Equal(t, want, total)
			require.NoError(t, f.Close())
		})
	}
}

func FuzzReadSafeTensors(f *testing.F) {
	var b bytes.Buffer
	if err := Encode(&b, sample()); err != nil {
		f.Fatal(err)
	}
	f.Add(b.Bytes())
	f.Add(raw(`{}`))
	f.Add(raw(`{"a":{"dtype":"F16","shape":[1,2],"data_offsets":[0,4]},"__metadata__":{"k":"v"}}  `, 1, 2, 3, 4))
	f.Add(raw(`{"a":{"dtype":"BOOL","shape":[],"data_offsets":[0,1]},"b":{"dtype":"I64","shape":[0],"data_offsets":[0,0]}}`, 1))
	f.Fuzz(func(t *testing.T, b []byte) {
		file, err := readBoth(t, b)
		if err != nil {
			return
		}
		c := Contents{Tensors: map[string]*tensor.Tensor{}, Ints: map[string]IntTensor{}, Metadata: file.Metadata()}
		for _, name := range file.Names() {
			info, _ := file.Info(name)
			if x, err := file.Tensor(name); err == nil {
				c.Tensors[name] = x
			}
			if v, err := file.Ints(name); err == nil {
				c.Ints[name] = IntTensor{info.Shape, v}
			}
		}
		var again bytes.Buffer
		if err := Encode(&again, c); err != nil {
			t.Fatalf("what was read cannot be written: %v", err)
		}
		if _, err := Read(&again); err != nil {
			t.Fatalf("what was written cannot be read: %v", err)
		}
	})
}

func BenchmarkRead(b *testing.B) {
	var file bytes.Buffer
	if err := Encode(&file, Contents{Tensors: map[string]*tensor.Tensor{"x": tensor.Zeros(tensor.Float32, 1<<20)}}); err != nil {
		b.Fatal(err)
	}
	b.SetBytes(int64(file.Len()))
	for b.Loop() {
		f, err := ReadAt(bytes.NewReader(file.Bytes()), int64(file.Len()))
		if err != nil {
			b.Fatal(err)
		}
		if _, err := f.Tensor("x"); err != nil {
			b.Fatal(err)
		}
	}
}
