package uda

import (
	"math"

	"github.com/redoubt-ml/redoubt/tensor"
)

// DomainCE is the softmax cross-entropy of each row of domain logits [N, 2] with
// its domain, 0 for source and 1 for target: a tensor [N] in nats.
func DomainCE(logits *tensor.Tensor, domains []int) *tensor.Tensor {
	return tensor.CrossEntropy(logits, domains)
}

// DomainBCE is the binary cross-entropy of two independent sigmoid units [N, 2]
// against the one-hot domain, averaged over the two units: a tensor [N] in nats.
// CDAN's discriminator has it.
func DomainBCE(logits *tensor.Tensor, domains []int) *tensor.Tensor {
	hot := tensor.OneHot(logits.DType(), domains, 2)
	return tensor.Mean(tensor.Sub(tensor.Softplus(logits), tensor.Mul(logits, hot)), 1)
}

// domains returns n zeros and m ones, and the same the other way round.
func domains(n, m int) (truth, inverted []int) {
	truth, inverted = make([]int, n+m), make([]int, n+m)
	for i := range truth {
		if i < n {
			inverted[i] = 1
		} else {
			truth[i] = 1
		}
	}
	return truth, inverted
}

// balanced is the mean over the domains of the share of right answers.
func balanced(logits *tensor.Tensor, n int) float64 {
	var right [2]int
	answers := tensor.ArgMax(logits)
	for i, a := range answers {
		if i < n && a == 0 {
			right[0]++
		} else if i >= n && a == 1 {
			right[1]++
		}
	}
	return (float64(right[0])/float64(n) + float64(right[1])/float64(len(answers)-n)) / 2
}

// ReverseGradient returns x, with a gradient that is multiplied by -lambda on its
// way back: the gradient reversal layer of Ganin et al., JMLR 2016, section 4.2.
func ReverseGradient(x *tensor.Tensor, lambda float64) *tensor.Tensor {
	return tensor.Custom(tensor.Rule{
		Name: "ReverseGradient",
		Backward: func(g *tensor.Tensor, _ []bool) []*tensor.Tensor {
			return []*tensor.Tensor{tensor.MulScalar(g, -lambda)}
		},
	}, x.Detach(), x)
}

// Lambda is the strength of the gradient reversal at the progress p of training,
// 2/(1+exp(-10 p)) - 1.
//
// Ganin et al., JMLR 2016, section 5.2.2.
func Lambda(p float64) float64 { return 2/(1+math.Exp(-10*p)) - 1 }

// Anneal is the factor of the learning rate at the progress p, (1 + 10 p)^-0.75.
//
// Ganin et al., JMLR 2016, section 5.2.2, where the first rate is 0.01.
func Anneal(p float64) float64 { return math.Pow(1+10*p, -0.75) }

// EntropyWeights returns w = 1 + exp(-H) [N] of predictions p [N, K], where H is the
// entropy in nats: between 1 + 1/K and 2. Differentiable in p. 1e-5 is added to the
// argument of the logarithm.
//
// Long et al., NeurIPS 2018, Eq. (9).
func EntropyWeights(p *tensor.Tensor) *tensor.Tensor {
	h := tensor.Neg(tensor.Sum(tensor.Mul(p, tensor.Log(tensor.AddScalar(p, 1e-5))), 1))
	return tensor.AddScalar(tensor.Exp(tensor.Neg(h)), 1)
}

// weightedLoss is the mean of rows [N] under weights [N] that are brought to a sum
// of 1 over the first n rows, the source, and over the others, the target. The
// sums count as constants.
func weightedLoss(rows, weights *tensor.Tensor, n int) *tensor.Tensor {
	v := weights.Values()
	var sum [2]float64
	for i, w := range v {
		if i < n {
			sum[0] += w
		} else {
			sum[1] += w
		}
	}
	scale := make([]float64, len(v))
	for i := range scale {
		if i < n {
			scale[i] = 0.5 / sum[0]
		} else {
			scale[i] = 0.5 / sum[1]
		}
	}
	by := tensor.FromFloat64(scale).To(rows.DType())
	return tensor.Sum(tensor.Mul(tensor.Mul(weights, by), rows))
}
