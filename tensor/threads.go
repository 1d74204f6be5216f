package tensor

import "github.com/redoubt-ml/redoubt/internal/par"

// SetThreads sets the number of processor threads that operations use, for the
// whole program; 0 means all that the program may use, which is the default.
// Results do not depend on it.
func SetThreads(n int) { par.SetThreads(n) }

// Threads returns the number of processor threads that operations use.
func Threads() int { return par.Threads() }
