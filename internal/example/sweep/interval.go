package sweep

import (
	"math"

	"gonum.org/v1/gonum/stat"
	"gonum.org/v1/gonum/stat/distuv"

	"github.com/redoubt-ml/redoubt/attack"
)

// Figure is one figure over the seeds of a sweep.
type Figure struct {
	// Name leads to the figure in the program's JSON.
	Name string `json:"figure"`
	// Entry says that the figure is an entry of a matrix.
	Entry bool `json:"-"`
	// N is the number of seeds that have the figure, Absent of those that have not.
	N      int `json:"n"`
	Absent int `json:"absent"`
	// Mean is the mean over seeds, of truth values the share that is true; null if it is
	// too large for a number.
	Mean *float64 `json:"mean"`
	// SD is the standard deviation over seeds, with n-1 below the line; null for one
	// seed and for truth values.
	SD *float64 `json:"sd"`
	// Lo and Hi bound the mean with 95 % confidence: by Student's t for numbers; null
	// for one seed, which says nothing of others. The share of truth values has the
	// exact interval of Clopper and Pearson, and so has that of the images that are
	// right for every seed, which is over images.
	Lo *float64 `json:"lo"`
	Hi *float64 `json:"hi"`
}

// numbersFigure sums up numbers, one for each seed.
func numbersFigure(v []float64) Figure {
	f := Figure{N: len(v)}
	mean, sd := stat.MeanStdDev(v, nil)
	f.Mean = finite(mean)
	if len(v) < 2 {
		return f
	}
	half := studentT(len(v)-1) * sd / math.Sqrt(float64(len(v)))
	f.SD, f.Lo, f.Hi = finite(sd), finite(mean-half), finite(mean+half)
	return f
}

// truthsFigure sums up truth values, one for each seed.
func truthsFigure(v []bool) Figure {
	holds := 0
	for _, ok := range v {
		if ok {
			holds++
		}
	}
	e := attack.NewEstimate(holds, len(v))
	return Figure{N: len(v), Mean: &e.Value, Lo: &e.Lo, Hi: &e.Hi}
}

// studentT is the number of standard errors on either side of a mean that hold 95 % of
// Student's distribution with the given degrees of freedom.
func studentT(freedom int) float64 {
	return distuv.StudentsT{Sigma: 1, Nu: float64(freedom)}.Quantile(0.975)
}

func finite(v float64) *float64 {
	if math.IsNaN(v) || math.IsInf(v, 0) {
		return nil
	}
	return &v
}
