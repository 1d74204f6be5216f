package poison

import (
	"context"
	"fmt"
	"math"
	"slices"

	"gonum.org/v1/gonum/mat"

	"github.com/redoubt-ml/redoubt/internal/kmeans"
	"github.com/redoubt-ml/redoubt/tensor"
)

// byClass lists the images of each class.
func byClass(labels []int, k int) [][]int {
	out := make([][]int, k)
	for i, y := range labels {
		out[y] = append(out[y], i)
	}
	return out
}

// centred returns the rows idx of x less their mean.
func centred(x *tensor.Tensor, idx []int) *mat.Dense {
	d := x.Dim(1)
	m := mat.NewDense(len(idx), d, nil)
	for r, i := range idx {
		for j, v := range x.Float32s()[i*d : (i+1)*d] {
			m.Set(r, j, float64(v))
		}
	}
	for j := range d {
		col := mat.Col(nil, j, m)
		mean := mat.Sum(mat.NewVecDense(len(col), col)) / float64(len(col))
		for r := range col {
			m.Set(r, j, col[r]-mean)
		}
	}
	return m
}

// scores returns the projections [n, k] of centred rows onto their k leading right
// singular vectors.
func scores(m *mat.Dense, k int) (*mat.Dense, error) {
	var svd mat.SVD
	if !svd.Factorize(m, mat.SVDThin) {
		return nil, fmt.Errorf("poison: filter: no singular value decomposition of %v features", m.RawMatrix().Rows)
	}
	var u mat.Dense
	svd.UTo(&u)
	values := svd.Values(nil)
	k = min(k, len(values))
	out := mat.NewDense(m.RawMatrix().Rows, k, nil)
	for i := range m.RawMatrix().Rows {
		for j := range k {
			out.Set(i, j, u.At(i, j)*values[j])
		}
	}
	return out, nil
}

var _, _ Filter = SpectralSignatures{}, ActivationClustering{}

// SpectralSignatures removes, of each class, the images whose features lie farthest
// out along the first singular vector of the class's centred features.
//
// Tran, Li and Madry, NeurIPS 2018, Algorithm 1.
type SpectralSignatures struct {
	// Fraction is the expected part of poison in a class, of which 1.5 times as many
	// are removed; in (0, 2/3), 0 means 0.1.
	Fraction float64
}

// Name returns "spectral signatures".
func (SpectralSignatures) Name() string { return "spectral signatures" }

// Keep implements Filter.
func (f SpectralSignatures) Keep(ctx context.Context, s Suspect) ([]int, error) {
	part := f.Fraction
	if part == 0 {
		part = 0.1
	}
	if !(part > 0 && part < 2./3) {
		return nil, fmt.Errorf("poison: spectral signatures: fraction is %v, want it in (0, 2/3)", f.Fraction)
	}
	x, err := s.view(ctx, false)
	if err != nil {
		return nil, err
	}
	keep := make([]bool, x.Dim(0))
	for _, idx := range byClass(s.Source.Labels, s.Source.Classes) {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		if len(idx) == 0 {
			continue
		}
		along, err := scores(centred(x, idx), 1)
		if err != nil {
			return nil, err
		}
		order := make([]int, len(idx))
		for r := range order {
			order[r] = r
		}
		slices.SortStableFunc(order, func(a, b int) int {
			if d := math.Abs(along.At(a, 0)) - math.Abs(along.At(b, 0)); d != 0 {
				return int(math.Copysign(1, d))
			}
			return 0
		})
		for _, r := range order[:len(order)-int(1.5*part*float64(len(order)))] {
			keep[idx[r]] = true
		}
	}
	return chosen(keep), nil
}

// ActivationClustering splits the features of each class, projected onto their ten
// leading singular vectors, into two clusters, and removes the smaller one if it is
// small.
//
// Chen et al., SafeAI 2019, with principal in place of independent components.
type ActivationClustering struct {
	// Smaller is the part of a class below which its smaller cluster is removed; in
	// (0, 1/2], 0 means 0.35.
	Smaller float64
}

// Name returns "activation clustering".
func (ActivationClustering) Name() string { return "activation clustering" }

// Keep implements Filter.
func (f ActivationClustering) Keep(ctx context.Context, s Suspect) ([]int, error) {
	limit := f.Smaller
	if limit == 0 {
		limit = 0.35
	}
	if !(limit > 0 && limit <= 0.5) {
		return nil, fmt.Errorf("poison: activation clustering: smaller part is %v, want it in (0, 1/2]", f.Smaller)
	}
	x, err := s.view(ctx, false)
	if err != nil {
		return nil, err
	}
	keep := make([]bool, x.Dim(0))
	for _, idx := range byClass(s.Source.Labels, s.Source.Classes) {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		for _, i := range idx {
			keep[i] = true
		}
		if len(idx) < 2 {
			continue
		}
		low, err := scores(centred(x, idx), 10)
		if err != nil {
			return nil, err
		}
		n, d := low.Dims()
		rows := tensor.FromFloat64(low.RawMatrix().Data, n, d)
		groups, err := kmeans.Run(ctx, newRand(s.Seed), rows, 2)
		if err != nil {
			return nil, fmt.Errorf("poison: activation clustering: %w", err)
		}
		ones := 0
		for _, g := range groups.ID {
			ones += g
		}
		small := 0
		if 2*ones < n {
			small = 1
		}
		if float64(min(ones, n-ones)) >= limit*float64(n) {
			continue
		}
		for r, g := range groups.ID {
			if g == small {
				keep[idx[r]] = false
			}
		}
	}
	return chosen(keep), nil
}
