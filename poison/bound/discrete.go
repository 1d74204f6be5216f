package bound

import (
	"fmt"
	"math"
)

// Discrete is a pair of domains whose representation has n values: masses are
// known, so the bounds are exact.
type Discrete struct {
	// PS and PT are the masses of source and target, of length n, each summing
	// to 1 within 1e-9.
	PS, PT []float64
	// FS, FT and H are the induced labelling functions and the hypothesis: n
	// distributions over K classes.
	FS, FT, H [][]float64
}

// Binary returns the pair for two classes: fs, ft and h hold the probability of
// class 1 at each of the n values, in [0, 1].
func Binary(ps, pt, fs, ft, h []float64) Discrete {
	two := func(p []float64) [][]float64 {
		out := make([][]float64, len(p))
		for i, v := range p {
			out[i] = []float64{1 - v, v}
		}
		return out
	}
	return Discrete{PS: ps, PT: pt, FS: two(fs), FT: two(ft), H: two(h)}
}

// Bounds holds the terms of the theorem and the bounds on the target error.
// Errors and TV lie in [0, 1]. A lower bound below 0 or an upper bound above 1
// says nothing. JSON, which has no infinity, leaves KL and LowerKL out.
type Bounds struct {
	SourceError    float64 `json:"source_error"`    // e_S(h)
	TargetError    float64 `json:"target_error"`    // e_T(h)
	SourceMismatch float64 `json:"source_mismatch"` // e_S(f̃_S, f̃_T)
	TargetMismatch float64 `json:"target_mismatch"` // e_T(f̃_S, f̃_T)
	TV             float64 `json:"tv"`              // total variation, half of L1
	L1             float64 `json:"l1"`              // D_1 of the paper, in [0, 2]
	KL             float64 `json:"-"`               // KL(p̃_S ‖ p̃_T) in nats, +Inf without absolute continuity
	Lower          float64 `json:"lower"`           // Theorem 1 with TV
	LowerL1        float64 `json:"lower_l1"`        // Theorem 1 as printed
	LowerKL        float64 `json:"-"`               // Corollary 1.1, -Inf when KL is +Inf
	Upper          float64 `json:"upper"`           // Ben-David et al. with TV
	UpperL1        float64 `json:"upper_l1"`        // the same as printed
	// Within is e_S(h) + TV: how far e_T(h) can be from
	// e_S(f̃_S, f̃_T) and from e_T(f̃_S, f̃_T), Corollary 1.2 with TV.
	Within float64 `json:"within"`
}

// fill computes the bounds from the terms.
func (b *Bounds) fill() {
	most, least := max(b.SourceMismatch, b.TargetMismatch), min(b.SourceMismatch, b.TargetMismatch)
	b.Lower = most - b.SourceError - b.TV
	b.LowerL1 = most - b.SourceError - b.L1
	b.LowerKL = most - b.SourceError - math.Sqrt(b.KL/2)
	b.Upper = b.SourceError + b.TV + least
	b.UpperL1 = b.SourceError + b.L1 + least
	b.Within = b.SourceError + b.TV
}

// Bounds computes all terms. Errors: lengths that differ, masses that are negative
// or do not sum to 1, labels or hypotheses that are no distributions.
func (d Discrete) Bounds() (Bounds, error) {
	if err := d.validate(); err != nil {
		return Bounds{}, fmt.Errorf("bound: %w", err)
	}
	var b Bounds
	for i := range d.PS {
		b.SourceError += d.PS[i] * disagreement(d.H[i], d.FS[i])
		b.TargetError += d.PT[i] * disagreement(d.H[i], d.FT[i])
		between := disagreement(d.FS[i], d.FT[i])
		b.SourceMismatch += d.PS[i] * between
		b.TargetMismatch += d.PT[i] * between
		b.L1 += math.Abs(d.PS[i] - d.PT[i])
	}
	b.TV = b.L1 / 2
	b.KL = divergence(d.PS, d.PT)
	b.fill()
	return b, nil
}

// disagreement is half of the L1 distance of two distributions.
func disagreement(p, q []float64) float64 {
	s := 0.0
	for k := range p {
		s += math.Abs(p[k] - q[k])
	}
	return s / 2
}

// KL is the Kullback-Leibler divergence of masses p from q in nats: +Inf where q
// is 0 and p is not, 0 where p is 0. Errors: lengths that differ, masses that are
// negative, not finite or do not sum to 1 within 1e-9.
func KL(p, q []float64) (float64, error) {
	if len(p) != len(q) {
		return 0, fmt.Errorf("bound: divergence of %d from %d masses, want as many", len(p), len(q))
	}
	for _, m := range [][]float64{p, q} {
		if err := masses("divergence:", m, 1e-9); err != nil {
			return 0, fmt.Errorf("bound: %w", err)
		}
	}
	return divergence(p, q), nil
}

func divergence(p, q []float64) float64 {
	s := 0.0
	for i := range p {
		switch {
		case p[i] == 0:
		case q[i] == 0:
			return math.Inf(1)
		default:
			s += p[i] * math.Log(p[i]/q[i])
		}
	}
	return max(s, 0)
}

func (d Discrete) validate() error {
	n := len(d.PS)
	if n == 0 || len(d.PT) != n || len(d.FS) != n || len(d.FT) != n || len(d.H) != n {
		return fmt.Errorf("%d and %d masses with %d, %d and %d labels, want as many of each, at least 1",
			n, len(d.PT), len(d.FS), len(d.FT), len(d.H))
	}
	if err := masses("source", d.PS, 1e-9); err != nil {
		return err
	}
	if err := masses("target", d.PT, 1e-9); err != nil {
		return err
	}
	k := len(d.H[0])
	if k < 2 {
		return fmt.Errorf("%d classes, want at least 2", k)
	}
	for i := range n {
		for _, f := range []struct {
			name string
			p    []float64
		}{{"source label", d.FS[i]}, {"target label", d.FT[i]}, {"hypothesis", d.H[i]}} {
			if len(f.p) != k {
				return fmt.Errorf("%s %d has %d classes, want %d", f.name, i, len(f.p), k)
			}
			if err := masses(fmt.Sprintf("%s %d:", f.name, i), f.p, 1e-6); err != nil {
				return err
			}
		}
	}
	return nil
}

func masses(what string, p []float64, tol float64) error {
	s, worst := 0.0, -1
	for i, v := range p {
		// The complement of a number above 1 is below 0: the number itself is named.
		if !(v >= 0 && v <= 1+tol) && (worst < 0 || v > p[worst]) {
			worst = i
		}
		s += v
	}
	if worst >= 0 {
		return fmt.Errorf("%s mass %d is %v, want it in [0, 1]", what, worst, p[worst])
	}
	if !(math.Abs(s-1) <= tol) {
		return fmt.Errorf("%s masses sum to %v, want 1", what, s)
	}
	return nil
}

// TVFromDiscriminator is the total variation that a discriminator of balanced
// error eps in [0, 1] proves to exist on the examples it was measured on: 1 - 2 eps,
// at least 0. The proxy A-distance is twice that. It is too small by as much as
// the discriminator falls short of the best one, so a lower bound on the target
// error that is built on it is a diagnostic and no certificate.
// It is an error if eps is out of range.
func TVFromDiscriminator(eps float64) (float64, error) {
	if !(eps >= 0 && eps <= 1) {
		return 0, fmt.Errorf("bound: discriminator's error is %v, want it in [0, 1]", eps)
	}
	return max(0, 1-2*eps), nil
}
