package example

import (
	"fmt"
	"slices"
	"strings"

	"github.com/redoubt-ml/redoubt/attack"
)

// Precision says how well shares of so many images tell those of all images: by half the
// exact 95 % interval of a share of one half, which is the widest.
func Precision(images ...int) string {
	slices.Sort(images)
	images = slices.DeleteFunc(slices.Compact(images), func(n int) bool { return n < 1 })
	slices.Reverse(images)
	parts := make([]string, len(images))
	for i, n := range images {
		e := attack.NewEstimate(n/2, n)
		parts[i] = fmt.Sprintf("%.2g points to either side with %d images", 50*(e.Hi-e.Lo), n)
	}
	if len(parts) == 0 {
		return ""
	}
	return "Exact 95 % intervals of shares reach at most " + strings.Join(parts, ", ") + "."
}
