package bandit

import (
	"fmt"
	"math"
	"slices"
)

// MedianOfMeans is the median of the means of k = ceil(8 L) blocks in order of
// arrival, of equal size, or of sizes n/k rounded down and up where k does not
// divide n, for rewards of deviation at most Sigma, c = 1: it is within Sigma sqrt(32 L/n) of
// mu but for a probability of exp(-L). Of fewer than k rewards it is the median. It
// handles heavy tails; it survives fewer than k/2 outliers, not a share of them, so an
// Eps above 0 is an error.
//
// Lugosi and Mendelson, Foundations of Computational Mathematics 2019, Theorem 2.
type MedianOfMeans struct {
	Sigma float64 // bound on the standard deviation, positive
}

var _ Estimator = MedianOfMeans{}

// Name implements Estimator.
func (MedianOfMeans) Name() string { return "MoM" }

// Prepare implements Estimator.
func (e MedianOfMeans) Prepare(s Setting) (Family, error) {
	if err := checkSigma("MedianOfMeans", e.Sigma); err != nil {
		return nil, err
	}
	if err := s.clean("MedianOfMeans"); err != nil {
		return nil, err
	}
	f := &arrivalFamily{sigma: e.Sigma, setting: s, events: 1, estimate: medianOfMeans}
	f.shared = shared{radius: func(j int) float64 {
		n, l := float64(s.Grid.Size(j)), s.level(j, 1)
		if n < math.Ceil(8*l) {
			return math.Inf(1)
		}
		return e.Sigma * math.Sqrt(32*l/n)
	}}
	return f, nil
}

func medianOfMeans(x []float64, l, _ float64) float64 {
	k := min(int(math.Ceil(8*l)), len(x))
	var means ordered
	for b := range k {
		from, to := b*len(x)/k, (b+1)*len(x)/k
		sum := 0.0
		for _, v := range x[from:to] {
			sum += v / float64(to-from)
		}
		means.insert(sum)
	}
	return means.median()
}

// Catoni is Catoni's M-estimator for rewards of deviation at most Sigma, c = 2:
// the root t of sum psi(alpha (X_i - t)), psi(x) = sign(x) ln(1 + |x| + x²/2),
//
//	alpha = sqrt( 2 L / (n Sigma² (1 + 2 L/(n - 2 L))) ),
//
// is within Sigma sqrt(2 L/(n - 2 L)) of mu, each side failing with probability at
// most exp(-L), for n > 2 L; of fewer rewards the estimate is their median. psi is not
// bounded: an outlier pulls with the logarithm of its distance. An Eps above 0 is an
// error.
//
// Catoni, Annales de l'IHP 2012, Proposition 2.4.
type Catoni struct {
	Sigma float64 // bound on the standard deviation, positive
}

var _ Estimator = Catoni{}

// Name implements Estimator.
func (Catoni) Name() string { return "Catoni" }

// Prepare implements Estimator.
func (e Catoni) Prepare(s Setting) (Family, error) {
	if err := checkSigma("Catoni", e.Sigma); err != nil {
		return nil, err
	}
	if err := s.clean("Catoni"); err != nil {
		return nil, err
	}
	f := &arrivalFamily{sigma: e.Sigma, setting: s, events: 2, estimate: catoniRoot}
	f.shared = shared{radius: func(j int) float64 {
		n, l := float64(s.Grid.Size(j)), s.level(j, 2)
		if n <= 2*l {
			return math.Inf(1)
		}
		return e.Sigma * math.Sqrt(2*l/(n-2*l))
	}}
	return f, nil
}

func catoniRoot(x []float64, l, sigma float64) float64 {
	n := float64(len(x))
	if n <= 2*l {
		return medianOf(slices.Sorted(slices.Values(x)))
	}
	alpha := math.Sqrt(2*l/(n*(1+2*l/(n-2*l)))) / sigma
	lo, hi := x[0], x[0]
	for _, v := range x {
		lo, hi = min(lo, v), max(hi, v)
	}
	for range 200 {
		mid := lo/2 + hi/2
		if mid <= lo || mid >= hi {
			break
		}
		sum := 0.0
		for _, v := range x {
			sum += catoniPsi(alpha * (v - mid))
		}
		if sum > 0 {
			lo = mid
		} else {
			hi = mid
		}
	}
	return hi
}

func catoniPsi(x float64) float64 {
	a := math.Abs(x)
	if a > 1e100 {
		// a²/2 alone, in a form that does not overflow; the rest is lost in rounding.
		return math.Copysign(2*math.Log(a)-math.Ln2, x)
	}
	return math.Copysign(math.Log1p(a+a*a/2), x)
}

// arrivalFamily is for estimators that need the rewards in their order of arrival.
type arrivalFamily struct {
	shared
	sigma    float64
	setting  Setting
	events   int // c
	estimate func(x []float64, l, sigma float64) float64
}

func (f *arrivalFamily) NewSample() Sample { return &arrivalSample{f: f} }

type arrivalSample struct {
	f *arrivalFamily
	x []float64
}

func (s *arrivalSample) Add(rewards []float64) error {
	for i, x := range rewards {
		if math.Abs(x) > math.MaxFloat64/4 {
			return fmt.Errorf("reward %d of %d is %v, want a number of moderate size for an estimator that is not robust", i+1, len(rewards), x)
		}
	}
	s.x = append(s.x, rewards...)
	return nil
}

func (s *arrivalSample) Len() int { return len(s.x) }

func (s *arrivalSample) Interval(j int) Interval {
	return symmetric(s.f.estimate(s.x, s.f.setting.level(j, s.f.events), s.f.sigma), s.f.radius(j), 0)
}

func (s *arrivalSample) rank(j int) float64 {
	return cut(s.f.estimate(s.x, s.f.setting.rankLevel(j, s.f.events), s.f.sigma))
}

func (s *arrivalSample) MarshalBinary() ([]byte, error) { return packFloats(s.x), nil }

func (s *arrivalSample) UnmarshalBinary(b []byte) error {
	_, x, err := unpackFloats(b, 0)
	if err != nil {
		return err
	}
	s.x = nil
	return s.Add(x)
}
