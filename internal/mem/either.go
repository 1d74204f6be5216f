package mem

// Either returns the one of a and b that is a *P: of two lists, one for float32 and one
// for float64, that of the type of numbers at hand.
func Either[P any](a, b any) *P {
	if p, ok := a.(*P); ok {
		return p
	}
	return b.(*P)
}
