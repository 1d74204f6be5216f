package tensor

import (
	"github.com/redoubt-ml/redoubt/internal/kernel"
	"github.com/redoubt-ml/redoubt/internal/mem"
)

// Working memory that lives no longer than one operation.
var (
	scratch32 mem.Scratch[float32]
	scratch64 mem.Scratch[float64]
)

func scratch[T kernel.Float]() *mem.Scratch[T] {
	if s, ok := any(&scratch32).(*mem.Scratch[T]); ok {
		return s
	}
	return any(&scratch64).(*mem.Scratch[T])
}
