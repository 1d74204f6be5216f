package main

import (
	"cmp"
	"fmt"
	"math"
	"slices"

	"gonum.org/v1/gonum/stat"
)

// outcome is every figure.
type outcome struct {
	Scale      string       `json:"scale"`
	Data       string       `json:"data"`
	Network    string       `json:"network"`
	Train      int          `json:"train"`
	Test       int          `json:"test"`
	Steps      int          `json:"steps"`
	Batch      int          `json:"batch"`
	Speed      float64      `json:"gflops"` // of the machine
	Runs       []record     `json:"runs"`
	Unfinished []unfinished `json:"unfinished,omitempty"` // runs that were stopped
	Summary    []summary    `json:"summary"`
	Paired     []paired     `json:"paired"`
	Crossings  []crossing   `json:"crossings"`
	Claims     []claim      `json:"claims"`
	Checks     *diagnosis   `json:"diagnosis,omitempty"`
	Seconds    float64      `json:"seconds"`
}

// record is one method with one seed. Accuracies are shares of 1.
type record struct {
	Method  string   `json:"method"`
	Seed    uint64   `json:"seed"`
	SA      float64  `json:"sa"`     // clean
	RA8     float64  `json:"ra_8"`   // under PGD-20 at 8/255
	RA4     float64  `json:"ra_4"`   // at 4/255
	APGD    *float64 `json:"apgd_t"` // under APGD-CE and APGD-DLR-T; null if not run
	Steps   int      `json:"steps"`
	GFLOP   float64  `json:"gflop"`         // of pretraining
	Encoder float64  `json:"gflop_encoder"` // of the SimCLR encoder that it needs; 0 for none
	// Clusters is the most that pseudo-labels cost beside; no other figure counts it.
	Clusters float64 `json:"gflop_clusters,omitempty"`
	Seconds  float64 `json:"seconds"` // of pretraining
	Curve    []point `json:"curve,omitempty"`

	clean, robust []bool // of each test image
}

// point is a measurement on the way.
type point struct {
	Step  int     `json:"step"`
	GFLOP float64 `json:"gflop"` // with that of the encoder that is needed
	SA    float64 `json:"sa"`
	RA8   float64 `json:"ra_8"`
}

// at returns the point of a step; nil if there is none.
func (r *record) at(step int) *point {
	for i := range r.Curve {
		if r.Curve[i].Step == step {
			return &r.Curve[i]
		}
	}
	return nil
}

// setPoint adds a point, or replaces the one of its step.
func (r *record) setPoint(p point) {
	i, found := slices.BinarySearchFunc(r.Curve, p.Step, func(q point, step int) int { return cmp.Compare(q.Step, step) })
	if found {
		r.Curve[i] = p
		return
	}
	r.Curve = slices.Insert(r.Curve, i, p)
}

// summary is a method over all seeds.
type summary struct {
	Method   string   `json:"method"`
	SA       float64  `json:"sa_mean"`
	SASD     *float64 `json:"sa_sd"` // null for a single seed, as the others
	RA8      float64  `json:"ra_8_mean"`
	RA8SD    *float64 `json:"ra_8_sd"`
	RA4      float64  `json:"ra_4_mean"`
	APGD     *float64 `json:"apgd_t_mean"`
	GFLOP    float64  `json:"gflop"`
	Encoder  float64  `json:"gflop_encoder"`
	Clusters float64  `json:"gflop_clusters,omitempty"`
	Seconds  float64  `json:"seconds"`
	Relative float64  `json:"cost"` // GFLOP with the encoder's in parts of SimCLR's; 0 if that was not run
}

// paired is the difference of two methods on the same images and seed.
type paired struct {
	A, B string  `json:"-"`
	Name string  `json:"pair"` // "A - B"
	Seed uint64  `json:"seed"`
	SA   float64 `json:"sa"`
	RA8  float64 `json:"ra_8"`
	// RA8SE is the standard error of RA8 over images.
	RA8SE float64 `json:"ra_8_se"`
}

// claim is something that the paper says, and whether it was seen.
type claim struct {
	Text  string `json:"claim"`
	Holds bool   `json:"holds"`
	Must  bool   `json:"must"` // hold at this size
	Seen  string `json:"seen"`
}

// quickScale is what figures of -quick say about their scale.
const quickScale = "quick"

func newOutcome(e *experiment) outcome {
	scale := string(e.env.Scale)
	if e.quick {
		scale = quickScale
	}
	return outcome{
		Scale: scale, Data: e.source, Network: e.plan.form.Name, Train: e.plan.train, Test: e.plan.test,
		Steps: e.plan.total(), Batch: e.plan.batch, Speed: e.speed,
		Runs: []record{}, Summary: []summary{}, Paired: []paired{}, Crossings: []crossing{}, Claims: []claim{},
	}
}

// of returns the runs of a method.
func (o *outcome) of(name string) (out []record) {
	for _, r := range o.Runs {
		if r.Method == name {
			out = append(out, r)
		}
	}
	return out
}

// methods are the names of the methods that ran, in order.
func (o *outcome) methods() (names []string) {
	for _, r := range o.Runs {
		if !slices.Contains(names, r.Method) {
			names = append(names, r.Method)
		}
	}
	return names
}

// pairs are the comparisons of the table of differences.
var pairs = [][2]string{{advCL, acl}, {advCL, roCL}, {advCLPseudo, advCL}, {advCLPseudo, acl}, {acl, simCLR}, {advCL, simCLR}, {roCL, simCLR}}

// summarise works out everything that depends on several runs.
func (o *outcome) summarise() {
	o.Summary, o.Paired = []summary{}, []paired{}
	for _, name := range o.methods() {
		runs := o.of(name)
		s := summary{Method: name, GFLOP: runs[0].GFLOP, Encoder: runs[0].Encoder, Clusters: runs[0].Clusters}
		s.SA, s.SASD = spread(runs, func(r record) float64 { return r.SA })
		s.RA8, s.RA8SD = spread(runs, func(r record) float64 { return r.RA8 })
		s.RA4, _ = spread(runs, func(r record) float64 { return r.RA4 })
		s.Seconds, _ = spread(runs, func(r record) float64 { return r.Seconds })
		if runs[0].APGD != nil {
			v, _ := spread(runs, func(r record) float64 { return *r.APGD })
			s.APGD = &v
		}
		if base := o.of(simCLR); len(base) > 0 {
			s.Relative = (s.GFLOP + s.Encoder) / base[0].GFLOP
		}
		o.Summary = append(o.Summary, s)
	}
	for _, p := range pairs {
		for _, a := range o.of(p[0]) {
			for _, b := range o.of(p[1]) {
				if a.Seed == b.Seed {
					d := paired{A: p[0], B: p[1], Name: p[0] + " - " + p[1], Seed: a.Seed, SA: a.SA - b.SA}
					d.RA8, d.RA8SE = difference(a.robust, b.robust)
					o.Paired = append(o.Paired, d)
				}
			}
		}
	}
	o.findCrossings()
	o.judge()
}

func spread(runs []record, value func(record) float64) (mean float64, sd *float64) {
	var v []float64
	for _, r := range runs {
		v = append(v, value(r))
	}
	if len(v) == 1 {
		return v[0], nil
	}
	m, s := stat.MeanStdDev(v, nil)
	return m, &s
}

// difference is the mean difference of two lists of answers, and its standard error.
func difference(a, b []bool) (mean, se float64) {
	d := make([]float64, len(a))
	for i := range a {
		if a[i] {
			d[i]++
		}
		if b[i] {
			d[i]--
		}
	}
	m, s := stat.MeanStdDev(d, nil)
	return m, s / math.Sqrt(float64(len(d)))
}

// summaryOf returns the summary of a method; nil if it did not run.
func (o *outcome) summaryOf(name string) *summary {
	for i := range o.Summary {
		if o.Summary[i].Method == name {
			return &o.Summary[i]
		}
	}
	return nil
}

// judge holds the outcome up to what the paper says.
func (o *outcome) judge() {
	o.Claims = []claim{}
	if o.Scale == quickScale {
		return // too short to say anything
	}
	plain, a, v, r := o.summaryOf(simCLR), o.summaryOf(acl), o.summaryOf(advCL), o.summaryOf(roCL)
	if plain != nil {
		least, who := math.Inf(1), ""
		for _, s := range o.Summary {
			if s.Method != simCLR && s.Method != random && s.RA8 < least {
				least, who = s.RA8, s.Method
			}
		}
		if who != "" {
			o.Claims = append(o.Claims, claim{
				Text: "robust accuracy at 8/255 of SimCLR at least 5 points below that of every method with attacks", Holds: least-plain.RA8 >= 0.05, Must: true,
				Seen: fmt.Sprintf("SimCLR %.1f %%, the least of the others %.1f %% (%s)", 100*plain.RA8, 100*least, who),
			})
		}
	}
	if a != nil && v != nil {
		o.Claims = append(o.Claims, claim{
			Text: "clean accuracy of AdvCL at least that of ACL", Holds: v.SA >= a.SA, Must: true,
			Seen: fmt.Sprintf("AdvCL %.1f %%, ACL %.1f %%", 100*v.SA, 100*a.SA),
		})
	}
	for _, other := range []*summary{a, r} {
		if other == nil || v == nil {
			continue
		}
		better, of := 0, 0
		for _, p := range o.Paired {
			if p.A == advCL && p.B == other.Method {
				of++
				if p.RA8 > 0 {
					better++
				}
			}
		}
		o.Claims = append(o.Claims, claim{
			Text: "robust accuracy of AdvCL above that of " + other.Method + " under a linear probe (an open question at this size)", Holds: v.RA8 > other.RA8,
			Seen: fmt.Sprintf("AdvCL %.1f %%, %s %.1f %%; above it in %d of %d seeds", 100*v.RA8, other.Method, 100*other.RA8, better, of),
		})
	}
}
