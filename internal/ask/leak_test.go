package ask

import (
	"testing"

	"github.com/redoubt-ml/redoubt/internal/leak"
)

func TestMain(m *testing.M) { leak.Main(m) }
