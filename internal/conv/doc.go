// Package conv convolves batches of images (NHWC) with filters (HWIO) and
// computes the two adjoints that gradients need.
package conv
