// Package corrupt makes common corruptions of images: noise, blur, weather and the
// traces of processing, each in five severities. They say how a classifier does on
// images that nobody chose to fool it.
//
// The twelve types and their severities are those of the generator of CIFAR-10-C
// (Hendrycks and Dietterich, ICLR 2019); its elastic, snow and frost are left out. The
// published set was drawn once and its generator leans on the details of several
// libraries, so that numbers on images made here can be compared with published ones
// but are not the same: call the mean accuracy over them "CA (regenerated, 12 of 15
// types)".
//
//	noisy, err := corrupt.Corruption{Type: corrupt.ShotNoise, Severity: 3}.Apply(ctx, test)
//
// Severities are set for images of 32x32 pixels with three channels. One channel and
// other sizes, from 8x8 on, work, where sizes in pixels stay as they are.
package corrupt
