package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/redoubt-ml/redoubt/attack"
	"github.com/redoubt-ml/redoubt/defense"
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
		newNet: nn.NewMNISTNet, batch: 128, standard: 5, hardened: 8, ramp: 3,
		steps: 7, stepSize: 0.1, rate: 5e-3, restartImages: 1000,
	}
	miniPlan = plan{
		newNet: nn.NewMNISTNet, batch: 50, standard: 12, hardened: 40, ramp: 15,
		steps: 7, stepSize: 0.1, rate: 4e-3, restartImages: 300,
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
	Training  float64              `json:"training_seconds"`
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
	train, test *dataset.Set
	seed        uint64
	progress    func(stage string, done, total int)

	out              outcome
	plain, resistant nn.Layer
}

// Streams of random numbers that belong to the seed.
const (
	weightStream = iota + 1
	startStream
)

// run fills out; when it returns an error, out holds what was reached.
func (e *experiment) run(ctx context.Context) error {
	start := time.Now()
	defer func() { e.out.Seconds = time.Since(start).Seconds() }()
	e.out.Train, e.out.Test, e.out.Seed, e.out.Threat = e.train.Len(), e.test.Len(), e.seed, threat.String()
	e.out.Standard.Detail, e.out.Hardened.Detail = map[string]*measured{}, map[string]*measured{}

	e.plain = e.newNet(rand.New(rand.NewPCG(e.seed, weightStream)))
	if err := e.fit(ctx, "training", e.plain, e.standard, 3e-3, nil, &e.out.Standard); err != nil {
		return err
	}
	if err := e.measure(ctx, "standard network", e.plain, &e.out.Standard); err != nil {
		return err
	}
	e.resistant = e.newNet(rand.New(rand.NewPCG(e.seed, weightStream)))
	at := &defense.AdversarialTraining{
		Attack:    attack.PGD{Threat: threat, Steps: e.steps, StepSize: e.stepSize, Seed: e.seed},
		RampSteps: e.ramp * (e.train.Len() / e.batch),
	}
	if err := e.fit(ctx, "adversarial training", e.resistant, e.hardened, e.rate, at.Loss, &e.out.Hardened); err != nil {
		return err
	}
	return e.measure(ctx, "hardened network", e.resistant, &e.out.Hardened)
}

// fit trains a network with a learning rate that rises and falls once.
func (e *experiment) fit(ctx context.Context, stage string, net nn.Layer, epochs int, rate float64, loss nn.Loss, f *figures) error {
	start := time.Now()
	defer func() { f.Training = time.Since(start).Seconds() }()
	steps := epochs * (e.train.Len() / e.batch)
	t := nn.Trainer{
		Net: net, Data: e.train, Loss: loss, Epochs: epochs, BatchSize: e.batch, Seed: e.seed,
		Schedule: optim.Triangle(rate, 3*steps/10, steps),
		OnStep:   func(p nn.Progress) { e.progress(stage, p.Step+1, p.Steps) },
	}
	return t.Run(ctx)
}

// attacks are the columns of the table, weakest first.
func (e *experiment) attacks(stage string) []attack.Attack {
	return []attack.Attack{
		&attack.FGSM{Threat: threat},
		&attack.PGD{
			Threat: threat, Steps: 40, StepSize: 0.01, Seed: e.seed + startStream,
			OnProgress: func(done, total int) { e.progress("PGD-40 on the "+stage, done, total) },
		},
		&attack.PGD{
			Threat: threat, Steps: 100, StepSize: 0.01, Restarts: 10, Seed: e.seed + startStream,
			OnProgress: func(done, total int) { e.progress("PGD-100 x 10 on the "+stage, done, total) },
		},
	}
}

// measure attacks a network: on all test images, and with restarts on the first
// of them.
func (e *experiment) measure(ctx context.Context, stage string, net nn.Layer, f *figures) error {
	x, y := e.test.All()
	model := nn.Classifier{Net: net}
	start := time.Now()
	rep, err := attack.Evaluate(ctx, model, x, y)
	if err != nil {
		return err
	}
	f.Clean = record(f, "clean", rep.Clean, time.Since(start))
	for i, a := range e.attacks(stage) {
		into, name := [](**float64){&f.FGSM, &f.PGD40, &f.PGD100x10}[i], [...]string{"fgsm", "pgd40", "pgd100x10"}[i]
		xa, ya := x, y
		if n := min(e.restartImages, len(y)); i == 2 {
			xa, ya = tensor.Slice(x, 0, 0, n), y[:n]
		}
		start := time.Now()
		rep, err := attack.Evaluate(ctx, model, xa, ya, a)
		if err != nil {
			return fmt.Errorf("%s: %w", stage, err)
		}
		*into = record(f, name, rep.Worst, time.Since(start))
	}
	return nil
}

func record(f *figures, name string, e attack.Estimate, d time.Duration) *float64 {
	f.Detail[name] = &measured{e, d.Seconds()}
	return &e.Value
}
