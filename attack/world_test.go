package attack_test

import (
	"errors"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	. "github.com/redoubt-ml/redoubt/attack"
	"github.com/redoubt-ml/redoubt/attack/transform"
	"github.com/redoubt-ml/redoubt/tensor"
	"github.com/redoubt-ml/redoubt/tensor/dataset"
)

// Through a fixed transform a linear model is another linear model, whose steepest
// direction is known.
func TestEOTClimbsThroughTheTransform(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 17))
	w := tensor.Normal(r, tensor.Float64, 0, 1, 12, 2)
	m := onImages(affine(w, tensor.FromFloat64([]float64{50, 0}, 2)))
	x := tensor.Uniform(r, tensor.Float64, 0.4, 0.6, 5, 3, 4, 1)
	y := make([]int, 5) // right however far
	res, err := (&EOT{Threat: Threat{Eps: 0.1}, Transform: transform.FlipLR{}, Steps: 30}).Run(ctx, m, x, y)
	require.NoError(t, err)
	for i := range 5 {
		for a := range 3 {
			for b := range 4 {
				slope := w.At(a*4+3-b, 1) - w.At(a*4+3-b, 0)
				require.InDelta(t, x.At(i, a, b, 0)+math.Copysign(0.1, slope), res.X.At(i, a, b, 0), 1e-6)
			}
		}
	}
	require.Equal(t, 1+2*31, res.Queries[0])
	require.Equal(t, 30, res.Gradients[0])
}

// negative is a transform through which climbing leads away from where the model is
// wrong about the image as it is.
type negative struct{ transform.Identity }

func (negative) Apply(_ transform.Sources, x *tensor.Tensor) *tensor.Tensor {
	return tensor.Affine(x, -1, 1)
}

// An iterate that the model gets wrong is not given up for one of a larger mean.
func TestEOTKeepsSuccesses(t *testing.T) {
	m := onImages(affine(tensor.FromFloat64([]float64{1, -1, 1, -1}, 2, 2), tensor.FromFloat64([]float64{-1, 1}, 2)))
	x := tensor.Full(tensor.Float64, 0.51, 40, 1, 2, 1)
	res, err := (&EOT{Threat: Threat{Eps: 0.3}, Transform: negative{}}).Run(ctx, m, x, make([]int, 40))
	require.NoError(t, err)
	found := 0
	for _, s := range res.Success {
		if s {
			found++
		}
	}
	require.True(t, found > 8 && found < 32, "%d of 40 random starts", found)
}

// What is found in expectation survives turns and shifts that PGD's result does not.
func TestEOTSurvivesTransforms(t *testing.T) {
	m, x, y := trained(t)
	x, y = tensor.Slice(x, 0, 0, 24), y[:24]
	th := Threat{Eps: 0.15}
	eot := &EOT{Threat: th, Steps: 12, Samples: 4, Transform: transform.Pose{
		Degrees: transform.Range{Lo: -25, Hi: 25}, Down: transform.Range{Lo: -2, Hi: 2}, Right: transform.Range{Lo: -2, Hi: 2}, Interpolation: transform.Bilinear,
	}}
	mean := func(a Attack) (sum float64) {
		res, err := a.Run(ctx, m, x, y)
		require.NoError(t, err)
		share, err := eot.Survival(ctx, m, res.X, y, 50)
		require.NoError(t, err)
		for i, s := range share {
			require.True(t, s >= 0 && s <= 1+1e-9, "image %d: %v", i, s)
			sum += s / float64(len(y))
		}
		return sum
	}
	plain, expected := mean(&PGD{Threat: th, Steps: 20}), mean(eot)
	require.Greater(t, expected, plain+0.15)

	whole, err := eot.Run(ctx, m, x, y)
	require.NoError(t, err)
	cut := *eot
	cut.BatchSize = 7
	tensor.SetThreads(1)
	part, err := cut.Run(ctx, m, x, y)
	tensor.SetThreads(0)
	require.NoError(t, err)
	require.Equal(t, whole.Success, part.Success)
}

// A model that answers by the column of the brightest pixel is fooled by a shift of
// one pixel, and the smallest such pose is found.
func TestSpatialFindsTheSmallestPose(t *testing.T) {
	m := function(func(x *tensor.Tensor) *tensor.Tensor {
		cols := tensor.Sum(x, 1, 3) // [N, W]
		return tensor.Concat(1, tensor.Reshape(tensor.Sum(tensor.Slice(cols, 1, 0, 5), 1), x.Dim(0), 1), tensor.Reshape(tensor.Sum(tensor.Slice(cols, 1, 5, 10), 1), x.Dim(0), 1))
	})
	x := tensor.Zeros(tensor.Float32, 3, 10, 10, 1)
	x.Set(1, 0, 4, 4, 0)
	x.Set(1, 1, 4, 0, 0)
	x.Set(1, 2, 4, 9, 0)
	res, poses, err := (&Spatial{MaxDegrees: -1, MaxShift: 2, Shifts: 5}).Search(ctx, m, x, []int{0, 0, 0})
	require.NoError(t, err)
	require.Equal(t, []bool{true, false, true}, res.Success)
	require.Equal(t, Pose{Right: 1, Down: poses[0].Down}, poses[0])
	require.LessOrEqual(t, math.Abs(poses[0].Down), 1.)
	require.Equal(t, 1., res.X.At(0, 4+int(poses[0].Down), 5, 0))
	require.Equal(t, Pose{}, poses[1], "two pixels are too few")
	require.Equal(t, 25, res.Queries[1], "the image and the 24 other poses")
	require.Equal(t, 1, res.Queries[2], "wrong by itself")
	require.InDelta(t, math.Sqrt2, res.Distance[0], 1e-6)

	// Zeros from outside are put into a box that has none.
	bright := tensor.Full(tensor.Float32, 0.9, 1, 4, 4, 1)
	found, err := (&Spatial{Lo: 0.2, Hi: 1, MaxShift: 2}).Run(ctx, function(func(x *tensor.Tensor) *tensor.Tensor {
		v := tensor.Sum(x, 1, 2) // [N, 1]
		return tensor.Concat(1, v, tensor.Affine(v, 0, 10))
	}), bright, []int{0})
	require.NoError(t, err)
	require.True(t, found.Success[0])
	for _, v := range found.X.Float32s() {
		require.GreaterOrEqual(t, v, float32(0.2))
	}

	random := &Spatial{MaxDegrees: -1, MaxShift: 2, Tries: 30, Seed: 3}
	res, poses, err = random.Search(ctx, m, x, []int{0, 0, 0})
	require.NoError(t, err)
	require.True(t, res.Success[0])
	require.Greater(t, poses[0].Right, 0.5-1e-9)
	require.Equal(t, 31, res.Queries[1])
	posed := transform.Warp(tensor.Slice(x, 0, 0, 1), []transform.Affine{transform.Posed(10, 10, poses[0].Degrees, poses[0].Down, poses[0].Right)}, transform.Bilinear)
	require.Equal(t, posed.Values(), tensor.Slice(res.X, 0, 0, 1).Values())
}

// Turns and shifts break a network that nobody trained for them; the grid breaks
// more than a few random poses.
func TestSpatialBreaksATrainedNetwork(t *testing.T) {
	m, x, y := trained(t)
	x, y = tensor.Slice(x, 0, 0, 30), y[:30]
	rep, err := Evaluate(ctx, m, x, y, &Spatial{Angles: 7, Shifts: 3}, &Spatial{Tries: 2})
	require.NoError(t, err)
	require.Less(t, rep.Attacks[0].Accuracy.Right, rep.Attacks[1].Accuracy.Right)
	require.Less(t, rep.Attacks[1].Accuracy.Right, rep.Clean.Right)
}

// A patch fitted on some images fools the network on others, more than a random one
// does, and changes nothing but what it covers.
func TestPatchFoolsUnseenImages(t *testing.T) {
	m, x, y := trained(t)
	_, test, err := dataset.MNISTMini()
	require.NoError(t, err)
	unseen, labels := test.Slice(100, 300).All()
	p := &Patch{Side: 9, Steps: 60, MaxDegrees: 10}
	patch, err := p.Fit(ctx, m, x, y)
	require.NoError(t, err)
	require.Equal(t, []int{9, 9, 1}, patch.Shape())
	noise := tensor.Uniform(rand.New(rand.NewPCG(1, 1)), tensor.Float32, 0, 1, 9, 9, 1)
	accuracy := func(patch *tensor.Tensor) float64 {
		patched := p.Apply(unseen, patch)
		for i, d := range (Threat{Norm: L0}).Distance(patched, unseen) {
			require.LessOrEqual(t, d, 100., "image %d", i)
		}
		for _, v := range patched.Float32s() {
			require.True(t, v >= 0 && v <= 1)
		}
		answers, err := Predict(ctx, m, patched)
		require.NoError(t, err)
		right := 0
		for i, a := range answers {
			if a == labels[i] {
				right++
			}
		}
		return float64(right) / float64(len(labels))
	}
	require.Less(t, accuracy(patch), accuracy(noise)-0.2)

	// Towards one class.
	target := make([]int, len(y))
	for i, l := range y {
		target[i] = 5
		if l == 5 {
			target[i] = 3
		}
	}
	hits := func(steps int) (n int) {
		res, err := (&Patch{Side: 12, Steps: steps, Targets: target}).Run(ctx, m, x, y)
		require.NoError(t, err)
		for i, s := range res.Success {
			require.Equal(t, s, res.Label[i] == target[i])
			if s {
				n++
			}
		}
		return n
	}
	require.Greater(t, hits(50), 2*hits(1))
}

// Wherever a patch lies it covers as many pixels as it has, within the image, and
// shrunk to half its size about a quarter of them.
func TestPatchesLieWithinTheImage(t *testing.T) {
	x := tensor.Zeros(tensor.Float32, 200, 7, 9, 2)
	for side := 1; side <= 5; side++ {
		patch := tensor.Full(tensor.Float32, 0.7, side, side, 2)
		for i, d := range (Threat{Norm: L0}).Distance((&Patch{}).Apply(x, patch), x) {
			require.EqualValues(t, 2*side*side, d, "side %d, image %d", side, i)
		}
	}
	patch := tensor.Full(tensor.Float32, 0.7, 6, 6, 2)
	sum := 0.
	for _, d := range (Threat{Norm: L0}).Distance((&Patch{MinScale: 0.5}).Apply(x, patch), x) {
		require.LessOrEqual(t, d, 72.)
		require.GreaterOrEqual(t, d, 8.)
		sum += d / 200
	}
	require.InDelta(t, 72*7./12, sum, 6) // the mean of s² for s from 1/2 to 1
}

func TestImageAttacksNameMistakes(t *testing.T) {
	r := rand.New(rand.NewPCG(2, 17))
	m := onImages(randomModel(r, 12, 3, tensor.Float32))
	x := tensor.Uniform(r, tensor.Float32, 0, 1, 2, 3, 4, 1)
	y := tensor.ArgMax(m.Logits(x))
	flat := tensor.Flatten(x)
	th := Threat{Eps: 0.1}
	lie := errors.New("sensor broken")
	for want, f := range map[string]func() (Result, error){
		"EOT without a transform": func() (Result, error) { return (&EOT{Threat: th}).Run(ctx, m, x, y) },
		"EOT: inputs of shape":    func() (Result, error) { return (&EOT{Threat: th, Transform: transform.FlipLR{}}).Run(ctx, m, flat, y) },
		"crop's side is 2 to 2": func() (Result, error) {
			return (&EOT{Threat: th, Transform: transform.Crop{Side: transform.Fixed(2)}}).Run(ctx, m, x, y)
		},
		"EOT: samples is -1": func() (Result, error) {
			return (&EOT{Threat: th, Transform: transform.FlipLR{}, Samples: -1}).Run(ctx, m, x, y)
		},
		"made float32[2 3 3 1] of":   func() (Result, error) { return (&EOT{Threat: th, Transform: shrinking{}}).Run(ctx, m, x, y) },
		"spatial: inputs of shape":   func() (Result, error) { return (&Spatial{}).Run(ctx, m, flat, y) },
		"grid of 4 angles":           func() (Result, error) { return (&Spatial{Angles: 4}).Run(ctx, m, x, y) },
		"largest angle is NaN":       func() (Result, error) { return (&Spatial{MaxDegrees: math.NaN()}).Run(ctx, m, x, y) },
		"box [2, 1]":                 func() (Result, error) { return (&Spatial{Lo: 2, Hi: 1}).Run(ctx, m, x, y) },
		"patch: inputs of shape":     func() (Result, error) { return (&Patch{}).Run(ctx, m, flat, y) },
		"side is 4, want 1 to":       func() (Result, error) { return (&Patch{Side: 4}).Run(ctx, m, x, y) },
		"smallest scale is 3":        func() (Result, error) { return (&Patch{MinScale: 3}).Run(ctx, m, x, y) },
		"Universal under l0":         func() (Result, error) { return (&Universal{Threat: Threat{Norm: L0}}).Run(ctx, m, x, y) },
		"alpha is 0.2, want at most": func() (Result, error) { return (&RFGSM{Threat: th, Alpha: 0.2}).Run(ctx, m, x, y) },
		"probability 2":              func() (Result, error) { return (&DIFGSM{Threat: th, Probability: 2}).Run(ctx, m, x, y) },
		"radius is -1":               func() (Result, error) { return (&TIFGSM{Threat: th, Radius: -1}).Run(ctx, m, x, y) },
		"blur: sigma is -1":          func() (Result, error) { return (&Blur{Threat: th, Sigma: -1}).Run(ctx, m, x, y) },
		"want images [N, H, W, C]": func() (Result, error) {
			return (&TIFGSM{Threat: th}).Run(ctx, m, tensor.Reshape(x, 2, 3, 2, 2, 1), y)
		},
		"model panicked on 2 inputs from 0 on: sensor broken": func() (Result, error) {
			return (&Blur{Threat: th}).Run(ctx, function(func(*tensor.Tensor) *tensor.Tensor { panic(lie) }), x, y)
		},
	} {
		_, err := f()
		require.ErrorContains(t, err, want, want)
	}
	_, err := (&Blur{Threat: th}).Run(ctx, function(func(*tensor.Tensor) *tensor.Tensor { panic(lie) }), x, y)
	require.ErrorIs(t, err, lie, "an error that a model panics with is kept")
	_, err = (&EOT{Threat: th, Transform: transform.FlipLR{}}).Survival(ctx, m, x, y, 0)
	require.ErrorContains(t, err, "0 draws")
	require.PanicsWithValue(t, "attack: Patch.Apply: patch float32[2 3 1] on images float32[2 3 4 1]", func() { (&Patch{}).Apply(x, tensor.Zeros(tensor.Float32, 2, 3, 1)) })
}

// shrinking is no transform: it loses a column.
type shrinking struct{ transform.Identity }

func (shrinking) Apply(_ transform.Sources, x *tensor.Tensor) *tensor.Tensor {
	return tensor.Slice(x, 2, 0, x.Dim(2)-1)
}
