package main

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/redoubt-ml/redoubt/attack"
	"github.com/redoubt-ml/redoubt/attack/minmax"
	"github.com/redoubt-ml/redoubt/internal/example"
	"github.com/redoubt-ml/redoubt/internal/plot"
	"github.com/redoubt-ml/redoubt/tensor"
	"github.com/redoubt-ml/redoubt/tensor/dataset"
)

// plan holds the sizes of the experiment.
type plan struct {
	width  int            // divides the channels of network B
	epochs map[string]int // by data set and letter
	steps  int            // of ensemble attacks; the others make 20

	ensemble, rules, gammas int // images
	calibrate               int // images to find radii on; 0 takes the paper's
	universal, transform    int // images
	groups                  int // of five images, to set weights beside difficulty

	defenseImages, defenseEpochs int       // of training against attacks
	inner                        int       // steps of an attack in it
	judged                       int       // images to attack afterwards
	weightEps                    []float64 // radii under L2 to read AMPGD's weights at
}

var (
	smallPlan = plan{
		width: 4,
		epochs: map[string]int{
			"mnist A": 8, "mnist B": 2, "mnist C": 5, "mnist D": 2,
			"cifar10 A": 15, "cifar10 C": 15, "cifar10 D": 5,
		},
		steps: 50, ensemble: 1000, calibrate: 100, rules: 250, gammas: 500, universal: 2000, transform: 500, groups: 100,
		defenseImages: 8000, defenseEpochs: 5, inner: 8, judged: 500, weightEps: []float64{0.5, 3},
	}
	miniPlan = plan{
		width: 8,
		epochs: map[string]int{
			"mnist A": 15, "mnist B": 12, "mnist C": 15, "mnist D": 6,
			"cifar10 A": 1, "cifar10 C": 1, "cifar10 D": 1,
		},
		steps: 30, ensemble: 60, calibrate: 60, rules: 40, gammas: 40, universal: 200, transform: 60, groups: 8,
		defenseImages: 2000, defenseEpochs: 6, inner: 4, judged: 60, weightEps: []float64{0.5, 3},
	}
	fullPlan = plan{
		width: 1,
		epochs: map[string]int{
			"mnist A": 50, "mnist B": 50, "mnist C": 50, "mnist D": 50,
			"cifar10 A": 250, "cifar10 C": 250, "cifar10 D": 250,
		},
		steps: 50, ensemble: 10000, rules: 10000, gammas: 10000, universal: 10000, transform: 10000, groups: 1000,
		defenseImages: 60000, defenseEpochs: 50, inner: 20, judged: 10000, weightEps: []float64{0.5, 1, 1.5, 2, 2.5, 3},
	}
)

// outcome is the result of the experiment.
type outcome struct {
	Data           map[string]string    `json:"data"`
	Models         []model              `json:"models"`
	Calibration    []calibration        `json:"calibration"`
	Ensemble       map[string]*ensemble `json:"ensemble"`
	Rules          []ruleRow            `json:"rules"`
	Gamma          []gammaRow           `json:"gamma"`
	GammaAverage   *score               `json:"gamma_average"` // of the same images, null without the sweep
	Universal      []universalRow       `json:"universal"`
	Transform      []transformRow       `json:"transform"`
	Interpretation *interpretation      `json:"interpretation"`
	Defense        []defenseRow         `json:"defense"`
	Weights        []weightRow          `json:"defense_weights"`
	Seconds        float64              `json:"seconds"`
}

// newOutcome returns an outcome whose parts are empty rather than missing, so that
// its JSON has lists for all.
func newOutcome() outcome {
	return outcome{
		Data: map[string]string{}, Models: []model{}, Calibration: []calibration{}, Ensemble: map[string]*ensemble{}, Rules: []ruleRow{}, Gamma: []gammaRow{},
		Universal: []universalRow{}, Transform: []transformRow{}, Defense: []defenseRow{}, Weights: []weightRow{},
	}
}

// model says how well a network does without attacks.
type model struct {
	Data  string  `json:"data"`
	Name  string  `json:"name"`
	Clean float64 `json:"clean"`
}

// experiment trains the networks and attacks them.
type experiment struct {
	plan
	env     *example.Env
	parts   []string
	missing string // what data would be needed for more
	nets    map[string]trained
	sets    map[string][2]*dataset.Set // training and test, by name

	weights *minmax.History // of the L∞ ensemble attack
	picture []plot.GridRow  // of images that share a perturbation
	out     outcome
}

// Run fills out; when it returns an error, out holds what was reached.
func (e *experiment) Run(ctx context.Context) error {
	start := time.Now()
	defer func() { e.out.Seconds = time.Since(start).Seconds() }()
	for _, part := range []struct {
		name string
		run  func(context.Context) error
	}{
		{"ensemble", e.attackEnsemble}, {"rules", e.compareRules}, {"gamma", e.sweepGamma},
		{"universal", e.attackGroups}, {"interpret", e.interpret}, {"transform", e.attackTransformed},
		{"defense", e.defend},
	} {
		if !slices.Contains(e.parts, part.name) || part.name == "transform" && e.sets["cifar10"][0] == nil {
			continue
		}
		if err := part.run(ctx); err != nil {
			return fmt.Errorf("%s: %w", part.name, err)
		}
	}
	return nil
}

// networks trains those of the given letters on a data set.
func (e *experiment) networks(ctx context.Context, data, which string) ([]trained, error) {
	sets := e.sets[data]
	var out []trained
	for _, a := range architectures {
		if !slices.Contains([]rune(which), rune(a.letter[0])) {
			continue
		}
		_, known := e.nets[data+" "+a.letter]
		t, err := e.fit(ctx, data, sets[0], sets[1], a)
		if err != nil {
			return nil, err
		}
		if !known {
			e.out.Models = append(e.out.Models, model{data, a.letter + " (" + a.name + ")", t.clean})
		}
		out = append(out, t)
	}
	return out, nil
}

func models(nets []trained) []attack.Model {
	out := make([]attack.Model, len(nets))
	for i, t := range nets {
		out[i] = t.model()
	}
	return out
}

// ensembleOf returns the domains of an ensemble, with the networks' names.
func ensembleOf(nets []trained, x *tensor.Tensor, y []int) *minmax.Situations {
	d := minmax.Ensemble(models(nets), x, y)
	for _, t := range nets {
		d.ModelNames = append(d.ModelNames, t.letter+" ("+t.name+")")
	}
	return d
}

// score is what one attack did to an ensemble.
type score struct {
	ASRAll   float64    `json:"asr_all"`
	Interval [2]float64 `json:"asr_all_interval"`
	Acc      []float64  `json:"acc"`
}

func scoreOf(fooled [][]bool) score {
	s := minmax.Score(fooled)
	out := score{ASRAll: s.All.Value, Interval: [2]float64{s.All.Lo, s.All.Hi}}
	for _, a := range s.Acc {
		out.Acc = append(out.Acc, a.Value)
	}
	return out
}

// liftOf compares two attacks; nil where there is no ratio to speak of.
func liftOf(a, b [][]bool) *minmax.Lift {
	if l, ok := minmax.LiftOf(a, b); ok {
		return &l
	}
	return nil
}

// attackWith runs one attack with a progress line of its own.
func (e *experiment) attackWith(ctx context.Context, name string, a minmax.APGDA, d minmax.Domains) (minmax.Result, error) {
	stage := e.env.Stage(name, d.Center().Dim(0))
	a.Seed = e.env.Seed + e.env.Stream("attack")
	a.OnProgress = func(done, _ int) { stage.Done(done) }
	return a.Run(ctx, d)
}
