package main

import (
	"context"
	"fmt"
	"math/rand/v2"

	"github.com/redoubt-ml/redoubt/defense/advcl"
	"github.com/redoubt-ml/redoubt/tensor/dataset"
)

// Names of the methods.
const (
	simCLR      = "SimCLR"
	roCL        = "RoCL"
	acl         = "ACL"
	advCL       = "AdvCL"
	advCLPseudo = "AdvCL+pseudo"
	supervised  = "supervised AT"
	random      = "random"
	deACL       = "DeACL"
	dynACL      = "DynACL"
	apDPE       = "AP-DPE"
	trades      = "TRADES"
)

var methodNames = []string{simCLR, roCL, acl, advCL, advCLPseudo, supervised, random, dynACL, deACL, apDPE, trades}

// setup is a method with the network that it trains.
type setup struct {
	method advcl.Method // nil for none: the encoder stays random
	net    *advcl.Network
	stats  string // the set of statistics that is evaluated
}

// setUp returns a method by name for a seed. Encoders of all methods of a seed start
// from the same weights.
func (e *experiment) setUp(ctx context.Context, name string, seed uint64) (setup, error) {
	p := e.plan
	network := func(head advcl.Projector, classes []int, sets ...string) *advcl.Network {
		return advcl.NewNetwork(rand.New(rand.NewPCG(seed, e.env.Stream("weights"))), p.form, head, classes, sets...)
	}
	small, tune := p.epochs == 0, e.sized
	switch name {
	case simCLR:
		return setup{tune(advcl.NewSimCLR(seed)), network(p.head, nil), ""}, nil
	case roCL:
		c := tune(advcl.NewRoCL(seed))
		head := p.head
		if small {
			c.Terms[0].Weight = 1
		} else {
			head = advcl.Projector{Widths: []int{2048, 128}, Plain: true}
		}
		return setup{c, network(head, nil), ""}, nil
	case acl, dynACL:
		c := advcl.NewACL(seed)
		if name == dynACL {
			c = advcl.NewDynACL(seed, p.annealing())
		}
		c = tune(c)
		head := p.head
		head.Routed = true
		if !small {
			head.Widths, head.NormedOutput = []int{512, 512, 512}, true
		}
		n := network(head, nil, advcl.Clean, advcl.Attacked)
		if name == acl && !small {
			n.Encoder.NormalizePixels(advcl.ImageNetMean, advcl.ImageNetStd)
		}
		return setup{c, n, advcl.Attacked}, nil
	case advCL:
		return setup{tune(advcl.NewAdvCL(seed)), network(p.head, nil, advcl.Clean, advcl.Attacked), advcl.Attacked}, nil
	case advCLPseudo:
		labels, err := e.pseudoLabels(ctx, seed)
		if err != nil {
			return setup{}, err
		}
		return setup{tune(advcl.NewAdvCL(seed)).WithPseudoLabels(labels), network(p.head, labels.Clusters(), advcl.Routes...), advcl.Attacked}, nil
	case supervised, trades:
		s := advcl.NewAT(seed)
		if name == trades {
			s = advcl.NewTRADES(seed)
		}
		if small {
			s.Attack.StepSize, s.Attack.Steps = p.attackStep, p.attackSteps
		}
		return setup{s, network(advcl.Projector{}, []int{e.images.Classes}), ""}, nil
	case deACL:
		t, err := e.train(ctx, simCLR, seed)
		if err != nil {
			return setup{}, err
		}
		d := advcl.NewDeACL(t.encoder, seed)
		if small {
			d.Attack.StepSize, d.Attack.Steps = p.attackStep, p.attackSteps
		}
		return setup{d, network(advcl.Projector{}, nil), ""}, nil
	case apDPE:
		a := advcl.NewAPDPE(seed)
		if small {
			a.Attack.StepSize, a.Attack.Steps = p.attackStep, p.attackSteps
		}
		tasks := advcl.TaskClasses(advcl.Rotation, advcl.Jigsaw, advcl.Selfie)
		n := network(advcl.Projector{}, tasks, "", advcl.Patches)
		if !small {
			n.Encoder.NormalizePixels(advcl.ImageNetMean, advcl.ImageNetStd)
		}
		return setup{a, n, ""}, nil
	case random:
		return setup{nil, network(advcl.Projector{}, nil), ""}, nil
	}
	return setup{}, fmt.Errorf("no method %q", name)
}

// sized gives runs that are not the papers' one recipe for all: the same attack, the
// same crops, the same temperature and the same factor of the loss, as they share the
// learning rate.
func (e *experiment) sized(c *advcl.Contrastive) *advcl.Contrastive {
	c.Chunk = e.chunk
	if e.plan.epochs > 0 {
		return c
	}
	if c.Attack.Steps > 0 {
		c.Attack.Eps, c.Attack.StepSize, c.Attack.Steps = eps, e.plan.attackStep, e.plan.attackSteps
	}
	c.Views.SetCrops(0.2)
	for i := range c.Terms {
		c.Terms[i].Loss.Base = 0.07
		c.Terms[i].Loss.StopKeys = nil
	}
	return c
}

// annealing is DynACL's schedule over the whole training.
func (p plan) annealing() advcl.Annealing {
	if p.epochs > 0 {
		return advcl.Annealing{Epochs: p.epochs}
	}
	epochs := max(1, p.steps/(p.train/p.batch))
	return advcl.Annealing{Epochs: epochs, Every: max(1, epochs/20)}
}

// passes is the work of a step for each image.
func (s setup) passes() float64 {
	if s.method == nil {
		return 0
	}
	return s.method.Passes()
}

// unlabelled returns the images without their labels.
func unlabelled(s *dataset.Set) *dataset.Set {
	out := *s
	out.Labels, out.Classes, out.ClassNames = nil, 0, nil
	return &out
}
