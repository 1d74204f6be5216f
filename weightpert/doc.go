// Package weightpert certifies, attacks and trains classifiers whose weights are
// changed: by quantisation, by faults of memory or of analogue hardware, or by an
// attacker who flips bits.
//
// # Threat model
//
// The input x is fixed and clean. Each weight lies anywhere in an interval around
// its value, a Box: |ŵ - w| <= eps for all weights or for one layer, a relative
// change, a rounding cell, a cell of memory that may be stuck or have bits flipped.
// Weight robustness of an example means that its label y keeps the largest logit
// under all weights of the box: the margins f_y(x) - f_j(x) stay positive.
//
// The subject is that of Tsai, Hsu, Yu and Chen, "Formalizing Generalization and
// Adversarial Robustness of Neural Networks to Weight Perturbations", NeurIPS 2021.
// What is here is named after what it computes. The bounds by norms have the form
// reported for that paper; every bound is proved here or beside its method.
//
// # Certificates
//
// Methods from loose to tight, all in float64 and rounded outwards:
//
//   - Product: operator norms, forms T1 and T2, and the single-layer bound;
//   - Path: path by path instead of norms;
//   - IBP: interval propagation with the rows of label and rival joined; exact when
//     only the last two layers move (LastTwo returns the weights);
//   - CROWN: linear bounds backwards with the weights eliminated exactly;
//   - WengBound, RowBallBound, FrobeniusBound: one layer in balls of other norms, for one
//     example at a time; they are no Methods, since such a ball is no Box.
//
// CROWN is the one to use, as it is never looser than IBP; Product and Path show what
// the theorems are worth.
//
//	net, err := weightpert.FromNN(mlp, 28, 28, 1)
//	if err != nil {
//		return err
//	}
//	box, err := weightpert.Absolute()(net, 0.001)
//	if err != nil {
//		return err
//	}
//	c, err := weightpert.Certify(ctx, weightpert.CROWN{}, net, box, weightpert.Examples(x), y)
//	if err != nil {
//		return err
//	}
//	fmt.Println(c.Share())
//
// # Proofs
//
// Proof of T2. Let F_m be the network with layers m+1 to L changed. F_m and
// F_{m-1} differ in layer m alone, which sees the clean z_{m-1}: row r of its
// pre-activation moves by at most (E_m |z_{m-1}|)_r, with E_m the radii of the
// weights. ρ is 1-Lipschitz, so the sup-norm of the change does not grow there, and
// each changed layer k multiplies it by at most the largest row sum of |W_k| + E_k,
// taken over the inputs that can change: a constant 1 that carries biases cannot.
// The last inner product gives ‖Ŵ_i - Ŵ_j‖₁ <= ‖W_i - W_j‖₁ + ‖E_i‖₁ + ‖E_j‖₁. The
// changes add up to f̂ - f.
//
// Proof of T1. The same from the other end: layer m sees ẑ_{m-1}, changed, and the
// layers behind it are clean. If ρ is monotone and not negative, ẑ_m stays below
// z*_m = ρ(max(W_m, 0) z*_{m-1} + b_m + E_m z*_{m-1} + e_m) by induction; leaving out
// negative weights is what ẑ >= 0 allows, and keeping them would be wrong. The
// induction starts at layer 1, whose input does not change and may have any sign:
// there z*_1 = ρ(W_1 x + b_1 + E_1 |x| + e_1), with all of W_1; the same goes for the
// weights of later inputs that cannot change.
//
// Proof of Path. As T1, but the change of layer m is followed entry by entry:
// |W_k| bounds what clean layer k makes of it, and upper activations of interval
// propagation, or those of T1, bound |ẑ_{m-1}|.
//
// Proof of CROWN's elimination. For z >= 0 each product a ŵ z is least at ŵ = lo if
// a >= 0 and at ŵ = hi if a < 0, whatever z is; the entries of Ŵ move independently.
//
// # Attacks
//
// SamplePGD looks for weights that break one example, PGD for weights that break as
// many of a set as possible; RunFrobenius is the adversary of FrobeniusBound for a dense
// layer; RandomBitErrors, StuckWeights, DeadUnits and GaussianNoise are faults without
// an adversary, and BitSearch flips the few bits of a quantised network that hurt most.
// What they return is a network again, a Perturbed or one that Quantized.Network gives:
// noise after quantisation, an attack on the rounded weights, or a certificate of them
// are the same calls.
//
// Certified accuracy is never above the accuracy under SamplePGD or under PGD. The worst
// weights for each example alone leave no more right than the worst for all at once, but
// the two attacks need not find the worst, and either may come out lower.
//
// # Training
//
// TheoryLoss adds the margin bound and norms to the cross-entropy,
//
//	CE + λ max_{j≠y} η_yj(x) + μ Σ_m (‖W_m‖∞ + ‖W_m‖₁).
//
// AWP, SAM, SignStep and WeightNoise train at changed weights, IBPTraining on
// certified margins, RandBET under random bit errors, QuantAware at rounded weights,
// and Clustering against single bits that matter. Each is a loss for nn.Trainer.
// Training with bounds helps against changes of every weight and against rounding; it
// does not make a network resist bit flips, of which one can be worth many eps.
//
// # Scale
//
// A network of ReLUs without biases satisfies f_{cW} = c^L f_W: weights ten times as
// large bear changes ten times as large without one prediction having changed. Give
// relative budgets or the range of the weights beside an absolute eps.
package weightpert
