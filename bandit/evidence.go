package bandit

import (
	"math"
	"sort"
)

// Evidence that the mean of an arm lies above a number m, from contaminated
// rewards X of deviation 1, is a process that starts at 1 and whose expectation
// never grows while the mean is at most m, so that by Ville's inequality it ever
// reaches 1/alpha with probability at most alpha, whatever the sampling and stopping.
// A product over pulls of
//
//	g(X - m) = exp(clip(l (X-m) - l²/2, -a, a)) / N
//
// is one if N is at least what contamination can make of the expectation of the
// exponential. Under an oblivious or prescient adversary each factor is at most
// (1-D) g(Y-m) + D e^a/N with independent (Y, D) whatever the adversary knows, and
// under a malicious one mass eps moves from no less than e^-a to e^a:
//
//	N = (1-eps) E + eps e^a   or   N = E + eps (e^a - e^-a),
//
// with E a bound on the expectation of exp(clip(l (Y-m) - l²/2, -a, a)) for clean Y of
// mean m. The exponential increases, so E covers all smaller means.
//
// For Gaussian rewards and a = ln c of the least favourable pair at distance l, g is
// its likelihood ratio and N = 1: the evidence grows at KL_eps(l) if the mean is
// m + l, which no test beats. For sub-Gaussian rewards
//
//	E = 1 + l sqrt(2π) Q(l/2 + a/l),
//
// since without the lower clip the expectation is at most 1, and by parts that clip
// adds the integral of l exp(l y - l²/2) P(Y-m <= y) over y <= y_a = l/2 - a/l, with
// P(Y-m <= y) <= exp(-y²/2). l and a maximise the growth at a Gaussian of mean m + x.
//
// A mixture of such processes over l is again one, and needs no union bound over
// time.
type component struct {
	tilt, clip float64 // l and a
	norm       float64 // ln N
	weight     float64 // logarithm of the share in the mixture
}

// constantShare is the share of the constant 1 in the mixture: what is left of
// the evidence when the rewards speak against it.
const constantShare = 0.2

// mixtureSize is the number of distances in the mixture.
const mixtureSize = 16

// mixture returns components for distances x = x0 + 2, x0 + 1, x0 + 1/2, ... with
// x0 = 2 b, below which evidence does not grow. Shares fall as 1/k² so that a gap of
// any size costs little more than the logarithm of its own logarithm.
func mixture(bias, eps float64, a Adversary, gaussian bool) []component {
	var mix []component
	for k := range mixtureSize {
		x := 2*bias + math.Ldexp(2, -k)
		c := component{tilt: x, clip: math.Inf(1)}
		if eps > 0 && gaussian {
			c.clip = clipLevel(x, eps, a)
		} else if eps > 0 {
			c.tilt, c.clip = subGaussianTilt(x, eps, a)
			c.norm = subGaussianNorm(c.tilt, c.clip, eps, a)
		}
		if c.clip == 0 || growth(c, x, eps) <= 0 {
			continue
		}
		share := 3 / float64((k+3)*(k+4))
		c.weight = math.Log((1 - constantShare) * share)
		mix = append(mix, c)
	}
	return mix
}

// subGaussianNorm is ln N for 1-sub-Gaussian rewards.
func subGaussianNorm(l, a, eps float64, adversary Adversary) float64 {
	e := 1 + l*math.Sqrt(2*math.Pi)*normalTail(l/2+a/l)
	if adversary == Malicious {
		return math.Log(e + eps*(math.Exp(a)-math.Exp(-a)))
	}
	return math.Log((1-eps)*e + eps*math.Exp(a))
}

// growth is the expected logarithm of g for a Gaussian of mean m + x whose
// outliers all speak against it.
func growth(c component, x, eps float64) float64 {
	if math.IsInf(c.clip, 1) {
		return c.tilt*x - c.tilt*c.tilt/2 - c.norm
	}
	clipped := clippedNormalMean(c.tilt*x-c.tilt*c.tilt/2, c.tilt, c.clip)
	return (1-eps)*clipped - eps*c.clip - c.norm
}

// subGaussianTilt returns the l and a of the fastest growth at distance x.
func subGaussianTilt(x, eps float64, adversary Adversary) (l, a float64) {
	best := func(l float64) (float64, float64) {
		a, least := goldenMin(func(a float64) float64 {
			return -growth(component{tilt: l, clip: a, norm: subGaussianNorm(l, a, eps, adversary)}, x, eps)
		}, 0, 12, 50)
		return a, least
	}
	l, _ = goldenMin(func(l float64) float64 {
		_, least := best(l)
		return least
	}, 1e-6, 2*x+1, 50)
	a, _ = best(l)
	return l, a
}

// evidence evaluates the processes of one arm in units of sigma.
type evidence struct {
	n       int
	sum     float64   // of the rewards, at eps = 0
	x       []float64 // increasing, at eps > 0
	centre  float64
	prefix  []float64 // prefix[i] is the sum of the first i of x - centre, cut to ± reach
	inverse float64   // 1/sigma
}

// reach bounds the terms of the prefix sums, in units of sigma, so that outliers
// do not take the digits of the rest.
const reach = 1e6

// rebuild takes up a sample that has grown.
func (e *evidence) rebuild(s Sample, sigma float64) {
	e.inverse = 1 / sigma
	e.n = s.Len()
	switch s := s.(type) {
	case *meanSample:
		e.sum = s.sum
	case *huberSample:
		e.x = s.x
		e.centre = max(-math.MaxFloat64, min(s.median(), math.MaxFloat64))
		e.prefix = append(e.prefix[:0], 0)
		total := 0.0
		for _, v := range e.x {
			total += max(-reach, min((v-e.centre)*e.inverse, reach))
			e.prefix = append(e.prefix, total)
		}
	}
}

// score returns sum of clip(l (X-m) - l²/2, -a, a) - ln N, or with side = -1 that of
// the mirrored rewards, evidence that the mean is below m.
func (e *evidence) score(c *component, m, side float64) float64 {
	n := float64(e.n)
	if math.IsInf(c.clip, 1) {
		return side*c.tilt*(e.sum-n*m)*e.inverse - n*(c.tilt*c.tilt/2+c.norm)
	}
	// Rewards between lo and hi are not clipped.
	middle, half := m+side*c.tilt/2/e.inverse, c.clip/c.tilt/e.inverse
	from := sort.SearchFloat64s(e.x, middle-half)
	to := from + sort.SearchFloat64s(e.x[from:], middle+half)
	inside := float64(to - from)
	sum := 0.0
	if math.Abs(middle-e.centre)+half < reach/e.inverse {
		sum = e.prefix[to] - e.prefix[from] - inside*(middle-e.centre)*e.inverse
	} else {
		for _, v := range e.x[from:to] {
			sum += (v - middle) * e.inverse
		}
	}
	outside := float64(len(e.x)-to) - float64(from)
	return side*(c.tilt*sum+c.clip*outside) - n*c.norm
}

// log returns the logarithm of the evidence that the mean is above m (side = 1) or
// below it (side = -1). It is at least ln constantShare.
//
// A component that can hardly move with so few rewards stands in with the least
// that it can be, which only lowers the evidence.
func (e *evidence) log(mix []component, m, side float64) float64 {
	var terms [mixtureSize]float64
	top := math.Log(constantShare)
	for k := range mix {
		c := &mix[k]
		if least := -float64(e.n) * (c.clip + c.norm); least > -0.1 {
			terms[k] = c.weight + least
		} else {
			terms[k] = c.weight + e.score(c, m, side)
		}
		top = max(top, terms[k])
	}
	sum := math.Exp(math.Log(constantShare) - top)
	for _, t := range terms[:len(mix)] {
		if t > top-40 {
			sum += math.Exp(t - top)
		}
	}
	return top + math.Log(sum)
}
