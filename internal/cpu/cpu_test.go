package cpu

import (
	"os"
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestEnvironmentLowersAndNeverRaises(t *testing.T) {
	for _, c := range []struct {
		have Level
		name string
		want Level
	}{
		{AVX512, "", AVX512},
		{AVX512, "avx2", AVX2},
		{AVX512, "generic", Generic},
		{AVX512, "neon", AVX512},
		{AVX2, "avx512", AVX2},
		{Generic, "avx2", Generic},
		{NEON, "generic", Generic},
		{NEON, "avx2", NEON},
		{AVX2, "nonsense", AVX2},
	} {
		assert.Equal(t, c.want, lowered(c.have, c.name), "%v with REDOUBT_CPU=%q", c.have, c.name)
	}
}

func TestForceRestores(t *testing.T) {
	before := Active()
	restore := Force(Generic)
	assert.Equal(t, Generic, Active())
	inner := Force(AVX512)
	assert.Equal(t, Generic, Active(), "Force must not raise the level")
	inner()
	restore()
	assert.Equal(t, before, Active())
}

func TestLevelNames(t *testing.T) {
	assert.Equal(t, "avx512", AVX512.String())
	assert.Equal(t, "Level(9)", Level(9).String())
}

// TestDetectedLevel is for a processor that is known, such as an emulated one: the
// environment variable names the level that must be found on it.
func TestDetectedLevel(t *testing.T) {
	want := os.Getenv("REDOUBT_TEST_DETECTS")
	if want == "" {
		t.Skip("REDOUBT_TEST_DETECTS names no level")
	}
	assert.Equal(t, want, detect().String())
}
