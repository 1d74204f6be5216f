package example

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// Half of 10,000 images: 0.98 points, as by the normal law.
func TestPrecision(t *testing.T) {
	require.Equal(t, "Exact 95 % intervals of shares reach at most 0.98 points to either side with 10000 images, 10 points to either side with 100 images.", Precision(100, 10000, 0, 100))
	require.Empty(t, Precision(0))
}
