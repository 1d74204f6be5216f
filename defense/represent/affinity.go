package represent

import (
	"context"
	"math"

	"github.com/redoubt-ml/redoubt/internal/par"
	"github.com/redoubt-ml/redoubt/tensor"
)

// affinities returns the symmetric similarities [N, N] of features x, with sum 1:
// the mean of both directions' probabilities of choosing each other as a neighbour. The
// only error is ctx's.
//
// van der Maaten and Hinton, JMLR 2008, Eq. (1) and section 3.1.
func affinities(ctx context.Context, x *tensor.Tensor, perplexity float64) ([]float32, error) {
	n := x.Dim(0)
	p := make([]float32, n*n)
	for from := 0; from < n; from += similarityBlock {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		to := min(n, from+similarityBlock)
		d := squaredDistances(tensor.Slice(x, 0, from, to), x).Float64s()
		par.For(to-from, 4, func(lo, hi int) {
			row := make([]float64, n)
			for i := lo; i < hi; i++ {
				choose(row, d[i*n:(i+1)*n], from+i, perplexity)
				for j, v := range row {
					p[(from+i)*n+j] = float32(v)
				}
			}
		})
	}
	for i := range n {
		for j := range i {
			v := (p[i*n+j] + p[j*n+i]) / float32(2*n)
			p[i*n+j], p[j*n+i] = v, v
		}
	}
	return p, nil
}

// choose sets p to the probabilities exp(-beta d)/sum of choosing each input but the
// one itself, at squared distances d, with the beta at which their perplexity, the
// exponential of their entropy, is the one wanted. If no beta has it, because too many
// inputs are equally near, they share equally.
func choose(p, d []float64, self int, perplexity float64) (beta float64) {
	nearest := math.Inf(1)
	for j, v := range d {
		if j != self {
			nearest = min(nearest, v)
		}
	}
	// Entropy falls as beta grows.
	want, lo, hi := math.Log(perplexity), 0.0, math.Inf(1)
	beta = 1
	for range 200 {
		sum, moment := 0.0, 0.0
		for j, v := range d {
			p[j] = 0
			if j != self {
				p[j] = math.Exp(-beta * (v - nearest))
				sum += p[j]
				moment += p[j] * (v - nearest)
			}
		}
		for j := range p {
			p[j] /= sum
		}
		entropy := math.Log(sum) + beta*moment/sum
		if math.Abs(entropy-want) < 1e-7 || hi-lo < 1e-12*hi {
			break
		}
		if entropy > want {
			lo = beta
		} else {
			hi = beta
		}
		if math.IsInf(hi, 1) {
			beta *= 2
			if beta > 1e300 {
				break
			}
		} else {
			beta = (lo + hi) / 2
		}
	}
	return beta
}
