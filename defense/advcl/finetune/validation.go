package finetune

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"

	"github.com/redoubt-ml/redoubt/attack"
	"github.com/redoubt-ml/redoubt/tensor"
	"github.com/redoubt-ml/redoubt/tensor/dataset"
	"github.com/redoubt-ml/redoubt/tensor/nn"
)

// Validation takes the classifier of the epoch that fares best on images that it is not
// trained on. The reference code of Fan et al., NeurIPS 2021, chooses by test images,
// which flatters its figures; these are taken from the training images.
type Validation struct {
	// Images is the number of training images, drawn by Tuning's Seed, that are held
	// out: at least 1, and at least 2 are left.
	Images int
	// Protocol measures the held-out images after each epoch. Its strongest measure
	// decides: AutoAttack, APGD, PGD at the first radius, or without a radius the clean
	// images; of equals, the better one on clean images, and then the earlier one.
	Protocol Protocol
	// OnEpoch is called after each epoch, counted from 0, with what was measured and
	// whether no epoch before was as good; nil for none.
	OnEpoch func(epoch int, s Scores, best bool)
}

// split holds images out.
func (v Validation) split(data *dataset.Set, seed uint64) (train, held *dataset.Set, err error) {
	if n := data.Len(); v.Images < 1 || v.Images > n-2 {
		return nil, nil, fmt.Errorf("finetune: validation on %d of %d images, want at least 1 and 2 to be left", v.Images, n)
	}
	order := rand.New(rand.NewPCG(seed, 0x7a11d)).Perm(data.Len())
	out, in := order[:v.Images], order[v.Images:]
	// Images stay in their order, as those of a set without validation.
	slices.Sort(out)
	slices.Sort(in)
	return data.Subset(in), data.Subset(out), nil
}

// decisive is the accuracy that a choice looks at.
func (s Scores) decisive() attack.Estimate {
	switch {
	case s.AutoAttack != nil:
		return *s.AutoAttack
	case s.APGD != nil:
		return *s.APGD
	case len(s.Robust) > 0:
		return s.Robust[0]
	}
	return s.Clean
}

// choice follows a training and keeps the best of its classifiers.
type choice struct {
	Validation
	x      *tensor.Tensor // held-out images
	y      []int
	scores Scores      // of what is kept
	kept   *Classifier // nil before the first epoch
}

// newChoice returns the choice among classifiers that are tested on the images.
func (v Validation) newChoice(held *dataset.Set) *choice {
	x, y := held.All()
	return &choice{Validation: v, x: x, y: y}
}

// best trains, and returns the best of what current returns after each epoch of per
// steps; on an error the best so far, nil if none has been measured.
func (h *choice) best(ctx context.Context, run *nn.Trainer, per int, current func() (*Classifier, error)) (*Classifier, error) {
	inner, stop := context.WithCancel(ctx)
	defer stop()
	var failed error
	onStep := run.OnStep
	run.OnStep = func(p nn.Progress) {
		if onStep != nil {
			onStep(p)
		}
		if (p.Step+1)%per != 0 {
			return
		}
		c, err := current()
		if err == nil {
			err = h.look(inner, p.Epoch, c)
		}
		if err != nil {
			failed = fmt.Errorf("finetune: validation after epoch %d: %w", p.Epoch, err)
			stop()
		}
	}
	err := run.Run(inner)
	if failed != nil {
		err = failed
	}
	return h.kept, err
}

// look measures the classifier of an epoch, which nobody changes afterwards.
func (h *choice) look(ctx context.Context, epoch int, c *Classifier) error {
	s, err := h.Protocol.Measure(ctx, c, h.x, h.y)
	if err != nil {
		return err
	}
	better := h.take(s, c)
	if h.OnEpoch != nil {
		h.OnEpoch(epoch, s, better)
	}
	return nil
}

// take keeps a classifier if it is better than what is kept.
func (h *choice) take(s Scores, c *Classifier) bool {
	now, before := s.decisive().Value, h.scores.decisive().Value
	if h.kept != nil && (now < before || now == before && s.Clean.Value <= h.scores.Clean.Value) {
		return false
	}
	h.scores, h.kept = s, c
	return true
}
