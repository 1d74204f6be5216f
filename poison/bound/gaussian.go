package bound

import (
	"errors"
	"fmt"
	"math"
	"slices"
)

// Mixture is one domain of an illustrative case: an equal mixture of two isotropic
// Gaussians in the plane, with the labels f(x) = 1 where Labels·x > 0.
type Mixture struct {
	Means  [2][2]float64
	Labels [2]float64
}

// Case is a source and a target in the plane; both have standard deviation Sigma
// in each direction, 0 means 1.
type Case struct {
	Name           string
	Source, Target Mixture
	Sigma          float64
}

// The illustrative cases of Mehra et al., NeurIPS 2021, section 3.
var (
	// Favorable: minimising source error and distance gives no target error.
	Favorable = Case{Name: "favourable",
		Source: Mixture{[2][2]float64{{-1, 1}, {-1, -1}}, [2]float64{0, 1}},
		Target: Mixture{[2][2]float64{{1, 1}, {1, -1}}, [2]float64{0, 1}}}
	// Unfavorable: the same gives a target error of 1.
	Unfavorable = Case{Name: "unfavourable",
		Source: Mixture{[2][2]float64{{-1, 1}, {-1, -1}}, [2]float64{0, 1}},
		Target: Mixture{[2][2]float64{{1, -1}, {1, 1}}, [2]float64{0, -1}}}
	// Ambiguous: there are two global minima, a good one and a bad one.
	Ambiguous = Case{Name: "ambiguous",
		Source: Mixture{[2][2]float64{{0, 1}, {0, -1}}, [2]float64{0, 1}},
		Target: Mixture{[2][2]float64{{-1, 0}, {1, 0}}, [2]float64{-1, 0}}}
)

// Cases returns Favorable, Unfavorable and Ambiguous.
func Cases() []Case { return []Case{Favorable, Unfavorable, Ambiguous} }

// Formula says how the induced labelling function of a mixture is computed.
type Formula int

const (
	// Exact weighs the components by their posterior at z, and normalises u before
	// it projects.
	Exact Formula = iota
	// Released weighs both components by 1/2, and projects means by the raw u while
	// labels take u/|u|, as the released code of the paper does. It is wrong
	// wherever the components project to different means and the labels are not
	// parallel to u.
	Released
)

// String returns "exact" or "released".
func (f Formula) String() string {
	switch f {
	case Exact:
		return "exact"
	case Released:
		return "released"
	}
	return fmt.Sprintf("Formula(%d)", int(f))
}

// Phi is the standard normal cumulative distribution function.
func Phi(x float64) float64 { return 0.5 * math.Erfc(-x/math.Sqrt2) }

// projected is a mixture seen through z = u·x.
type projected struct {
	mean    [2]float64 // of the components along u
	across  [2]float64 // of the components along w, u turned clockwise
	along   float64    // labels·u for the unit u
	side    float64    // labels·w
	sigma   float64
	formula Formula
}

// project takes a mixture to the line. u is not 0.
func (c Case) project(m Mixture, u [2]float64, f Formula) projected {
	norm := math.Hypot(u[0], u[1])
	e := [2]float64{u[0] / norm, u[1] / norm}
	w := [2]float64{e[1], -e[0]}
	p := projected{along: dot(m.Labels, e), side: dot(m.Labels, w), sigma: c.sigma(), formula: f}
	d := e
	if f == Released {
		d = u
	}
	for k, mu := range m.Means {
		p.mean[k], p.across[k] = dot(mu, d), dot(mu, w)
	}
	return p
}

func dot(a, b [2]float64) float64 { return a[0]*b[0] + a[1]*b[1] }

func (c Case) sigma() float64 {
	if c.Sigma == 0 {
		return 1
	}
	return c.Sigma
}

// density is p̃(z).
func (p *projected) density(z float64) float64 {
	s := 0.0
	for _, m := range p.mean {
		t := (z - m) / p.sigma
		s += math.Exp(-t * t / 2)
	}
	return s / (2 * p.sigma * math.Sqrt(2*math.Pi))
}

// logDensity is ln p̃(z), where p̃(z) may be too small for a number.
func (p *projected) logDensity(z float64) float64 {
	a, b := (z-p.mean[0])/p.sigma, (z-p.mean[1])/p.sigma
	apart := math.Abs((a-b)*(a+b)) / 2 // of the two exponents
	return math.Log1p(math.Exp(-apart)) - min(a*a, b*b)/2 - math.Log(2*p.sigma*math.Sqrt(2*math.Pi))
}

// label is f̃(z).
func (p *projected) label(z float64) float64 {
	if p.side == 0 {
		switch {
		case z == 0:
			return 0.5
		case (z > 0) == (p.along > 0):
			return 1
		}
		return 0
	}
	q := -p.along / p.side * z
	weight := 0.5
	if p.formula == Exact {
		// The posterior of component 0: the logistic function of the log ratio.
		a, b := (z-p.mean[0])/p.sigma, (z-p.mean[1])/p.sigma
		weight = 1 / (1 + math.Exp((a*a-b*b)/2))
	}
	positive := func(k int) float64 {
		t := (q - p.across[k]) / p.sigma
		if p.side < 0 {
			return Phi(t)
		}
		return Phi(-t)
	}
	return weight*positive(0) + (1-weight)*positive(1)
}

// InducedLabel is f̃(z), the probability of label 1 among the points x of the
// mixture with u·x = z. u is not 0.
func (c Case) InducedLabel(m Mixture, u [2]float64, z float64, f Formula) float64 {
	p := c.project(m, u, f)
	return p.label(z)
}

// gap is the integral of (p̃_S - p̃_T)², a finite sum of Gaussian overlaps.
func gap(s, t *projected) float64 {
	sum := 0.0
	for _, a := range []struct {
		p    *projected
		sign float64
	}{{s, 1}, {t, -1}} {
		for _, b := range []struct {
			p    *projected
			sign float64
		}{{s, 1}, {t, -1}} {
			for _, x := range a.p.mean {
				for _, y := range b.p.mean {
					d := (x - y) / s.sigma
					sum += a.sign * b.sign * math.Exp(-d*d/4) / 4
				}
			}
		}
	}
	return sum / (s.sigma * math.Sqrt(4*math.Pi))
}

// Point is a representation z = u·x and a hypothesis h(z) = Φ(a z + b).
type Point struct {
	U [2]float64 `json:"u"`
	A float64    `json:"a"`
	B float64    `json:"b"`
}

// H is the hypothesis at z.
func (p Point) H(z float64) float64 { return Phi(p.A*z + p.B) }

// Terms are the quantities of a Point on a Case.
type Terms struct {
	// Squared errors, as the released code has them; the bounds do not hold for
	// them.
	SquaredSource, SquaredTarget                 float64
	SquaredSourceMismatch, SquaredTargetMismatch float64
	// Gap is the integral of (p̃_S - p̃_T)².
	Gap float64
	// Bounds has absolute errors, with which the theorem is stated.
	Bounds
	// ZeroOneSource and ZeroOneTarget are the probabilities that 1[h(z) > 1/2]
	// is not the label of x; where h(z) is 1/2 half of a mistake counts.
	ZeroOneSource, ZeroOneTarget float64
}

// nodes is the number of cells of the midpoint rule. Steps of labels lie at 0, on
// the border of two cells.
const nodes = 4000

// sharpest is the least standard deviation, as a share of the largest mean, with which
// points near a mean can be told apart in float64 to seven digits.
const sharpest = 1e-9

// reach is the number of standard deviations from a mean beyond which there is no mass.
const reach = 9

// Terms integrates over the line. Errors: a U or labels of 0, a sigma that is not
// above 0 or less than 1e-9 of the means, values that are not finite, an unknown formula.
func (c Case) Terms(p Point, f Formula) (Terms, error) {
	if err := c.check(p, f); err != nil {
		return Terms{}, fmt.Errorf("bound: %w", err)
	}
	s, t := c.project(c.Source, p.U, f), c.project(c.Target, p.U, f)
	es, et := c.project(c.Source, p.U, Exact), c.project(c.Target, p.U, Exact)
	var out Terms
	out.Gap = gap(&s, &t)
	eachNode(&s, &t, nodes, func(z, dz float64) {
		h, fs, ft := p.H(z), s.label(z), t.label(z)
		ps, pt := s.density(z)*dz, t.density(z)*dz
		out.SquaredSource += ps * (h - fs) * (h - fs)
		out.SquaredTarget += pt * (h - ft) * (h - ft)
		out.SquaredSourceMismatch += ps * (fs - ft) * (fs - ft)
		out.SquaredTargetMismatch += pt * (fs - ft) * (fs - ft)
		out.SourceError += ps * math.Abs(h-fs)
		out.TargetError += pt * math.Abs(h-ft)
		out.SourceMismatch += ps * math.Abs(fs-ft)
		out.TargetMismatch += pt * math.Abs(fs-ft)
		out.L1 += math.Abs(ps - pt)
		if ps > 0 {
			out.KL += ps * (s.logDensity(z) - t.logDensity(z))
		}
		out.ZeroOneSource += es.density(z) * dz * mistake(h, es.label(z))
		out.ZeroOneTarget += et.density(z) * dz * mistake(h, et.label(z))
	})
	out.TV = out.L1 / 2
	out.KL = max(out.KL, 0)
	out.fill()
	return out, nil
}

// mistake is the chance that a decision by h is wrong where label 1 has
// probability f.
func mistake(h, f float64) float64 {
	switch {
	case h > 0.5:
		return 1 - f
	case h < 0.5:
		return f
	}
	return 0.5
}

// eachNode calls visit with the nodes and weights of the midpoint rule over all of
// the line that holds mass. n is even.
func eachNode(s, t *projected, n int, visit func(z, dz float64)) {
	far := 0.0
	for k := range 2 {
		far = max(far, math.Abs(s.mean[k]), math.Abs(t.mean[k]))
	}
	far += reach * s.sigma
	if dz := 2 * far / float64(n); dz <= s.sigma/4 {
		for i := range n {
			visit((float64(i)+0.5)*dz-far, dz)
		}
		return
	}
	// Cells of that width would miss the mass, which lies near the means.
	means := []float64{s.mean[0], s.mean[1], t.mean[0], t.mean[1]}
	slices.Sort(means)
	for i := 0; i < len(means); {
		lo, hi := means[i]-reach*s.sigma, means[i]+reach*s.sigma
		for i++; i < len(means) && means[i]-reach*s.sigma <= hi; i++ {
			hi = means[i] + reach*s.sigma
		}
		for _, part := range [][2]float64{{lo, min(hi, 0)}, {max(lo, 0), hi}} {
			dz := (part[1] - part[0]) / float64(n)
			for k := 0; k < n && dz > 0; k++ {
				visit(part[0]+(float64(k)+0.5)*dz, dz)
			}
		}
	}
}

// Loss is what the illustrative cases minimise: the squared source error, plus
// eta (1 - |u|²)² with eta = 10, plus lambda times Gap. Errors are those of Terms.
func (c Case) Loss(p Point, lambda float64, f Formula) (float64, error) {
	if err := c.check(p, f); err != nil {
		return 0, fmt.Errorf("bound: %w", err)
	}
	return c.loss(p, lambda, f, nodes), nil
}

func (c Case) loss(p Point, lambda float64, f Formula, n int) float64 {
	s, t := c.project(c.Source, p.U, f), c.project(c.Target, p.U, f)
	e := 0.0
	eachNode(&s, &t, n, func(z, dz float64) {
		d := p.H(z) - s.label(z)
		e += s.density(z) * dz * d * d
	})
	off := 1 - dot(p.U, p.U)
	return e + 10*off*off + lambda*gap(&s, &t)
}

func (c Case) check(p Point, f Formula) error {
	if f != Exact && f != Released {
		return fmt.Errorf("unknown formula %v, want %v or %v", f, Exact, Released)
	}
	for _, v := range []float64{p.U[0], p.U[1], p.A, p.B} {
		if math.IsNaN(v) || math.IsInf(v, 0) {
			return fmt.Errorf("u %v, a %v, b %v, want finite numbers", p.U, p.A, p.B)
		}
	}
	switch {
	case p.U == [2]float64{}:
		return errors.New("u is 0, want a direction")
	case c.Source.Labels == [2]float64{} || c.Target.Labels == [2]float64{}:
		return errors.New("v is 0, want a direction of the labels")
	case !finite(c.Source.Labels) || !finite(c.Target.Labels):
		return fmt.Errorf("labels by v %v and %v, want directions of finite length", c.Source.Labels, c.Target.Labels)
	case !(c.sigma() > 0) || math.IsInf(c.Sigma, 0):
		return fmt.Errorf("sigma is %v, want above 0", c.Sigma)
	}
	far := 0.0
	for _, m := range slices.Concat(c.Source.Means[:], c.Target.Means[:]) {
		far = max(far, math.Hypot(m[0], m[1])*max(1, math.Hypot(p.U[0], p.U[1])))
	}
	if !(c.sigma() >= sharpest*far) {
		return fmt.Errorf("sigma is %v beside a mean as far as %v, want at least %v of that", c.sigma(), far, sharpest)
	}
	return nil
}

// finite says whether a vector has a finite length.
func finite(v [2]float64) bool { return math.Hypot(v[0], v[1]) <= math.MaxFloat64 }
