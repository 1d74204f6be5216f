package dataset

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"math"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

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
