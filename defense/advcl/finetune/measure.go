package finetune

import (
	"context"
	"errors"
	"fmt"

	"github.com/redoubt-ml/redoubt/attack"
	"github.com/redoubt-ml/redoubt/tensor"
)

// Protocol says how a classifier is measured: by PGD with a fixed step size and one
// random start, and by stronger attacks, which a claim of robustness needs: the lead of
// a method under PGD on the cross-entropy can be a weakness of that attack.
//
// An image counts as lost under PGD if any of the steps misleads the classifier. The
// papers look at the last step alone, so their robust accuracy is a little higher; see
// LastIterate.
type Protocol struct {
	// Eps are the radii under Linf, in pixel units; 0 is the clean accuracy.
	Eps      []float64
	Steps    int     // of PGD; 0 means 20
	StepSize float64 // of PGD; 0 means 2/255
	// LastIterate makes Measure count as the papers do: an image is right under PGD if it
	// is where the last step leaves it, whatever came before.
	LastIterate bool
	// APGD is the number of images, from the first on, that APGD on the cross-entropy
	// and targeted APGD on DLR attack at the first radius; 0 means none.
	APGD int
	// AutoAttack is the number of images that the standard AutoAttack attacks at the
	// first radius; 0 means none.
	AutoAttack int
	Seed       uint64 // of the attacks
	// OnProgress is called with what is being measured; nil for none.
	OnProgress func(what string)
}

// Scores is how a classifier fares.
type Scores struct {
	Clean attack.Estimate `json:"sa"`
	// Robust is the accuracy under PGD at each radius.
	Robust []attack.Estimate `json:"ra"`
	// APGD and AutoAttack are nil if they were not run.
	APGD       *attack.Estimate `json:"apgd_t,omitempty"`
	AutoAttack *attack.Estimate `json:"aa,omitempty"`

	// CleanRight and RobustRight say for each image (and radius) whether it is right.
	CleanRight  []bool   `json:"-"`
	RobustRight [][]bool `json:"-"`
	// APGDRight and AutoAttackRight say so for the images that were attacked, the first
	// ones; nil if the attack was not run. An image that resists several attacks is
	// right under each of them and by itself.
	APGDRight       []bool `json:"-"`
	AutoAttackRight []bool `json:"-"`
}

func (p Protocol) pgd(eps float64) *attack.PGD {
	a := &attack.PGD{Threat: attack.Threat{Norm: attack.Linf, Eps: eps}, Steps: p.Steps, StepSize: p.StepSize, Seed: p.Seed}
	if a.Steps == 0 {
		a.Steps = 20
	}
	if a.StepSize == 0 {
		a.StepSize = 2. / 255
	}
	return a
}

// Measure measures a classifier on images x [N, S, S, 3] with labels y. Errors: no
// images, more images for APGD or AutoAttack than there are, and those of
// attack.Evaluate. When ctx is cancelled the scores hold what was finished.
func (p Protocol) Measure(ctx context.Context, m attack.Model, x *tensor.Tensor, y []int) (Scores, error) {
	var s Scores
	n := len(y)
	if n == 0 {
		return s, errors.New("finetune: no images to measure on")
	}
	if p.APGD < 0 || p.APGD > n || p.AutoAttack < 0 || p.AutoAttack > n {
		return s, fmt.Errorf("finetune: APGD on %d and AutoAttack on %d images, want 0 to %d", p.APGD, p.AutoAttack, n)
	}
	if (p.APGD > 0 || p.AutoAttack > 0) && len(p.Eps) == 0 {
		return s, errors.New("finetune: APGD or AutoAttack without a radius")
	}
	say := func(what string) {
		if p.OnProgress != nil {
			p.OnProgress(what)
		}
	}
	say("clean images")
	clean, err := attack.Evaluate(ctx, m, x, y)
	if err != nil {
		return s, err
	}
	s.Clean, s.CleanRight = clean.Clean, clean.CleanRight
	for _, eps := range p.Eps {
		say(fmt.Sprintf("PGD at %.3g/255", 255*eps))
		value, right, err := p.underPGD(ctx, m, x, y, eps)
		if err != nil {
			return s, err
		}
		s.Robust, s.RobustRight = append(s.Robust, value), append(s.RobustRight, right)
	}
	if p.APGD > 0 {
		say("APGD")
		th := attack.Threat{Norm: attack.Linf, Eps: p.Eps[0]}
		r, err := attack.Evaluate(ctx, m, first(x, p.APGD), y[:p.APGD], within(th, &attack.APGD{Threat: th, Seed: p.Seed}, &attack.APGD{Threat: th, TargetClasses: 9, Seed: p.Seed})...)
		if err != nil {
			return s, err
		}
		s.APGD, s.APGDRight = &r.Worst, r.Right
	}
	if p.AutoAttack > 0 {
		say("AutoAttack")
		th := attack.Threat{Norm: attack.Linf, Eps: p.Eps[0]}
		r, err := attack.Evaluate(ctx, m, first(x, p.AutoAttack), y[:p.AutoAttack], within(th, &attack.AutoAttack{Threat: th, Seed: p.Seed})...)
		if err != nil {
			return s, err
		}
		s.AutoAttack, s.AutoAttackRight = &r.Worst, r.Right
	}
	return s, nil
}

// underPGD returns the accuracy under PGD, and which images are right.
func (p Protocol) underPGD(ctx context.Context, m attack.Model, x *tensor.Tensor, y []int, eps float64) (attack.Estimate, []bool, error) {
	a := p.pgd(eps)
	if !p.LastIterate {
		r, err := attack.Evaluate(ctx, m, x, y, within(a.Threat, a)...)
		return r.Worst, r.Right, err
	}
	end, err := a.Perturb(ctx, m, x, y)
	if err != nil {
		return attack.Estimate{}, nil, err
	}
	r, err := attack.Evaluate(ctx, m, end, y)
	return r.Clean, r.CleanRight, err
}

// within returns attacks, none where nothing may change, which attacks refuse.
func within(th attack.Threat, attacks ...attack.Attack) []attack.Attack {
	if th.Eps == 0 {
		return nil
	}
	return attacks
}

func first(x *tensor.Tensor, n int) *tensor.Tensor { return tensor.Slice(x, 0, 0, n) }

// StepsCurve returns the accuracy under PGD at a radius for each number of steps; 0
// steps is the clean accuracy. Together with attack.EpsCurve it shows masked gradients:
// accuracy that still falls after many steps, or stays at large radii.
func (p Protocol) StepsCurve(ctx context.Context, m attack.Model, x *tensor.Tensor, y []int, eps float64, steps ...int) ([]attack.Estimate, error) {
	if len(y) == 0 {
		return nil, errors.New("finetune: no images to measure on")
	}
	var out []attack.Estimate
	for _, n := range steps {
		if n < 0 {
			return out, fmt.Errorf("finetune: %d steps of PGD, want 0 or more", n)
		}
		var attacks []attack.Attack
		if n > 0 {
			a := p.pgd(eps)
			a.Steps = n
			attacks = within(a.Threat, a)
		}
		r, err := attack.Evaluate(ctx, m, x, y, attacks...)
		if err != nil {
			return out, err
		}
		if n == 0 {
			out = append(out, r.Clean)
		} else {
			out = append(out, r.Worst)
		}
	}
	return out, nil
}

// EpsCurve returns the accuracy under the protocol's PGD at each radius, in ascending
// order; an image that falls at one counts as fallen at all larger ones.
func (p Protocol) EpsCurve(ctx context.Context, m attack.Model, x *tensor.Tensor, y []int, eps ...float64) ([]attack.Estimate, error) {
	return attack.EpsCurve(ctx, m, x, y, *p.pgd(0), eps)
}
