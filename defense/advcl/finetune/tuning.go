package finetune

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"

	"github.com/redoubt-ml/redoubt/attack"
	"github.com/redoubt-ml/redoubt/defense"
	"github.com/redoubt-ml/redoubt/defense/advcl"
	"github.com/redoubt-ml/redoubt/tensor/dataset"
	"github.com/redoubt-ml/redoubt/tensor/nn"
	"github.com/redoubt-ml/redoubt/tensor/optim"
)

// Kind is a way to fine-tune.
type Kind string

// Ways to fine-tune.
const (
	SLF Kind = "SLF" // standard linear
	ALF Kind = "ALF" // adversarial linear
	AFF Kind = "AFF" // adversarial full, by TRADES
)

// Tuning trains a classifier on a pretrained encoder. Zero values are those of the
// reference code of Fan et al., NeurIPS 2021, for SLF and ALF, and for AFF those of
// Jiang et al., NeurIPS 2020.
type Tuning struct {
	Kind Kind // SLF, ALF or AFF
	// Augment are random changes of the training images. With none, SLF computes the
	// features of all images once.
	Augment []dataset.Augment
	// Standardize scales each feature to mean 0 and variance 1 over the training
	// images and folds that into the layer afterwards. SLF without Augment only.
	Standardize bool
	// Attack is that of ALF and AFF. A Threat of zeros means 8/255 under Linf, a
	// StepSize of 0 under Linf 2/255, and 0 Steps 20 for ALF and 10 for AFF. AFF's
	// climbs as TRADES of package defense says.
	Attack attack.PGD
	// Beta is TRADES's weight of agreement; 0 means 6.
	Beta        float64
	LR          float64 // 0 means 0.01, and 0.1 for AFF
	WeightDecay float64 // 0 means 2e-4, negative none
	BatchSize   int     // 0 means 512, and 128 for AFF, or all images if there are fewer
	Epochs      int     // 0 means 25
	// Drops are the epochs, from 0, at which the learning rate falls to a tenth; nil
	// means 15 and 20.
	Drops []int
	// Seed selects the layer's start, the order of images, augmentation and attacks.
	Seed uint64
	// Validation takes the best epoch; nil takes the last.
	Validation *Validation
	// OnStep is called after each step, nil for none.
	OnStep func(nn.Progress)
}

// Run trains a classifier on labelled images. The encoder, which has one set of
// statistics (see advcl.Encoder.Extract), is not changed: SLF and ALF use it as it is,
// AFF a copy. Errors: settings that make no sense, an encoder without statistics, data
// that do not fit or have no labels, and those of a validation and of nn.Trainer. When
// training ends early, with ctx's error or another one of these two, the classifier is the
// one after the last step, or with Validation the best one so far, nil before the first
// epoch is measured; else it is nil.
func (t Tuning) Run(ctx context.Context, encoder *advcl.Encoder, data *dataset.Set) (*Classifier, error) {
	if err := t.check(encoder, data); err != nil {
		return nil, err
	}
	var chosen *choice
	if t.Validation != nil {
		train, held, err := t.Validation.split(data, t.Seed)
		if err != nil {
			return nil, err
		}
		data, chosen = train, t.Validation.newChoice(held)
	}
	t = t.withDefaults(data.Len())
	copied, err := encoder.Extract("")
	if err != nil {
		return nil, err
	}
	rng := rand.New(rand.NewPCG(t.Seed, 0x5ead))
	c := &Classifier{Encoder: copied, Head: nn.NewLinear(rng, encoder.Form.Features(), data.Classes)}
	rest, per := data.Len()%t.BatchSize, data.Len()/t.BatchSize
	if rest > 1 {
		per++
	}
	run := nn.Trainer{
		Net: c.Head, Data: data, Epochs: t.Epochs, BatchSize: t.BatchSize, KeepLast: rest > 1, Seed: t.Seed, OnStep: t.OnStep,
		Optimizer: &optim.SGD{Momentum: 0.9, WeightDecay: max(0, t.WeightDecay)},
		Schedule:  t.schedule(per),
	}
	if len(t.Augment) > 0 {
		if run.Augment, err = dataset.NewAugmenter(t.Seed, t.Augment...); err != nil {
			return nil, err
		}
	}
	fold := func(*nn.Linear) {}
	switch {
	case t.Kind == AFF:
		pgd := t.Attack
		pgd.Seed ^= t.Seed
		run.Net, run.Loss = c, (&defense.TRADES{Attack: pgd, Beta: t.Beta}).Loss
	case t.Kind == ALF:
		run.Loss = t.attacked(c)
	case len(t.Augment) > 0:
		run.Loss = frozen(c)
	default:
		f, err := advcl.Encode(ctx, c.Encoder, "", data)
		if err != nil {
			return nil, err
		}
		if t.Standardize {
			fold = standardize(f)
		}
		run.Loss, run.Data = cached(f), labelsOf(data)
	}
	if chosen == nil {
		err := run.Run(ctx)
		fold(c.Head)
		return c, err
	}
	return chosen.best(ctx, &run, per, func() (*Classifier, error) {
		out := &Classifier{Encoder: c.Encoder, Head: &nn.Linear{Weight: c.Head.Weight.Clone(), Bias: c.Head.Bias.Clone()}}
		fold(out.Head)
		if t.Kind == AFF {
			if out.Encoder, err = c.Encoder.Extract(""); err != nil {
				return nil, err
			}
		}
		return out, nil
	})
}

func (t Tuning) check(encoder *advcl.Encoder, data *dataset.Set) error {
	switch {
	case t.Kind != SLF && t.Kind != ALF && t.Kind != AFF:
		return fmt.Errorf("finetune: kind %q, want %q, %q or %q", t.Kind, SLF, ALF, AFF)
	case encoder == nil:
		return errors.New("finetune: no encoder")
	case len(encoder.Sets) != 1:
		return fmt.Errorf("finetune: encoder has the sets of normalisation statistics %q, want one; see advcl.Encoder.Extract", encoder.Sets)
	case data == nil || data.Len() == 0:
		return errors.New("finetune: no images")
	case data.Labels == nil || data.Classes < 2:
		return fmt.Errorf("finetune: %s has %d classes, want labels of at least 2", data.Name, data.Classes)
	case data.C != 3 || data.H != data.W:
		return fmt.Errorf("finetune: images of %s are %dx%dx%d, want square ones of 3 channels", data.Name, data.H, data.W, data.C)
	case t.Standardize && (t.Kind != SLF || len(t.Augment) > 0):
		return fmt.Errorf("finetune: Standardize with %s and %d augmentations, want SLF without", t.Kind, len(t.Augment))
	case !(t.Beta >= 0) || math.IsInf(t.Beta, 0):
		return fmt.Errorf("finetune: Beta is %v, want above 0, or 0 for 6", t.Beta)
	case !(t.LR >= 0) || math.IsInf(t.LR, 0) || math.IsNaN(t.WeightDecay) || math.IsInf(t.WeightDecay, 0):
		return fmt.Errorf("finetune: learning rate %v and weight decay %v, want finite numbers, the first of 0 or more", t.LR, t.WeightDecay)
	case t.BatchSize < 0 || t.Epochs < 0:
		return fmt.Errorf("finetune: %d epochs in batches of %d, want 0 or more", t.Epochs, t.BatchSize)
	case t.Kind == AFF && t.BatchSize == 1:
		return errors.New("finetune: AFF in batches of 1 image, want at least 2: one image has no variance to normalise by")
	}
	for _, d := range t.Drops {
		if d < 0 {
			return fmt.Errorf("finetune: drop of the learning rate at epoch %d, want 0 or more", d)
		}
	}
	if t.Kind != SLF {
		if err := t.Attack.Threat.Check(); err != nil {
			return err
		}
	}
	return data.Check()
}

func (t Tuning) withDefaults(n int) Tuning {
	full := t.Kind == AFF
	pick := func(v *float64, linear, all float64) {
		if *v == 0 {
			*v = linear
			if full {
				*v = all
			}
		}
	}
	pick(&t.LR, 0.01, 0.1)
	pick(&t.WeightDecay, 2e-4, 2e-4)
	pick(&t.Beta, 6, 6)
	if t.BatchSize == 0 {
		t.BatchSize = 512
		if full {
			t.BatchSize = 128
		}
	}
	t.BatchSize = min(t.BatchSize, n)
	if t.Epochs == 0 {
		t.Epochs = 25
	}
	if t.Drops == nil {
		t.Drops = []int{15, 20}
	}
	if t.Attack.Threat == (attack.Threat{}) {
		t.Attack.Threat.Eps = 8. / 255
	}
	if t.Attack.Threat.Norm == attack.Linf {
		pick(&t.Attack.StepSize, 2./255, 2./255)
	}
	if t.Attack.Steps == 0 {
		t.Attack.Steps = 20
		if full {
			t.Attack.Steps = 10
		}
	}
	return t
}

// schedule is the learning rate, given the number of batches in an epoch.
func (t Tuning) schedule(per int) optim.Schedule {
	milestones := make([]int, len(t.Drops))
	for i, d := range t.Drops {
		milestones[i] = d * per
	}
	return optim.StepDecay(t.LR, 0.1, milestones...)
}
