package dataset

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"hash"
	"math"
)

// Fingerprint returns a SHA-256, in hexadecimal, of the images and labels: two sets
// have the same one if and only if they have the same image size, number of
// classes, labels and pixels in the same order and of the same kind (bytes or
// floats). Names do not count.
func (s *Set) Fingerprint() string {
	h := sha256.New()
	kind := 0
	if s.Floats != nil {
		kind = 1
	}
	words(h, []int{s.H, s.W, s.C, s.Classes, s.Len(), len(s.Labels), kind}, func(b []byte, v int) []byte {
		return binary.LittleEndian.AppendUint64(b, uint64(v))
	})
	words(h, s.Labels, func(b []byte, v int) []byte { return binary.LittleEndian.AppendUint64(b, uint64(v)) })
	h.Write(s.Bytes)
	words(h, s.Floats, func(b []byte, v float32) []byte {
		return binary.LittleEndian.AppendUint32(b, math.Float32bits(v))
	})
	return hex.EncodeToString(h.Sum(nil))
}

// words adds numbers to a hash, some at a time.
func words[T any](h hash.Hash, list []T, put func(b []byte, v T) []byte) {
	b := make([]byte, 0, 8<<10)
	for i, v := range list {
		if b = put(b, v); len(b) > cap(b)-8 || i == len(list)-1 {
			h.Write(b)
			b = b[:0]
		}
	}
}
