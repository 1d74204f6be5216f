// Package transform holds changes of images that a classifier should not mind, all
// differentiable in the image: what an attack that is to survive them averages
// over (Athalye et al., ICML 2018), plays off against each other (Wang et al.,
// NeurIPS 2021), or searches through (Engstrom et al., ICML 2019).
//
// A Transform maps images [N, H, W, C] to images of the same shape. The gradient
// flows through it, to any order, when a tape watches the images:
//
//	turn := transform.Rotation{Degrees: transform.Range{Lo: -10, Hi: 10}}
//	logits := model.Logits(turn.Apply(rng, tape.Watch(x)))
//
// Parameters are ranges. Each image draws its own value, from a source of its own,
// so its result does not depend on the batch that it is in; a range of one value
// makes the transform a fixed one, which draws nothing.
//
// Rotation, Translation, Pose and Crop are affine maps of the image plane: value
// (r, c) of the result is the original's value at the point
//
//	( Y[0] + Y[1] r + Y[2] c,  X[0] + X[1] r + X[2] c )
//
// in pixels, by the nearest pixel or by bilinear interpolation of the four around
// it, where all that lies outside of the image is 0. Warp takes such maps as they
// are. None of the transforms clips its result to valid pixels.
package transform
