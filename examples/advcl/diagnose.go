package main

import (
	"context"
	"fmt"
	"slices"

	"github.com/redoubt-ml/redoubt/attack"
	"github.com/redoubt-ml/redoubt/defense/advcl/finetune"
	"github.com/redoubt-ml/redoubt/defense/represent"
	"github.com/redoubt-ml/redoubt/internal/report"
	"github.com/redoubt-ml/redoubt/tensor"
)

// diagnosis is what else can be asked of the encoders of the first seed.
type diagnosis struct {
	Encoders []encoderCheck `json:"encoders"`
	// Steps and Eps are the sweeps of the paper's Figure 3.
	Steps []sweep `json:"steps"`
	Eps   []sweep `json:"eps"`

	surfaces map[string]represent.Surface
	maps     map[string]represent.Embedding
	inverted map[string]*tensor.Tensor
}

// encoderCheck is the figures of one encoder.
type encoderCheck struct {
	Method     string  `json:"method"`
	KNN        float64 `json:"knn"`
	Silhouette float64 `json:"silhouette"`
	// Corruptions is the mean accuracy on regenerated common corruptions.
	Corruptions float64 `json:"ca"`
	// Flat is the share of the loss landscape below its centre plus 0.5.
	Flat float64 `json:"flat"`
}

// sweep is accuracy along a setting of PGD.
type sweep struct {
	Method   string    `json:"method"`
	X        []float64 `json:"x"`
	Accuracy []float64 `json:"accuracy"`
}

// sweepSteps and sweepEps are the settings of the paper's Figure 3, up to its largest.
var (
	sweepSteps = []int{0, 1, 2, 5, 10, 20, 50, 100}
	sweepEps   = []float64{0, 2. / 255, 4. / 255, 8. / 255, 12. / 255, 16. / 255, 24. / 255, 32. / 255}
)

// inverted are the neurons that images are made for.
const (
	neurons        = 4
	inversionSeeds = 3 // images to start from, the last one noise
)

// diagnose looks into the encoders of the first seed.
func (e *experiment) diagnose(ctx context.Context) error {
	d := &diagnosis{surfaces: map[string]represent.Surface{}, maps: map[string]represent.Embedding{}, inverted: map[string]*tensor.Tensor{}}
	e.out.Checks = d
	for _, name := range []string{simCLR, roCL, acl, advCL, advCLPseudo, supervised} {
		if !slices.Contains(e.plan.methods, name) {
			continue
		}
		t, err := e.train(ctx, name, e.env.Seed)
		if err != nil {
			return err
		}
		if err := e.diagnoseOne(ctx, d, name, t.trained); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	return nil
}

func (e *experiment) diagnoseOne(ctx context.Context, d *diagnosis, name string, t *trained) error {
	p := e.plan.page
	stage := e.env.Stage(name+", diagnosis", -1)
	check := encoderCheck{Method: name}
	enc := represent.Network(t.encoder, "")
	bank, test := e.images.Take(5*p.probe), e.test.Take(p.probe)
	xBank, yBank := bank.All()
	xTest, yTest := test.All()
	stage.Note("neighbours")
	fBank, err := represent.Features(ctx, enc, xBank, 0)
	if err != nil {
		return err
	}
	fTest, err := represent.Features(ctx, enc, xTest, 0)
	if err != nil {
		return err
	}
	knn, err := represent.KNN{}.Accuracy(ctx, fBank, yBank, fTest, yTest)
	if err != nil {
		return err
	}
	check.KNN = knn.Value
	fMap, yMap := tensor.Slice(fTest, 0, 0, p.tsne), yTest[:p.tsne]
	if check.Silhouette, _, err = represent.Silhouette(ctx, fMap, yMap); err != nil {
		return err
	}
	stage.Note("map")
	if d.maps[name], err = (represent.TSNE{Iterations: p.iterations, Seed: e.env.Seed}).Embed(ctx, fMap); err != nil {
		return err
	}
	stage.Note("landscape")
	x, y := e.test.Take(p.landscape).All()
	land := represent.Landscape{Net: t.classifier, Points: p.points, Seed: e.env.Seed,
		Attack: &attack.PGD{Threat: attack.Threat{Norm: attack.Linf, Eps: eps}, StepSize: 2. / 255, Steps: 20, Seed: e.env.Seed}}
	surface, err := land.Run(ctx, x, y)
	if err != nil {
		return err
	}
	d.surfaces[name], check.Flat = surface, surface.Flat
	stage.Note("corruptions")
	corrupted, err := represent.CorruptionAccuracy(ctx, t.classifier, e.test.Take(p.corruptions), represent.CorruptionOptions{Seed: e.env.Seed})
	if err != nil {
		return err
	}
	check.Corruptions = corrupted.Mean
	stage.Note("sweeps")
	x, y = e.test.Take(p.sweep).All()
	protocol := finetune.Protocol{Seed: e.env.Seed}
	steps, err := protocol.StepsCurve(ctx, t.classifier, x, y, eps, sweepSteps...)
	if err != nil {
		return err
	}
	radii, err := protocol.EpsCurve(ctx, t.classifier, x, y, sweepEps...)
	if err != nil {
		return err
	}
	s, r := sweep{Method: name, Accuracy: values(steps)}, sweep{Method: name, Accuracy: values(radii)}
	for _, n := range sweepSteps {
		s.X = append(s.X, float64(n))
	}
	for _, v := range sweepEps {
		r.X = append(r.X, 255*v)
	}
	d.Steps, d.Eps = append(d.Steps, s), append(d.Eps, r)
	stage.Note("inversion")
	if d.inverted[name], err = e.invert(ctx, enc); err != nil {
		return err
	}
	d.Encoders = append(d.Encoders, check)
	return nil
}

// invert makes images that drive some neurons, from two test images and noise: a batch
// of neurons times seeds.
func (e *experiment) invert(ctx context.Context, enc represent.Encoder) (*tensor.Tensor, error) {
	start, _ := e.test.Batch([]int{0, 1})
	start = tensor.Concat(0, start, tensor.Uniform(e.env.Rand("inversion"), tensor.Float32, 0, 1, 1, e.test.H, e.test.W, e.test.C))
	var all []*tensor.Tensor
	for k := range neurons {
		neuron := (k + 1) * e.plan.form.Features() / (neurons + 1)
		r, err := represent.Inversion{Neuron: neuron, Steps: e.plan.page.inversion}.Run(ctx, enc, start)
		if err != nil {
			return nil, err
		}
		all = append(all, r.X)
	}
	return tensor.Concat(0, all...), nil
}

func values(estimates []attack.Estimate) []float64 {
	out := make([]float64, len(estimates))
	for i, v := range estimates {
		out[i] = v.Value
	}
	return out
}

func (e *experiment) diagnosisTables() []*report.Table {
	d := e.out.Checks
	if d == nil {
		return nil
	}
	t := report.NewTable(fmt.Sprintf("Encoders of seed %d: 20 nearest neighbours, silhouette, accuracy on regenerated corruptions (12 of 15 types), flat part of the loss landscape", e.env.Seed),
		report.Left("pretraining"), report.Right("kNN %"), report.Right("silhouette"), report.Right("CA %"), report.Right("flat %"))
	t.ID = "diagnosis"
	for _, c := range d.Encoders {
		t.AddRow(c.Method, report.InPercent(c.KNN), fmt.Sprintf("%.3f", c.Silhouette), report.InPercent(c.Corruptions), report.InPercent(c.Flat))
	}
	return []*report.Table{t,
		sweepTable("Accuracy in % by steps of PGD at 8/255 (masked gradients would keep falling)", "steps", d.Steps),
		sweepTable("Accuracy in % by eps/255 of PGD-20; what falls at one radius counts as fallen beyond", "eps", d.Eps)}
}

func sweepTable(title, what string, sweeps []sweep) *report.Table {
	columns := []report.Column{report.Left("pretraining")}
	if len(sweeps) == 0 {
		return report.NewTable(title, columns...)
	}
	for _, x := range sweeps[0].X {
		columns = append(columns, report.Right(fmt.Sprintf("%s %.3g", what, x)))
	}
	t := report.NewTable(title, columns...)
	for _, s := range sweeps {
		row := []string{s.Method}
		for _, v := range s.Accuracy {
			row = append(row, report.InPercent(v))
		}
		t.AddRow(row...)
	}
	return t
}
