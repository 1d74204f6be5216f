package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"time"

	"github.com/redoubt-ml/redoubt/defense/advcl"
	"github.com/redoubt-ml/redoubt/defense/advcl/cluster"
	"github.com/redoubt-ml/redoubt/defense/advcl/finetune"
	"github.com/redoubt-ml/redoubt/internal/example"
	"github.com/redoubt-ml/redoubt/tensor"
	"github.com/redoubt-ml/redoubt/tensor/dataset"
	"github.com/redoubt-ml/redoubt/tensor/nn"
	"github.com/redoubt-ml/redoubt/tensor/optim"
)

// experiment pretrains by every method for every seed and measures the outcome.
type experiment struct {
	env          *example.Env
	plan         plan
	quick, show  bool
	chunk        int
	state        string // folder; "" for none
	source       string // of the images
	speed        float64
	images, test *dataset.Set
	x            *tensor.Tensor // test images
	y            []int
	out          outcome
	workers      int
	turns        *turns // of the jobs that are under way; nil for none
	progress     progress
	left         left
	trainings    single[*training]
	clusterings  single[*advcl.PseudoLabels]
}

// trained is a pretrained encoder with its linear layer.
type trained struct {
	encoder    *advcl.Encoder
	classifier *finetune.Classifier
}

// training is what a pretraining came to.
type training struct {
	*trained
	record record
}

func newExperiment(env *example.Env, o options) (*experiment, error) {
	p, err := choose(env, o)
	if err != nil {
		return nil, err
	}
	e := &experiment{env: env, plan: p, quick: o.quick, show: o.show, chunk: o.chunk, state: o.state, workers: tensor.Threads()}
	if p.form.Name == advcl.ResNet18.Name {
		e.workers = 1 // memory is for one
	}
	if e.state == "" && env.Out != "" {
		e.state = filepath.Join(env.Out, "state")
	}
	if e.images, e.test, e.source, err = e.plan.data(env, o.quick); err != nil {
		return nil, err
	}
	e.x, e.y = e.test.All()
	e.speed = e.measureSpeed()
	if e.plan.total() == 0 {
		if e.plan.steps, err = e.stepsOnce(stepsFor(e.speed)); err != nil {
			return nil, err
		}
	}
	e.out = newOutcome(e)
	return e, nil
}

func key(name string, seed uint64) string { return fmt.Sprintf("%s-%d", name, seed) }

// one makes one run, or takes what an earlier program finished.
func (e *experiment) one(ctx context.Context, name string, seed uint64) (*record, error) {
	if r, err := e.finished(name, seed); r != nil || err != nil {
		return r, err
	}
	t, err := e.train(ctx, name, seed)
	if err != nil {
		return nil, err
	}
	r := t.record
	p := finetune.Protocol{Eps: []float64{eps, halfEps}, Seed: seed, OnProgress: func(what string) { e.progress.say(key(name, seed), what) }}
	if strongly[name] {
		p.APGD = min(e.plan.apgd, e.plan.test)
	}
	scores, err := p.Measure(ctx, t.classifier, e.x, e.y)
	if err != nil {
		e.left.keep(&r)
		return nil, err
	}
	r.SA, r.RA8, r.RA4 = scores.Clean.Value, scores.Robust[0].Value, scores.Robust[1].Value
	if scores.APGD != nil {
		r.APGD = &scores.APGD.Value
	}
	r.clean, r.robust = scores.CleanRight, scores.RobustRight[0]
	return &r, e.finish(&r)
}

// strongly are the methods whose outcome is attacked by APGD as well.
var strongly = map[string]bool{roCL: true, supervised: true, trades: true, acl: true, advCL: true, advCLPseudo: true, dynACL: true, deACL: true, apDPE: true}

// pretrain trains the network of a setup, or calibrates a random one.
func (e *experiment) pretrain(ctx context.Context, s setup, r *record) error {
	if s.method == nil {
		r.Steps = 0
		return s.net.Encoder.Calibrate(ctx, s.stats, e.images, 20)
	}
	data := unlabelled(e.images)
	if _, ok := s.method.(*advcl.Supervised); ok {
		data = e.images
	}
	run := advcl.Pretraining{
		Net: s.net, Method: s.method, Data: data, Seed: r.Seed,
		Checkpoint: e.file(r.Method, r.Seed, "training.safetensors"), SaveEvery: e.plan.curve,
	}
	if err := e.schedule(&run, r.Method); err != nil {
		return err
	}
	if err := e.resume(r); err != nil {
		return err
	}
	start, before := time.Now(), r.Seconds
	run.OnStep = func(p nn.Progress) {
		r.Seconds = before + time.Since(start).Seconds()
		e.progress.at(key(r.Method, r.Seed), p.Step+1, p.Loss)
	}
	first := true
	measure := func(ctx context.Context, step int) error {
		goesOn := first && step > 0
		first = false
		if !e.due(r, step) && !goesOn {
			if step > 0 && step%(e.plan.train/e.plan.batch) == 0 {
				return e.keepProgress(r)
			}
			return nil
		}
		pause := time.Now()
		defer func() { start = start.Add(time.Since(pause)) }()
		if e.due(r, step) {
			if err := e.point(ctx, s, r, step); err != nil {
				return err
			}
		}
		if step == r.Steps {
			return nil
		}
		return e.turns.pass(ctx, e.turn(r.Method, r.Seed, step))
	}
	run.Method = measured{s.method, measure}
	if err := run.Run(ctx); err != nil {
		return errors.Join(err, e.keepProgress(r))
	}
	return measure(ctx, r.Steps)
}

// measured is a method that stops for a measurement before each step, so that a
// program that was stopped in one, or whose measurement failed, makes it again when it
// goes on.
type measured struct {
	advcl.Method
	before func(ctx context.Context, step int) error
}

func (m measured) Loss(ctx context.Context, p *nn.Pass, net nn.Layer, b nn.Batch) (*tensor.Tensor, error) {
	if err := m.before(ctx, b.Step); err != nil {
		return nil, err
	}
	return m.Method.Loss(ctx, p, net, b)
}

// due says whether the network is to be measured after a number of steps.
func (e *experiment) due(r *record, step int) bool {
	return e.plan.curve > 0 && step > 0 && step%e.plan.curve == 0 && r.at(step) == nil
}

// papers are the optimisers and lengths of the methods' own papers, or of the programs
// that came with them, for -scale full; those of AdvCL stand for all others.
var papers = map[string]struct{ epochs, batch int }{
	supervised: {100, 128}, trades: {100, 128}, deACL: {100, 256}, apDPE: {150, 64},
}

// length is the number of steps of a method's training, and of images in a batch.
func (e *experiment) length(name string) (steps, batch int) {
	p := e.plan
	if p.epochs == 0 {
		return p.steps, p.batch
	}
	epochs, batch := p.epochs, p.batch
	if own, ok := papers[name]; ok {
		epochs, batch = own.epochs, own.batch
	}
	return epochs * ((p.train + batch - 1) / batch), batch
}

// work is that of a method's training up to a step, in GFLOP.
func (e *experiment) work(name string, passes float64, step int) float64 {
	_, batch := e.length(name)
	return e.plan.gflop(passes) / float64(e.plan.batch) * float64(batch) * float64(step)
}

// encoderWork is that of the SimCLR encoder that a method needs; 0 for none.
func (e *experiment) encoderWork(name string) float64 {
	if !needsEncoder(name) {
		return 0
	}
	steps, _ := e.length(simCLR)
	return e.work(simCLR, advcl.NewSimCLR(0).Passes(), steps)
}

// clusterWork is the most that the pseudo-labels of a method cost, in GFLOP: a pass of all
// images through the encoder that they are of, and k-means; 0 for none.
func (e *experiment) clusterWork(name string) float64 {
	if name != advCLPseudo {
		return 0
	}
	p := e.plan
	work := p.gflop(1) / float64(p.batch) * float64(p.train)
	for _, n := range p.clusters {
		work += cluster.KMeans{K: n}.Operations(p.train, p.form.Features()) / 1e9
	}
	return work
}

// schedule sets optimiser, learning rate and length.
func (e *experiment) schedule(run *advcl.Pretraining, name string) (err error) {
	p := e.plan
	steps, batch := e.length(name)
	run.BatchSize = batch
	if p.epochs == 0 {
		run.Steps = steps
		run.Schedule, err = advcl.StepCosine{LR: p.lr, Steps: steps, WarmUp: steps / 20, Floor: p.lr / 1000}.Schedule()
		return err
	}
	per := (p.train + batch - 1) / batch
	run.Epochs = steps / per
	switch name {
	case acl, dynACL:
		run.Optimizer = &optim.LARS{WeightDecay: 1e-6, Vectors: true}
		run.Schedule, err = advcl.StepCosine{LR: 5, Steps: steps, WarmUp: 10 * per, Floor: 1e-6}.Schedule()
	case roCL:
		run.Optimizer = &optim.LARS{WeightDecay: 1e-6, Vectors: true}
		if run.Schedule, err = (advcl.StepCosine{LR: 1.5, Steps: steps, WarmUp: 10 * per}).Schedule(); err == nil {
			run.Schedule = byEpoch(run.Schedule, per, 10)
		}
	case supervised, trades:
		run.Optimizer = &optim.SGD{Momentum: 0.9, WeightDecay: 2e-4}
		run.Schedule = optim.StepDecay(0.1, 0.1, 40*per, 60*per)
	case deACL:
		run.Optimizer = &optim.SGD{Momentum: 0.9, WeightDecay: 5e-4}
		run.Schedule, err = advcl.EpochCosine{LR: 0.5, Epochs: run.Epochs, PerEpoch: per}.Schedule()
	case apDPE:
		run.Optimizer = &optim.SGD{Momentum: 0.9, WeightDecay: 1e-4, Nesterov: true}
		run.Schedule = optim.Cosine(1e-3, steps)
	default:
		run.Schedule, err = advcl.EpochCosine{LR: p.lr, Epochs: run.Epochs, PerEpoch: per}.Schedule()
	}
	return err
}

// byEpoch keeps a learning rate for an epoch of per steps after those of warming up.
func byEpoch(s optim.Schedule, per, warmUp int) optim.Schedule {
	return func(step int) float64 {
		if step >= warmUp*per {
			step -= step % per
		}
		return s(step)
	}
}

// probe trains the linear layer on the features of a pretrained encoder.
func (e *experiment) probe(ctx context.Context, s setup, seed uint64, what string) (*trained, error) {
	encoder, err := s.net.Encoder.Extract(s.stats)
	if err != nil {
		return nil, err
	}
	e.progress.say(what, "linear layer")
	c, err := e.plan.tuning(seed).Run(ctx, encoder, e.images)
	if err != nil {
		return nil, err
	}
	return &trained{encoder, c}, nil
}

// tuning is the training of the linear layer.
func (p plan) tuning(seed uint64) finetune.Tuning {
	t := finetune.Tuning{
		Kind: finetune.SLF, Standardize: p.probeCached, LR: p.probeLR, BatchSize: p.probeBatch, Epochs: p.probeEpochs, Drops: p.probeDrops, Seed: seed,
	}
	if !p.probeCached {
		t.Augment = advcl.Weakly()
	}
	return t
}

// point measures a network on the way.
func (e *experiment) point(ctx context.Context, s setup, r *record, step int) error {
	t, err := e.probe(ctx, s, r.Seed, fmt.Sprintf("%s at step %d", r.Method, step))
	if err != nil {
		return err
	}
	scores, err := finetune.Protocol{Eps: []float64{eps}, Seed: r.Seed}.Measure(ctx, t.classifier, e.x, e.y)
	if err != nil {
		return err
	}
	r.setPoint(point{Step: step, GFLOP: r.Encoder + e.work(r.Method, s.passes(), step), SA: scores.Clean.Value, RA8: scores.Robust[0].Value})
	return e.keepProgress(r)
}

// train pretrains by a method for a seed, once, or takes it from its checkpoint.
func (e *experiment) train(ctx context.Context, name string, seed uint64) (*training, error) {
	return e.trainings.do(key(name, seed), e.idle(ctx, name, seed), func() (*training, error) {
		s, err := e.setUp(ctx, name, seed)
		if err != nil {
			return nil, err
		}
		steps, _ := e.length(name)
		r := record{Method: name, Seed: seed, Steps: steps, GFLOP: e.work(name, s.passes(), steps), Encoder: e.encoderWork(name)}
		if err := e.pretrain(ctx, s, &r); err != nil {
			e.left.keep(&r)
			return nil, err
		}
		t, err := e.probe(ctx, s, seed, key(name, seed))
		if err != nil {
			e.left.keep(&r)
			return nil, err
		}
		return &training{t, r}, nil
	})
}

// pseudoLabels clusters the features of the seed's own SimCLR encoder.
func (e *experiment) pseudoLabels(ctx context.Context, seed uint64) (*advcl.PseudoLabels, error) {
	return e.clusterings.do(key("labels", seed), e.idle(ctx, advCLPseudo, seed), func() (*advcl.PseudoLabels, error) {
		path := e.file("labels", seed, "json")
		if l, err := e.loadLabels(path); l != nil || err != nil {
			return l, err
		}
		t, err := e.train(ctx, simCLR, seed)
		if err != nil {
			return nil, err
		}
		e.progress.say(key(advCLPseudo, seed), "clusters")
		f, err := advcl.Encode(ctx, t.encoder, "", e.images)
		if err != nil {
			return nil, err
		}
		source := rand.New(rand.NewPCG(seed, e.env.Stream("clusters")))
		l, err := advcl.Cluster(ctx, e.images, f, cluster.KMeans{Seed: source.Uint64()}, e.plan.clusters...)
		if err != nil || path == "" {
			return l, err
		}
		return l, e.keepLabels(path, l)
	})
}
