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

// passes is the work of an epoch for each source image, in forward passes of G.
func (l learner) passes() float64 {
	const discriminator = 0.22 // of a pass of G
	adversary := func(a uda.Adversary) float64 {
		one := 6 + 10*discriminator
		if !a.SharedForward {
			one = 11 + 12*discriminator
		}
		return one * float64(max(1, a.Repeats))
	}
	switch m := l.training.Method.(type) {
	case uda.DANN:
		return adversary(m.Adversary)
	case uda.CDAN:
		return adversary(m.Adversary)
	case uda.IWDAN:
		return adversary(m.Adversary)
	case uda.IWCDAN:
		return adversary(m.Adversary)
	case uda.MCD:
		steps := m.FeatureSteps
		if steps == 0 {
			steps = 3
		}
		return float64(max(1, m.Repeats) * (5 + 3*steps))
	case uda.SSL:
		return 9
	}
	return 3
}

// settings returns the paper's settings of a learner on the pair of that number. fast
// shares forward passes, repeats nothing, and makes all batches of an epoch, source
// and target, of one size up to an image.
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
		if pair == 2 && !fast {
			t.LR = 1e-4
		}
	case "DANN":
		t.Method = uda.DANN{Adversary: a}
		t.TargetAsSource = pair == 2
	case "CDAN":
		t.Method = uda.CDAN{Adversary: a}
		if pair == 0 {
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
	if fast {
		t.Even, t.DropLast, t.TargetAsSource = true, false, true
	}
	return l
}

// candidates is the number of source images of a class among which the reference looks
// for the nearest one, on the pair of that number.
func candidates(pair int, fast bool) int {
	if pair >= 2 && !fast {
		return 500
	}
	return 0
}

// plan holds the sizes of the experiment.
type plan struct {
	fast           bool
	source, target int // images of the pair of the headline
	// batch is the size of batches of clean source images; 0 keeps the learner's. A
	// poisoned source has as many batches.
	batch         int
	epochs        int                                         // of all learners on that pair; 0 keeps the paper's
	long          int                                         // epochs of DANN's long run on the first seed; 0 for none
	alphas        []float64                                   // of the first seed beside 0 and 1
	other         struct{ source, target, epochs, batch int } // of the other pairs, 0 as above
	otherLearners []string
	test          int // test images, 0 for all
	clean         cleanPlan
	starts        int // of the illustrative cases
	blobs         struct{ seeds, points, steps int }
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
}

var smallPlan = func() plan {
	p := plan{fast: true, source: 600, target: 1800, batch: 24, epochs: 60, long: 201, alphas: []float64{0.3}, test: 2007, starts: 100}
	p.other.source, p.other.target, p.other.epochs, p.other.batch = 400, 400, 15, 24
	p.otherLearners = learnerNames[:5]
	p.clean = cleanPlan{pair: 0, source: 600, target: 600, learners: []string{singleDomain, "source only", "DANN"}, images: 5, victims: 3,
		poisons: 30, models: 2, period: 10, epochs: 11, steps: 25, victimEpochs: 11, batch: 32, victimBatch: 32}
	p.blobs.seeds, p.blobs.points, p.blobs.steps = 8, 500, 1500
	return p
}()

var fullPlan = func() plan {
	p := plan{source: 2000, target: 1800, alphas: []float64{0.1, 0.15, 0.25, 0.3, 0.5}, starts: 100}
	p.otherLearners = learnerNames
	p.clean = cleanPlan{pair: 2, learners: []string{singleDomain, "source only", "CDAN", "MCD", "SSL", "DANN"}, images: 5, victims: 5,
		poisons: 100, models: 4, period: 100, epochs: 101, steps: 100, victimEpochs: 101, batch: 128, victimBatch: 64}
	p.blobs.seeds, p.blobs.points, p.blobs.steps = 8, 500, 1500
	return p
}()

var miniPlan = func() plan {
	p := plan{fast: true, source: 300, target: 200, batch: 50, epochs: 3, alphas: []float64{0.5}, test: 200, starts: 4}
	p.other.source, p.other.target, p.other.epochs, p.other.batch = 200, 200, 1, 50
	p.otherLearners = []string{"source only"}
	p.clean = cleanPlan{pair: 0, source: 200, target: 200, learners: []string{singleDomain, "source only"}, images: 2, victims: 1,
		poisons: 10, models: 2, period: 4, epochs: 2, steps: 3, victimEpochs: 2, batch: 50, victimBatch: 50}
	p.blobs.seeds, p.blobs.points, p.blobs.steps = 2, 50, 50
	return p
}()
