//go:build !purego

package par

// pause tells the core that it is in a spin loop.
//
//go:noescape
func pause()
