package sweep

import (
	"fmt"

	"github.com/redoubt-ml/redoubt/attack"
)

// WorstName is the name of the figure that AddWorst adds.
const WorstName = "worst over seeds"

// AddWorst adds the share of images that are right for every seed to the figures, as the
// first, with its exact interval over images, and says whether it did. The list named key
// in each result says which images are right; the seeds are tries of one attack on one
// model where all lines have data of the name model. An error names the place of a line
// with answers for another number of images.
func (m *Merged) AddWorst(lines []Located, key, model string) (bool, error) {
	var right []bool
	seeds := map[Unit]bool{}
	for _, l := range lines {
		if l.Data[model] == "" {
			return false, nil
		}
		tree, err := parse(l.Result)
		if err != nil {
			return false, fmt.Errorf("%s: %w", l.Place(), err)
		}
		o, _ := tree.(object)
		answers, _ := o.get(key).(list)
		if right == nil {
			right = make([]bool, len(answers))
			for i := range right {
				right[i] = true
			}
		}
		if len(answers) == 0 || len(answers) != len(right) {
			return false, fmt.Errorf("%s: %d answers in %s, want one for each image, of which %s has %d", l.Place(), len(answers), key, lines[0].Place(), len(right))
		}
		for i, a := range answers {
			ok, _ := a.(bool)
			right[i] = right[i] && ok
		}
		seeds[l.Unit] = true
	}
	n := 0
	for _, ok := range right {
		if ok {
			n++
		}
	}
	e := attack.NewEstimate(n, len(right))
	m.Figures = append([]Figure{{Name: WorstName, N: len(seeds), Mean: &e.Value, Lo: &e.Lo, Hi: &e.Hi}}, m.Figures...)
	return true, nil
}
