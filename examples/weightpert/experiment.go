package main

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"strconv"
	"time"

	"github.com/redoubt-ml/redoubt/internal/example"
	"github.com/redoubt-ml/redoubt/tensor"
	"github.com/redoubt-ml/redoubt/tensor/dataset"
	"github.com/redoubt-ml/redoubt/tensor/nn"
	"github.com/redoubt-ml/redoubt/tensor/optim"
	"github.com/redoubt-ml/redoubt/weightpert"
)

// plan holds the sizes of the experiment.
type plan struct {
	widths        []int
	epochs, batch int
	steps         int // of the attack
	attackImages  int
	certify       int // images for the fast bounds
	crown         int // images for CROWN, and to attack one by one
	radius        int // images for certified radii
	bound         int // training images for the generalisation bound
	chips         int // draws of each random fault
	flips, search int // bits of the bit search, and images to search with
}

var (
	fullPlan = plan{
		widths: []int{128, 64, 32, 10}, epochs: 8, batch: 128, steps: 20,
		attackImages: 2000, certify: 1000, crown: 100, radius: 15, bound: 5000,
		chips: 5, flips: 40, search: 128,
	}
	miniPlan = plan{
		widths: []int{32, 16, 10}, epochs: 10, batch: 50, steps: 10,
		attackImages: 300, certify: 200, crown: 30, radius: 4, bound: 500,
		chips: 2, flips: 10, search: 64,
	}
)

var (
	attackEps  = []float64{0.001, 0.002, 0.003, 0.005, 0.01, 0.02}
	certifyEps = []float64{1e-5, 3e-5, 1e-4, 5e-4, 1e-3, 2e-3, 5e-3, 1e-2}
)

// key writes a size as a key of JSON.
func key(v float64) string { return strconv.FormatFloat(v, 'f', -1, 64) }

// figures are what is known of one trained network.
type figures struct {
	Name    string  `json:"name"`
	Seed    uint64  `json:"seed"`
	Train   float64 `json:"train"` // accuracy
	Test    float64 `json:"test"`
	CEGap   number  `json:"ce_gap"`  // cross-entropy on test less that on training images
	Largest float64 `json:"largest"` // largest modulus of a weight
	// CrossEntropy is the accuracy, by eps, under the universal attack that climbs
	// the cross-entropy along true gradients. Attacked is the worst under this one
	// and the three that climb, with a leak in the backward pass, the cross-entropy,
	// that of the still correct and the margin of the still correct: the same for
	// every network and size. Ensemble, for core regimes, is the worst under these
	// and a push to each class: at every size for the first seed, at 0.01 for others.
	// Relative is CrossEntropy for changes of a tenth of each weight.
	Attacked     map[string]float64 `json:"attacked"`
	Ensemble     map[string]float64 `json:"ensemble,omitempty"`
	CrossEntropy map[string]float64 `json:"cross_entropy"`
	Relative     *float64           `json:"relative_0.1,omitempty"`
	// Certified is the certified accuracy by method and eps.
	Certified map[string]map[string]float64 `json:"certified"`
	// PerImage is the accuracy, by eps, when each image is attacked with weights of
	// its own: what certificates are to be compared with.
	PerImage map[string]float64 `json:"per_image,omitempty"`
	// Same holds shares of one set of images, the first of the test set, by curve and
	// eps: certified by product, path, ibp and crown; left by the worst of the attacks
	// that change the weights once for all images (universal); and left by these and
	// one on each image alone (each).
	Same map[string]map[string]float64 `json:"same_images,omitempty"`
	// Flipped counts the images that a method certifies and that an attack of the same
	// size, on all images or on that one, gets wrong all the same; of all layers or of
	// one.
	Flipped int `json:"certified_but_flipped"`
	// AtLeast bounds the certified accuracy of IBP at eps 0.001 on unseen images
	// from below, with 99 % confidence.
	AtLeast *float64 `json:"certified_at_least"` // null where it was not reached
	// Radius is the median certified radius by method.
	Radius map[string]float64 `json:"radius,omitempty"`
	// Ratio is how many times as far CROWN certifies as the product of norms.
	Ratio number `json:"crown_over_product,omitempty"`
	// Bound is the generalisation bound at eps 0.001.
	Bound   *weightpert.GeneralizationBound `json:"bound,omitempty"`
	Vacuous *bool                           `json:"vacuous,omitempty"`
	Seconds float64                         `json:"training_seconds"`
}

// outcome is the result of the experiment.
type outcome struct {
	Data        string        `json:"data"`
	Images      [2]int        `json:"images"` // training and test
	Sizes       sizes         `json:"first_test_images"`
	Regimes     []*figures    `json:"regimes"`
	Quantised   []quantised   `json:"quantised"`
	Faults      []faults      `json:"faults"`
	Sensitivity []sensitivity `json:"sensitivity"`
	SingleLayer []single      `json:"single_layer"`
	Claims      []claim       `json:"claims"`
	Seconds     float64       `json:"seconds"`
}

// sizes are numbers of test images, the first ones, by what they are measured with;
// everything else is on all of them.
type sizes struct {
	Attacked  int `json:"attacked"`  // by attacks on all at once
	Certified int `json:"certified"` // by all but CROWN
	Each      int `json:"each"`      // certified by CROWN, and attacked one by one
	Radius    int `json:"radius"`
}

func (e *experiment) sizes() sizes {
	n := e.test.Len()
	certified := min(e.plan.certify, n)
	return sizes{min(e.attackImages, n), certified, min(e.crown, certified), min(e.radius, certified)}
}

// experiment trains, attacks and certifies.
type experiment struct {
	plan
	env         *example.Env
	regimes     []regime
	seeds       int
	train, test *dataset.Set

	out outcome
}

// number is a float64 that JSON shows as null where it has no number for it.
type number float64

// MarshalJSON writes null for what is infinite or not a number.
func (n number) MarshalJSON() ([]byte, error) {
	if v := float64(n); !math.IsNaN(v) && !math.IsInf(v, 0) {
		return json.Marshal(v)
	}
	return []byte("null"), nil
}

// start makes the lists of the outcome, which JSON then shows as lists however short.
func (e *experiment) start() {
	e.out.Regimes, e.out.Quantised, e.out.Faults = []*figures{}, []quantised{}, []faults{}
	e.out.Sensitivity, e.out.SingleLayer, e.out.Claims = []sensitivity{}, []single{}, []claim{}
}

// Run fills out; when it returns an error, out holds what was reached.
func (e *experiment) Run(ctx context.Context) error {
	start := time.Now()
	e.start()
	defer func() {
		e.out.Claims = e.claims()
		e.out.Seconds = time.Since(start).Seconds()
	}()
	e.out.Images, e.out.Sizes = [2]int{e.train.Len(), e.test.Len()}, e.sizes()
	for _, r := range e.regimes {
		for s := range e.seeds {
			if s > 0 && !r.core && !r.repeated && e.env.Scale == example.Small {
				break
			}
			if err := e.one(ctx, r, s); err != nil {
				return fmt.Errorf("%s: %w", r.name, err)
			}
		}
	}
	return nil
}

// one trains and measures one network.
func (e *experiment) one(ctx context.Context, r regime, s int) error {
	f := &figures{Name: r.name, Seed: e.env.Seed + uint64(s)}
	net, err := e.fit(ctx, r, f)
	if err != nil {
		return err
	}
	if err := e.gap(ctx, net, f); err != nil {
		return err
	}
	e.out.Regimes = append(e.out.Regimes, f)
	broken, err := e.attack(ctx, net, r, f)
	if err != nil {
		return err
	}
	n, err := weightpert.FromNN(net, e.test.H, e.test.W, e.test.C)
	if err != nil {
		return err
	}
	if err := e.certify(ctx, n, r, f, broken, s == 0); err != nil {
		return err
	}
	if s > 0 {
		return nil
	}
	if err := e.quantise(ctx, net, n, r); err != nil {
		return err
	}
	if !r.core {
		return nil
	}
	if err := e.layers(ctx, net, n, r); err != nil {
		return err
	}
	return e.singles(ctx, n, r, f)
}

// fit trains a network of the regime.
func (e *experiment) fit(ctx context.Context, r regime, f *figures) (*nn.Sequential, error) {
	start := time.Now()
	defer func() { f.Seconds = time.Since(start).Seconds() }()
	rng := rand.New(rand.NewPCG(f.Seed, e.env.Stream("weights")))
	net := newNet(rng, e.train, e.widths)
	steps := e.epochs * (e.train.Len() / e.batch)
	stage := e.env.Stage(fmt.Sprintf("training %s, seed %d", f.Name, f.Seed), steps)
	var loss nn.Loss
	if r.loss != nil {
		loss = r.loss(steps, f.Seed)
	}
	t := nn.Trainer{
		Net: net, Data: e.train, Loss: loss, Epochs: e.epochs, BatchSize: e.batch, Seed: f.Seed,
		Optimizer: r.optimizer(), Schedule: optim.Cosine(0.1, steps),
		OnStep: func(p nn.Progress) { stage.Done(p.Step + 1) },
	}
	return net, t.Run(ctx)
}

// newNet returns a network of dense layers without biases, so that weights are all
// there is to change.
func newNet(rng *rand.Rand, set *dataset.Set, widths []int) *nn.Sequential {
	layers := []nn.Layer{nn.Flatten}
	in := set.H * set.W * set.C
	for i, out := range widths {
		l := &nn.Linear{Weight: nn.FanIn(rng, in, in, out)}
		if i == 0 {
			l.AfterImage(set.H, set.W, set.C)
		} else {
			layers = append(layers, nn.ReLU)
		}
		layers = append(layers, l)
		in = out
	}
	return nn.NewSequential(layers...)
}

// gap compares training and test images.
func (e *experiment) gap(ctx context.Context, net nn.Layer, f *figures) (err error) {
	e.env.Stage("training and test images", -1)
	x, y := e.train.All()
	xt, yt := e.test.All()
	if f.Train, err = weightpert.Accuracy(ctx, net, x, y); err != nil {
		return err
	}
	if f.Test, err = weightpert.Accuracy(ctx, net, xt, yt); err != nil {
		return err
	}
	train, err := weightpert.MeanCrossEntropy(ctx, net, x, y)
	if err != nil {
		return err
	}
	test, err := weightpert.MeanCrossEntropy(ctx, net, xt, yt)
	f.CEGap = number(test - train)
	for _, w := range weightpert.Matrices(net) {
		f.Largest = max(f.Largest, tensor.MaxAbs(w))
	}
	return err
}
