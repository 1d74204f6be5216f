package main

import (
	"fmt"
	"math"
	"math/rand/v2"
	"sync"
	"time"

	"gonum.org/v1/gonum/floats"

	"github.com/redoubt-ml/redoubt/defense/advcl"
	"github.com/redoubt-ml/redoubt/internal/example"
	"github.com/redoubt-ml/redoubt/tensor"
	"github.com/redoubt-ml/redoubt/tensor/dataset"
	"github.com/redoubt-ml/redoubt/tensor/nn"
)

// plan is the size of an experiment. Nothing in it was chosen by test images.
type plan struct {
	train, test int // images
	form        advcl.Form
	head        advcl.Projector
	batch       int
	steps       int
	epochs      int // in place of steps, with the schedules of the papers; 0 for none
	lr          float64
	attackSteps int     // in pretraining
	attackStep  float64 // their size
	clusters    []int
	seeds       int
	methods     []string
	probeEpochs int
	probeDrops  []int
	probeBatch  int
	probeLR     float64
	probeCached bool // standardised features of images as they are; else of weakly changed ones
	apgd        int  // test images under APGD
	curve       int  // steps between evaluations along the way; 0 for none
	page        pagePlan
}

// pagePlan is the size of the plots.
type pagePlan struct {
	landscape, points  int // images and grid points a side
	tsne, iterations   int
	inversion          int // steps
	sweep              int // images of the sweeps of steps and eps
	corruptions, probe int // images
}

const (
	eps     = 8. / 255
	halfEps = 4. / 255
)

// smallPlan is the experiment of the example's default, see the package's comment.
var smallPlan = plan{
	train: 20000, test: 2000, form: advcl.Mini, head: advcl.Projector{Widths: []int{128, 64}},
	batch: 128, lr: 0.12, attackSteps: 2, attackStep: 4. / 255, clusters: []int{2, 10, 50, 100},
	seeds: 3, methods: methodNames[:7], probeEpochs: 30, probeDrops: []int{18, 25}, probeBatch: 256, probeLR: 0.05, probeCached: true, apgd: 500,
	page: pagePlan{landscape: 500, points: 15, tsne: 1000, iterations: 500, inversion: 200, sweep: 500, corruptions: 500, probe: 2000},
}

// mediumPlan follows the same training for longer.
var mediumPlan = func() plan {
	p := smallPlan
	p.steps, p.seeds, p.curve, p.apgd = 20000, 1, 1000, 500
	p.methods = []string{simCLR, acl, roCL, advCL, advCLPseudo}
	return p
}()

// fullPlan is the paper's setting, with the reference code's constants.
var fullPlan = plan{
	train: 50000, test: 10000, form: advcl.ResNet18, head: advcl.Projector{Widths: []int{512, 128}},
	batch: 512, epochs: 1000, lr: 0.5, attackSteps: 5, attackStep: 2. / 255, clusters: advcl.DefaultClusters,
	seeds: 1, methods: methodNames, probeEpochs: 25, probeDrops: []int{15, 20}, probeBatch: 512, probeLR: 0.01, apgd: 1000,
	page: pagePlan{landscape: 1000, points: 25, tsne: 2000, iterations: 1000, inversion: 500, sweep: 1000, corruptions: 2000, probe: 10000},
}

// quickPlan runs every stage.
var quickPlan = plan{
	train: 256, test: 100, form: advcl.Form{Name: "tiny", Stem: 8, Stride: 2, Stages: []advcl.Stage{{Width: 16, Blocks: 1, Stride: 2}, {Width: 32, Blocks: 1, Stride: 2}}},
	head: advcl.Projector{Widths: []int{32, 16}}, batch: 32, steps: 8, lr: 0.05, attackSteps: 1, attackStep: 8. / 255,
	clusters: []int{2, 5}, seeds: 1, methods: methodNames, probeEpochs: 10, probeDrops: []int{6, 8}, probeBatch: 64, probeLR: 0.05, probeCached: true, apgd: 20, curve: 4,
	page: pagePlan{landscape: 32, points: 5, tsne: 100, iterations: 60, inversion: 10, sweep: 32, corruptions: 16, probe: 100},
}

// choose returns the plan that the flags ask for.
func choose(env *example.Env, o options) (plan, error) {
	p := smallPlan
	switch {
	case o.quick:
		p = quickPlan
	case env.Scale == example.Medium:
		p = mediumPlan
	case env.Scale == example.Full:
		p = fullPlan
	}
	if o.methods != "" {
		names, err := example.Choose("-methods", o.methods, methodNames)
		if err != nil {
			return p, err
		}
		p.methods = names
	}
	if env.Seeds > 0 {
		p.seeds = env.Seeds
	}
	if o.steps > 0 {
		p.steps, p.epochs = o.steps, 0
		if o.quick {
			p.curve = max(1, p.steps/4)
		}
	}
	return p, nil
}

// total is the number of training steps of a method.
func (p plan) total() int {
	if p.epochs > 0 {
		return p.epochs * ((p.train + p.batch - 1) / p.batch)
	}
	return p.steps
}

// stepsFor is the number of steps of the small scale on a machine of a given speed, so
// that the whole takes about an hour: 1,000, or 600 on slower ones.
func stepsFor(gflops float64) int {
	if gflops >= 200 {
		return 1000
	}
	return 600
}

// measureSpeed measures the machine, in GFLOP/s of attack steps on the plan's encoder
// by all workers at the same time.
func (e *experiment) measureSpeed() float64 {
	threads := tensor.Threads()
	defer tensor.SetThreads(threads)
	tensor.SetThreads(threadsOf(e.workers, threads))
	// About 3 GFLOP each time.
	n := min(e.plan.batch, max(4, int(0.75e9/float64(e.plan.form.MultiplyAdds(32)))))
	speeds := make([]float64, e.workers)
	var wg sync.WaitGroup
	for i := range speeds {
		wg.Go(func() {
			encoder := advcl.NewEncoder(rand.New(rand.NewPCG(1, 1)), e.plan.form)
			x := tensor.Full(tensor.Float32, 0.5, n, 32, 32, 3)
			tape, best := tensor.NewTape(), math.Inf(1)
			for range 12 {
				start := time.Now()
				tape.Reset()
				w := tape.Watch(x)
				tensor.Grad(tensor.Sum(encoder.Forward(&nn.Pass{Train: true}, w)), w)
				best = min(best, time.Since(start).Seconds())
			}
			speeds[i] = e.plan.gflop(2) / float64(e.plan.batch) * float64(n) / best
		})
	}
	wg.Wait()
	return floats.Sum(speeds)
}

// gflop is the work of a number of forward passes of a batch.
func (p plan) gflop(passes float64) float64 {
	return 2 * float64(p.form.MultiplyAdds(32)) * passes * float64(p.batch) / 1e9
}

// data loads the images.
//
// The full scale takes what there is, if that is less than all, as every batch of
// CIFAR-10 is a random draw.
func (p *plan) data(env *example.Env, quick bool) (train, test *dataset.Set, source string, err error) {
	if quick && env.Data == "" {
		train, test = generated(p.train, 1), generated(p.test, 2)
		return train, test, "generated images", nil
	}
	if train, err = env.Load("cifar10", dataset.Train); err != nil {
		return nil, nil, "", err
	}
	if test, err = env.Load("cifar10", dataset.Test); err != nil {
		return nil, nil, "", err
	}
	source = "CIFAR-10"
	if n := train.Len(); env.Scale == example.Full && n < p.train {
		source = fmt.Sprintf("CIFAR-10 (only %d of %d training images are there)", n, p.train)
		p.train = n
	}
	for _, c := range []struct {
		set  *dataset.Set
		want int
	}{{train, p.train}, {test, p.test}} {
		if c.set.Len() < c.want {
			return nil, nil, "", fmt.Errorf("CIFAR-10 in %s has %d %s images, want at least %d", env.Data, c.set.Len(), c.set.Name, c.want)
		}
	}
	return train.Take(p.train), test.Take(p.test), source, nil
}

// generated returns images of 32 by 32 pixels in ten classes: a disc or a square of a
// colour of its class on a ground of another, with noise.
func generated(n int, seed uint64) *dataset.Set {
	rng := rand.New(rand.NewPCG(seed, 77))
	s := &dataset.Set{Name: "generated images", H: 32, W: 32, C: 3, Classes: 10}
	for i := range n {
		y := i % 10
		s.Labels = append(s.Labels, y)
		cx, cy, r := 10+12*rng.Float64(), 10+12*rng.Float64(), 5+5*rng.Float64()
		for row := range 32 {
			for col := range 32 {
				dx, dy := math.Abs(float64(col)-cx), math.Abs(float64(row)-cy)
				inside := math.Hypot(dx, dy) < r
				if y%2 == 1 {
					inside = max(dx, dy) < r
				}
				for c := range 3 {
					v := 0.5 - 0.2*math.Cos(2*math.Pi*(float64(y/2)/5+float64(c)/3))
					if inside {
						v = 0.5 + 0.3*math.Cos(2*math.Pi*(float64(y/2)/5+float64(c)/3))
					}
					s.Bytes = append(s.Bytes, byte(255*min(1, max(0, v+0.05*rng.NormFloat64()))))
				}
			}
		}
	}
	return s
}
