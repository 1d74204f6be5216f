package main

import (
	"context"
	"fmt"
	"math"
	"slices"
	"sync"

	"github.com/redoubt-ml/redoubt/attack"
	"github.com/redoubt-ml/redoubt/poison"
	"github.com/redoubt-ml/redoubt/poison/uda"
	"github.com/redoubt-ml/redoubt/tensor"
	"github.com/redoubt-ml/redoubt/tensor/dataset"
)

// cleanFigures are the figures of the targeted attack on one learner, over all images
// and victims.
type cleanFigures struct {
	Learner string `json:"learner"`
	// Success and Control are the shares of victims that give an image the wanted
	// class, with and without poison.
	Success float64 `json:"success"`
	Control float64 `json:"control"`
	// FlippedImages and ControlFlippedImages are the shares of images to which most
	// victims give the wanted class, with exact intervals: images are independent
	// trials, the victims of one image are not, and the victims without poison are
	// the same for all images.
	FlippedImages        attack.Estimate `json:"flipped_images"`
	ControlFlippedImages attack.Estimate `json:"control_flipped_images"`
	// Wanted and ControlWanted are mean probabilities of the wanted class.
	Wanted           float64 `json:"wanted"`
	ControlWanted    float64 `json:"control_wanted"`
	TargetAcc        float64 `json:"target_acc"`
	ControlTargetAcc float64 `json:"control_target_acc"`
	// DistanceRatio is the feature distance to the image of the bases over that of the
	// poisons after the last steps, a mean over images.
	DistanceRatio float64 `json:"distance_ratio"`
	// Within counts images whose victims keep their accuracy up to 3 points.
	Within  int          `json:"within_3_points"`
	MaxLinf float64      `json:"max_linf"` // from the blended bases
	Images  []cleanImage `json:"images"`
}

// cleanImage are the figures of one image.
type cleanImage struct {
	Index         int     `json:"index"` // among the target's test images of both digits
	Wanted        float64 `json:"wanted"`
	ControlWanted float64 `json:"control_wanted"`
	Flips         int     `json:"flips"`
	ControlFlips  int     `json:"control_flips"`
	TargetAcc     float64 `json:"target_acc"`
	DistanceRatio float64 `json:"distance_ratio"`
	Fit           float64 `json:"poison_fit"`
	// Nothing says that most victims without poison give the wanted class already.
	Nothing bool `json:"nothing_to_attack"`
}

// cleanLabel is the targeted attack: 3s of the target test set are to be taken for 8s.
// The figures of the headline are those of the last learner.
type cleanLabel struct {
	Pair    string  `json:"pair"`
	Eps     float64 `json:"eps"`
	Poisons int     `json:"poisons"`
	Source  int     `json:"source"`
	Victims int     `json:"victims"` // for each image
	cleanFigures
	Learners []cleanFigures `json:"learners"`
}

// cleanPictures are the images of one attack.
type cleanPictures struct{ x, natural, base, poison *tensor.Tensor }

// singleDomain is training on the target with labels, where there is no gap for the
// attack to use.
const singleDomain = "single domain"

// cleanEps is the radius of the attack.
const cleanEps = 0.1

// cleanJob is the attack on one image through one learner.
type cleanJob struct {
	learner int
	image   int // among the target's test images of both digits
	number  int // of the job
	x       *dataset.Set
	made    *poison.Collided
	trials  []poison.Trial // one for each victim
}

// cleanAttack is the targeted attack on all images.
type cleanAttack struct {
	cleanPlan
	e         *experiment
	binary    pair
	trainings []uda.Training // by learner
	jobs      []*cleanJob    // by learner and image
	controls  [][]*uda.Model // by learner
	mu        sync.Mutex
	right     [][]int // answers of the models that choose the images, by learner
	screened  int
}

// cleanWork adds the attack to a pool: first a model of each learner that chooses the
// images, then the poisons, then their victims.
func (e *experiment) cleanWork(p *pool) (finish func(context.Context) error, err error) {
	from := e.pairs[e.plan.clean.pair]
	a := &cleanAttack{cleanPlan: e.plan.clean, e: e}
	a.binary = pair{Name: from.Name, source: only(from.source, 3, 8), sourceTest: only(from.sourceTest, 3, 8), target: only(from.target, 3, 8), targetTest: only(from.targetTest, 3, 8)}
	a.binary = a.binary.draw(e.env.Seed, a.source, a.target)
	a.right = make([][]int, len(a.learners))
	flops := 0.0
	for _, name := range a.learners {
		method, source := name, a.binary.source
		if name == singleDomain {
			// The control of the paper: the target itself, with labels.
			method, source = "source only", a.binary.target
		}
		t := a.training(name, method)
		t.Source, t.Target = source, a.binary.target
		a.trainings = append(a.trainings, t)
		a.controls = append(a.controls, make([]*uda.Model, a.victims))
		flops += a.screenCost(t) + float64(a.images)*(a.attackCost(t)+float64(a.victims)*a.victimCost(t)) + float64(a.victims)*a.victimCost(t)
	}
	e.total += flops
	if !e.fast {
		e.env.Say("The targeted attack takes about %.0f TFLOP: %d models for %d epochs and %d victims for %d epochs, for each of %d images and %d learners.",
			flops*flopsOfPass/1e12, a.models, a.epochs, a.victims, a.victimEpochs, a.images, len(a.learners))
	}
	for l, t := range a.trainings {
		chain := a.attackCost(t) + float64(a.victims)*a.victimCost(t)
		p.add(2*chain+a.screenCost(t), func(ctx context.Context) error { return a.screen(ctx, p, l) })
		for v := range a.victims {
			p.add(a.victimCost(t), func(ctx context.Context) error {
				m, err := a.victim(ctx, l, nil, uint64(a.images*len(a.trainings)+l)*uint64(a.victims)+uint64(v))
				a.controls[l][v] = m
				return err
			})
		}
	}
	return a.figures, nil
}

// flopsOfPass are the operations of a forward pass of the network for coloured digits
// on one image.
const flopsOfPass = 2 * 2.9e6

func (a *cleanAttack) screenCost(t uda.Training) float64 { return a.victimCost(t) }

func (a *cleanAttack) victimCost(t uda.Training) float64 {
	t.Epochs = a.victimEpochs
	return cost(t)
}

func (a *cleanAttack) attackCost(t uda.Training) float64 {
	t.Epochs = a.epochs
	return float64(a.models) * (cost(t) + 3*float64(t.Epochs*a.stepsOf(t)*a.poisons))
}

// screen trains the model of a learner that tells which 3s are recognised without
// poison, and is used for nothing else; the last one of them chooses the images.
func (a *cleanAttack) screen(ctx context.Context, p *pool, l int) error {
	t := a.trainings[l]
	t.Epochs, t.BatchSize, t.Seed = a.victimEpochs, a.victimBatch, a.e.env.Seed<<40+1<<38+uint64(l)
	m, err := t.Run(ctx)
	if err != nil {
		return err
	}
	probabilities, err := uda.Probabilities(ctx, m, a.binary.targetTest)
	if err != nil {
		return err
	}
	a.e.progress(a.screenCost(a.trainings[l]))
	a.mu.Lock()
	defer a.mu.Unlock()
	a.right[l] = tensor.ArgMax(probabilities)
	if a.screened++; a.screened < len(a.trainings) {
		return nil
	}
	images, err := a.attackable()
	if err != nil {
		return err
	}
	for l, t := range a.trainings {
		for _, x := range images {
			j := &cleanJob{learner: l, image: x, number: len(a.jobs), x: a.binary.targetTest.Subset([]int{x}), trials: make([]poison.Trial, a.victims)}
			a.jobs = append(a.jobs, j)
			p.add(a.attackCost(t)+float64(a.victims)*a.victimCost(t), func(ctx context.Context) error { return a.collide(ctx, p, j) })
		}
	}
	return nil
}

// attackable chooses 3s of the target's test images at random among those that every
// screening model takes for a 3: at the others there is nothing to attack.
func (a *cleanAttack) attackable() ([]int, error) {
	var threes []int
	for i, y := range a.binary.targetTest.Labels {
		known := y == 0
		for l := range a.right {
			known = known && a.right[l][i] == 0
		}
		if known {
			threes = append(threes, i)
		}
	}
	rng := a.e.env.Rand("images to attack")
	rng.Shuffle(len(threes), func(i, j int) { threes[i], threes[j] = threes[j], threes[i] })
	if len(threes) < a.images {
		return nil, fmt.Errorf("clean-label attack: %d 3s of the target are recognised without poison, want at least %d", len(threes), a.images)
	}
	return threes[:a.images], nil
}

// collide makes the poison of one image, and adds its victims to the pool.
func (a *cleanAttack) collide(ctx context.Context, p *pool, j *cleanJob) (err error) {
	t := a.trainings[j.learner]
	penalty := 1.0
	if a.learners[j.learner] == singleDomain {
		penalty = 0.01
	}
	share := a.attackCost(t) / float64(a.epochs)
	victims := a.victimCost(t)
	steps := a.stepsOf(t)
	t.Seed = a.e.env.Seed<<20 + uint64(j.number)<<8
	attack := poison.CleanLabel{
		Training: t, Models: a.models, Period: a.period, Epochs: a.epochs, Steps: steps, Poisons: a.poisons,
		Eps: cleanEps, Penalty: penalty, OnEpoch: func(poison.Phase) { a.e.progress(share) },
	}
	if j.made, err = attack.Run(ctx, j.x, a.binary.target, 1); err != nil {
		return fmt.Errorf("clean-label attack through %s: %w", a.learners[j.learner], err)
	}
	for v := range a.victims {
		p.add(victims, func(ctx context.Context) error {
			m, err := a.victim(ctx, j.learner, j.made.Poison, uint64(j.number*a.victims+v))
			if err != nil {
				return err
			}
			j.trials[v], err = poison.Ask(ctx, []*uda.Model{m}, j.made.Poison, j.x, a.binary.targetTest, 1)
			return err
		})
	}
	return nil
}

// victim trains a model on the source and a poison. Its seed is fresh: no victim shares
// its weights with a model of the attacker.
func (a *cleanAttack) victim(ctx context.Context, l int, with *poison.Poison, seed uint64) (*uda.Model, error) {
	defer a.e.progress(a.victimCost(a.trainings[l]))
	t := a.trainings[l]
	t.Epochs, t.BatchSize, t.Seed = a.victimEpochs, a.victimBatch, a.e.env.Seed<<40+1<<39+seed
	m, err := poison.Victims{Training: t, N: 1}.Train(ctx, with)
	if err != nil {
		return nil, err
	}
	return m[0], nil
}

// figures asks the victims.
func (a *cleanAttack) figures(ctx context.Context) error {
	out := &cleanLabel{Pair: a.binary.Name, Eps: cleanEps, Poisons: a.poisons, Source: a.binary.source.Len(), Victims: a.victims}
	n := len(a.jobs) / len(a.learners)
	for l, name := range a.learners {
		f, err := a.figuresOf(ctx, name, a.jobs[l*n:(l+1)*n], a.controls[l])
		if err != nil {
			return err
		}
		out.Learners = append(out.Learners, f)
		out.cleanFigures = f
	}
	a.e.out.CleanLabel = out
	last := a.jobs[len(a.jobs)-1]
	a.e.pictures.x, _ = last.x.All()
	a.e.pictures.base, _ = last.made.Base.All()
	a.e.pictures.poison, _ = last.made.Set.All()
	a.e.pictures.natural, _ = a.binary.target.Batch(last.made.Target)
	return nil
}

// training is a learner's training in this attack.
func (a *cleanAttack) training(name, method string) uda.Training {
	t := settings(method, a.pair, a.e.fast).training
	t.LR = 1e-3
	switch m := t.Method.(type) {
	case uda.DANN:
		m.Repeats, m.FeaturesFirst = 1, !a.e.fast
		t.Method = m
	case uda.CDAN:
		m.Repeats, m.FeaturesFirst = 1, !a.e.fast
		t.Method = m
	case uda.MCD:
		m.Repeats, m.SharedState = 1, true
		t.Method = m
	}
	if !a.e.fast && slices.Contains([]string{"source only", "DANN", "CDAN"}, name) {
		t.LR = 1e-4
	}
	t.BatchSize, t.Epochs, t.DropLast = a.batch, a.epochs, false
	return t
}

// stepsOf is the number of steps of a phase of the attack; the paper has twice as many
// through MCD.
func (a *cleanAttack) stepsOf(t uda.Training) int {
	if _, two := t.Method.(uda.MCD); two && !a.e.fast {
		return 2 * a.steps
	}
	return a.steps
}

// figuresOf sums up what the victims of one learner answer.
func (a *cleanAttack) figuresOf(ctx context.Context, name string, jobs []*cleanJob, controls []*uda.Model) (cleanFigures, error) {
	f := cleanFigures{Learner: name}
	flips, controlFlips, images, controlImages := 0, 0, 0, 0
	n := float64(len(jobs))
	for _, j := range jobs {
		with := together(j.trials)
		without, err := poison.Ask(ctx, controls, nil, j.x, a.binary.targetTest, 1)
		if err != nil {
			return f, err
		}
		u, _ := j.made.Set.All()
		base, _ := j.made.Base.All()
		for _, d := range (attack.Threat{Norm: attack.Linf, Eps: cleanEps}).Distance(u, base) {
			f.MaxLinf = math.Max(f.MaxLinf, d)
		}
		one := cleanImage{
			Index: j.image, Wanted: with.Wanted, ControlWanted: without.Wanted, Flips: with.Flips, ControlFlips: without.Flips,
			TargetAcc: with.TargetAccuracy, DistanceRatio: j.made.DistanceRatio(), Nothing: without.NothingToAttack(),
		}
		for _, v := range with.Victims {
			one.Fit += v.Fit / float64(len(with.Victims))
		}
		f.Images = append(f.Images, one)
		flips += with.Flips
		controlFlips += without.Flips
		if 2*with.Flips > len(with.Victims) {
			images++
		}
		if one.Nothing {
			controlImages++
		}
		f.Wanted += with.Wanted / n
		f.ControlWanted += without.Wanted / n
		f.TargetAcc += with.TargetAccuracy / n
		f.ControlTargetAcc = without.TargetAccuracy
		f.DistanceRatio += one.DistanceRatio / n
		if one.TargetAcc >= without.TargetAccuracy-0.03 {
			f.Within++
		}
	}
	total := n * float64(len(controls))
	f.Success, f.Control = float64(flips)/total, float64(controlFlips)/total
	f.FlippedImages, f.ControlFlippedImages = attack.NewEstimate(images, len(jobs)), attack.NewEstimate(controlImages, len(jobs))
	return f, nil
}

// together is the trial of all victims of trials with one victim each.
func together(trials []poison.Trial) (all poison.Trial) {
	n := float64(len(trials))
	for _, t := range trials {
		all.Victims = append(all.Victims, t.Victims...)
		all.Flips += t.Flips
		all.Wanted += t.Wanted / n
		all.TargetAccuracy += t.TargetAccuracy / n
	}
	return all
}
