// Package tensor is the numeric core of redoubt: dense arrays, a tape that
// records what is computed from them, and gradients of any order.
package tensor
