package minmax

import (
	"fmt"
	"math"

	"gonum.org/v1/gonum/stat/distuv"
)

// Rate is a share between 0 and 1 with its 95 % confidence interval.
type Rate struct {
	Value float64 `json:"value"` // the share
	Lo    float64 `json:"lo"`    // lower end of the interval
	Hi    float64 `json:"hi"`    // upper end of the interval
}

// String shows the rate in percent, as in "86.0 % [80.5, 90.1]".
func (r Rate) String() string {
	return fmt.Sprintf("%.1f %% [%.1f, %.1f]", 100*r.Value, 100*r.Lo, 100*r.Hi)
}

// rateOf is the mean of n rows' shares, sum in all, with Clopper and Pearson's
// interval for as many trials as there are rows. It is exact when every share is 0
// or 1, and too wide otherwise, as such a mean varies less.
func rateOf(sum float64, n int) Rate {
	r := Rate{Value: sum / float64(n), Hi: 1}
	k, m := math.Min(sum, float64(n)), float64(n)
	if k > 0 {
		r.Lo = distuv.Beta{Alpha: k, Beta: m - k + 1}.Quantile(0.025)
	}
	if k < m {
		r.Hi = distuv.Beta{Alpha: k + 1, Beta: m - k}.Quantile(0.975)
	}
	return r
}

// Scores say how N rows did in K domains.
type Scores struct {
	Rows int `json:"rows"` // the number N that was counted
	// All is the share of rows that won in every domain: ASR_all of an ensemble,
	// ASR_gp of a group of images or of the transformed copies of an image.
	All Rate `json:"asr_all"`
	// Avg is the mean share of domains in which a row won, ASR_avg.
	Avg Rate `json:"asr_avg"`
	// Acc is the accuracy that is left in each domain, ACC.
	Acc []Rate `json:"acc"`
}

// Score counts who is fooled, N rows of K. Inputs that a model gets wrong by itself
// count as fooled, as in the paper; Filter leaves them out. Rows that are nil, which an
// interrupted attack has not reached, do not count; of no rows the scores are zero, and
// Acc is nil. It panics if rows differ in length.
//
// Wang et al., NeurIPS 2021.
func Score(fooled [][]bool) Scores {
	k := domainsOf("Score", fooled)
	if k == 0 {
		return Scores{}
	}
	s := Scores{Acc: make([]Rate, k)}
	right := make([]float64, k)
	all, avg := 0.0, 0.0
	for _, row := range fooled {
		if len(row) == 0 {
			continue
		}
		s.Rows++
		wins := 0
		for i, won := range row {
			if won {
				wins++
			} else {
				right[i]++
			}
		}
		avg += float64(wins) / float64(k)
		if wins == k {
			all++
		}
	}
	s.All, s.Avg = rateOf(all, s.Rows), rateOf(avg, s.Rows)
	for i, n := range right {
		s.Acc[i] = rateOf(n, s.Rows)
	}
	return s
}

// domainsOf returns the number of domains of all rows that are not empty, 0 if there
// are none.
func domainsOf(op string, fooled [][]bool) int {
	k := 0
	for i, row := range fooled {
		if k == 0 {
			k = len(row)
		}
		if len(row) != k && len(row) != 0 {
			panic(fmt.Sprintf("minmax: %s: row %d has %d domains, want %d", op, i, len(row), k))
		}
	}
	return k
}

// Filter returns the rows of fooled that no domain got wrong before the attack, for
// scores that credit the attack with nothing but its own work. clean says what was
// wrong then, of the same shape. Rows that are nil in either are left out. It panics if
// the rows differ in number.
func Filter(fooled, clean [][]bool) [][]bool {
	if len(clean) != len(fooled) {
		panic(fmt.Sprintf("minmax: Filter: %d rows, %d clean ones", len(fooled), len(clean)))
	}
	var out [][]bool
	for i, row := range fooled {
		if len(row) > 0 && len(clean[i]) > 0 && count(clean[i]) == 0 {
			out = append(out, row)
		}
	}
	return out
}

// Lift is how much larger an attack's All is than another's on the same rows, in
// percent of the latter: 100 (All_a/All_b - 1).
type Lift struct {
	Rows    int     `json:"rows"` // the number that was counted
	Percent float64 `json:"percent"`
	// Lo and Hi are its 95 % confidence interval, from the normal approximation of
	// the logarithm of a ratio of paired shares (Nam and Blackwelder, Statistics
	// in Medicine 2002).
	Lo float64 `json:"lo"`
	Hi float64 `json:"hi"`
}

// String shows the lift, as in "+87.2 % [70.0, 106.1]".
func (l Lift) String() string { return fmt.Sprintf("%+.1f %% [%.1f, %.1f]", l.Percent, l.Lo, l.Hi) }

// LiftOf compares two attacks on the same rows; those that are nil in either do not
// count. ok is false if either never won in all domains of a row, where there is no
// ratio to speak of. It panics if the rows differ in number, or rows of one attack in
// length.
func LiftOf(a, b [][]bool) (lift Lift, ok bool) {
	domainsOf("LiftOf", a)
	if domainsOf("LiftOf", b); len(a) != len(b) {
		panic(fmt.Sprintf("minmax: LiftOf: %d and %d rows", len(a), len(b)))
	}
	rows, both, onlyA, onlyB := 0, 0.0, 0.0, 0.0
	for i := range a {
		if len(a[i]) == 0 || len(b[i]) == 0 {
			continue
		}
		rows++
		switch wonA, wonB := count(a[i]) == len(a[i]), count(b[i]) == len(b[i]); {
		case wonA && wonB:
			both++
		case wonA:
			onlyA++
		case wonB:
			onlyB++
		}
	}
	p, q := both+onlyA, both+onlyB
	if p == 0 || q == 0 {
		return Lift{}, false
	}
	ratio := math.Log(p / q)
	spread := 1.96 * math.Sqrt((onlyA+onlyB)/(p*q))
	percent := func(v float64) float64 { return 100 * math.Expm1(v) }
	return Lift{Rows: rows, Percent: percent(ratio), Lo: percent(ratio - spread), Hi: percent(ratio + spread)}, true
}
