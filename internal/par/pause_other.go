//go:build !amd64 || purego

package par

import "runtime"

// pause gives the processor away where no cheaper hint is at hand.
func pause() { runtime.Gosched() }
