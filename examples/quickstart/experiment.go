package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/redoubt-ml/redoubt/attack"
	"github.com/redoubt-ml/redoubt/defense"
	"github.com/redoubt-ml/redoubt/internal/example"
	"github.com/redoubt-ml/redoubt/tensor"
	"github.com/redoubt-ml/redoubt/tensor/dataset"
	"github.com/redoubt-ml/redoubt/tensor/nn"
	"github.com/redoubt-ml/redoubt/tensor/optim"
)

// threat is what the hardened network is to resist: every pixel may change by
// 0.3, as in Madry et al., ICLR 2018.
var threat = attack.Threat{Norm: attack.Linf, Eps: 0.3}

// plan holds the sizes of the experiment.
type plan struct {
	newNet        func(*rand.Rand) *nn.Sequential
	batch         int
	standard      int // epochs of ordinary training
	hardened      int // epochs of adversarial training
	ramp          int // epochs over which the training attack grows
	steps         int // of the training attack
	stepSize      float64
	rate          float64 // peak learning rate
	restartImages int     // test images for the attack with 10 restarts
}

// The small network trains well in a few epochs at a high rate, provided that
// the attack grows slowly at first.
var (
	smallPlan = plan{
		newNet: nn.NewMNISTNet, batch: 128, standard: 4, hardened: 6, ramp: 2,
		steps: 7, stepSize: 0.1, rate: 5e-3, restartImages: 1000,
	}
	miniPlan = plan{
		newNet: nn.NewMNISTNet, batch: 50, standard: 16, hardened: 24, ramp: 10,
		steps: 7, stepSize: 0.1, rate: 4e-3, restartImages: 200,
	}
	// The network and attack of Madry et al., with a shorter training.
	fullPlan = plan{
		newNet: func(r *rand.Rand) *nn.Sequential { return nn.NewMNISTPoolNet(r, 1024) },
		batch:  128, standard: 10, hardened: 30, ramp: 4, steps: 40, stepSize: 0.01, rate: 1e-3, restartImages: 10000,
	}
)

// measured is the accuracy of one network under one attack.
type measured struct {
	attack.Estimate
	Seconds float64 `json:"seconds"`
}

// figures are what is known of one network; nil fields were not reached.
type figures struct {
	Clean     *float64             `json:"clean,omitempty"`
	FGSM      *float64             `json:"fgsm,omitempty"`
	PGD40     *float64             `json:"pgd40,omitempty"`
	PGD100x10 *float64             `json:"pgd100x10,omitempty"`
	Detail    map[string]*measured `json:"detail"`
	Training  float64              `json:"training_seconds,omitempty"` // 0 for one that is not trained
}

// outcome is the result of the experiment.
type outcome struct {
	Data     string  `json:"data"`
	Train    int     `json:"train_images"`
	Test     int     `json:"test_images"`
	Seed     uint64  `json:"seed"`
	Threat   string  `json:"threat"`
	Standard figures `json:"standard"`
	Hardened figures `json:"hardened"`
	Seconds  float64 `json:"seconds"`
}

// experiment trains, attacks and hardens.
type experiment struct {
	plan
	env         *example.Env
	train, test *dataset.Set

	out              outcome
	plain, resistant nn.Layer
}

// Run fills out; when it returns an error, out holds what was reached.
func (e *experiment) Run(ctx context.Context) error {
	start := time.Now()
	defer func() { e.out.Seconds = time.Since(start).Seconds() }()
	e.out.Train, e.out.Test, e.out.Seed, e.out.Threat = e.train.Len(), e.test.Len(), e.env.Seed, threat.String()
	e.out.Standard.Detail, e.out.Hardened.Detail = map[string]*measured{}, map[string]*measured{}

	plain := e.newNet(e.env.Rand("weights"))
	if err := e.fit(ctx, "training", plain, e.standard, 3e-3, nil, &e.out.Standard); err != nil {
		return err
	}
	e.plain = plain
	if err := e.measure(ctx, "standard network", plain, &e.out.Standard); err != nil {
		return err
	}
	resistant := e.newNet(e.env.Rand("weights"))
	at := &defense.AdversarialTraining{
		Attack:    attack.PGD{Threat: threat, Steps: e.steps, StepSize: e.stepSize, Seed: e.env.Seed},
		RampSteps: e.ramp * (e.train.Len() / e.batch),
	}
	if err := e.fit(ctx, "adversarial training", resistant, e.hardened, e.rate, at.Loss, &e.out.Hardened); err != nil {
		return err
	}
	e.resistant = resistant
	return e.measure(ctx, "hardened network", resistant, &e.out.Hardened)
}

// fit trains a network with a learning rate that rises and falls once.
func (e *experiment) fit(ctx context.Context, name string, net nn.Layer, epochs int, rate float64, loss nn.Loss, f *figures) error {
	start := time.Now()
	steps := epochs * (e.train.Len() / e.batch)
	stage := e.env.Stage(name, steps)
	t := nn.Trainer{
		Net: net, Data: e.train, Loss: loss, Epochs: epochs, BatchSize: e.batch, Seed: e.env.Seed,
		Schedule: optim.Triangle(rate, 3*steps/10, steps),
		OnStep: func(p nn.Progress) {
			if p.Step%20 == 0 {
				stage.Note("loss %.2f", p.Loss)
			}
			stage.Done(p.Step + 1)
		},
	}
	if err := t.Run(ctx); err != nil {
		return err
	}
	f.Training = time.Since(start).Seconds()
	return nil
}

// row is one line of the table: an attack, and where its figure is kept.
type row struct {
	name, key string
	images    int
	attack    func(progress func(done, total int)) attack.Attack // nil for none
	into      func(*figures) **float64
}

// rows are the lines of the table, weakest attack first.
func (e *experiment) rows() []row {
	seed := e.env.Seed ^ e.env.Stream("attack")
	return []row{
		{"none", "clean", e.test.Len(), nil, func(f *figures) **float64 { return &f.Clean }},
		{"FGSM", "fgsm", e.test.Len(), func(func(done, total int)) attack.Attack {
			return &attack.FGSM{Threat: threat}
		}, func(f *figures) **float64 { return &f.FGSM }},
		{"PGD-40", "pgd40", e.test.Len(), func(progress func(done, total int)) attack.Attack {
			return &attack.PGD{Threat: threat, Steps: 40, StepSize: 0.01, Seed: seed, OnProgress: progress}
		}, func(f *figures) **float64 { return &f.PGD40 }},
		{"PGD-100, 10 restarts", "pgd100x10", min(e.restartImages, e.test.Len()), func(progress func(done, total int)) attack.Attack {
			return &attack.PGD{Threat: threat, Steps: 100, StepSize: 0.01, Restarts: 10, Seed: seed, OnProgress: progress}
		}, func(f *figures) **float64 { return &f.PGD100x10 }},
	}
}

// measure attacks a network: on all test images, and with restarts on the first
// of them.
func (e *experiment) measure(ctx context.Context, name string, net nn.Layer, f *figures) error {
	x, y := e.test.All()
	for _, r := range e.rows() {
		var attacks []attack.Attack
		if r.attack != nil {
			stage := e.env.Stage(r.name+" on the "+name, r.images)
			attacks = append(attacks, r.attack(func(done, _ int) { stage.Done(done) }))
		}
		start := time.Now()
		rep, err := attack.Evaluate(ctx, nn.Classifier{Net: net}, tensor.Slice(x, 0, 0, r.images), y[:r.images], attacks...)
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		f.Detail[r.key] = &measured{rep.Worst, time.Since(start).Seconds()}
		*r.into(f) = &f.Detail[r.key].Value
	}
	return nil
}
