package advcl

import (
	"context"
	"errors"
	"fmt"
	"math"

	"github.com/redoubt-ml/redoubt/attack"
	"github.com/redoubt-ml/redoubt/defense"
	"github.com/redoubt-ml/redoubt/tensor"
	"github.com/redoubt-ml/redoubt/tensor/dataset"
	"github.com/redoubt-ml/redoubt/tensor/nn"
)

// Supervised is adversarial training with labels, the reference that pretraining is
// compared with. The network's first head is the classifier.
type Supervised struct {
	// Beta selects TRADES of package defense with that weight of agreement; 0 means PGD
	// adversarial training.
	Beta float64
	// Attack gives eps, step size and steps; it sees the network in evaluation mode,
	// whatever Eval says.
	Attack Attack
	// Seed selects augmentation and the starts of attacks.
	Seed uint64

	studio *studio
}

// NewAT returns adversarial training with 10 steps of 2/255 within 8/255.
//
// Madry et al., ICLR 2018.
func NewAT(seed uint64) *Supervised {
	return &Supervised{Attack: Attack{Eps: defaultEps, StepSize: defaultStep, Steps: 10, Eval: true}, Seed: seed}
}

// NewTRADES returns TRADES with a weight of agreement of 6 and the attack of NewAT.
//
// Zhang et al., ICML 2019.
func NewTRADES(seed uint64) *Supervised {
	s := NewAT(seed)
	s.Beta = 6
	return s
}

var _ Method = (*Supervised)(nil)

// Name returns "supervised AT" or "supervised TRADES".
func (s *Supervised) Name() string {
	if s.Beta > 0 {
		return "supervised TRADES"
	}
	return "supervised AT"
}

// String describes all settings that the outcome depends on.
func (s *Supervised) String() string {
	return fmt.Sprintf("%s, beta %v, attack %+v, seed %d", s.Name(), s.Beta, s.Attack, s.Seed)
}

// Passes is the work of a step for each image, in forward passes.
func (s *Supervised) Passes() float64 {
	if s.Beta > 0 {
		return float64(2*s.Attack.Steps + 7)
	}
	return float64(2*s.Attack.Steps + 3)
}

// Check returns an error unless the settings make sense for the network and the data.
func (s *Supervised) Check(net *Network, data *dataset.Set) error {
	s.studio = nil
	if !(s.Beta >= 0) || math.IsInf(s.Beta, 0) {
		return fmt.Errorf("advcl: supervised training: Beta is %v, want a finite number of 0 or more", s.Beta)
	}
	if s.Attack.Steps < 1 {
		return fmt.Errorf("advcl: supervised training: %d steps of the attack, want at least 1", s.Attack.Steps)
	}
	if data.Labels == nil {
		return errors.New("advcl: supervised training: images without labels")
	}
	if len(net.Heads) == 0 || net.Heads[0].Weight.Dim(1) != data.Classes {
		return fmt.Errorf("advcl: supervised training: network without a head for the %d classes", data.Classes)
	}
	return s.Attack.Check()
}

// Loss is the loss of a batch of images without augmentation, for nn.Trainer.
func (s *Supervised) Loss(ctx context.Context, p *nn.Pass, layer nn.Layer, b nn.Batch) (*tensor.Tensor, error) {
	net, err := asNetwork(layer)
	if err != nil {
		return nil, err
	}
	if s.studio == nil {
		s.studio = newStudio(Views(), s.Seed)
	}
	if b.X, err = s.studio.make(Weak, b.X, b.Index, b.Epoch, map[string]*tensor.Tensor{}); err != nil {
		return nil, err
	}
	pgd := attack.PGD{
		Threat: attack.Threat{Norm: attack.Linf, Eps: s.Attack.Eps}, Steps: s.Attack.Steps,
		StepSize: s.Attack.stepSize(), Seed: s.Seed,
	}
	classifier := nn.NewSequential(net.Encoder, net.Heads[0])
	if s.Beta > 0 {
		return (&defense.TRADES{Attack: pgd, Beta: s.Beta}).Loss(ctx, p, classifier, b)
	}
	return (&defense.AdversarialTraining{Attack: pgd}).Loss(ctx, p, classifier, b)
}
