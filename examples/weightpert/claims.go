package main

import (
	"fmt"
	"strings"

	"github.com/redoubt-ml/redoubt/internal/report"
)

// claim is a statement about the regimes that every seed has to bear out.
type claim struct {
	Claim string `json:"claim"`
	// Found has one value for each seed on which both regimes were trained.
	Found []number `json:"found"`
	Want  string   `json:"want"`
	Holds bool     `json:"holds"` // for every seed
}

// statement compares two networks that differ in their training only.
type statement struct {
	text      string
	one, base string // names of regimes
	value     func(one, base *figures) float64
	want      string
	holds     func(float64) bool
}

func above(limit float64) func(float64) bool { return func(v float64) bool { return v > limit } }

func atLeast(limit float64) func(float64) bool { return func(v float64) bool { return v >= limit } }

// points is a difference in points of per cent.
func points(one, base float64) float64 { return 100 * (one - base) }

var statements = []statement{
	{"training with the margin bound keeps more accuracy at eps 0.01 under the worst attack, points", "lambda-0.01", "standard",
		func(a, b *figures) float64 { return points(a.Ensemble[key(0.01)], b.Ensemble[key(0.01)]) }, "> 40", above(40)},
	{"its gap of cross-entropy beside that of plain training", "lambda-0.01", "standard",
		func(a, b *figures) float64 { return float64(a.CEGap / b.CEGap) }, "< 1/3", func(v float64) bool { return v < 1./3 }},
	{"the product of norms certifies it at eps 0.001, %", "lambda-0.01", "lambda-0.01",
		func(a, _ *figures) float64 { return 100 * a.Certified["product"][key(1e-3)] }, ">= 90", atLeast(90)},
	{"the product of norms certifies plain training at eps 0.001, %", "standard", "standard",
		func(a, _ *figures) float64 { return 100 * a.Certified["product"][key(1e-3)] }, "0", func(v float64) bool { return v == 0 }},
	{"and under changes of a tenth of each weight, which scaling a network does not answer, points", "lambda-0.01", "standard",
		func(a, b *figures) float64 { return points(*a.Relative, *b.Relative) }, "> 10", above(10)},
	{"IBP training is ahead of the margin bound on clean images, points", "ibp-0.005", "lambda-0.01",
		func(a, b *figures) float64 { return points(a.Test, b.Test) }, "> 0", above(0)},
	{"IBP training is ahead under the worst attack at eps 0.01, points", "ibp-0.005", "lambda-0.01",
		func(a, b *figures) float64 { return points(a.Ensemble[key(0.01)], b.Ensemble[key(0.01)]) }, "> 0", above(0)},
	{"IBP training is ahead in images that IBP certifies at eps 0.005, points", "ibp-0.005", "lambda-0.01",
		func(a, b *figures) float64 {
			return points(a.Certified["ibp"][key(5e-3)], b.Certified["ibp"][key(5e-3)])
		}, "> 0", above(0)},
	{"a penalty on norms alone lowers the gap of cross-entropy, ratio", "mu-0.001", "standard",
		func(a, b *figures) float64 { return float64(a.CEGap / b.CEGap) }, "< 1", func(v float64) bool { return v < 1 }},
	{"and gains nothing under the worst attack at eps 0.005, points", "mu-0.001", "standard",
		func(a, b *figures) float64 { return points(a.Attacked[key(5e-3)], b.Attacked[key(5e-3)]) }, "< 5", func(v float64) bool { return v < 5 }},
}

// claims checks the statements whose regimes were trained. All but the first, that no
// certificate is false, are about the complete data set: small ones give no others.
func (e *experiment) claims() []claim {
	out := []claim{}
	if flipped, ok := e.flipped(); ok {
		out = append(out, claim{Claim: "images that a method certifies and an attack gets wrong, all regimes", Found: []number{number(flipped)}, Want: "0", Holds: flipped == 0})
	}
	if len(e.widths) != len(fullPlan.widths) {
		return out
	}
	for _, s := range statements {
		c := claim{Claim: s.one + ": " + s.text, Want: s.want, Holds: true}
		for _, base := range e.out.Regimes {
			if base.Name != s.base {
				continue
			}
			for _, one := range e.out.Regimes {
				if one.Name == s.one && one.Seed == base.Seed && one.measured() && base.measured() {
					v := s.value(one, base)
					c.Found = append(c.Found, number(v))
					c.Holds = c.Holds && s.holds(v)
				}
			}
		}
		if len(c.Found) > 0 {
			out = append(out, c)
		}
	}
	for _, f := range e.out.Regimes {
		if f.Name == "standard" && f.Ratio > 0 {
			out = append(out, claim{Claim: "standard: CROWN certifies further than the product of norms, median radii, times",
				Found: []number{f.Ratio}, Want: ">= 30", Holds: f.Ratio >= 30})
		}
	}
	return out
}

// flipped counts the certified images that were got wrong, over all regimes that were
// attacked and certified.
func (e *experiment) flipped() (n int, ok bool) {
	for _, f := range e.out.Regimes {
		if f.measured() {
			n, ok = n+f.Flipped, true
		}
	}
	return n, ok
}

// measured says whether attacks and certificates of the network are complete.
func (f *figures) measured() bool {
	return f.Relative != nil && len(f.Attacked) == len(attackEps) && len(f.Certified["crown"]) == len(certifyEps)
}

func (e *experiment) claimTable() *report.Table {
	t := report.NewTable("What training changes, each seed", report.Left("statement"), report.Right("found"), report.Right("expected"), report.Left("holds"))
	t.ID = "claims"
	for _, c := range e.out.Claims {
		var found []string
		for _, v := range c.Found {
			found = append(found, fmt.Sprintf("%.3g", v))
		}
		holds := "yes"
		if !c.Holds {
			holds = "NO"
		}
		t.AddRow(c.Claim, strings.Join(found, ", "), c.Want, holds)
	}
	return t
}
