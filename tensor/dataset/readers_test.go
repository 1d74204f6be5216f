package dataset

import (
	"bytes"
	"encoding/binary"
	"image"
	"image/color/palette"
	"image/png"
	"math"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

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
	for want, img := range map[string]image.Image{
		"8 bits and colour type 0, want 8 bits and colour type 2 (RGB)": image.NewGray(image.Rect(0, 0, 4, 1)),
		"8 bits and colour type 3":                                      image.NewPaletted(image.Rect(0, 0, 4, 1), palette.Plan9),
		"16 bits and colour type 6":                                     image.NewNRGBA64(image.Rect(0, 0, 4, 1<<18)),
		"16 bits and colour type 0":                                     image.NewGray16(image.Rect(0, 0, 4, 1)),
		"found transparent":                                             image.NewNRGBA(image.Rect(0, 0, 4, 1)),
		"width is 5, want 4 for images":                                 image.NewGray(image.Rect(0, 0, 5, 1)),
	} {
		var b bytes.Buffer
		require.NoError(t, (&png.Encoder{CompressionLevel: png.BestCompression}).Encode(&b, img))
		var err error
		got := allocated(func() { _, err = readSheet4(&b) })
		require.ErrorContains(t, err, want)
		require.Less(t, got, uint64(2<<20), "before the picture is decoded: %s", want)
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
