package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/redoubt-ml/redoubt/fedleak"
	"github.com/redoubt-ml/redoubt/tensor"
	"github.com/redoubt-ml/redoubt/tensor/dataset"
	"github.com/redoubt-ml/redoubt/tensor/optim"
)

// defenseRow is one way to upload gradients.
type defenseRow struct {
	Network string  `json:"network"`
	Name    string  `json:"name"`
	LR      float64 `json:"lr"`
	Test    float64 `json:"test_acc"`
	// Held is the accuracy on training samples that are kept out of training, by
	// which rates and strengths are chosen, Points the test accuracy less that of true
	// gradients in points, and Within whether it costs no more than 1.5.
	Held   float64 `json:"held_out_acc"`
	Points float64 `json:"test_points"`
	Within bool    `json:"within_1.5_points"`
	// PSNR is the median over samples, with the mean image for what was not
	// recovered: of the attack that knows nothing of the defence, of the one that
	// knows it (see tuned; for fixed batches, of what takes one of them), and of the one
	// that has tried the defence on other samples. Most is the largest of them, which
	// is what the defence leaves.
	PSNR       float64 `json:"psnr"`
	Adaptive   float64 `json:"psnr_adaptive"`
	Calibrated float64 `json:"psnr_calibrated"`
	Most       float64 `json:"psnr_most"`
	// Epsilon is the privacy budget of training at delta = 1e-5, 0 for none.
	Epsilon float64 `json:"epsilon,omitempty"`
	Rounds  int     `json:"rounds"` // that the attacks see
	Seconds float64 `json:"seconds"`
}

// upload is a defence to be measured.
type upload struct {
	name    string
	defense fedleak.Defense
	rates   []float64 // learning rates to try
	lr      float64   // the best of them
	acc     accuracy
	fixed   bool // the same batches in every epoch
	masked  bool
}

// bench is one kind of network with its data.
type bench struct {
	*experiment
	name        string
	train, held data // held out of training to choose by
	test        data
	private     data
	public      data
	make        func() *fedleak.Model
	wide        int              // outputs of the first dense layers
	mean        []*tensor.Tensor // mean image of public samples, for the private ones
	shown       []int            // samples that are inverted and scored
	rows        []pictureRow
	reference   accuracy // of true gradients
}

// accuracy is that of one training, on samples that choices are made by and on others.
type accuracy struct{ held, test float64 }

// tolerated is the accuracy that a defence may cost.
const tolerated = 0.015

// within says whether an accuracy is no more than the tolerated below a reference; the
// small change makes up for rounding.
func within(acc, reference float64) bool { return acc >= reference-tolerated-1e-9 }

type data struct {
	x []*tensor.Tensor
	y []int
}

// pooled cuts images of a set, halved in size, into quadrants.
func pooled(set *dataset.Set, ids []int) data {
	x, y := set.Batch(ids)
	return data{fedleak.Quadrants(tensor.AvgPool(x, 2, 2, tensor.Same(2, 0), true)), y}
}

// defend measures the defences on two kinds of networks.
func (e *experiment) defend(ctx context.Context) error {
	order := e.env.Rand("defended").Perm(e.train.Len())
	tests := e.env.Rand("defended test").Perm(e.test.Len())
	other := min(2*e.private, e.test.Len()/2)
	held := min(e.plan.test, (e.train.Len()-e.private)/4)
	rest := order[e.private+held:]
	b := &bench{
		experiment: e,
		private:    pooled(e.train, order[:e.private]),
		held:       pooled(e.train, order[e.private:e.private+held]),
		train:      pooled(e.train, rest[:min(len(rest), e.training)]),
		public:     pooled(e.test, tests[:other]),
		test:       pooled(e.test, tests[other:min(len(tests), other+e.plan.test)]),
	}
	b.mean = fedleak.MeanImage(b.public.x, e.private)
	for i := range min(e.scored, e.private) {
		b.shown = append(b.shown, i)
	}
	guess := b.score(b.mean).Median
	e.out.MeanImage = &guess
	for _, kind := range []struct {
		name string
		wide int
		make func(wide int) *fedleak.Model
	}{
		{"dense", 32, func(wide int) *fedleak.Model {
			return fedleak.NewDenseQuadrants(e.env.Rand("dense"), 14, 1, 10, wide, 16)
		}},
		{"convolutional", 48, func(wide int) *fedleak.Model {
			return fedleak.NewQuadrants(e.env.Rand("convolutional"), 14, 1, 10, fedleak.Shape{Conv1: 16, Conv2: 32, Dense: wide, Hidden: 32})
		}},
	} {
		b.name, b.wide = kind.name, kind.wide
		b.make = func() *fedleak.Model { return kind.make(kind.wide) }
		b.rows = []pictureRow{{"private", fedleak.JoinQuadrants(b.private.x), nil}}
		if err := b.all(ctx); err != nil {
			return fmt.Errorf("%s: %w", kind.name, err)
		}
		for i := range b.rows {
			b.rows[i].images = tensor.Gather(b.rows[i].images, b.shown[:min(10, len(b.shown))])
		}
		e.pictures = append(e.pictures, picture{"defended-" + kind.name, "Behind a " + kind.name + " network: what CAFE gets, knowing the defence", b.rows})
	}
	return nil
}

// all measures each defence of the list. The noise is the strongest of a series that
// costs no more than is tolerated on the samples held out.
func (b *bench) all(ctx context.Context) error {
	lr := 0.5
	if b.name == "convolutional" {
		lr = 0.2
	}
	for i, u := range []upload{
		{name: "none"},
		{name: "fake gradients", defense: &fedleak.FakeGradients{}},
		{name: "fake gradients, sigma 1.1", defense: &fedleak.FakeGradients{Sigma: 1.1}, rates: []float64{lr / 100, lr / 25}},
		{name: "clamped fakes, sigma 1.1", defense: &fedleak.FakeGradients{Sigma: 1.1, Clamp: true}, rates: []float64{lr / 100}},
		{name: "keep 30 %", defense: fedleak.Sparse{Keep: 0.3}, masked: true},
		{name: "fixed batches", fixed: true},
	} {
		if u.rates == nil {
			u.rates = []float64{lr}
		}
		var err error
		u.lr, u.acc, err = best(u.rates, func(lr float64) (accuracy, error) {
			try := u
			try.lr = lr
			return b.learn(ctx, try)
		})
		if err != nil {
			return err
		}
		if i == 0 {
			b.reference = u.acc
		}
		if err := b.measure(ctx, u); err != nil {
			return err
		}
	}
	// Clipped gradients are smaller and take a larger rate. The accuracy falls with the
	// noise: the strongest one that is cheap enough.
	levels := []float64{0.001, 0.0025, 0.005, 0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28}
	type clipping struct{ norm, rate float64 }
	ways := []clipping{{1, 3 * lr}, {2, 3 * lr}, {2, 4 * lr}}
	chosen := make([]clipping, len(levels)) // the best way at each level that was tried
	noisy := func(level int, c clipping) upload {
		return upload{
			name:    fmt.Sprintf("clip %v, noise %v", c.norm, levels[level]),
			defense: fedleak.ClippedNoise{Clip: c.norm, Multiplier: levels[level]}, lr: c.rate,
		}
	}
	level, acc, err := strongest(len(levels), b.reference.held, func(level int) (acc accuracy, err error) {
		chosen[level], acc, err = best(ways, func(c clipping) (accuracy, error) { return b.learn(ctx, noisy(level, c)) })
		return acc, err
	})
	if err != nil {
		return err
	}
	u := noisy(level, chosen[level])
	u.acc = acc
	return b.measure(ctx, u)
}

// best returns the setting with the best accuracy on the samples held out, the last of
// several.
func best[S any](settings []S, learn func(S) (accuracy, error)) (setting S, acc accuracy, err error) {
	for i, try := range settings {
		got, err := learn(try)
		if err != nil {
			return setting, accuracy{}, err
		}
		if i == 0 || got.held >= acc.held {
			setting, acc = try, got
		}
	}
	return setting, acc, nil
}

// strongest returns the last of n levels, with its accuracy, that is within what is
// tolerated on the samples held out, or the first if none is. The accuracy falls with
// the level.
func strongest(n int, reference float64, learn func(level int) (accuracy, error)) (level int, acc accuracy, err error) {
	lo, hi := -1, n
	for lo+1 < hi {
		middle := (lo + hi) / 2
		got, err := learn(middle)
		if err != nil {
			return 0, accuracy{}, err
		}
		if within(got.held, reference) {
			lo, acc = middle, got
		} else {
			hi = middle
			if middle == 0 {
				return 0, got, nil
			}
		}
	}
	return lo, acc, nil
}

// learn trains a model with the uploads and returns its accuracy.
func (b *bench) learn(ctx context.Context, u upload) (accuracy, error) {
	m := b.make()
	f := &fedleak.Federation{Model: m, X: b.train.x, Labels: b.train.y, Schedule: b.schedule(u), Defense: u.defense, Seed: b.env.Seed}
	stage := b.env.Stage("training, "+u.name, b.trainSteps)
	err := fedleak.Training{Steps: b.trainSteps, LR: optim.Cosine(u.lr, b.trainSteps), OnStep: func(s int) { stage.Done(s + 1) }}.Run(ctx, f)
	var broken *fedleak.GradientError
	if errors.As(err, &broken) {
		return accuracy{}, nil
	}
	if err != nil {
		return accuracy{}, err
	}
	return accuracy{m.Accuracy(b.held.x, b.held.y), m.Accuracy(b.test.x, b.test.y)}, nil
}

// single is what is left to do about fixed batches: gradients are matched over one of
// them, and where the first dense layer is at least twice as wide as the batch SPEAR takes
// it apart. The answer is the better of the two.
func (b *bench) single(ctx context.Context, m *fedleak.Model, f *fedleak.Federation, o fedleak.Observations, v fedleak.Inversion) (float64, error) {
	attacks := []fedleak.Attack{b.matching(fedleak.InvertingGradients(), b.defended)}
	if b.wide >= 2*b.defended {
		attacks = append(attacks, fedleak.SPEAR{Inversion: v, Seed: b.env.Seed})
	}
	most := 0.0
	for _, a := range attacks {
		r, err := a.Run(ctx, m, o)
		if err != nil {
			return 0, err
		}
		truth, guess := make([]*tensor.Tensor, len(f.X)), r.Images(b.mean)
		for p := range truth {
			truth[p], guess[p] = tensor.Gather(f.X[p], o.Batch(0)), tensor.Gather(guess[p], o.Batch(0))
		}
		if _, ok := a.(fedleak.SPEAR); ok {
			// It has an order of its own for each party.
			for p := range truth {
				part, _ := fedleak.Match(truth[p:p+1], guess[p:p+1])
				guess[p] = part[0]
			}
		} else {
			guess, _ = fedleak.Match(truth, guess)
		}
		most = max(most, fedleak.NewScore(truth, guess, nil).Median)
	}
	return most, nil
}

// tuned chooses a ridge and, for fake gradients, whether to change the scale, by the first
// ten images that an attacker who tries the defence on the shadow recovers there.
func (b *bench) tuned(ctx context.Context, a fedleak.CAFE, u upload, shadow *fedleak.Federation, rounds int) (fedleak.CAFE, error) {
	scales := []*fedleak.Rescale{nil}
	if _, ok := u.defense.(*fedleak.FakeGradients); ok {
		scale := &fedleak.Rescale{}
		if b.name != "dense" {
			scale.Public = b.public.x
		}
		scales = append(scales, scale)
	}
	o, err := shadow.Observe(rounds)
	if err != nil {
		return a, err
	}
	refs, err := fedleak.AttackRefs(shadow.Model)
	if err != nil {
		return a, err
	}
	recorded, err := fedleak.Record(ctx, shadow.Model, o, refs)
	if err != nil {
		return a, err
	}
	n := len(shadow.Labels)
	mean := fedleak.MeanImage(shadow.X, n)
	marked := make([]bool, n)
	var ids []int
	for i := range min(10, n) {
		marked[i] = true
		ids = append(ids, i)
	}
	chosen, most := a, 0.0
	for _, scale := range scales {
		for _, ridge := range []float64{0, 0.3, 1} {
			try := a
			try.Ridge, try.Rescale, try.Samples = ridge, scale, ids
			r, err := try.Run(ctx, shadow.Model, recorded)
			var open *fedleak.NotIdentifiableError
			if err != nil && !errors.As(err, &open) {
				return a, err
			}
			if s := fedleak.NewScore(shadow.X, r.Images(mean), marked).Median; s > most {
				most = s
				chosen.Ridge, chosen.Rescale = ridge, scale
			}
		}
	}
	return chosen, nil
}

// score compares the samples that are shown.
func (b *bench) score(guess []*tensor.Tensor) fedleak.Score {
	marked := make([]bool, len(b.private.y))
	for _, i := range b.shown {
		marked[i] = true
	}
	return fedleak.NewScore(b.private.x, guess, marked)
}

func (b *bench) schedule(u upload) fedleak.Schedule {
	if u.fixed {
		return fedleak.FixedBatches{K: b.defended, Seed: b.env.Seed}
	}
	return fedleak.Uniform{K: b.defended, Seed: b.env.Seed}
}

// measure attacks the uploads of the untrained model.
func (b *bench) measure(ctx context.Context, u upload) error {
	start := time.Now()
	row := defenseRow{
		Network: b.name, Name: b.name + ": " + u.name, LR: u.lr, Test: u.acc.test, Held: u.acc.held,
		Points: 100 * (u.acc.test - b.reference.test), Within: within(u.acc.test, b.reference.test),
	}
	m := b.make()
	f := &fedleak.Federation{Model: m, X: b.private.x, Labels: b.private.y, Schedule: b.schedule(u), Defense: u.defense, Seed: b.env.Seed + 1}
	watched := b.watched
	if u.masked {
		watched *= 3 // what is left out is seen in other rounds
	}
	o, err := f.Observe(watched)
	if err != nil {
		return err
	}
	// Three attacks ask for the same gradients, party by party.
	refs, err := fedleak.AttackRefs(m)
	if err != nil {
		return err
	}
	recorded, err := fedleak.Record(ctx, m, o, refs)
	if err != nil {
		return err
	}
	shadow := &fedleak.Federation{Model: m, X: b.public.x, Labels: b.public.y, Schedule: b.schedule(u), Defense: u.defense, Seed: b.env.Seed + 2}
	plain := fedleak.CAFE{SkipLabels: true, Samples: b.shown, Inversion: fedleak.Inversion{Seed: b.env.Seed, Attempts: 1, AdamSteps: b.polish}}
	adaptive := plain
	adaptive.Masked = u.masked
	if !u.masked {
		adaptive.Coverage = -1
	}
	rounds := watched * len(b.public.y) / len(b.private.y) // of the shadow
	if !u.masked && u.defense != nil {
		if adaptive, err = b.tuned(ctx, adaptive, u, shadow, rounds); err != nil {
			return err
		}
	}
	trained := adaptive
	trained.Coverage = -1
	trained.Masked = false // a linear map undoes what zeros that count as values do
	for _, a := range []struct {
		attack fedleak.Attack
		to     *float64
	}{
		{plain, &row.PSNR},
		{adaptive, &row.Adaptive},
		{fedleak.Calibrated{CAFE: trained, Shadow: shadow, Rounds: rounds}, &row.Calibrated},
	} {
		r, err := a.attack.Run(ctx, m, recorded)
		var open *fedleak.NotIdentifiableError
		var leftOut *fedleak.LeftOutError
		if err != nil && !errors.As(err, &open) && !errors.As(err, &leftOut) {
			return err
		}
		guess := r.Images(b.mean)
		s := b.score(guess)
		*a.to = s.Median
		if a.to == &row.Adaptive {
			b.rows = append(b.rows, pictureRow{u.name, fedleak.JoinQuadrants(guess), s.Each[:min(10, len(s.Each))]})
		}
	}
	if u.fixed {
		if row.Adaptive, err = b.single(ctx, m, f, o, plain.Inversion); err != nil {
			return err
		}
	}
	row.Most = max(row.PSNR, row.Adaptive, row.Calibrated)
	if c, ok := u.defense.(fedleak.ClippedNoise); ok {
		account := fedleak.Accountant{Multiplier: c.Multiplier, Uploads: len(b.private.x)}
		if row.Epsilon, err = account.Epsilon(b.trainSteps, 1e-5); err != nil {
			return err
		}
	}
	row.Rounds, row.Seconds = watched, time.Since(start).Seconds()
	b.out.Defense = append(b.out.Defense, row)
	return nil
}
