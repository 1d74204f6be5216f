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
	"strings"
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
