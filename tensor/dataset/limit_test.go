package dataset

import (
	"bytes"
	"compress/zlib"
	"encoding/binary"
	"image"
	"image/png"
	"io"
	"math"
	"runtime"
	"testing"

	"github.com/stretchr/testify/require"
)

// allocated is how many bytes of memory f takes in all.
func allocated(f func()) uint64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	f()
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc
}

// tall says in the header of a row sheet that it has more rows.
func tall(sheet []byte, rows uint32) []byte {
	sheet = bytes.Clone(sheet)
	binary.BigEndian.PutUint32(sheet[20:], rows)
	binary.BigEndian.PutUint32(sheet[29:], crc(sheet[12:29]))
	return sheet
}

// A header that announces much costs nothing: neither more than the limit, nor
// more than the file holds.
func TestAnnouncedSizesTakeNoMemory(t *testing.T) {
	padded := append(tall(sheetFile(3, 2, 2), 60_000_000), make([]byte, 1<<20)...)
	damaged := bytes.Clone(padded)
	copy(damaged[33:], []byte{0xff, 0, 0, 0})
	for want, c := range map[string]struct {
		read func(io.Reader) error
		file []byte
	}{
		"extent 28 of axis 2, want a product of at most 214748364": {discardSet(ReadIDX), zipped(idxFile(nil, 100_000_000, 1, 28))},
		"extent 4 of axis 1, want a product of at most 214748364":  {discardSet(ReadIDX), idxFile(nil, 1<<30, 4)},
		"extent 2147483647 of axis 2":                              {discardSet(ReadIDX), idxFile(nil, math.MaxInt32, 1, math.MaxInt32)},
		"found 0 bytes, want 2000000000":                           {discardSet(ReadIDX), zipped(idxFile(nil, 2_000_000_000))},
		"row sheet: header":                                        {discardSet(readSheet4), tall(sheetFile(3, 2, 2), 200_000_000)},
		"announces 60000000 rows of 4 pixels, but the file holds 39 bytes, want at least 720000000": {discardSet(readSheet4), padded},
		"png: chunk at 33 has 4278190080 bytes, want at most":                                       {discardSet(readSheet4), damaged},
	} {
		var err error
		got := allocated(func() { err = c.read(bytes.NewReader(c.file)) })
		require.ErrorContains(t, err, want)
		require.Less(t, got, uint64(12<<20), want)
	}
}

// Formats that announce nothing are cut off at the limit.
func TestReadersStopAtTheLimit(t *testing.T) {
	defer func() { maxBytes = MaxBytes }()
	ones := func(n int) []byte { return bytes.Repeat([]byte{1}, n) }
	svhn := newMAT(binary.LittleEndian, true).array("y", 6, matUint8, ones(100), 100, 1).b
	for _, c := range []struct {
		name  string
		read  func(io.Reader) error
		file  []byte
		limit int64 // at which the file is still good
		want  string
	}{
		{"cifar", discardSet(ReadCIFARBinary), zipped(cifarFile(1, 2, 3)), 3 * 3 * cifarPixels, "cifar: found 3 records, want at most 2"},
		{"archive", func(r io.Reader) error { _, err := ReadCIFARArchive(r, Train); return err }, cifarArchive(t, 6), 5 * 3 * cifarPixels, "data_batch_5.bin: cifar: found 5 records, want at most 4"},
		{"archive with a file twice", func(r io.Reader) error {
			s, err := ReadCIFARArchive(r, Test)
			if err == nil {
				require.Equal(t, []int{8}, s.Labels)
			}
			return err
		}, cifarArchiveOf(t, []string{"test_batch.bin", "test_batch.bin"}, []byte{7, 8}), 3 * cifarPixels, "test_batch.bin: cifar: found 1 records, want at most 0"},
		{"usps", discardSet(ReadUSPSText), zipped(uspsFile(3)), 3 * 256 * 4, "usps: line 3: found 3 images, want at most 2"},
		{"digits", discardSet(ReadDigitsCSV), zipped(digitsFile(3)), 3 * 64 * 4, "digits: line 3: found 3 images, want at most 2"},
		{"json", func(r io.Reader) error { _, err := ReadJSONLabels(r, 10); return err }, []byte("[1,2,3]"), 24, "json labels: found 3 labels, want at most 2"},
		{"idx", discardSet(ReadIDX), zipped(idxFile(ones(6), 2, 3)), 6, "idx: extent 3 of axis 1, want a product of at most 5"},
		{"idx labels", func(r io.Reader) error {
			x, err := ReadIDX(r)
			if err == nil {
				_, err = x.Labels()
			}
			return err
		}, zipped(idxFile(ones(6), 6)), 48, "idx: 6 labels, want at most 5"},
		{"sheet", discardSet(readSheet4), sheetFile(3, 2, 2), 3 * 4 * 4, "row sheet: header announces 3 rows, want at most 2"},
		{"interlaced sheet", discardSet(readSheet4), interlacedSheet(4, 3), 3 * 4 * 8, "row sheet: header announces 3 rows, want at most 2"},
		{"svhn", func(r io.Reader) error {
			return scanMAT(r, func(v *matVar) error { _, err := v.ints(); return err })
		}, svhn, 800, `variable "y": 100 elements, want at most 99`},
	} {
		maxBytes = c.limit
		require.NoError(t, c.read(bytes.NewReader(c.file)), c.name)
		maxBytes--
		require.ErrorContains(t, c.read(bytes.NewReader(c.file)), c.want, c.name)
	}
}

// interlacedSheet is a black picture in the seven passes of PNG's interlacing.
func interlacedSheet(w, h int) []byte {
	var data bytes.Buffer
	z := zlib.NewWriter(&data)
	for _, p := range [][4]int{{0, 0, 8, 8}, {4, 0, 8, 8}, {0, 4, 4, 8}, {2, 0, 4, 4}, {0, 2, 2, 4}, {1, 0, 2, 2}, {0, 1, 1, 2}} {
		cols, rows := (w-p[0]+p[2]-1)/p[2], (h-p[1]+p[3]-1)/p[3]
		if cols > 0 {
			z.Write(make([]byte, max(rows, 0)*(1+3*cols)))
		}
	}
	z.Close()
	header := binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint32(nil, uint32(w)), uint32(h))
	file := []byte("\x89PNG\r\n\x1a\n")
	for _, c := range []struct {
		kind string
		data []byte
	}{{"IHDR", append(header, 8, 2, 0, 0, 1)}, {"IDAT", data.Bytes()}, {"IEND", nil}} {
		file = binary.BigEndian.AppendUint32(file, uint32(len(c.data)))
		chunk := append([]byte(c.kind), c.data...)
		file = binary.BigEndian.AppendUint32(append(file, chunk...), crc(chunk))
	}
	return file
}

// A sheet whose rows are all the same shrinks so much that its size is looked
// into first; it is read like any other.
func TestWellCompressedSheetsAreRead(t *testing.T) {
	img := image.NewRGBA(image.Rect(0, 0, 4, 60_000))
	for i := range img.Pix {
		img.Pix[i] = 255
	}
	var b bytes.Buffer
	require.NoError(t, (&png.Encoder{CompressionLevel: png.BestCompression}).Encode(&b, img))
	require.Less(t, 8*b.Len(), 4*60_000)
	s, err := readSheet4(bytes.NewReader(b.Bytes()))
	require.NoError(t, err)
	require.Equal(t, 60_000, s.Len())
	require.Equal(t, byte(255), s.Bytes[len(s.Bytes)-1])
	_, err = readSheet4(bytes.NewReader(b.Bytes()[:b.Len()/2]))
	require.Error(t, err)
}
