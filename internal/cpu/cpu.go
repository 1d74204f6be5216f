package cpu

import (
	"fmt"
	"os"
	"sync/atomic"
)

// Level is a family of vector kernels; a larger value is a wider family.
type Level int

// The levels, narrowest first. NEON exists only on arm64, AVX2 (with FMA) and
// AVX512 (F, BW, DQ and VL) only on amd64.
const (
	Generic Level = iota
	NEON
	AVX2
	AVX512
)

// String is the level's name as REDOUBT_CPU spells it.
func (l Level) String() string {
	switch l {
	case Generic:
		return "generic"
	case NEON:
		return "neon"
	case AVX2:
		return "avx2"
	case AVX512:
		return "avx512"
	}
	return fmt.Sprintf("Level(%d)", int(l))
}

var active atomic.Int32

func init() {
	active.Store(int32(lowered(detect(), os.Getenv("REDOUBT_CPU"))))
}

// lowered is the level named by the environment if the processor has it, and
// otherwise what the processor has.
func lowered(have Level, name string) Level {
	for l := Generic; l <= have; l++ {
		if l.String() == name && supports(have, l) {
			return l
		}
	}
	return have
}

// supports says whether a processor whose widest level is have can run l:
// levels of the other architecture lie between but are not available.
func supports(have, l Level) bool {
	switch l {
	case Generic:
		return true
	case NEON:
		return have == NEON
	}
	return have >= l
}

// Active is the widest level that kernels may use now.
func Active() Level { return Level(active.Load()) }

// Force lowers the active level, for tests, until restore is called. A level
// that the processor lacks leaves the active one in place, so that a test over
// all levels repeats a level instead of faulting.
func Force(l Level) (restore func()) {
	old := active.Load()
	if supports(Level(old), l) {
		active.Store(int32(l))
	}
	return func() { active.Store(old) }
}
