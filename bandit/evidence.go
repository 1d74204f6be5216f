package bandit

import "math"

// Evidence that the mean of an arm lies above a number m, from contaminated
// rewards X of deviation 1, is a process that starts at 1. A product over pulls of
//
//	g(X - m) = exp(clip(l (X-m) - l²/2, -a, a)) / N
//
// is never more than the product M of the same factors with e^a/N for each replaced
// reward. While the mean is at most m, the expectation of M does not grow from one
// pull of the arm to the next, if N is at least what contamination can make of the
// expectation of the exponential. Under an oblivious or prescient adversary D is
// independent of Y, and under a malicious one mass eps moves from no less than e^-a to
// e^a:
//
//	N = (1-eps) E + eps e^a   or   N = E + eps (e^a - e^-a),
//
// with E a bound on the expectation of exp(clip(l (Y-m) - l²/2, -a, a)) for clean Y of
// mean m. The exponential increases, so E covers all smaller means. By Ville's
// inequality M, hence the evidence of one arm, ever reaches 1/alpha with
// probability at most alpha, under every adversary.
//
// The evidence of two arms is multiplied, and how many pulls of each is for the
// learner to say. If Z does not anticipate, that is, tells nothing of clean rewards
// and flags still to come, the product over all pulls in their order is again a
// process whose expectation does not grow, and reaches x with probability at most
// 1/x. That covers Oblivious. A prescient or malicious adversary may put the future
// of an arm into Z and so into the order of pulls. What is left is that the
// largest value of M over the whole of each arm's stack depends on no Z, and that
// the stacks of two arms are independent: the product of two independent variables
// with P(>= x) <= 1/x reaches x with probability at most (1 + ln x)/x.
//
// For Gaussian rewards and a = ln c of the least favourable pair at distance l, g is
// its likelihood ratio and N = 1: the evidence grows at KL_eps(l) if the mean is
// m + l, which no test beats. For sub-Gaussian rewards
//
//	E = 1 + l sqrt(2π) Q(l/2 + a/l),
//
// since without the lower clip the expectation is at most 1, and by parts that clip
// adds the integral of l exp(l y - l²/2) P(Y-m <= y) over y <= y_a = l/2 - a/l, with
// P(Y-m <= y) <= exp(-y²/2). That holds for y <= 0 alone, hence a >= l²/2. Under
// that condition l and a maximise the growth at a Gaussian of mean m + x.
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

var logConstantShare = math.Log(constantShare)

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

// evidenceThreshold returns the logarithm of an x that the evidence of two arms for
// what is false reaches with probability at most alpha, in (0, 1).
func evidenceThreshold(alpha float64, a Adversary) float64 {
	if a == Oblivious {
		return -math.Log(alpha)
	}
	// (1 + L) exp(-L) falls from 1 at L = 0.
	lo, hi := 0.0, 1.0
	for math.Log1p(hi)-hi > math.Log(alpha) {
		lo, hi = hi, 2*hi
	}
	for range 60 {
		if mid := lo + (hi-lo)/2; math.Log1p(mid)-mid > math.Log(alpha) {
			lo = mid
		} else {
			hi = mid
		}
	}
	return hi
}

// subGaussianNorm is ln N for 1-sub-Gaussian rewards, a >= l²/2.
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

// subGaussianTilt returns the l and a of the fastest growth at distance x, among
// those with a >= l²/2. Growth may have more than one peak, and at large eps the
// positive one is small, so a grid finds the peak and nested searches refine it.
func subGaussianTilt(x, eps float64, adversary Adversary) (l, a float64) {
	const steps = 24
	// a = l (l/2 + u) with u >= 0: u is the height of the clip in units of sigma.
	cost := func(l, u float64) float64 {
		a := l * (l/2 + u)
		return -growth(component{tilt: l, clip: a, norm: subGaussianNorm(l, a, eps, adversary)}, x, eps)
	}
	ratio := math.Pow(64*(2*x+1)/x, 1.0/steps)
	height := (math.Sqrt(-2*math.Log(eps)) + 4) / steps
	least, u := math.Inf(1), 0.0
	for i := range steps + 1 {
		for k := range steps + 1 {
			at, up := x/64*math.Pow(ratio, float64(i)), float64(k)*height
			if c := cost(at, up); c < least {
				least, l, u = c, at, up
			}
		}
	}
	from, to := max(0, u-height), u+height
	best := func(l float64) (float64, float64) {
		return goldenMin(func(u float64) float64 { return cost(l, u) }, from, to, 30)
	}
	refined, c := goldenMin(func(l float64) float64 {
		_, least := best(l)
		return least
	}, l/ratio, l*ratio, 30)
	if c < least {
		l = refined
		u, _ = best(l)
	}
	return l, l * (l/2 + u)
}

// evidence evaluates the processes of one arm in units of sigma.
type evidence struct {
	n       int
	sum     float64   // of the rewards, at eps = 0
	x       []float64 // increasing, at eps > 0
	centre  float64
	prefix  []float64 // prefix[i] is the sum of the first i of x - centre, cut to ± reach
	inverse float64   // 1/sigma
	// The window of the last component, where the search for the next one begins:
	// windows of one mixture differ little.
	from, to int
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
	e.from = searchFrom(e.x, e.from, middle-half)
	e.to = searchFrom(e.x, e.to, middle+half)
	from, to := e.from, e.to
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

// searchFrom returns the first place in sorted x whose value is at least v, len(x) if
// there is none, in steps that double from a guess.
func searchFrom(x []float64, at int, v float64) int {
	at = min(at, len(x))
	var lo, hi int // the place is in [lo, hi]
	if at < len(x) && x[at] < v {
		lo, hi = at+1, at+1
		for step := 1; hi < len(x) && x[hi] < v; step *= 2 {
			lo, hi = hi+1, hi+step
		}
		hi = min(hi, len(x))
	} else {
		lo, hi = at, at
		for step := 1; lo > 0 && x[lo-1] >= v; step *= 2 {
			lo, hi = max(0, lo-step), lo-1
		}
	}
	for lo < hi {
		if mid := (lo + hi) / 2; x[mid] < v {
			lo = mid + 1
		} else {
			hi = mid
		}
	}
	return lo
}

// log returns the logarithm of the evidence that the mean is above m (side = 1) or
// below it (side = -1). It is at least ln constantShare.
//
// A component that can hardly move with so few rewards stands in with the least
// that it can be, which only lowers the evidence.
func (e *evidence) log(mix []component, m, side float64) float64 {
	var terms [mixtureSize]float64
	top := logConstantShare
	for k := range mix {
		c := &mix[k]
		if least := -float64(e.n) * (c.clip + c.norm); least > -0.1 {
			terms[k] = c.weight + least
		} else {
			terms[k] = c.weight + e.score(c, m, side)
		}
		top = max(top, terms[k])
	}
	sum := math.Exp(logConstantShare - top)
	for _, t := range terms[:len(mix)] {
		if t > top-40 {
			sum += math.Exp(t - top)
		}
	}
	return top + math.Log(sum)
}
