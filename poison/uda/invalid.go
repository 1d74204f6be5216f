package uda

import (
	"errors"
	"fmt"
)

// InputError says that a setting, a set of images or another argument is not what it
// has to be. Its text names what was found and what was expected.
type InputError struct{ err error }

func (e *InputError) Error() string { return e.err.Error() }

// Unwrap returns the error of what was called with the argument, nil if there is none.
func (e *InputError) Unwrap() error { return errors.Unwrap(e.err) }

func invalid(format string, args ...any) error { return &InputError{fmt.Errorf(format, args...)} }
