package finetune

import (
	"context"
	"math"
	"math/rand/v2"
	"reflect"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/redoubt-ml/redoubt/attack"
	"github.com/redoubt-ml/redoubt/defense/advcl"
	"github.com/redoubt-ml/redoubt/tensor"
	"github.com/redoubt-ml/redoubt/tensor/dataset"
	"github.com/redoubt-ml/redoubt/tensor/nn"
)

// colours returns n images of 8 by 8 pixels in four classes that differ by colour.
func colours(n int) *dataset.Set {
	rng := rand.New(rand.NewPCG(1, 1))
	s := &dataset.Set{Name: "colours", H: 8, W: 8, C: 3, Classes: 4}
	for i := range n {
		y := i % 4
		s.Labels = append(s.Labels, y)
		for range 64 {
			for c := range 3 {
				v := 0.5 + 0.25*math.Cos(math.Pi*float64(y)/2+float64(2*c)) + 0.1*rng.NormFloat64()
				s.Bytes = append(s.Bytes, byte(255*min(1, max(0, v))))
			}
		}
	}
	return s
}

func encoder(t testing.TB, data *dataset.Set) *advcl.Encoder {
	e := advcl.NewEncoder(rand.New(rand.NewPCG(2, 2)), advcl.Form{Name: "tiny", Stem: 8, Stride: 2, Stages: []advcl.Stage{{Width: 16, Blocks: 1, Stride: 2}}})
	require.NoError(t, e.Calibrate(context.Background(), "", data, 2))
	return e
}

func tune(t testing.TB, tuning Tuning, data *dataset.Set) *Classifier {
	c, err := tuning.Run(context.Background(), encoder(t, data), data)
	require.NoError(t, err)
	return c
}

func values(l nn.Layer) (out [][]float64) {
	l.Visit("", func(s nn.Slot) { out = append(out, s.Tensor.Values()) })
	return out
}

func quick(kind Kind) Tuning {
	return Tuning{
		Kind: kind, Epochs: 3, Drops: []int{2}, BatchSize: 16, LR: 0.1,
		Attack: attack.PGD{Threat: attack.Threat{Norm: attack.Linf, Eps: 8. / 255}, Steps: 2, StepSize: 4. / 255},
	}
}

// Linear fine-tuning changes no value of the encoder, full fine-tuning does, and none
// changes the encoder that it was given.
func TestTheEncoderIsFrozenOrNot(t *testing.T) {
	data := colours(40)
	for _, kind := range []Kind{SLF, ALF, AFF} {
		e := encoder(t, data)
		before := values(e)
		c, err := quick(kind).Run(context.Background(), e, data)
		require.NoError(t, err)
		require.True(t, reflect.DeepEqual(before, values(e)))
		require.Equal(t, kind != AFF, reflect.DeepEqual(before, values(c.Encoder)), kind)
		again, err := quick(kind).Run(context.Background(), e, data)
		require.NoError(t, err)
		require.True(t, reflect.DeepEqual(values(c), values(again)), "the same seed gives the same classifier")
	}
}

// keep is an augmentation that changes nothing.
type keep struct{}

func (keep) Check() error                       { return nil }
func (keep) Augment(*rand.Rand, *dataset.Image) {}

func TestCachedFeaturesGiveTheSameClassifier(t *testing.T) {
	data := colours(42)
	with, without := quick(SLF), quick(SLF)
	with.Augment = []dataset.Augment{keep{}}
	a, b := values(tune(t, with, data)), values(tune(t, without, data))
	for i := range a {
		require.InDeltaSlice(t, a[i], b[i], 1e-5)
	}
}

// Training on cached features looks at labels alone.
func TestTrainingOnCachedFeaturesReadsNoImages(t *testing.T) {
	data := colours(42)
	want := values(tune(t, quick(SLF), data))
	s, e := quick(SLF), encoder(t, data)
	s.OnStep = func(nn.Progress) { data.Bytes = nil }
	c, err := s.Run(context.Background(), e, data)
	require.NoError(t, err)
	require.Equal(t, want, values(c))
}

// A training that is stopped returns the classifier as it is then, and with a validation
// the best one so far.
func TestStoppedTuningKeepsWhatItHas(t *testing.T) {
	data := colours(60)
	for name, change := range map[string]func(s *Tuning){
		"SLF":               func(*Tuning) {},
		"SLF, standardised": func(s *Tuning) { s.Standardize = true },
		"ALF":               func(s *Tuning) { s.Kind = ALF },
		"AFF":               func(s *Tuning) { s.Kind = AFF },
		"validation":        func(s *Tuning) { s.Validation = &Validation{Images: 20} },
	} {
		s := quick(SLF)
		s.Epochs, s.Drops = 2, []int{}
		change(&s)
		want := values(tune(t, s, data))
		s.Epochs = 4
		ctx, cancel := context.WithCancel(context.Background())
		s.OnStep = func(p nn.Progress) {
			if p.Epoch == 2 {
				cancel()
			}
		}
		if s.Validation == nil {
			s.OnStep = func(p nn.Progress) {
				if 2*(p.Step+1) == p.Steps {
					cancel()
				}
			}
		}
		c, err := s.Run(ctx, encoder(t, data), data)
		require.ErrorIs(t, err, context.Canceled, name)
		require.Equal(t, want, values(c), name)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	s := quick(SLF)
	s.Validation = &Validation{Images: 20}
	c, err := s.Run(ctx, encoder(t, data), data)
	require.ErrorIs(t, err, context.Canceled)
	require.Nil(t, c)
}

// A layer that was trained on standardised features answers on plain ones.
func TestStandardisationIsFoldedIntoTheLayer(t *testing.T) {
	data := colours(80)
	s := quick(SLF)
	s.Standardize, s.Epochs = true, 10
	c := tune(t, s, data)
	x, y := data.All()
	r, err := attack.Evaluate(context.Background(), c, x, y)
	require.NoError(t, err)
	require.Greater(t, r.Clean.Value, 0.9)

	rng := rand.New(rand.NewPCG(3, 3))
	f := tensor.Uniform(rng, tensor.Float32, 1, 3, 20, 5)
	for i := range 20 {
		f.Set(2, i, 4)
	}
	plain := f.Clone()
	head := nn.NewLinear(rng, 5, 3)
	fold := standardize(f)
	want := head.Forward(&nn.Pass{}, f).Values()
	require.InDelta(t, 0, tensor.MaxAbs(tensor.Mean(f, 0)), 1e-5)
	fold(head)
	require.InDeltaSlice(t, want, head.Forward(&nn.Pass{}, plain).Values(), 1e-4)
}

func TestMeasuresAreInOrder(t *testing.T) {
	data := colours(80)
	s := quick(SLF)
	s.Epochs = 10
	c := tune(t, s, data)
	x, y := data.Take(40).All()
	eps := []float64{8. / 255, 0, 2. / 255, 1}
	got, err := Protocol{Eps: eps, APGD: 40, AutoAttack: 40}.Measure(context.Background(), c, x, y)
	require.NoError(t, err)
	require.LessOrEqual(t, got.Robust[0].Value, got.Clean.Value)
	require.Equal(t, got.Clean.Value, got.Robust[1].Value)
	require.LessOrEqual(t, got.Robust[0].Value, got.Robust[2].Value)
	require.Less(t, got.Robust[0].Value, got.Clean.Value)
	require.LessOrEqual(t, got.APGD.Value, got.Robust[0].Value)
	require.LessOrEqual(t, got.AutoAttack.Value, got.APGD.Value, "AutoAttack has APGD and more")
	// AutoAttack's worst case is within what each of its parts leaves, image by image.
	// PGD is not one of them, but AutoAttack is stronger on these images too.
	threat := attack.Threat{Norm: attack.Linf, Eps: eps[0]}
	parts, err := attack.Evaluate(context.Background(), c, x, y, &attack.APGD{Threat: threat}, &attack.APGD{Threat: threat, TargetClasses: 9})
	require.NoError(t, err)
	require.Len(t, got.APGDRight, 40)
	require.Len(t, got.AutoAttackRight, 40)
	implied, fell := 0, 0
	for i, robust := range got.AutoAttackRight {
		if !robust {
			fell++
			continue
		}
		implied++
		for _, part := range parts.Attacks {
			require.True(t, part.Right[i], "image %d resists AutoAttack but not %s", i, part.Name)
		}
		require.True(t, got.APGDRight[i] && got.RobustRight[0][i] && got.CleanRight[i], i)
	}
	require.Positive(t, implied)
	require.Positive(t, fell)
	require.InDelta(t, got.AutoAttack.Value, float64(implied)/40, 1e-12)
	none, err := Protocol{Eps: []float64{0}, APGD: 40, AutoAttack: 40}.Measure(context.Background(), c, x, y)
	require.NoError(t, err)
	require.Equal(t, []attack.Estimate{none.Clean, none.Clean, none.Clean}, []attack.Estimate{none.Robust[0], *none.APGD, *none.AutoAttack})
	still, err := Protocol{}.StepsCurve(context.Background(), c, x, y, 0, 5)
	require.NoError(t, err)
	require.Equal(t, none.Clean, still[0])
	wide, err := Protocol{Eps: []float64{1}, StepSize: 0.1}.Measure(context.Background(), c, x, y)
	require.NoError(t, err)
	require.Less(t, wide.Robust[0].Value, 0.1, "nothing stands an attack without limits")
	require.Len(t, got.RobustRight, 4)
	right := 0
	for i, ok := range got.RobustRight[0] {
		if ok {
			right++
			require.True(t, got.CleanRight[i])
		}
	}
	require.InDelta(t, got.Robust[0].Value, float64(right)/40, 1e-12)

	p := Protocol{}
	steps, err := p.StepsCurve(context.Background(), c, x, y, 8./255, 0, 1, 20)
	require.NoError(t, err)
	require.Equal(t, got.Clean.Value, steps[0].Value)
	require.LessOrEqual(t, steps[2].Value, steps[1].Value+0.05)
	curve, err := p.EpsCurve(context.Background(), c, x, y, 0, 4./255, 16./255)
	require.NoError(t, err)
	require.Equal(t, got.Clean.Value, curve[0].Value)
	require.Less(t, curve[2].Value, curve[0].Value)
}

// waves is a model whose answer changes again and again as images become brighter, so that
// long steps leave places where it is wrong.
type waves struct{}

func (waves) Logits(x *tensor.Tensor) *tensor.Tensor {
	f := tensor.Sin(tensor.MulScalar(tensor.Mean(tensor.Reshape(x, x.Dim(0), x.Len()/x.Dim(0)), 1), 150))
	f = tensor.Reshape(f, x.Dim(0), 1)
	return tensor.Concat(1, f, tensor.Neg(f))
}

// What the last step leaves right is what PGD leaves right and sometimes more: its steps
// are the same, but only the last one counts. It is what Perturb's images say.
func TestTheLastIterateIsNoStricter(t *testing.T) {
	c := waves{}
	x, y := colours(120).All()
	for i := range y {
		y[i] %= 2
	}
	any := Protocol{Eps: []float64{6. / 255}, Steps: 5, StepSize: 4. / 255, Seed: 3}
	last := any
	last.LastIterate = true
	strict, err := any.Measure(context.Background(), c, x, y)
	require.NoError(t, err)
	got, err := last.Measure(context.Background(), c, x, y)
	require.NoError(t, err)
	more := 0
	for i, right := range got.RobustRight[0] {
		if !strict.RobustRight[0][i] {
			if right {
				more++
			}
			continue
		}
		require.True(t, right, i)
	}
	require.Positive(t, more)
	end, err := any.pgd(6./255).Perturb(context.Background(), c, x, y)
	require.NoError(t, err)
	answers, err := attack.Predict(context.Background(), c, end)
	require.NoError(t, err)
	n := 0
	for i, a := range answers {
		if a == y[i] {
			n++
		}
	}
	require.InDelta(t, float64(n)/120, got.Robust[0].Value, 1e-12)
	require.Equal(t, strict.Clean, got.Clean)
	last.Eps = []float64{-1}
	_, err = last.Measure(context.Background(), c, x, y)
	require.ErrorContains(t, err, "eps is -1")
}

func TestBadInputIsNamed(t *testing.T) {
	data := colours(40)
	unlabelled, other, grey := *data, *data, *data
	unlabelled.Labels, unlabelled.Classes = nil, 0
	other.Labels = append([]int{4}, data.Labels[1:]...)
	grey.C, grey.Bytes = 1, data.Bytes[:40*64]
	ctx := context.Background()
	for want, c := range map[string]struct {
		change func(s *Tuning)
		data   *dataset.Set
	}{
		`kind "XLF"`:           {func(s *Tuning) { s.Kind = "XLF" }, data},
		"has 0 classes":        {func(*Tuning) {}, &unlabelled},
		"is 4, want":           {func(*Tuning) {}, &other},
		"8x8x1":                {func(*Tuning) {}, &grey},
		"no images":            {func(*Tuning) {}, nil},
		"Standardize with AFF": {func(s *Tuning) { s.Kind, s.Standardize = AFF, true }, data},
		"Beta is -1":           {func(s *Tuning) { s.Kind, s.Beta = AFF, -1 }, data},
		"AFF in batches of 1":  {func(s *Tuning) { s.Kind, s.BatchSize = AFF, 1 }, data},
		"learning rate -1":     {func(s *Tuning) { s.LR = -1 }, data},
		"-1 epochs":            {func(s *Tuning) { s.Epochs = -1 }, data},
		"at epoch -1":          {func(s *Tuning) { s.Drops = []int{-1} }, data},
		"eps is -1":            {func(s *Tuning) { s.Kind, s.Attack.Threat.Eps = ALF, -1 }, data},
	} {
		s := quick(SLF)
		c.change(&s)
		_, err := s.Run(ctx, encoder(t, data), c.data)
		require.ErrorContains(t, err, want)
	}
	_, err := quick(SLF).Run(ctx, nil, data)
	require.ErrorContains(t, err, "no encoder")
	_, err = quick(SLF).Run(ctx, advcl.NewEncoder(rand.New(rand.NewPCG(1, 1)), advcl.Mini, advcl.Routes...), data)
	require.ErrorContains(t, err, "want one; see")
	_, err = quick(SLF).Run(ctx, advcl.NewEncoder(rand.New(rand.NewPCG(1, 1)), advcl.Mini), data)
	require.ErrorContains(t, err, "no batch has entered")

	c := tune(t, quick(SLF), data)
	x, y := data.All()
	_, err = Protocol{}.Measure(ctx, c, x, nil)
	require.ErrorContains(t, err, "no images")
	_, err = Protocol{Eps: []float64{0.1}, APGD: 41}.Measure(ctx, c, x, y)
	require.ErrorContains(t, err, "APGD on 41")
	_, err = Protocol{AutoAttack: 1}.Measure(ctx, c, x, y)
	require.ErrorContains(t, err, "without a radius")
	_, err = Protocol{Eps: []float64{-1}}.Measure(ctx, c, x, y)
	require.ErrorContains(t, err, "eps is -1")
	_, err = Protocol{}.StepsCurve(ctx, c, x, y, 0.1, -1)
	require.ErrorContains(t, err, "-1 steps")
	_, err = Protocol{}.StepsCurve(ctx, c, x, nil, 0.1, 1)
	require.ErrorContains(t, err, "no images")
}
