package dataset

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// grid is a set of 40 images of 28x28 bytes.
func grid() *Set {
	s := &Set{Name: "grid", H: 28, W: 28, C: 1, Classes: 10}
	for i := range 40 {
		s.Labels = append(s.Labels, i%10)
		for p := range 28 * 28 {
			s.Bytes = append(s.Bytes, byte(7*p+13*i))
		}
	}
	return s
}

func TestFingerprintsTellSetsApart(t *testing.T) {
	seen := map[string]string{}
	for name, change := range map[string]func(s *Set){
		"none": func(*Set) {}, "pixel": func(s *Set) { s.Bytes[5]++ }, "label": func(s *Set) { s.Labels[1]++ },
		"size": func(s *Set) { s.H, s.W = 14, 56 }, "channels": func(s *Set) { s.H, s.C = 14, 2 },
		"classes": func(s *Set) { s.Classes++ }, "order": func(s *Set) { *s = *s.Slice(1, s.Len()).Concat(s.Take(1)) },
		"fewer": func(s *Set) { *s = *s.Take(39) }, "no labels": func(s *Set) { s.Labels = nil },
		"floats": func(s *Set) { x, _ := s.All(); s.Floats, s.Bytes = x.Float32s(), nil },
	} {
		s := grid()
		change(s)
		require.Empty(t, seen[s.Fingerprint()], name)
		seen[s.Fingerprint()] = name
	}
	s := grid()
	s.Name = "another name"
	require.Equal(t, "none", seen[s.Fingerprint()])
}
