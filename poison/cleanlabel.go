package poison

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"

	"github.com/redoubt-ml/redoubt/poison/uda"
	"github.com/redoubt-ml/redoubt/tensor"
	"github.com/redoubt-ml/redoubt/tensor/dataset"
)

// CleanLabel makes victims give one target image x a wanted class, by images of that
// class under their own label: images near to x, blended with a little of it, are
// moved within a small ball until they collide with x in the feature spaces of models
// that the attacker trains as the victim does. The bilevel problem is solved by turns:
// some steps of Collision, then an epoch of training on source and poison. The models
// are put back to their first state at different times, so that the poison works at
// every age of a victim.
//
// Mehra et al., NeurIPS 2021, Eq. (4) and section 4.3.
type CleanLabel struct {
	// Training is the victim's, with the clean source. What a model of the attacker
	// is trained with depends on the epochs since it was fresh: these are the epoch
	// that Keep and OnEpoch are told of, and over Period, in place of Epochs, the
	// progress of training. Each life of a model has a seed of its own drawn from
	// Seed, and its weights are those of the first. All of them are 2⁶³ or more above
	// Seed: no model of Victims with the same Training has one of them.
	Training uda.Training
	Models   int // 0 means 4
	// Period is the age, in epochs, at which a model is put back, Models or more; 0
	// means the smaller of 100 and Epochs - 1, but not less than Models. Model i is
	// put back for the first time i Period/Models epochs sooner than model 0. With
	// Epochs below Period some or all models never are.
	Period  int
	Epochs  int // 0 means 101
	Steps   int // of Collision in each epoch, 0 as there
	Poisons int // 0 means 100
	// Eps is the radius around the blended images, in [0, 1]; 0 means 0.1. Images
	// that have not moved are Collided.Base.
	Eps float64
	// Blend is the part of x in the images that the ball is around, in [0, 1);
	// 0 means 0.1, see NoBlend.
	Blend    float64
	NoBlend  bool
	StepSize float64 // of Collision, 0 as there
	// Penalty is c of Collision; 0 means 0.01, and none with Bullseye or NoPenalty.
	// The paper has 1 for target images as a base.
	Penalty   float64
	NoPenalty bool
	Bullseye  bool // see Collision
	// Fixed are trained models to collide in, which are not trained further; then
	// Training, Models, Period and Epochs do not matter. With one model and NoBlend
	// this is the attack of Shafahi et al., NeurIPS 2018 ("Poison Frogs").
	Fixed []*uda.Model
	// OnEpoch is called after each epoch, nil for none.
	OnEpoch func(Phase)
}

// Phase is one epoch of the attack: mean squared feature distances per image from x,
// averaged over the models as they were in it.
type Phase struct {
	Epoch  int     `json:"epoch"`
	Base   float64 `json:"base"`   // of the blended images
	Before float64 `json:"before"` // of the poison before the steps
	After  float64 `json:"after"`  // and after them
	Reset  []int   `json:"reset,omitempty"`
}

// Collided is what a CleanLabel attack has made.
type Collided struct {
	*Poison
	Base   *dataset.Set // the blended images that the ball is around
	Phases []Phase
}

// DistanceRatio is the feature distance of the base over that of the poison at the
// end of the last epoch's steps; 1 before the first.
func (c *Collided) DistanceRatio() float64 {
	if len(c.Phases) == 0 {
		return 1
	}
	last := c.Phases[len(c.Phases)-1]
	return last.Base / last.After
}

// Resets returns the models, of n with that period, that are put back at the
// beginning of an epoch counted from 0.
func Resets(n, period, epoch int) (models []int) {
	for i := range n {
		if (i*period/n+epoch+1)%period == 0 {
			models = append(models, i)
		}
	}
	return models
}

func (a CleanLabel) withDefaults() CleanLabel {
	set := func(v *int, d int) {
		if *v == 0 {
			*v = d
		}
	}
	set(&a.Models, 4)
	set(&a.Epochs, 101)
	set(&a.Period, max(a.Models, min(100, a.Epochs-1)))
	set(&a.Poisons, 100)
	if a.Eps == 0 {
		a.Eps = 0.1
	}
	if a.Blend == 0 && !a.NoBlend {
		a.Blend = 0.1
	}
	if a.Penalty == 0 && !a.Bullseye && !a.NoPenalty {
		a.Penalty = 0.01
	}
	if a.Fixed != nil {
		a.Models, a.Period, a.Epochs = len(a.Fixed), 1, 1
	}
	return a
}

func (a CleanLabel) check() error {
	switch {
	case a.Models < 1 || a.Epochs < 1 || a.Steps < 0 || a.Poisons < 1:
		return fmt.Errorf("poison: clean label: %d models, %d epochs, %d steps, %d poisons, want at least 1 of each", a.Models, a.Epochs, a.Steps, a.Poisons)
	case a.NoBlend && a.Blend != 0:
		return fmt.Errorf("poison: clean label: blend is %v with NoBlend, want one of them", a.Blend)
	case a.NoPenalty && a.Penalty != 0:
		return fmt.Errorf("poison: clean label: penalty is %v with NoPenalty, want one of them", a.Penalty)
	case a.Fixed == nil && a.Period < a.Models:
		return fmt.Errorf("poison: clean label: period is %d for %d models of different ages, want at least as many epochs", a.Period, a.Models)
	case !(a.Eps >= 0 && a.Eps <= 1):
		return fmt.Errorf("poison: clean label: eps is %v, want it in [0, 1]", a.Eps)
	case !(a.Blend >= 0 && a.Blend < 1):
		return fmt.Errorf("poison: clean label: blend is %v, want it in [0, 1)", a.Blend)
	}
	return nil
}

// nearestBases returns the n images of class wanted in the pool that are nearest to the
// image x, from near to far.
func nearestBases(pool *dataset.Set, x []float32, wanted, n int) ([]int, error) {
	var idx []int
	for i, y := range pool.Labels {
		if y == wanted {
			idx = append(idx, i)
		}
	}
	if n > len(idx) {
		return nil, fmt.Errorf("poison: clean label: %d poisons, want at most the %d images of class %d", n, len(idx), wanted)
	}
	all := pixels(pool)
	far := map[int]float64{}
	for _, i := range idx {
		far[i] = distance(x, all[i*len(x):(i+1)*len(x)])
	}
	slices.SortStableFunc(idx, func(i, j int) int {
		switch {
		case far[i] < far[j]:
			return -1
		case far[i] > far[j]:
			return 1
		}
		return 0
	})
	return idx[:n], nil
}

// Run attacks the first image of x, so that victims give it the class wanted, with
// images out of the labelled pool. When ctx ends it returns what it has with ctx's
// error. Errors: settings out of their range, a pool with too few images of the
// class, images of another form, a training that diverges.
func (a CleanLabel) Run(ctx context.Context, x, pool *dataset.Set, wanted int) (*Collided, error) {
	a = a.withDefaults()
	if err := a.check(); err != nil {
		return nil, err
	}
	if err := check(pool, x); err != nil {
		return nil, err
	}
	if s := a.Training.Source; a.Fixed == nil && s != nil {
		if err := s.Compatible(pool); err != nil {
			return nil, fmt.Errorf("poison: clean label: pool: %w", err)
		}
	}
	if wanted < 0 || wanted >= pool.Classes || x.Labels[0] == wanted {
		return nil, fmt.Errorf("poison: clean label: wanted class is %d for an image of class %d, want another one in [0, %d)", wanted, x.Labels[0], pool.Classes)
	}
	goal, _ := x.Batch([]int{0})
	idx, err := nearestBases(pool, goal.Float32s(), wanted, a.Poisons)
	if err != nil {
		return nil, err
	}
	natural, labels := pool.Batch(idx)
	base := natural.Clone()
	if a.Blend > 0 {
		// A convex combination in float64, rounded once, stays in [0, 1].
		size := goal.Len()
		for i, v := range natural.Float32s() {
			base.Float32s()[i] = float32((1-a.Blend)*float64(v) + a.Blend*float64(goal.Float32s()[i%size]))
		}
	}
	models, fresh, err := a.models()
	if err != nil {
		return nil, err
	}
	out := &Collided{Base: empty(pool, "blended"), Poison: &Poison{Set: empty(pool, "clean label"), True: labels}}
	if a.Training.Source == pool {
		out.Source = idx
	} else {
		out.Target = idx
	}
	out.Base.Floats, out.Base.Labels = base.Float32s(), labels
	u := base.Clone()
	finish := func(err error) (*Collided, error) {
		out.Set.Floats, out.Set.Labels = u.Float32s(), slices.Clone(labels)
		out.measure(goal.Len(), natural.Float32s())
		return out, err
	}
	embeddings := make([]Embedding, len(models))
	for i, m := range models {
		embeddings[i] = m.Features
	}
	collide := Collision{Eps: a.Eps, Steps: a.Steps, StepSize: a.StepSize, Penalty: a.Penalty, Bullseye: a.Bullseye}
	apart := func(v *tensor.Tensor) float64 {
		return Collision{}.Value(embeddings, v, v, goal) / float64(a.Poisons)
	}
	born := make([]int, len(models)) // the epoch in which a model was fresh
	for epoch := range a.Epochs {
		phase := Phase{Epoch: epoch}
		if a.Fixed == nil {
			phase.Reset = Resets(a.Models, a.Period, epoch)
			for _, i := range phase.Reset {
				if err := models[i].Restore(fresh[i]); err != nil {
					return nil, err
				}
				born[i] = epoch
			}
		}
		phase.Base, phase.Before = apart(base), apart(u)
		moved, _, err := collide.Run(ctx, embeddings, u, base, goal)
		if moved != nil {
			u = moved
		}
		if err != nil {
			return finish(err)
		}
		phase.After = apart(u)
		out.Phases = append(out.Phases, phase)
		if a.OnEpoch != nil {
			a.OnEpoch(phase)
		}
		if a.Fixed != nil {
			break
		}
		out.Set.Floats, out.Set.Labels = u.Float32s(), slices.Clone(labels)
		for i, m := range models {
			t := a.training(i, born[i])
			t.Source = out.Into(t.Source)
			if err := t.Epoch(ctx, m, epoch-born[i]); err != nil {
				return finish(err)
			}
		}
	}
	return finish(nil)
}

// models makes the ensemble with copies of its first state.
func (a CleanLabel) models() (models []*uda.Model, fresh []*uda.State, err error) {
	if a.Fixed != nil {
		return a.Fixed, nil, nil
	}
	for i := range a.Models {
		m, err := a.training(i, 0).New()
		if err != nil {
			return nil, nil, err
		}
		models, fresh = append(models, m), append(fresh, m.Snapshot())
	}
	return models, fresh, nil
}

// training is that of a model from the epoch in which it was fresh.
func (a CleanLabel) training(model, born int) uda.Training {
	t := a.Training
	draw := rand.NewPCG(t.Seed, 0xc1ea<<32|uint64(born*a.Models+model)).Uint64()
	t.Seed += draw | 1<<63
	t.Epochs = a.Period
	return t
}
