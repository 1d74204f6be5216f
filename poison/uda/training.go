package uda

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"

	"github.com/redoubt-ml/redoubt/tensor"
	"github.com/redoubt-ml/redoubt/tensor/dataset"
	"github.com/redoubt-ml/redoubt/tensor/nn"
	"github.com/redoubt-ml/redoubt/tensor/optim"
)

// Training says how a method adapts from a source to a target.
type Training struct {
	Method Method       // the way to adapt
	Arch   Architecture // the networks
	// Source has labels. Target has the same form of images; its labels are not
	// looked at, and SourceOnly can do without it.
	Source, Target *dataset.Set
	Epochs         int // at least 1
	BatchSize      int // 0 means 256
	// DropLast leaves out the last batch of an epoch if it is smaller, as the
	// reference does for SourceOnly and SSL on digits.
	DropLast bool
	// Even divides an epoch into batches whose sizes differ by at most one, as few
	// as BatchSize allows, where by default all are of BatchSize but the last one. A
	// small last batch makes the step after which an epoch is judged a noisy one.
	// It excludes DropLast.
	Even bool
	// TargetAsSource takes as many target images as a batch has source images,
	// where BatchSize are taken by default. They are drawn without replacement
	// within a batch.
	TargetAsSource bool
	// LR is the learning rate; 0 means 1e-3.
	LR float64
	// Schedule multiplies LR by a factor that depends on the progress of training
	// in [0, 1); nil means 1. See Anneal.
	Schedule func(progress float64) float64
	// Optimizer makes the optimiser of one network; nil means Adam with first
	// moments of decay 0.5 and an eps of 1e-7.
	Optimizer func() optim.Optimizer
	// Seed selects weights, orders, target batches and dropout, each with a stream
	// of its own.
	Seed uint64
	// Keep chooses, before each epoch, the positions of the source images that
	// take part in it; nil takes all. A defence.
	Keep func(ctx context.Context, epoch int, m *Model, source *dataset.Set) ([]int, error)
	// OnEpoch is called after each epoch, nil for none. An error ends training.
	OnEpoch func(Epoch, *Model) error
}

// Epoch is what is known of an epoch of training.
type Epoch struct {
	Epoch  int    `json:"epoch"`  // from 0
	Kept   int    `json:"kept"`   // source images that took part
	Losses Losses `json:"losses"` // means over the batches
}

// DivergedError says that training has left the finite numbers.
type DivergedError struct {
	Method    string
	Epoch     int // from 0
	Iteration int // from 0, within the epoch
	Losses    Losses
}

// Error names the method, the place and what is not finite.
func (e *DivergedError) Error() string {
	return fmt.Sprintf("uda: %s diverged in iteration %d of epoch %d: losses %+v, want finite losses and weights", e.Method, e.Iteration, e.Epoch, e.Losses)
}

// Streams of random numbers under one seed.
const (
	streamWeights = 1 + iota
	streamTarget
	streamDropout
)

// New returns a model with fresh weights.
func (t Training) New() (*Model, error) {
	if err := t.validate(); err != nil {
		return nil, err
	}
	rng := rand.New(rand.NewPCG(t.Seed, streamWeights))
	s := t.Source
	m := &Model{
		Arch: t.Arch, H: s.H, W: s.W, C: s.C, Classes: s.Classes,
		optims: map[string]*group{}, tape: tensor.NewTape(), newOptim: t.Optimizer,
	}
	if m.newOptim == nil {
		m.newOptim = func() optim.Optimizer { return &optim.Adam{Beta1: 0.5, Eps: 1e-7} }
	}
	m.G, m.Width = t.Arch.Features(rng, s.H, s.W, s.C)
	if m.Width < 1 {
		return nil, fmt.Errorf("uda: %s gives %d features of %dx%d images, want at least 1: the images are too small", t.Arch.Name, m.Width, s.H, s.W)
	}
	m.Heads = append(m.Heads, t.Arch.Head(rng, m.Width, s.Classes))
	if err := t.Method.Prepare(m, rng); err != nil {
		return nil, err
	}
	for _, l := range m.networks() {
		l.Visit("", func(s nn.Slot) { m.statistics = m.statistics || !s.Trainable })
	}
	return m, nil
}

// Run trains a fresh model. With an error that ends training, of ctx, OnEpoch, Keep or
// an epoch, it returns the model as it is then, but for a *DivergedError, whose model is of
// no use. It returns none either with an error of New.
func (t Training) Run(ctx context.Context) (*Model, error) {
	m, err := t.New()
	if err != nil {
		return nil, err
	}
	for e := range t.Epochs {
		if err := t.Epoch(ctx, m, e); err != nil {
			var diverged *DivergedError
			if errors.As(err, &diverged) {
				return nil, err
			}
			return m, err
		}
	}
	return m, nil
}

// Epoch trains a model, made by New of a Training with the same method and form of
// images, for the epoch of that number. Its randomness depends on the seed and the
// number alone.
func (t Training) Epoch(ctx context.Context, m *Model, epoch int) error {
	if err := t.validate(); err != nil {
		return err
	}
	source := t.Source
	if t.Keep != nil {
		keep, err := t.Keep(ctx, epoch, m, source)
		if err != nil {
			return err
		}
		if source, err = subset(source, keep); err != nil {
			return err
		}
	}
	size := t.batchSize()
	order := dataset.Shuffler{Seed: t.Seed}.Order(epoch, source.Len())
	batches := (len(order) + size - 1) / size
	if t.DropLast {
		batches = len(order) / size
	}
	if batches == 0 {
		return fmt.Errorf("uda: epoch %d has no whole batch of %d among %d source images", epoch, size, len(order))
	}
	bounds := make([]int, batches+1)
	for i := range bounds {
		bounds[i] = min(i*size, len(order))
		if t.Even {
			bounds[i] = i * len(order) / batches
		}
	}
	if last := bounds[batches] - bounds[batches-1]; m.statistics && min(bounds[1], last) == 1 {
		return fmt.Errorf("uda: epoch %d has a batch of 1 among batches of %d, want at least 2 images for batch normalisation: see DropLast", epoch, size)
	}
	if m.importance != nil {
		for c, n := range source.ClassCounts() {
			m.importance.prior[c] = float64(n) / float64(source.Len())
		}
	}
	m.rng = rand.New(rand.NewPCG(t.Seed, uint64(epoch)<<8|streamDropout))
	var draw *sampler
	if t.Target != nil {
		draw = newSampler(rand.New(rand.NewPCG(t.Seed, uint64(epoch)<<8|streamTarget)), t.Target.Len())
	}
	lr := t.LR
	if lr == 0 {
		lr = 1e-3
	}
	report := Epoch{Epoch: epoch, Kept: len(order)}
	for i := range batches {
		if err := ctx.Err(); err != nil {
			return err
		}
		idx := order[bounds[i]:bounds[i+1]]
		var b Batch
		b.Source, b.Y = source.Batch(idx)
		if draw != nil {
			n := size
			if t.TargetAsSource {
				n = len(idx)
			}
			b.Target, _ = t.Target.Batch(draw.take(n))
		}
		b.Progress = (float64(epoch) + float64(i)/float64(batches)) / float64(t.Epochs)
		b.LR = lr
		if t.Schedule != nil {
			b.LR *= t.Schedule(b.Progress)
		}
		if !(b.LR > 0) || math.IsInf(b.LR, 0) {
			return fmt.Errorf("uda: learning rate is %v at the progress %v, want above 0", b.LR, b.Progress)
		}
		l := t.Method.Step(m, b)
		if !l.finite() {
			return &DivergedError{t.Method.Name(), epoch, i, l}
		}
		report.Losses.add(l, 1/float64(batches))
	}
	for _, w := range m.tensors() {
		if !tensor.AllFinite(w) {
			return &DivergedError{t.Method.Name(), epoch, batches - 1, report.Losses}
		}
	}
	if m.importance != nil {
		if err := m.importance.endEpoch(); err != nil {
			return err
		}
	}
	if t.OnEpoch != nil {
		return t.OnEpoch(report, m)
	}
	return nil
}

func (t Training) batchSize() int {
	if t.BatchSize == 0 {
		return 256
	}
	return t.BatchSize
}

// subset returns the images at the given positions.
func subset(s *dataset.Set, keep []int) (*dataset.Set, error) {
	for _, i := range keep {
		if i < 0 || i >= s.Len() {
			return nil, fmt.Errorf("uda: Keep chose image %d, want it in [0, %d)", i, s.Len())
		}
	}
	return s.Subset(keep), nil
}

// sampler draws positions without replacement within a batch.
type sampler struct {
	rng  *rand.Rand
	perm []int
}

func newSampler(rng *rand.Rand, n int) *sampler {
	s := &sampler{rng, make([]int, n)}
	for i := range s.perm {
		s.perm[i] = i
	}
	return s
}

// take draws n positions; the slice holds until the next call.
func (s *sampler) take(n int) []int {
	for i := range n {
		j := i + s.rng.IntN(len(s.perm)-i)
		s.perm[i], s.perm[j] = s.perm[j], s.perm[i]
	}
	return s.perm[:n]
}

func (t Training) validate() error {
	_, alone := t.Method.(SourceOnly)
	switch {
	case t.Method == nil:
		return fmt.Errorf("uda: no method")
	case t.Arch.Features == nil || t.Arch.Head == nil || t.Arch.Discriminator == nil:
		return fmt.Errorf("uda: architecture %q lacks a network", t.Arch.Name)
	case t.Epochs < 1:
		return fmt.Errorf("uda: %d epochs, want at least 1", t.Epochs)
	case t.BatchSize < 0:
		return fmt.Errorf("uda: batch size %d, want 0 (256) or more", t.BatchSize)
	case t.Even && t.DropLast:
		return fmt.Errorf("uda: Even with DropLast, want one of them")
	case !(t.LR >= 0) || math.IsInf(t.LR, 0):
		return fmt.Errorf("uda: learning rate is %v, want 0 (1e-3) or more", t.LR)
	case t.Source == nil || t.Source.Len() == 0:
		return fmt.Errorf("uda: the source is empty")
	case t.Source.Classes < 2:
		return fmt.Errorf("uda: source %q has %d classes, want labels of at least 2", t.Source.Name, t.Source.Classes)
	case len(t.Source.Labels) != t.Source.Len():
		return fmt.Errorf("uda: source %q has %d labels for %d images", t.Source.Name, len(t.Source.Labels), t.Source.Len())
	case t.Target == nil && alone:
	case t.Target == nil || t.Target.Len() == 0:
		return fmt.Errorf("uda: the target is empty")
	case t.Target.H != t.Source.H || t.Target.W != t.Source.W || t.Target.C != t.Source.C:
		return fmt.Errorf("uda: target images are %dx%dx%d, want %dx%dx%d as in the source", t.Target.H, t.Target.W, t.Target.C, t.Source.H, t.Source.W, t.Source.C)
	case t.batchSize() > t.Target.Len() && !t.TargetAsSource:
		return fmt.Errorf("uda: batch size %d, want at most the %d target images", t.batchSize(), t.Target.Len())
	case t.TargetAsSource && min(t.batchSize(), t.Source.Len()) > t.Target.Len():
		return fmt.Errorf("uda: batches of %d, want at most the %d target images", min(t.batchSize(), t.Source.Len()), t.Target.Len())
	}
	for i, y := range t.Source.Labels {
		if y < 0 || y >= t.Source.Classes {
			return fmt.Errorf("uda: label %d of the source is %d, want it in [0, %d)", i, y, t.Source.Classes)
		}
	}
	if err := finiteImages("source", t.Source); err != nil {
		return err
	}
	if t.Target != nil {
		return finiteImages("target", t.Target)
	}
	return nil
}

func finiteImages(name string, s *dataset.Set) error {
	for i, v := range s.Floats {
		if f := float64(v); math.IsNaN(f) || math.IsInf(f, 0) {
			return fmt.Errorf("uda: pixel %d of %s image %d is %v, want a finite number", i%(s.H*s.W*s.C), name, i/(s.H*s.W*s.C), v)
		}
	}
	return nil
}
