package finetune

import (
	"context"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/redoubt-ml/redoubt/attack"
	"github.com/redoubt-ml/redoubt/defense/advcl"
)

// With a validation the classifier is the one that training on the other images alone has
// after the epoch whose classifier is best on those that are held out.
func TestValidationTakesTheBestEpoch(t *testing.T) {
	data := colours(60)
	e := encoder(t, data)
	for name, change := range map[string]func(s *Tuning){
		"SLF":                 func(*Tuning) {},
		"SLF, standardised":   func(s *Tuning) { s.Standardize = true },
		"SLF, augmented":      func(s *Tuning) { s.Augment = advcl.Weakly()[1:] },
		"ALF":                 func(s *Tuning) { s.Kind = ALF },
		"AFF":                 func(s *Tuning) { s.Kind = AFF },
		"SLF, clean accuracy": func(s *Tuning) { s.Validation.Protocol.Eps = nil },
	} {
		s := quick(SLF)
		// Steps that are too long make later epochs worse than earlier ones.
		s.LR, s.Epochs, s.Drops, s.Seed = 8, 6, []int{}, 5
		s.Validation = &Validation{Images: 20, Protocol: Protocol{Eps: []float64{4. / 255}, Steps: 3}}
		change(&s)
		if s.Kind == AFF {
			s.LR = 1
		}
		var decisive []float64
		var clean []float64
		best := -1
		s.Validation.OnEpoch = func(epoch int, got Scores, better bool) {
			require.Len(t, decisive, epoch)
			decisive, clean = append(decisive, got.decisive().Value), append(clean, got.Clean.Value)
			if better {
				best = epoch
			}
		}
		got, err := s.Run(context.Background(), e, data)
		require.NoError(t, err, name)
		require.Len(t, decisive, 6)
		top := slices.Max(decisive)
		require.Equal(t, top, decisive[best], name)
		for k, v := range decisive[:best] {
			require.True(t, v < top || clean[k] < clean[best], "%s: epoch %d is as good", name, k)
		}

		train, held, err := s.Validation.split(data, s.Seed)
		require.NoError(t, err)
		require.Equal(t, []int{40, 20}, []int{train.Len(), held.Len()})
		x, y := held.All()
		again, err := s.Validation.Protocol.Measure(context.Background(), got, x, y)
		require.NoError(t, err)
		require.Equal(t, top, again.decisive().Value, name)
		s.Epochs, s.Validation = best+1, nil
		want, err := s.Run(context.Background(), e, train)
		require.NoError(t, err)
		require.Equal(t, values(want), values(got), name)
	}
}

// Of epochs that are as good the first one counts; of those that are as robust the one
// that is better on clean images.
func TestOfEqualEpochsTheFirstCounts(t *testing.T) {
	data := colours(60)
	s := quick(SLF)
	s.LR = 1e-12
	s.Validation = &Validation{Images: 10, OnEpoch: func(epoch int, _ Scores, best bool) { require.Equal(t, epoch == 0, best) }}
	_, err := s.Run(context.Background(), encoder(t, data), data)
	require.NoError(t, err)

	h := &choice{scores: Scores{Clean: attack.Estimate{Value: 0.5}, Robust: []attack.Estimate{{Value: 1}}}, kept: &Classifier{}}
	for _, c := range []struct {
		clean, robust, apgd float64
		want                bool
	}{{1, 0.9, -1, false}, {0.5, 1, -1, false}, {0.6, 1, -1, true}, {0.5, 1, -1, false}, {0.9, 1, 0.9, false}} {
		s := Scores{Clean: attack.Estimate{Value: c.clean}, Robust: []attack.Estimate{{Value: c.robust}}}
		if c.apgd >= 0 {
			s.APGD = &attack.Estimate{Value: c.apgd}
		}
		require.Equal(t, c.want, h.take(s, &Classifier{}), c)
	}
	one := attack.Estimate{Value: 0.1}
	require.Equal(t, one, Scores{AutoAttack: &one, APGD: &attack.Estimate{}, Robust: []attack.Estimate{{}}}.decisive())
}

// Images that are held out are drawn by the seed and do not reach the training.
func TestHeldOutImagesAreNotTrainedOn(t *testing.T) {
	data := colours(60)
	e := encoder(t, data)
	s := quick(SLF)
	s.Epochs, s.Standardize = 1, true
	s.Validation = &Validation{Images: 15}
	want, err := s.Run(context.Background(), e, data)
	require.NoError(t, err)
	_, held, err := s.Validation.split(data, s.Seed)
	require.NoError(t, err)
	other := *data
	other.Labels, other.Bytes = slices.Clone(data.Labels), slices.Clone(data.Bytes)
	size, found := data.H*data.W*data.C, 0
	for i := range other.Labels {
		for k := range held.Len() {
			if slices.Equal(data.Bytes[i*size:(i+1)*size], held.Bytes[k*size:(k+1)*size]) {
				other.Labels[i] = 3 - other.Labels[i]
				other.Bytes[i*size] ^= 0xff
				found++
			}
		}
	}
	require.Equal(t, 15, found)
	got, err := s.Run(context.Background(), e, &other)
	require.NoError(t, err)
	require.Equal(t, values(want), values(got))
	_, again, err := s.Validation.split(data, s.Seed+1)
	require.NoError(t, err)
	require.NotEqual(t, held.Bytes, again.Bytes)
}

func TestBadValidationsAreNamed(t *testing.T) {
	data := colours(20)
	e := encoder(t, data)
	run := func(ctx context.Context, v Validation) error {
		s := quick(SLF)
		s.Validation = &v
		_, err := s.Run(ctx, e, data)
		return err
	}
	for _, n := range []int{-1, 0, 19, 20} {
		require.ErrorContains(t, run(context.Background(), Validation{Images: n}), "of 20 images, want at least 1 and 2 to be left")
	}
	require.NoError(t, run(context.Background(), Validation{Images: 18}))
	err := run(context.Background(), Validation{Images: 4, Protocol: Protocol{Eps: []float64{-1}}})
	require.ErrorContains(t, err, "validation after epoch 0: ")
	require.ErrorContains(t, err, "eps is -1")
	// At the last epoch, too, a validation that is stopped is an error.
	for _, last := range []int{0, 2} {
		ctx, cancel := context.WithCancel(context.Background())
		v := Validation{Images: 4, Protocol: Protocol{Eps: []float64{8. / 255}}}
		epoch := -1
		v.Protocol.OnProgress = func(what string) {
			if what == "clean images" {
				epoch++
			} else if epoch == last {
				cancel()
			}
		}
		require.ErrorIs(t, run(ctx, v), context.Canceled)
		require.Equal(t, last, epoch)
		cancel()
	}
}
