package dataset

import (
	"bytes"
	"compress/gzip"
	"compress/zlib"
	"encoding/binary"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"io"
	"math"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func zipped(b []byte) []byte {
	var out bytes.Buffer
	z := gzip.NewWriter(&out)
	z.Write(b)
	z.Close()
	return out.Bytes()
}

func idxFile(data []byte, dims ...int) []byte {
	b := []byte{0, 0, 8, byte(len(dims))}
	for _, d := range dims {
		b = binary.BigEndian.AppendUint32(b, uint32(d))
	}
	return append(b, data...)
}

func cifarFile(labels ...byte) []byte {
	var b []byte
	for i, y := range labels {
		b = append(b, y)
		for p := range 3 * cifarPixels {
			b = append(b, byte(p+p/cifarPixels*100+i))
		}
	}
	return b
}

// sheetFile is a row sheet of n images of h x w whose channels are x, y and a
// constant.
func sheetFile(n, h, w int) []byte {
	img := image.NewRGBA(image.Rect(0, 0, h*w, n))
	for y := range n {
		for x := range h * w {
			img.SetRGBA(x, y, color.RGBA{byte(x), byte(y), 200, 255})
		}
	}
	var b bytes.Buffer
	if err := (&png.Encoder{CompressionLevel: png.BestSpeed}).Encode(&b, img); err != nil {
		panic(err)
	}
	return b.Bytes()
}

func uspsFile(lines int) []byte {
	var b strings.Builder
	for i := range lines {
		fmt.Fprintf(&b, "%d.0000", i%10)
		for p := range 256 {
			fmt.Fprintf(&b, " %.4f", float64((i+p)%2001)/1000-1)
		}
		b.WriteString(" \n")
	}
	return []byte(b.String())
}

func digitsFile(lines int) []byte {
	var b strings.Builder
	for i := range lines {
		for p := range 64 {
			fmt.Fprintf(&b, "%d,", (i+p)%17)
		}
		fmt.Fprintf(&b, "%d\n", i%10)
	}
	return []byte(b.String())
}

// matWriter makes MAT-files of level 5.
type matWriter struct {
	order      binary.AppendByteOrder
	compressed bool
	b          []byte
}

func newMAT(order binary.AppendByteOrder, compressed bool) *matWriter {
	b := bytes.Repeat([]byte{' '}, 124)
	b = order.AppendUint16(b, 0x0100)
	return &matWriter{order, compressed, order.AppendUint16(b, 'M'<<8|'I')}
}

func (m *matWriter) element(b []byte, dtype uint32, data []byte) []byte {
	if len(data) > 0 && len(data) <= 4 {
		b = m.order.AppendUint32(b, uint32(len(data))<<16|dtype)
		return append(append(b, data...), make([]byte, 4-len(data))...)
	}
	b = m.order.AppendUint32(b, dtype)
	b = m.order.AppendUint32(b, uint32(len(data)))
	return append(append(b, data...), make([]byte, -len(data)&7)...)
}

// array appends a numeric array whose elements are stored as dtype.
func (m *matWriter) array(name string, class byte, dtype uint32, data []byte, dims ...int) *matWriter {
	var flags, extents, body []byte
	flags = m.order.AppendUint32(flags, uint32(class))
	flags = m.order.AppendUint32(flags, 0)
	for _, d := range dims {
		extents = m.order.AppendUint32(extents, uint32(d))
	}
	body = m.element(body, matUint32, flags)
	body = m.element(body, matInt32, extents)
	body = m.element(body, matInt8, []byte(name))
	body = m.element(body, dtype, data)
	matrix := m.element(nil, matMatrix, body)
	if !m.compressed {
		m.b = append(m.b, matrix...)
		return m
	}
	var packed bytes.Buffer
	z := zlib.NewWriter(&packed)
	z.Write(matrix)
	z.Close()
	m.b = m.order.AppendUint32(m.b, matCompressed)
	m.b = m.order.AppendUint32(m.b, uint32(packed.Len()))
	m.b = append(m.b, packed.Bytes()...)
	return m
}

// svhnPixels are n images in column-major order; the value of a pixel tells its
// place.
func svhnPixels(n int) []byte {
	b := make([]byte, 0, n*3072)
	for i := range n {
		for c := range 3 {
			for x := range 32 {
				for y := range 32 {
					b = append(b, byte(i*50+c*80+y*2+x))
				}
			}
		}
	}
	return b
}

func svhnFile(order binary.AppendByteOrder, compressed bool, labels ...byte) []byte {
	m := newMAT(order, compressed)
	m.array("ignored", 6, matDouble, make([]byte, 24), 3, 1)
	m.array("X", 9, matUint8, svhnPixels(len(labels)), 32, 32, 3, len(labels))
	return m.array("y", 6, matUint8, labels, len(labels), 1).b
}

func TestIDXOfEveryRankPlainAndGzip(t *testing.T) {
	for _, dims := range [][]int{{}, {6}, {2, 3}, {1, 2, 3}, {3, 0, 2}, {1, 1, 2, 1, 3}} {
		n := 1
		for _, d := range dims {
			n *= d
		}
		data := []byte("abcdef")[:n]
		for _, file := range [][]byte{idxFile(data, dims...), zipped(idxFile(data, dims...))} {
			x, err := ReadIDX(bytes.NewReader(file))
			require.NoError(t, err, dims)
			assert.Equal(t, dims, x.Dims)
			assert.Equal(t, data, x.Data)
		}
	}
}

func TestIDXSet(t *testing.T) {
	s, err := ReadIDXSet(bytes.NewReader(idxFile([]byte{0, 51, 102, 255}, 2, 1, 2)), bytes.NewReader(zipped(idxFile([]byte{1, 0}, 2))), "two", 2)
	require.NoError(t, err)
	assert.Equal(t, &Set{Name: "two", H: 1, W: 2, C: 1, Classes: 2, Bytes: []byte{0, 51, 102, 255}, Labels: []int{1, 0}}, s)
	colour, err := ReadIDXSet(bytes.NewReader(idxFile([]byte("abc"), 1, 1, 1, 3)), bytes.NewReader(idxFile([]byte{1}, 1)), "colour", 2)
	require.NoError(t, err)
	assert.Equal(t, 3, colour.C)

	images, labels := idxFile([]byte("abcd"), 2, 1, 2), idxFile([]byte{1, 0}, 2)
	for _, c := range []struct {
		x, y []byte
		want string
	}{
		{labels, labels, "images have shape [2] (magic 0x00000801), want [N H W]"},
		{images, images, "labels have shape [2 1 2] (magic 0x00000803), want [N]"},
		{images, idxFile([]byte{1, 0, 1}, 3), "2 images and 3 labels"},
		{images, idxFile([]byte{1, 2}, 2), "label of image 1 is 2, want 0 to 1"},
		{idxFile(nil, 2, 0, 2), labels, "image size is 0x2x1"},
		{images[:18], labels, "images: idx: elements of shape [2 1 2]: found 2 bytes, want 4"},
		{images, labels[:9], "labels: idx: elements of shape [2]: found 1 bytes, want 2"},
	} {
		_, err := ReadIDXSet(bytes.NewReader(c.x), bytes.NewReader(c.y), "two", 2)
		require.ErrorContains(t, err, c.want)
	}
}

func TestCIFARPlanesBecomeChannels(t *testing.T) {
	file := cifarFile(3, 9)
	for _, b := range [][]byte{file, zipped(file)} {
		s, err := ReadCIFARBinary(bytes.NewReader(b))
		require.NoError(t, err)
		require.NoError(t, s.Check())
		assert.Equal(t, []int{3, 9}, s.Labels)
		for _, at := range []struct{ i, y, x, c int }{{0, 0, 0, 0}, {0, 0, 1, 2}, {1, 31, 31, 1}, {1, 5, 7, 0}} {
			want := file[at.i*cifarRecord+1+at.c*cifarPixels+at.y*32+at.x]
			assert.Equal(t, want, s.Bytes[((at.i*32+at.y)*32+at.x)*3+at.c])
		}
	}
}

func TestRowSheetRowsAreImages(t *testing.T) {
	s, err := ReadRowSheet(bytes.NewReader(sheetFile(3, 4, 5)), 4, 5)
	require.NoError(t, err)
	require.NoError(t, s.Check())
	assert.Equal(t, 3, s.Len())
	assert.Equal(t, 0, s.Classes)
	x, y := s.Batch([]int{2})
	assert.Nil(t, y)
	for row := range 4 {
		for col := range 5 {
			assert.InDelta(t, float64(5*row+col)/255, x.At(0, row, col, 0), 1e-7)
			assert.InDelta(t, 2./255, x.At(0, row, col, 1), 1e-7)
			assert.InDelta(t, 200./255, x.At(0, row, col, 2), 1e-7)
		}
	}
}

func TestRowSheetOfAnotherColourTypeIsAnError(t *testing.T) {
	clear := image.NewNRGBA(image.Rect(0, 0, 4, 1))
	opaque := image.NewNRGBA64(image.Rect(0, 0, 4, 1))
	for want, img := range map[string]image.Image{
		"*image.Gray":                   image.NewGray(image.Rect(0, 0, 4, 1)),
		"found transparent":             clear,
		"*image.NRGBA64, want":          opaque,
		"width is 5, want 4 for images": image.NewGray(image.Rect(0, 0, 5, 1)),
	} {
		var b bytes.Buffer
		require.NoError(t, png.Encode(&b, img))
		_, err := ReadRowSheet(&b, 2, 2)
		require.ErrorContains(t, err, want)
	}
}

func TestJSONLabels(t *testing.T) {
	got, err := ReadJSONLabels(strings.NewReader(" [3, 0,\n9] "), 10)
	require.NoError(t, err)
	assert.Equal(t, []int{3, 0, 9}, got)
	for text, want := range map[string]string{
		"": "EOF", "{}": "want an array", "[1,2": "after label 2", "[1,10]": "label 1 is 10, want 0 to 9", "[-1]": "label 0 is -1",
		"[1.5]": "label 0 is 1.5", "[null]": "want a number", `["1"]`: "want a number", "[[1]]": "want a number", "[1]2": "after the array",
		"[1e30]": "label 0 is 1e30", "[1 2]": "label 1",
	} {
		_, err := ReadJSONLabels(strings.NewReader(text), 10)
		require.ErrorContains(t, err, "json labels: ", text)
		require.ErrorContains(t, err, want, text)
	}
}

func TestMNISTMNeedsAsManyLabelsAsImages(t *testing.T) {
	sheet := sheetFile(2, 32, 32)
	s, err := ReadMNISTM(bytes.NewReader(sheet), bytes.NewReader(idxFile([]byte{7, 1}, 2)))
	require.NoError(t, err)
	assert.Equal(t, []int{7, 1}, s.Labels)
	_, err = ReadMNISTM(bytes.NewReader(sheet), bytes.NewReader(idxFile([]byte{7, 1, 2}, 3)))
	require.ErrorContains(t, err, "3 labels for 2 images")
	_, err = ReadMNISTM(bytes.NewReader(sheet), bytes.NewReader(idxFile([]byte{7, 10}, 2)))
	require.ErrorContains(t, err, "label of image 1 is 10")
}

func TestUSPSTextIsScaledToPixels(t *testing.T) {
	for _, b := range [][]byte{uspsFile(3), zipped(uspsFile(3)), append([]byte("\n"), uspsFile(3)...)} {
		s, err := ReadUSPSText(bytes.NewReader(b))
		require.NoError(t, err)
		require.NoError(t, s.Check())
		assert.Equal(t, []int{0, 1, 2}, s.Labels)
		assert.InDelta(t, float64(2+17)/2000, s.Floats[2*256+17], 1e-7)
	}
}

func TestDigitsAreScaledToPixels(t *testing.T) {
	for _, b := range [][]byte{digitsFile(12), zipped(digitsFile(12))} {
		s, err := ReadDigitsCSV(bytes.NewReader(b))
		require.NoError(t, err)
		require.NoError(t, s.Check())
		assert.Equal(t, 12, s.Len())
		assert.Equal(t, 1, s.Labels[11])
		assert.Equal(t, float32(11+3)/16, s.Floats[11*64+3])
	}
}

func TestSVHNOfBothByteOrdersAndForms(t *testing.T) {
	raw := svhnPixels(3)
	for _, order := range []binary.AppendByteOrder{binary.LittleEndian, binary.BigEndian} {
		for _, compressed := range []bool{false, true} {
			s, err := ReadSVHN(bytes.NewReader(svhnFile(order, compressed, 10, 1, 9)))
			require.NoError(t, err, "%v, compressed %v", order, compressed)
			assert.Equal(t, []int{0, 1, 9}, s.Labels)
			for _, at := range []struct{ i, y, x, c int }{{0, 0, 1, 0}, {0, 1, 0, 0}, {2, 31, 30, 2}, {1, 9, 4, 1}} {
				want := raw[at.y+32*(at.x+32*(at.c+3*at.i))]
				assert.Equal(t, want, s.Bytes[((at.i*32+at.y)*32+at.x)*3+at.c])
			}
		}
	}
}

func TestSVHNLabelsOfEveryStorage(t *testing.T) {
	for _, order := range []binary.AppendByteOrder{binary.LittleEndian, binary.BigEndian} {
		for dtype, put := range map[uint32]func(b []byte, v int) []byte{
			matInt8:   func(b []byte, v int) []byte { return append(b, byte(v)) },
			matUint8:  func(b []byte, v int) []byte { return append(b, byte(v)) },
			matInt16:  func(b []byte, v int) []byte { return order.AppendUint16(b, uint16(v)) },
			matUint16: func(b []byte, v int) []byte { return order.AppendUint16(b, uint16(v)) },
			matInt32:  func(b []byte, v int) []byte { return order.AppendUint32(b, uint32(v)) },
			matUint32: func(b []byte, v int) []byte { return order.AppendUint32(b, uint32(v)) },
			matInt64:  func(b []byte, v int) []byte { return order.AppendUint64(b, uint64(v)) },
			matUint64: func(b []byte, v int) []byte { return order.AppendUint64(b, uint64(v)) },
			matSingle: func(b []byte, v int) []byte { return order.AppendUint32(b, math.Float32bits(float32(v))) },
			matDouble: func(b []byte, v int) []byte { return order.AppendUint64(b, math.Float64bits(float64(v))) },
		} {
			data := put(put(nil, 10), 4)
			b := newMAT(order, false).array("X", 9, matUint8, svhnPixels(2), 32, 32, 3, 2).array("y", 6, dtype, data, 1, 2).b
			s, err := ReadSVHN(bytes.NewReader(b))
			require.NoError(t, err, "data type %d", dtype)
			assert.Equal(t, []int{0, 4}, s.Labels, "data type %d", dtype)
		}
	}
	// MATLAB drops the last extent of a single image.
	b := newMAT(binary.LittleEndian, true).array("X", 9, matUint8, svhnPixels(1), 32, 32, 3).array("y", 6, matUint8, []byte{2}, 1, 1).b
	s, err := ReadSVHN(bytes.NewReader(b))
	require.NoError(t, err)
	assert.Equal(t, 1, s.Len())
}

// read is one reader with a good file and what is expected of bad ones.
type readerCase struct {
	name string
	read func(r io.Reader) error
	good []byte
	// exact says that the file has a checksum or a fixed size, so that every
	// cut is an error.
	exact bool
	bad   map[string][]byte
}

func discardSet[T any](read func(io.Reader) (T, error)) func(io.Reader) error {
	return func(r io.Reader) error { _, err := read(r); return err }
}

func readSheet4(r io.Reader) (*Set, error) { return ReadRowSheet(r, 2, 2) }

func withByte(b []byte, at int, v byte) []byte {
	b = bytes.Clone(b)
	b[at] = v
	return b
}

func readerCases() []readerCase {
	idx := idxFile([]byte("abcdef"), 1, 2, 3)
	cifar := cifarFile(1, 2)
	svhn := svhnFile(binary.LittleEndian, false, 1, 2)
	packed := svhnFile(binary.LittleEndian, true, 1, 2)
	mat := func() *matWriter { return newMAT(binary.LittleEndian, false) }
	x2 := func() *matWriter { return mat().array("X", 9, matUint8, svhnPixels(2), 32, 32, 3, 2) }
	sheet := sheetFile(3, 2, 2)
	return []readerCase{
		{"idx", discardSet(ReadIDX), idx, true, map[string][]byte{
			"magic number: found 0 bytes, want 4":            {},
			"magic number is 0x00010803":                     withByte(idx, 1, 1),
			"element type is 0x0d (float32)":                 withByte(idx, 2, 0x0d),
			"element type is 0x07 (unknown)":                 withByte(idx, 2, 7),
			"extents of 255 axes":                            withByte(idx, 3, 255),
			"elements of shape [16777217 2 3]: found 6":      withByte(idx, 4, 1),
			"elements of shape [1 1 3]: found more bytes":    withByte(idx, 11, 1),
			"extent 2164260864 of axis 0, want a product of": withByte(withByte(idx, 4, 0x81), 7, 0),
			"extent 2130706434 of axis 1, want a product of": withByte(withByte(withByte(idx, 4, 0x7f), 8, 0x7f), 12, 0x7f),
		}},
		{"idx gzip", discardSet(ReadIDX), zipped(idx), true, map[string][]byte{
			"checksum": withByte(zipped(idx), len(zipped(idx))-6, 0),
		}},
		{"cifar", discardSet(ReadCIFARBinary), cifar, false, map[string][]byte{
			"found no records":                   {},
			"record 1 has 3072 bytes, want 3073": cifar[:len(cifar)-1],
			"record 0 has label 10, want 0 to 9": withByte(cifar, 0, 10),
			"record 1 has label 255":             withByte(cifar, cifarRecord, 255),
		}},
		{"row sheet", discardSet(readSheet4), sheet, true, map[string][]byte{
			"header: unexpected EOF":                  {},
			"png":                                     []byte("no picture at all"),
			"width is 9, want 4 for images of 2x2":    sheetFile(1, 3, 3),
			"row sheet: header: png: invalid format:": withByte(sheet, 19, 9),
		}},
		{"usps", discardSet(ReadUSPSText), uspsFile(2), false, map[string][]byte{
			"found no lines":                                  {},
			"line 1 has 3 numbers, want 257":                  []byte("1 2 3\n"),
			`line 1 has label "10"`:                           []byte("10" + strings.Repeat(" 0", 256)),
			`line 1 has label "1.5"`:                          []byte("1.5" + strings.Repeat(" 0", 256)),
			`line 1 has label "NaN"`:                          []byte("NaN" + strings.Repeat(" 0", 256)),
			`line 2 has grey value "NaN" at position 0`:       []byte("\n1 NaN" + strings.Repeat(" 0", 255)),
			`line 1 has grey value "1.001" at position 255`:   []byte("1" + strings.Repeat(" 0", 255) + " 1.001"),
			`line 1 has grey value "x" at position 255, want`: []byte("1" + strings.Repeat(" 0", 255) + " x"),
			"line 1: bufio.Scanner: token too long":           bytes.Repeat([]byte("1 "), 40000),
		}},
		{"digits", discardSet(ReadDigitsCSV), digitsFile(2), false, map[string][]byte{
			"found no lines":                                 {},
			"line 1 has 2 numbers, want 65":                  []byte("1,2\n"),
			`line 1 has label "10", want 0 to 9`:             []byte(strings.Repeat("0,", 64) + "10"),
			`line 1 has label "-1"`:                          []byte(strings.Repeat("0,", 64) + "-1"),
			`line 1 has grey value "17" at position 63`:      []byte(strings.Repeat("0,", 63) + "17,1"),
			`line 1 has grey value "NaN" at position 0`:      []byte("NaN," + strings.Repeat("0,", 63) + "1"),
			`line 1 has grey value "" at position 0, want 0`: []byte("," + strings.Repeat("0,", 63) + "1"),
		}},
		{"svhn", discardSet(ReadSVHN), svhn, false, map[string][]byte{
			"header: found 0 bytes, want 128":      {},
			`byte-order mark is "XM"`:              withByte(svhn, 126, 'X'),
			"version is 0x0200":                    withByte(svhn, 125, 2),
			"found no variable \"X\"":              mat().b,
			`found no variable "y"`:                x2().b,
			`variable "X" occurs twice`:            x2().array("X", 9, matUint8, svhnPixels(2), 32, 32, 3, 2).b,
			`variable "y" occurs twice`:            x2().array("y", 6, matUint8, []byte{1, 2}, 2, 1).array("y", 6, matUint8, []byte{1, 2}, 2, 1).b,
			"3 labels for 2 images":                x2().array("y", 6, matUint8, []byte{1, 2, 3}, 3, 1).b,
			"label 1 is 0, want 1 to 10":           x2().array("y", 6, matUint8, []byte{1, 0}, 2, 1).b,
			"label 0 is 11, want 1 to 10":          x2().array("y", 6, matUint8, []byte{11, 1}, 2, 1).b,
			`"y" has shape [2 2], want [N 1]`:      x2().array("y", 6, matUint8, []byte{1, 2, 3, 4}, 2, 2).b,
			"shape [3 32 32 2], want [32 32 3 N]":  mat().array("X", 9, matUint8, svhnPixels(2), 3, 32, 32, 2).b,
			`"X" has data type 4, want 2 (uint8)`:  mat().array("X", 11, matUint16, append(svhnPixels(1), svhnPixels(1)...), 32, 32, 3, 1).b,
			"3072 bytes for shape [32 32 3 2]":     mat().array("X", 9, matUint8, svhnPixels(1), 32, 32, 3, 2).b,
			"extent 2147483647 of axis 3":          mat().array("X", 9, matUint8, svhnPixels(1), 32, 32, 3, math.MaxInt32).b,
			"extent -1 of axis 3":                  mat().array("X", 9, matUint8, svhnPixels(1), 32, 32, 3, -1).b,
			"is NaN, want a whole number":          x2().array("y", 6, matSingle, []byte{0, 0, 128, 63, 0, 0, 192, 127}, 2, 1).b,
			"elements have data type 1000":         x2().array("y", 6, 1000, make([]byte, 16), 2, 1).b,
			`dimensions: data type 5 with 4 bytes`: x2().array("y", 6, matUint8, []byte{1, 2}, 2).b,
		}},
		{"svhn compressed", discardSet(ReadSVHN), packed, false, map[string][]byte{
			"compressed data: zlib": withByte(packed, 136, 0),
		}},
	}
}

func crc(b []byte) uint32 {
	c := ^uint32(0)
	for _, v := range b {
		c ^= uint32(v)
		for range 8 {
			c = c>>1 ^ 0xedb88320*(c&1)
		}
	}
	return ^c
}

func TestBadFilesNameWhatIsWrong(t *testing.T) {
	for _, c := range readerCases() {
		require.NoError(t, c.read(bytes.NewReader(c.good)), c.name)
		for want, file := range c.bad {
			err := c.read(bytes.NewReader(file))
			require.ErrorContains(t, err, want, c.name)
			require.ErrorContains(t, err, strings.Fields(c.name)[0], c.name)
		}
	}
}

func TestCutFilesAreErrors(t *testing.T) {
	for _, c := range readerCases() {
		step := max(1, len(c.good)/300)
		for n := 0; n < len(c.good); n += step {
			err := c.read(bytes.NewReader(c.good[:n]))
			if c.exact || !looksWhole(c.name, c.good[:n]) {
				require.Error(t, err, "%s cut to %d of %d bytes", c.name, n, len(c.good))
			}
		}
	}
}

// looksWhole says that a cut file is a shorter file of its format: one that
// ends between records or inside the last number of a line.
func looksWhole(name string, file []byte) bool {
	line := string(file[bytes.LastIndexByte(file, '\n')+1:])
	switch name {
	case "cifar":
		return len(file) > 0 && len(file)%cifarRecord == 0
	case "usps":
		fields := len(strings.Fields(line))
		return len(file) > 0 && (fields == 0 || fields == 257)
	case "digits":
		return len(file) > 0 && (line == "" || strings.Count(line, ",") == 64 && !strings.HasSuffix(line, ","))
	}
	return false
}

// Damage may go unseen where a format has no checksum, but it must end in an
// error or in a set that is valid.
func TestFlippedBitsNeverPanicOrPassInvalidSets(t *testing.T) {
	sets := map[string]func(io.Reader) (*Set, error){
		"cifar": ReadCIFARBinary, "row sheet": readSheet4, "usps": ReadUSPSText, "digits": ReadDigitsCSV, "svhn": ReadSVHN, "svhn compressed": ReadSVHN,
	}
	for _, c := range readerCases() {
		read, ok := sets[c.name]
		step := max(1, len(c.good)/150)
		for at := 0; at < len(c.good); at += step {
			for bit := range 8 {
				file := withByte(c.good, at, c.good[at]^1<<bit)
				if !ok {
					_ = c.read(bytes.NewReader(file))
					continue
				}
				if s, err := read(bytes.NewReader(file)); err == nil {
					require.NoError(t, s.Check(), "%s: bit %d of byte %d", c.name, bit, at)
				}
			}
		}
	}
}

func TestReadErrorsArePassedOn(t *testing.T) {
	for _, c := range readerCases() {
		for _, n := range []int{0, len(c.good) / 2, len(c.good)} {
			err := c.read(io.MultiReader(bytes.NewReader(c.good[:n]), brokenReader{}))
			require.Error(t, err, "%s after %d bytes", c.name, n)
		}
	}
}

type brokenReader struct{}

func (brokenReader) Read([]byte) (int, error) { return 0, fmt.Errorf("cable pulled") }
