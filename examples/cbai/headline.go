package main

import (
	"fmt"
	"strconv"

	"github.com/redoubt-ml/redoubt/bandit"
	"github.com/redoubt-ml/redoubt/internal/report"
)

// headline is the table of the few cells that tell the story, with intervals of the share
// of wrong answers; all of them are in -json and in report.html.
func (e *experiment) headline() *report.Table {
	t := report.NewTable("The best arm under contaminated rewards",
		report.Left("on"), report.Right("eps"), report.Left("mode"), report.Left("estimator"),
		report.Left("rule"), report.Right("runs"), report.Right("pulls"), report.Left("wrong, %"), report.Right("no answer"), report.Right("worst case"))
	t.ID = "headline"
	gap, se, ratio := bandit.GapBased{}.Name(), bandit.Elimination{}.Name(), bandit.Likelihood{}.Name()
	for _, row := range []struct {
		group, instance, attack, estimator, rule string
		mode                                     bandit.Mode
		eps                                      float64
	}{
		{groupNaive, "I1", "A1", "mean", gap, cert, .05},
		{groupReference, "I1", "A1", "ALT", gap, cert, .05},
		{groupReference, "I1", "A1", "MED", gap, cert, .05},
		{groupMedian, "I1", "A1", "SGN", gap, cert, .05},
		{groupReference, "I1", "A1", "TM", gap, cert, .05},
		{groupReference, "I1", "A1", "HM", se, cert, .05},
		{groupReference, "I1", "A1", "HM", gap, cert, .05},
		{groupReference, "I1", "A1", "HM", gap, assume, .05},
		{groupRatio, "I1", "A1", "HM", ratio, cert, .05},
		{groupReference, "I1", "A1", "HG", gap, cert, .05},
		{groupRatio, "I1", "A1", "HG", ratio, cert, .05},
		{groupRatio, "I2", "A3", "HM", gap, cert, .02},
		{groupReference, "I4", "A1", "MED", gap, cert, .02},
		{groupReference, "I4", "A1", "HM", gap, cert, .02},
		{groupReference, "PK-WNK1", "A1", "HM", gap, assume, .05},
		{groupReference, "NY509", "A1", "KLB", gap, cert, .01},
	} {
		c := e.find(row.group, func(c *cell) bool {
			return c.Instance == row.instance && c.Adversary == row.attack && c.Estimator == row.estimator && c.Rule == row.rule &&
				c.Mode == row.mode.String() && c.Eps == row.eps && c.Delta == .1 && c.Eta == 1.1
		})
		if c == nil {
			continue
		}
		mode := "certified"
		if row.mode == assume {
			mode = "assume"
		}
		t.AddRow(c.Instance+", "+c.Adversary, number(c.Eps), mode, c.Estimator, c.Rule, strconv.Itoa(c.Trials), fmt.Sprintf("%.0f", c.MeanPulls),
			c.interval(), report.Percent(c.Unfinished), optional("%.1f", c.LowerBound))
	}
	return t
}
