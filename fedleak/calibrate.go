package fedleak

import (
	"context"
	"errors"
	"fmt"
	"math"

	"gonum.org/v1/gonum/mat"

	"github.com/redoubt-ml/redoubt/tensor"
)

// Calibrated is CAFE by an attacker who knows the defence and has other samples of the
// kind: it runs the defended protocol on those, attacks that, and learns how what
// comes out of Step II belongs to the pixels. Whatever a defence does to the scale,
// and as much of its noise as a linear map can take away, is undone. To bring features into
// the range of those of images takes noise away, but cuts off what has another scale: at
// each party they are left as Step II gives them or brought there, whichever predicts the
// shadow's images better.
type Calibrated struct {
	// CAFE holds the settings of Steps I and II, for both.
	CAFE CAFE
	// Shadow is a federation of the other samples with the model, the defence and a
	// schedule like the one that is attacked. Its Seed must be another one: the
	// victim's selects the noise and the fake gradients of its parties, which are
	// their secret, and an attack that draws the same ones learns what no attacker can
	// know.
	Shadow *Federation
	// Rounds are those of Shadow that are attacked.
	Rounds int
}

var _ Attack = Calibrated{}

// Name implements Attack.
func (Calibrated) Name() string { return "calibrated CAFE" }

// Run implements Attack. The slices of a party of which the shadow gives fewer than
// eight are marked as unseen. Rounds that leave samples unidentified give the
// identifiable part and a *NotIdentifiableError, and what Masked finds nothing of a
// *LeftOutError, as with CAFE.
func (c Calibrated) Run(ctx context.Context, m *Model, o Observations) (*Recovery, error) {
	if c.Shadow == nil {
		return nil, errors.New("fedleak: Calibrated: no shadow federation")
	}
	c.CAFE.SkipImages, c.CAFE.Rescale, c.CAFE.unbounded = true, nil, true
	r, left := c.CAFE.Run(ctx, m, o)
	if left != nil && !partial(left) {
		return r, left
	}
	shadow := *c.Shadow
	shadow.Model = m
	seen, err := shadow.Observe(c.Rounds)
	if err != nil {
		return nil, err
	}
	if seen, err = remember(ctx, m, seen); err != nil {
		return nil, err
	}
	s, err := c.CAFE.Run(ctx, m, seen)
	if err != nil && !partial(err) {
		return nil, fmt.Errorf("fedleak: Calibrated: shadow: %w", err)
	}
	for p := range r.Parties {
		out, lesson := &r.Parties[p], &s.Parties[p]
		fit, miss := newRegression(lesson, shadow.X[p])
		if fit == nil {
			for i, st := range out.Status {
				if st == Recovered {
					out.Status[i] = Unseen
				}
			}
			continue
		}
		l, err := m.firstDense(p)
		if err != nil {
			return nil, err
		}
		m.bound(p, l, lesson.H)
		if bounded, e := newRegression(lesson, shadow.X[p]); e < miss {
			fit = bounded
			m.bound(p, l, out.H)
		}
		for i, st := range out.Status {
			if st == Recovered {
				setRow(out.X, i, fit.predict(out.H.RawRowView(i)))
			}
		}
	}
	r.Attack = c.Name()
	return r, left
}

// partial says whether an error of CAFE comes beside an answer for a part of the slices.
func partial(err error) bool {
	var open *NotIdentifiableError
	var leftOut *LeftOutError
	return errors.As(err, &open) || errors.As(err, &leftOut)
}

// remembered is the largest number of gradient entries that are kept in memory to save
// computing them for each party anew.
const remembered = 1 << 26

// remember records what CAFE looks at, if it is not too much.
func remember(ctx context.Context, m *Model, o Observations) (Observations, error) {
	refs, err := AttackRefs(m)
	if err != nil {
		return o, nil // the attack says what is missing, if it needs it
	}
	size := 0
	for _, r := range refs {
		w, _ := m.param(r)
		size += w.Len()
	}
	if size*o.Rounds() > remembered {
		return o, nil
	}
	return Record(ctx, m, o, refs)
}

// regression is a linear map from features to pixels in the space of the training
// features' inner products.
type regression struct {
	h     *mat.Dense // training features, centred
	meanH []float64
	meanX []float64
	dual  *mat.Dense // [n, pixels]
}

// newRegression fits pixels x to recovered features by ridge regression, with the
// ridge that, fitted to three quarters of the samples, predicts the others best, which
// miss by the given sum of squares. It returns nil if fewer than eight were recovered.
func newRegression(s *PartyRecovery, x *tensor.Tensor) (r *regression, miss float64) {
	var fit, held, ids []int
	for i, st := range s.Status {
		if st != Recovered {
			continue
		}
		ids = append(ids, i)
		if len(ids)%4 == 0 {
			held = append(held, i)
		} else {
			fit = append(fit, i)
		}
	}
	if len(ids) < 8 {
		return nil, 0
	}
	_, d1 := s.H.Dims()
	h := func(ids []int) *mat.Dense { return rowsOf(s.H.RawMatrix().Data, ids, d1) }
	y := func(ids []int) *mat.Dense { return toDense(tensor.Flatten(tensor.Gather(x, ids))) }
	best, ridge := math.Inf(1), 0.0
	trial, want := newRidge(h(fit), y(fit)), y(held)
	for k := -16; k <= 4; k++ {
		share := math.Pow(10, float64(k)/2)
		f := trial.with(share)
		e := 0.0
		for i, id := range held {
			for j, v := range f.predict(s.H.RawRowView(id)) {
				e += (v - want.At(i, j)) * (v - want.At(i, j))
			}
		}
		if e < best {
			best, ridge = e, share
		}
	}
	return newRidge(h(ids), y(ids)).with(ridge), best
}

// ridgeFamily is a regression for any ridge.
type ridgeFamily struct {
	regression
	vectors mat.Dense
	values  []float64
	coef    mat.Dense // pixels by eigenvectors
}

// newRidge takes over h and y.
func newRidge(h, y *mat.Dense) *ridgeFamily {
	f := &ridgeFamily{}
	f.h, f.meanH, f.meanX = h, centre(h), centre(y)
	n, _ := h.Dims()
	gram := mat.NewSymDense(n, nil)
	gram.SymOuterK(1, h)
	var eig mat.EigenSym
	if !eig.Factorize(gram, true) {
		// The QR algorithm of a finite symmetric matrix converges.
		panic("fedleak: no eigenvalues")
	}
	eig.VectorsTo(&f.vectors)
	f.values = eig.Values(nil)
	f.coef.Mul(f.vectors.T(), y)
	return f
}

// with returns the regression whose ridge is a share of the largest eigenvalue.
func (f *ridgeFamily) with(share float64) *regression {
	n := len(f.values)
	inv := make([]float64, n)
	for i, v := range f.values {
		if d := math.Max(v, 0) + share*f.values[n-1]; d > 0 {
			inv[i] = 1 / d
		}
	}
	var part mat.Dense
	part.CloneFrom(&f.coef)
	scaleRows(&part, &part, inv)
	r := f.regression
	r.dual = &mat.Dense{}
	r.dual.Mul(&f.vectors, &part)
	return &r
}

// centre takes the column means out of m and returns them.
func centre(m *mat.Dense) []float64 {
	n, c := m.Dims()
	mean := make([]float64, c)
	for i := range n {
		for j, v := range m.RawRowView(i) {
			mean[j] += v / float64(n)
		}
	}
	for i := range n {
		row := m.RawRowView(i)
		for j := range row {
			row[j] -= mean[j]
		}
	}
	return mean
}

// predict returns the pixels for features h, in [0, 1].
func (f *regression) predict(h []float64) []float64 {
	d := make([]float64, len(h))
	for i, v := range h {
		d[i] = v - f.meanH[i]
	}
	var weight, out mat.VecDense
	weight.MulVec(f.h, mat.NewVecDense(len(d), d))
	out.MulVec(f.dual.T(), &weight)
	x := make([]float64, out.Len())
	for i := range x {
		x[i] = out.AtVec(i) + f.meanX[i]
	}
	clip(x)
	return x
}
