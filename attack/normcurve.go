package attack

import (
	"fmt"
	"math"
	"slices"

	"github.com/redoubt-ml/redoubt/internal/ask"
	"github.com/redoubt-ml/redoubt/tensor"
)

// NormCurve is the accuracy of a model against the radius of the ball, exact for the
// adversaries that were found: the share of inputs that are right and have none
// within the radius. It is an upper bound of the robust accuracy at every radius at
// once, and close to it when the adversaries come from attacks that look for the
// nearest one: FAB with Minimize, DDN, FMN, DeepFool, C&W, EAD.
type NormCurve struct {
	Norm Norm `json:"norm"`
	// Total is the number of inputs.
	Total int `json:"total"`
	// Falls holds the distances, ascending, at which inputs fall: 0 for those
	// that are wrong by themselves. Inputs without an adversary are not in it.
	Falls []float64 `json:"falls"`
}

// NewNormCurve returns the curve of the inputs x [N, ...] of a report, measured in a
// norm: for each input the nearest adversary of all attacks of the report, which may
// be of any norm. It panics if the report is of another number of inputs.
func NewNormCurve(norm Norm, x *tensor.Tensor, rep Report) NormCurve {
	n := len(rep.Right)
	if n == 0 || x.Dim(0) != n {
		panic(fmt.Sprintf("attack: NewNormCurve: report on %d inputs, inputs %v", n, x.Shape()))
	}
	x = ask.OffTape(x)
	nearest := make([]float64, n)
	for i := range nearest {
		nearest[i] = math.Inf(1)
		if !rep.CleanRight[i] {
			nearest[i] = 0
		}
	}
	for _, a := range rep.Attacks {
		d := Threat{Norm: norm}.Distance(a.Result.X, x)
		for i, right := range a.Right {
			if !right {
				nearest[i] = min(nearest[i], d[i])
			}
		}
	}
	c := NormCurve{Norm: norm, Total: n}
	for _, d := range nearest {
		if !math.IsInf(d, 1) {
			c.Falls = append(c.Falls, d)
		}
	}
	slices.Sort(c.Falls)
	return c
}

// At returns the accuracy at a radius, 0 or more: adversaries at exactly that
// distance are within it.
func (c NormCurve) At(eps float64) Estimate {
	fallen, _ := slices.BinarySearchFunc(c.Falls, eps, func(d, eps float64) int {
		if d <= eps {
			return -1
		}
		return 1
	})
	return NewEstimate(c.Total-fallen, c.Total)
}

// Steps returns the corners of the step function: radii in ascending order, from 0
// on, and the accuracy from each of them up to the next.
func (c NormCurve) Steps() (eps []float64, accuracy []float64) {
	add := func(e float64, fallen int) {
		eps = append(eps, e)
		accuracy = append(accuracy, float64(c.Total-fallen)/float64(c.Total))
	}
	if len(c.Falls) == 0 || c.Falls[0] > 0 {
		add(0, 0)
	}
	for i, d := range c.Falls {
		if i+1 == len(c.Falls) || c.Falls[i+1] > d {
			add(d, i+1)
		}
	}
	return eps, accuracy
}

// Median returns the distance at which half of the inputs have fallen, rounded up,
// and +Inf if fewer ever do.
func (c NormCurve) Median() float64 {
	if k := (c.Total + 1) / 2; k <= len(c.Falls) {
		return c.Falls[k-1]
	}
	return math.Inf(1)
}
