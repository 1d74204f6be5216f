package transform

// Photometric returns the five fixed changes of Wang et al., NeurIPS 2021, that
// keep an image's content, after the image itself: mirrored left to right, upside
// down, brighter by 0.1, with gamma 1.3, and its middle 0.8 stretched to full size.
func Photometric() []Transform {
	return []Transform{Identity{}, FlipLR{}, FlipUD{}, Brightness{Fixed(0.1)}, Gamma{Fixed(1.3)}, Crop{Fixed(0.8)}}
}

// WithRotation returns Photometric and a rotation by 30 degrees to the nearest
// pixel.
func WithRotation() []Transform {
	return append(Photometric(), Rotation{Degrees: Fixed(30)})
}

// Stochastic returns the random counterparts of WithRotation in the same paper:
// the flips, brightness and gamma with probability 0.8 each, the middle 0.6 to 1,
// and a rotation between -10 and 10 degrees.
func Stochastic() []Transform {
	sometimes := func(t Transform) Transform { return Sometimes{t, 0.8} }
	return []Transform{
		Identity{}, sometimes(FlipLR{}), sometimes(FlipUD{}),
		sometimes(Brightness{Fixed(0.1)}), sometimes(Gamma{Fixed(1.3)}),
		Crop{Range{0.6, 1}}, Rotation{Degrees: Range{-10, 10}},
	}
}
