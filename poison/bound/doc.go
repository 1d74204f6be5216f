// Package bound computes what can and cannot be promised about unsupervised
// domain adaptation, from the labels that a representation induces.
//
// A representation g maps inputs to z. Each domain D (the source S or the target
// T) then has a marginal p̃_D, the law of z, and an induced labelling function
// f̃_D(z) = E[ f_D(x) | g(x) = z ]: a soft label wherever g loses information. With
// the disagreement e_D(h, h') = E_{z ~ p̃_D} |h(z) - h'(z)| and the error
// e_D(h) = e_D(h, f̃_D),
//
//	e_T(h) <= e_S(h) + TV + min{ e_S(f̃_S, f̃_T), e_T(f̃_S, f̃_T) }
//	e_T(h) >= max{ e_S(f̃_S, f̃_T), e_T(f̃_S, f̃_T) } - e_S(h) - TV
//
// where TV is the total variation between p̃_S and p̃_T. The first is the bound of
// Ben-David et al. (Machine Learning 79, 2010), the second Theorem 1 of Mehra et
// al., NeurIPS 2021: a method that makes e_S(h) and the distance small, as nearly
// all do, must fail wherever the induced labels disagree.
//
// The lower bound follows from two triangle inequalities and two changes of
// measure. e_T(f̃_S, f̃_T) <= e_T(h, f̃_S) + e_T(h) and, as |h - f̃_S| lies in [0, 1],
// e_T(h, f̃_S) <= e_S(h) + TV; likewise e_S(f̃_S, f̃_T) <= e_S(h) + e_S(h, f̃_T) and
// e_S(h, f̃_T) <= e_T(h) + TV. So a change of measure costs the total variation,
// half of the integral of |p̃_S - p̃_T| that the theorem is printed with; both forms
// are computed. None of this holds for squared errors, which obey no triangle
// inequality.
//
// With K classes, labels and hypotheses are distributions over the classes and
// the disagreement at z is half of their L1 distance; everything carries over.
//
// Three pairs of Gaussian mixtures (Favorable, Unfavorable, Ambiguous) show
// what follows: the same objective, minimised in the same way, succeeds, fails, or
// does one or the other by the luck of its start.
package bound
