package main

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"slices"

	"gonum.org/v1/gonum/stat"

	"github.com/redoubt-ml/redoubt/attack"
	"github.com/redoubt-ml/redoubt/attack/minmax"
	"github.com/redoubt-ml/redoubt/internal/plot"
	"github.com/redoubt-ml/redoubt/tensor"
)

// interpretation sets the weights of images that share a perturbation beside how hard
// each is to attack alone.
type interpretation struct {
	Groups int `json:"groups"`
	// Correlation is the mean rank correlation, within a group, of final weights and
	// least radii.
	Correlation float64 `json:"rank_correlation"`
	// HardestFirst is the share of groups whose largest weight is on the image of the
	// largest least radius; 0.2 would be chance.
	HardestFirst float64 `json:"largest_weight_on_hardest"`
	// Weights and MinEps are those of the first group.
	Weights []float64 `json:"weights"`
	MinEps  []float64 `json:"min_eps"`
}

// members is the number of images of a group, all of one class.
const members = 5

// interpret attacks groups of five images of one digit and measures each image's least
// radius under L∞.
func (e *experiment) interpret(ctx context.Context) error {
	nets, err := e.networks(ctx, "mnist", "C")
	if err != nil {
		return err
	}
	test := e.sets["mnist"][1]
	_, labels := test.All()
	x, y := test.Batch(sameLabel(labels, e.groups))
	m := nets[0].model()
	d := &minmax.Group{Model: m, X: x, Y: y, Size: members}
	a := minmax.APGDA{Threat: attack.Threat{Norm: attack.Linf, Eps: universalEps["mnist"]}, Rule: groupRule, Steps: 20, StepSize: 1. / 6}
	res, err := e.attackWith(ctx, "weights beside difficulty", a, d)
	if err != nil {
		return err
	}
	fmn := attack.FMN{Threat: attack.Threat{Norm: attack.Linf, Eps: 1}}
	alone, err := fmn.Run(ctx, m, x, y)
	if err != nil {
		return err
	}
	out := &interpretation{Groups: len(res.Weights)}
	for g, w := range res.Weights {
		eps := alone.Distance[g*members : (g+1)*members]
		out.Correlation += rankCorrelation(w, eps) / float64(out.Groups)
		if order(w)[0] == order(eps)[0] {
			out.HardestFirst += 1 / float64(out.Groups)
		}
	}
	out.Weights, out.MinEps = res.Weights[0], alone.Distance[:members]
	e.out.Interpretation = out
	e.picture = groupPicture(d, res, out)
	return nil
}

// sameLabel returns up to n groups of images of one label, label after label.
func sameLabel(labels []int, n int) []int {
	byLabel := map[int][]int{}
	var all []int
	for i, l := range labels {
		if byLabel[l] = append(byLabel[l], i); len(byLabel[l]) == members {
			all = append(all, byLabel[l]...)
			byLabel[l] = nil
			if len(all) == n*members {
				break
			}
		}
	}
	return all
}

// rankCorrelation is Spearman's, with mean ranks for equal values; 0 if all are equal.
func rankCorrelation(a, b []float64) float64 {
	r := stat.Correlation(ranks(a), ranks(b), nil)
	if math.IsNaN(r) {
		return 0
	}
	return r
}

func ranks(v []float64) []float64 {
	out := make([]float64, len(v))
	for i, a := range v {
		for _, b := range v {
			switch cmp.Compare(b, a) {
			case -1:
				out[i]++
			case 0:
				out[i] += 0.5
			}
		}
	}
	return out
}

// groupPicture shows the images of the first group, their shared perturbation and the
// results, with weights and least radii.
func groupPicture(d *minmax.Group, res minmax.Result, in *interpretation) []plot.GridRow {
	x := tensor.Slice(d.X, 0, 0, members)
	delta := tensor.Slice(res.Point, 0, 0, 1)
	perturbed := tensor.Slice(d.Inputs(res.Point), 0, 0, members)
	var weights, radii []string
	for i := range members {
		weights = append(weights, fmt.Sprintf("weight %.2f", in.Weights[i]))
		radii = append(radii, fmt.Sprintf("eps %.3f", in.MinEps[i]))
	}
	same := slices.Repeat(plot.Images(delta), members)
	return []plot.GridRow{
		{Label: "image", Images: plot.Images(x), Captions: radii},
		{Label: "shared perturbation", Images: same, Span: tensor.MaxAbs(delta)},
		{Label: "perturbed", Images: plot.Images(perturbed), Captions: weights},
	}
}
