package main

import (
	"strings"

	"github.com/redoubt-ml/redoubt/poison/uda"
)

// learnerNames are the learners of the table.
var learnerNames = []string{"source only", "DANN", "CDAN", "MCD", "SSL", "IW-DAN", "IW-CDAN"}

// partNames are the parts of the program.
var partNames = []string{"table", "clean-label", "illustrative", "defense"}

func joined(names []string) string { return strings.Join(names, ", ") }

// learner is a method with its settings on one pair.
type learner struct {
	name     string
	training uda.Training // without data, epochs and seed
	epochs   int          // of the paper
}

// settings returns the paper's settings of a learner on the pair of that number. fast
// shares forward passes and repeats nothing.
func settings(name string, pair int, fast bool) learner {
	l := learner{name: name, epochs: 201, training: uda.Training{Arch: uda.Digits(), BatchSize: 256, LR: 1e-3}}
	a := uda.Adversary{SharedForward: fast}
	if pair > 0 && !fast {
		a.Repeats = 3
	}
	t := &l.training
	if pair == 3 {
		l.epochs, t.Arch, t.LR = 101, uda.HouseNumbers(), 1e-4
		if name == "MCD" {
			t.LR = 1e-3
		}
	}
	switch name {
	case "source only":
		t.Method, t.DropLast = uda.SourceOnly{}, pair != 3
		if pair == 2 {
			t.LR = 1e-4
		}
	case "DANN":
		t.Method = uda.DANN{Adversary: a}
		t.TargetAsSource = pair == 2
	case "CDAN":
		t.Method = uda.CDAN{Adversary: a}
		if pair == 0 && !fast {
			t.BatchSize = 128
		}
	case "MCD":
		m := uda.MCD{}
		switch pair {
		case 0:
			m.DiscrepancyRate = 0.1
			l.epochs = 501
		case 1:
			m.SharedState, m.FeatureSteps = true, 5
		case 2:
			m.FeatureSteps, m.Repeats, t.Arch = 1, 3, uda.DigitsMCD()
		case 3:
			m.FeatureSteps, m.Repeats, m.DiscrepancyRate = 1, 3, 0.1
		}
		if fast {
			m.Repeats, m.FeatureSteps = 1, 1
		}
		t.Method, t.TargetAsSource = m, true
	case "SSL":
		t.Method, t.DropLast = uda.SSL{}, true
		if pair == 0 && !fast {
			t.LR, l.epochs = 1e-4, 501
		}
	case "IW-DAN":
		t.Method = uda.IWDAN{DANN: uda.DANN{Adversary: a}}
	case "IW-CDAN":
		t.Method = uda.IWCDAN{CDAN: uda.CDAN{Adversary: a}}
	}
	return l
}

// plan holds the sizes of the experiment.
type plan struct {
	fast           bool
	source, target int                                         // images of the pair of the headline
	batch          int                                         // 0 keeps the learner's
	epochs         int                                         // of all learners on that pair; 0 keeps the paper's
	long           int                                         // epochs of DANN's long run on the first seed; 0 for none
	alphas         []float64                                   // of the first seed beside 0 and 1
	other          struct{ source, target, epochs, batch int } // of the other pairs, 0 as above
	otherLearners  []string
	test           int // test images, 0 for all
	clean          cleanPlan
	starts         int // of the illustrative cases
	blobs          struct{ seeds, points, steps int }
	defenseEpochs  int
}

// cleanPlan holds the sizes of the targeted attack.
type cleanPlan struct {
	pair                             int // of load
	source, target                   int // images of both digits
	learners                         []string
	images, victims                  int
	poisons, models, period          int
	epochs, steps                    int
	victimEpochs, batch, victimBatch int
	lr                               float64
}

var smallPlan = func() plan {
	p := plan{fast: true, source: 2000, target: 1800, batch: 64, epochs: 30, long: 201, alphas: []float64{0.3}, test: 2007, starts: 100, defenseEpochs: 15}
	p.other.source, p.other.target, p.other.epochs, p.other.batch = 1000, 1000, 15, 64
	p.otherLearners = []string{"source only", "DANN"}
	p.clean = cleanPlan{pair: 0, source: 1200, target: 1200, learners: []string{"source only", "DANN"}, images: 5, victims: 3,
		poisons: 60, models: 2, period: 10, epochs: 10, steps: 25, victimEpochs: 10, batch: 128, victimBatch: 128, lr: 1e-3}
	p.blobs.seeds, p.blobs.points, p.blobs.steps = 8, 500, 1500
	return p
}()

var fullPlan = func() plan {
	p := plan{source: 2000, target: 1800, alphas: []float64{0.1, 0.15, 0.25, 0.3, 0.5}, starts: 100, defenseEpochs: 201}
	p.other.source, p.other.target = 0, 0
	p.otherLearners = learnerNames
	p.clean = cleanPlan{pair: 2, learners: []string{singleDomain, "source only", "CDAN", "MCD", "SSL", "DANN"}, images: 5, victims: 5,
		poisons: 100, models: 4, period: 100, epochs: 101, steps: 100, victimEpochs: 101, batch: 128, victimBatch: 64, lr: 1e-4}
	p.blobs.seeds, p.blobs.points, p.blobs.steps = 8, 500, 1500
	return p
}()

var miniPlan = func() plan {
	p := plan{fast: true, source: 300, target: 200, batch: 50, epochs: 3, alphas: []float64{0.5}, test: 200, starts: 4, defenseEpochs: 2}
	p.other.source, p.other.target, p.other.epochs, p.other.batch = 200, 200, 1, 50
	p.otherLearners = []string{"source only"}
	p.clean = cleanPlan{pair: 0, source: 200, target: 200, learners: []string{"source only"}, images: 2, victims: 1,
		poisons: 10, models: 2, period: 4, epochs: 2, steps: 3, victimEpochs: 2, batch: 50, victimBatch: 50, lr: 1e-3}
	p.blobs.seeds, p.blobs.points, p.blobs.steps = 2, 50, 50
	return p
}()
