package main

import (
	"context"
	"fmt"
	"math"

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
	Success         float64         `json:"success"`
	Control         float64         `json:"control"`
	SuccessInterval attack.Estimate `json:"success_interval"`
	ControlInterval attack.Estimate `json:"control_interval"`
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
	image   int
	x       *dataset.Set
	made    *poison.Collided
	models  []*uda.Model // victims
}

// cleanLabel attacks images, trains victims with and without poison, and asks them.
func (e *experiment) cleanLabel(ctx context.Context) error {
	c := e.plan.clean
	p := e.pairs[c.pair]
	binary := pair{p.Name, only(p.source, 3, 8), only(p.sourceTest, 3, 8), only(p.target, 3, 8), only(p.targetTest, 3, 8)}
	binary = binary.draw(e.env.Seed, c.source, c.target)
	trainings := make([]uda.Training, len(c.learners))
	for l, name := range c.learners {
		method, source := name, binary.source
		if name == singleDomain {
			// The control of the paper: the target itself, with labels.
			method, source = "source only", binary.target
		}
		trainings[l] = cleanTraining(method, c, e.fast)
		trainings[l].Source, trainings[l].Target = source, binary.target
	}
	threes, err := e.attackable(ctx, c, trainings, binary)
	if err != nil {
		return err
	}
	var jobs []*cleanJob
	for l := range trainings {
		for _, x := range threes {
			jobs = append(jobs, &cleanJob{learner: l, image: x, x: binary.targetTest.Subset([]int{x}), models: make([]*uda.Model, c.victims)})
		}
	}
	if !e.fast {
		e.env.Say("The targeted attack takes about %.0f TFLOP: %d models for %d epochs and %d victims for %d epochs, for each of %d images and %d learners.",
			c.teraflops(binary), c.models, c.epochs, c.victims, c.victimEpochs, len(threes), len(c.learners))
	}
	controls, err := e.cleanModels(ctx, c, jobs, trainings, binary)
	if err != nil {
		return err
	}
	e.out.CleanLabel = &cleanLabel{Pair: p.Name, Eps: cleanEps, Poisons: c.poisons, Source: binary.source.Len(), Victims: c.victims}
	for l, name := range c.learners {
		f, err := e.cleanFigures(ctx, name, jobs[l*len(threes):(l+1)*len(threes)], controls[l], binary)
		if err != nil {
			return err
		}
		e.out.CleanLabel.Learners = append(e.out.CleanLabel.Learners, f)
		e.out.CleanLabel.cleanFigures = f
	}
	first := jobs[len(jobs)-1]
	e.clean.x, _ = first.x.All()
	e.clean.base, _ = first.made.Base.All()
	e.clean.poison, _ = first.made.Set.All()
	e.clean.natural, _ = binary.target.Batch(first.made.Target)
	return nil
}

// attackable chooses 3s of the target's test images at random among those that a model
// of each learner, trained without poison and used for nothing else, takes for a 3: at
// the others there is nothing to attack.
func (e *experiment) attackable(ctx context.Context, c cleanPlan, trainings []uda.Training, binary pair) ([]int, error) {
	e.env.Stage("images to attack", -1)
	right := make([][]int, len(trainings))
	err := e.each(ctx, len(trainings), func(l int) error {
		t := trainings[l]
		t.Epochs, t.BatchSize, t.Seed = c.victimEpochs, c.victimBatch, e.env.Seed<<40+1<<38+uint64(l)
		m, err := t.Run(ctx)
		if err != nil {
			return err
		}
		p, err := uda.Probabilities(ctx, m, binary.targetTest)
		if err == nil {
			right[l] = tensor.ArgMax(p)
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	var threes []int
	for i, y := range binary.targetTest.Labels {
		known := y == 0
		for l := range right {
			known = known && right[l][i] == 0
		}
		if known {
			threes = append(threes, i)
		}
	}
	rng := e.env.Rand("images to attack")
	rng.Shuffle(len(threes), func(i, j int) { threes[i], threes[j] = threes[j], threes[i] })
	if len(threes) < c.images {
		return nil, fmt.Errorf("clean-label attack: %d 3s of the target are recognised without poison, want at least %d", len(threes), c.images)
	}
	return threes[:c.images], nil
}

// cleanTraining is a learner's training in this attack.
func cleanTraining(name string, c cleanPlan, fast bool) uda.Training {
	t := settings(name, c.pair, fast).training
	switch m := t.Method.(type) {
	case uda.DANN:
		m.Repeats, m.FeaturesFirst = 1, !fast
		t.Method = m
	case uda.CDAN:
		m.Repeats, m.FeaturesFirst = 1, !fast
		t.Method = m
	case uda.MCD:
		m.Repeats, m.SharedState = 1, true
		t.Method = m
	}
	t.BatchSize, t.LR, t.Epochs, t.DropLast = c.batch, c.lr, c.epochs, false
	return t
}

// cleanModels makes all poisons, and trains the victims with and without them; it
// returns the latter, by learner.
func (e *experiment) cleanModels(ctx context.Context, c cleanPlan, jobs []*cleanJob, trainings []uda.Training, binary pair) ([][]*uda.Model, error) {
	stage := e.env.Stage("targeted attack", len(jobs)*(c.epochs+c.victims)+len(trainings)*c.victims)
	done := 0
	step := func() {
		e.mu.Lock()
		done++
		stage.Done(done)
		e.mu.Unlock()
	}
	err := e.each(ctx, len(jobs), func(i int) (err error) {
		j := jobs[i]
		t := trainings[j.learner]
		t.Seed = e.env.Seed<<20 + uint64(i)<<8
		a := poison.CleanLabel{
			Training: t, Models: c.models, Period: c.period, Epochs: c.epochs, Steps: c.steps, Poisons: c.poisons,
			Eps: cleanEps, Penalty: 1, OnEpoch: func(poison.Phase) { step() },
		}
		if j.made, err = a.Run(ctx, j.x, binary.target, 1); err != nil {
			return fmt.Errorf("clean-label attack through %s: %w", trainings[j.learner].Method.Name(), err)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	controls := make([][]*uda.Model, len(trainings))
	for l := range controls {
		controls[l] = make([]*uda.Model, c.victims)
	}
	return controls, e.each(ctx, (len(jobs)+len(trainings))*c.victims, func(i int) error {
		defer step()
		k, v := i/c.victims, i%c.victims
		l := k - len(jobs)
		var with *poison.Poison
		if k < len(jobs) {
			l, with = jobs[k].learner, jobs[k].made.Poison
		}
		t := trainings[l]
		t.Epochs, t.BatchSize = c.victimEpochs, c.victimBatch
		// Fresh seeds: no victim shares its weights with a model of the attacker.
		t.Seed = e.env.Seed<<40 + 1<<39 + uint64(i)
		m, err := poison.Victims{Training: t, N: 1}.Train(ctx, with)
		if err != nil {
			return err
		}
		if with == nil {
			controls[l][v] = m[0]
		} else {
			jobs[k].models[v] = m[0]
		}
		return nil
	})
}

// cleanFigures asks the victims of one learner.
func (e *experiment) cleanFigures(ctx context.Context, name string, jobs []*cleanJob, controls []*uda.Model, binary pair) (cleanFigures, error) {
	f := cleanFigures{Learner: name}
	flips, controlFlips := 0, 0
	n := float64(len(jobs))
	for _, j := range jobs {
		with, err := poison.Ask(ctx, j.models, j.made.Poison, j.x, binary.targetTest, 1)
		if err != nil {
			return f, err
		}
		without, err := poison.Ask(ctx, controls, nil, j.x, binary.targetTest, 1)
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
		f.Wanted += with.Wanted / n
		f.ControlWanted += without.Wanted / n
		f.TargetAcc += with.TargetAccuracy / n
		f.ControlTargetAcc = without.TargetAccuracy
		f.DistanceRatio += one.DistanceRatio / n
		if one.TargetAcc >= without.TargetAccuracy-0.03 {
			f.Within++
		}
	}
	total := len(jobs) * len(controls)
	f.SuccessInterval, f.ControlInterval = attack.NewEstimate(flips, total), attack.NewEstimate(controlFlips, total)
	f.Success, f.Control = f.SuccessInterval.Value, f.ControlInterval.Value
	return f, nil
}

// teraflops estimates the work of the attack with DANN: 11 passes of G over a batch
// for each source image of an epoch, and three for each step of a poison.
func (c cleanPlan) teraflops(p pair) float64 {
	g := 2 * 2.9e6
	train := 11 * g * float64(p.source.Len())
	steps := 3 * g * float64(c.epochs*c.steps*c.models*c.poisons)
	images := float64(c.images * len(c.learners))
	return images * (train*float64(c.epochs*c.models+c.victimEpochs*c.victims) + steps) / 1e12
}
