package leak

import (
	"testing"

	"go.uber.org/goleak"
)

// Main runs the tests of a package; a goroutine that still runs seconds after them fails
// the package. Those of the worker pool stay for good and do not count.
//
//	func TestMain(m *testing.M) { leak.Main(m) }
func Main(m *testing.M) {
	goleak.VerifyTestMain(m, goleak.IgnoreAnyFunction("github.com/redoubt-ml/redoubt/internal/par.(*worker).loop"))
}
