package fedleak

import (
	"math"

	"gonum.org/v1/gonum/mat"
)

// semidefinite solves systems with a symmetric positive semidefinite matrix, on the
// part of the space that the matrix determines.
type semidefinite struct {
	scale []float64 // of the unknowns, so that the scaled matrix has a unit diagonal
	chol  *mat.Cholesky
	// When the matrix is singular, or nearly: eigenvectors [n, n] and eigenvalues.
	vectors *mat.Dense
	values  []float64
	rank    int
	cond    float64 // largest over smallest eigenvalue that is not 0, of the scaled matrix
}

// trusted is the condition number up to which Cholesky's factor is used; beyond it
// the eigenvalues decide what the rank is.
const trusted = 1e11

// factor prepares to solve systems with a, which is not kept. Unknowns with a zero
// on the diagonal are left out: they are not determined.
func factor(a *mat.SymDense) *semidefinite {
	n := a.SymmetricDim()
	s := &semidefinite{scale: make([]float64, n)}
	for i := range n {
		if d := a.At(i, i); d > 0 {
			s.scale[i] = 1 / math.Sqrt(d)
		}
	}
	scaled := mat.NewSymDense(n, nil)
	whole := true
	for i := range n {
		whole = whole && s.scale[i] > 0
		for j := i; j < n; j++ {
			scaled.SetSym(i, j, a.At(i, j)*s.scale[i]*s.scale[j])
		}
	}
	var chol mat.Cholesky
	if whole && chol.Factorize(scaled) && chol.Cond() < trusted {
		s.chol, s.rank = &chol, n
		s.cond = s.condition(scaled)
		return s
	}
	var eig mat.EigenSym
	if !eig.Factorize(scaled, true) {
		// The QR algorithm of a finite symmetric matrix converges.
		panic("fedleak: no eigenvalues")
	}
	s.values = eig.Values(nil)
	s.vectors = mat.NewDense(n, n, nil)
	eig.VectorsTo(s.vectors)
	top := s.values[n-1]
	least := math.Inf(1)
	for i, v := range s.values {
		if v > top*float64(n)*0x1p-48 {
			s.rank++
			least = min(least, v)
		} else {
			s.values[i] = 0
		}
	}
	s.cond = top / least
	return s
}

// condition estimates the ratio of the largest to the smallest eigenvalue by power
// iterations.
func (s *semidefinite) condition(a *mat.SymDense) float64 {
	n := a.SymmetricDim()
	extreme := func(apply func(dst, x *mat.VecDense)) float64 {
		x, y := mat.NewVecDense(n, nil), mat.NewVecDense(n, nil)
		rng := stream(3)
		for i := range n {
			x.SetVec(i, rng.NormFloat64())
		}
		for range 100 {
			x.ScaleVec(1/mat.Norm(x, 2), x)
			apply(y, x)
			x, y = y, x
		}
		return mat.Norm(x, 2)
	}
	top := extreme(func(dst, x *mat.VecDense) { dst.MulVec(a, x) })
	// The condition was checked when the matrix was factored.
	inverse := extreme(func(dst, x *mat.VecDense) { _ = s.chol.SolveVecTo(dst, x) })
	return top * inverse
}

// solve returns the solution x of a x = b for b [n, c]; of several, the one of least
// norm in scaled unknowns.
func (s *semidefinite) solve(b *mat.Dense) *mat.Dense {
	n, c := b.Dims()
	x := mat.NewDense(n, c, nil)
	scaleRows(x, b, s.scale)
	if s.chol != nil {
		_ = s.chol.SolveTo(x, x)
	} else {
		var coef mat.Dense
		coef.Mul(s.vectors.T(), x)
		inv := make([]float64, n)
		for i, v := range s.values {
			if v > 0 {
				inv[i] = 1 / v
			}
		}
		scaleRows(&coef, &coef, inv)
		x.Mul(s.vectors, &coef)
	}
	scaleRows(x, x, s.scale)
	return x
}

// inverseDiagonal returns the diagonal of the inverse, on the determined part.
func (s *semidefinite) inverseDiagonal() []float64 {
	out := make([]float64, len(s.scale))
	if s.chol != nil {
		var inv mat.SymDense
		_ = s.chol.InverseTo(&inv)
		for i := range out {
			out[i] = inv.At(i, i) * s.scale[i] * s.scale[i]
		}
		return out
	}
	for i := range out {
		for j, v := range s.values {
			if v > 0 {
				u := s.vectors.At(i, j)
				out[i] += u * u / v
			}
		}
		out[i] *= s.scale[i] * s.scale[i]
	}
	return out
}

// determined says which unknowns have the same value in every solution.
func (s *semidefinite) determined() []bool {
	out := make([]bool, len(s.scale))
	for i := range out {
		out[i] = true
		if s.chol != nil {
			continue
		}
		null := 0.0
		for j, v := range s.values {
			if v == 0 {
				u := s.vectors.At(i, j)
				null += u * u
			}
		}
		out[i] = null < 1e-9 && s.scale[i] > 0
	}
	return out
}

// scaleRows sets dst to the rows of src times the factors.
func scaleRows(dst, src *mat.Dense, by []float64) {
	n, _ := src.Dims()
	for i := range n {
		to, from := dst.RawRowView(i), src.RawRowView(i)
		for j, v := range from {
			to[j] = v * by[i]
		}
	}
}
