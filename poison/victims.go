package poison

import (
	"context"
	"fmt"

	"github.com/redoubt-ml/redoubt/attack"
	"github.com/redoubt-ml/redoubt/poison/uda"
	"github.com/redoubt-ml/redoubt/tensor/dataset"
)

// Victims trains models that the attacker has never seen, on source and poison.
type Victims struct {
	// Training is the victim's with the clean source. Victim i has its seed plus i.
	// CleanLabel with the same Training has other seeds; trained models that the
	// attacker is given, as CleanLabel.Fixed, should have others too.
	Training uda.Training
	N        int // 0 means 5
}

// Victim is what one model does after training.
type Victim struct {
	Answer     int            `json:"answer"` // to x
	Wanted     float64        `json:"wanted"` // probability of the wanted class for x
	TargetTest uda.Evaluation `json:"target_test"`
	// Fit is the share of poisons to which the model answers their label, 0 without
	// poison.
	Fit float64 `json:"fit"`
}

// Trial is what all victims do.
type Trial struct {
	Victims []Victim `json:"victims"`
	// Flips counts victims that give x the wanted class.
	Flips int `json:"flips"`
	// Wanted and TargetAccuracy are means over the victims.
	Wanted         float64 `json:"wanted"`
	TargetAccuracy float64 `json:"target_accuracy"`
}

// Success is the share of victims that give x the wanted class, with its exact
// interval.
func (t Trial) Success() attack.Estimate { return attack.NewEstimate(t.Flips, len(t.Victims)) }

// NothingToAttack says, of a trial without poison, whether most victims give x the
// wanted class by themselves.
func (t Trial) NothingToAttack() bool { return 2*t.Flips > len(t.Victims) }

// Train returns N trained victims, with a poison in their source or without one when
// it is nil.
func (v Victims) Train(ctx context.Context, p *Poison) ([]*uda.Model, error) {
	n := v.N
	if n == 0 {
		n = 5
	}
	if n < 0 {
		return nil, fmt.Errorf("poison: %d victims, want 0 (5) or more", n)
	}
	if p != nil && v.Training.Source != nil {
		if err := v.Training.Source.Compatible(p.Set); err != nil {
			return nil, fmt.Errorf("poison: victims: %w", err)
		}
	}
	var models []*uda.Model
	for i := range n {
		t := v.Training
		t.Seed += uint64(i)
		if p != nil {
			t.Source = p.Into(t.Source)
		}
		m, err := t.Run(ctx)
		if err != nil {
			return models, err
		}
		models = append(models, m)
	}
	return models, nil
}

// Ask asks trained victims for the first image of x and for the target's test images,
// and how well they fit the poison unless that is nil. Errors: no models, no image, a
// class out of range, models of other classes than the test images, sets of another form.
func Ask(ctx context.Context, models []*uda.Model, p *Poison, x, test *dataset.Set, wanted int) (Trial, error) {
	n := len(models)
	if x == nil || x.Len() == 0 || test == nil || test.Len() == 0 {
		return Trial{}, fmt.Errorf("poison: no image to ask victims for, or no test images")
	}
	if n == 0 || wanted < 0 || wanted >= test.Classes {
		return Trial{}, fmt.Errorf("poison: %d victims for class %d, want at least one and a class in [0, %d)", n, wanted, test.Classes)
	}
	for i, m := range models {
		if m.Classes != test.Classes {
			return Trial{}, fmt.Errorf("poison: victim %d has %d classes, want %d as the test images have", i, m.Classes, test.Classes)
		}
	}
	var out Trial
	for _, m := range models {
		var one Victim
		probabilities, err := uda.Probabilities(ctx, m, x.Take(1))
		if err != nil {
			return out, err
		}
		row := probabilities.Values()
		for c, q := range row {
			if q > row[one.Answer] {
				one.Answer = c
			}
		}
		one.Wanted = row[wanted]
		if one.TargetTest, err = uda.Evaluate(ctx, m, test); err != nil {
			return out, err
		}
		if p != nil {
			fit, err := uda.Evaluate(ctx, m, p.Set)
			if err != nil {
				return out, err
			}
			one.Fit = fit.Accuracy
		}
		if one.Answer == wanted {
			out.Flips++
		}
		out.Victims = append(out.Victims, one)
		out.Wanted += one.Wanted / float64(n)
		out.TargetAccuracy += one.TargetTest.Accuracy / float64(n)
	}
	return out, nil
}

// Run is Train and Ask.
func (v Victims) Run(ctx context.Context, p *Poison, x, test *dataset.Set, wanted int) (Trial, error) {
	models, err := v.Train(ctx, p)
	if err != nil {
		return Trial{}, err
	}
	return Ask(ctx, models, p, x, test, wanted)
}
