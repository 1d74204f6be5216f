package tensor

// Tape records operations.
type Tape struct{}
