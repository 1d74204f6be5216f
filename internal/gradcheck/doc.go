// Package gradcheck compares derivatives with central differences in float64, to the
// second order, for tests of whatever is differentiable.
package gradcheck
