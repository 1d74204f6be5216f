// Package attack breaks classifiers at test time and measures how they break.
//
// # Threat model
//
// An attacker who knows everything about a model with logits z(x) may replace an
// input x of label y by any x' in
//
//	{ x' : ‖x' - x‖_p <= eps,  lo <= x'_i <= hi },
//
// a Threat: a ball of norm L∞, L2, L1 or L0 around x intersected with the box of
// valid pixels. The attacker wants argmax z(x') to differ from y, or, with a
// target t, to be t. Robust accuracy is the share of inputs for which no such x'
// exists; an attack finds some of them, so the accuracy under an attack is an
// upper bound of it.
//
// # Method
//
// All gradient attacks climb an Objective L, such as the cross-entropy, by
// projected steepest ascent (Madry et al., ICLR 2018, Eq. (3)):
//
//	x_{t+1} = P( x_t + alpha d_t ),  d_t = argmax { <d, ∇L(x_t)> : ‖d‖_p <= 1 },
//
// where P is the exact Euclidean projection onto the threat's set. FGSM is one
// step, RFGSM one after a random one, BIM several from x itself, PGD several from
// random starts; SLIDE makes sparse steps. MIFGSM sums gradients up, DIFGSM takes
// them at images of other sizes and TIFGSM smooths them, so that what they find
// transfers to other models.
//
// A number to publish comes from AutoAttack, which has no knobs: APGD with two
// objectives, FAB and Square, one after the other, with a log of what each broke
// and warnings where the result may mean little.
//
// DeepFool, CarliniWagner, EAD, DDN, FMN and FAB with Minimize look for the nearest
// success. Square, NES, SPSA and SimBA need scores only, Boundary and HopSkipJump
// answers only; they count their queries. JSMA changes few values, Universal finds
// one perturbation for many inputs, and Transfer attacks through a surrogate. Noise
// and Blur are what all of them must beat.
//
// Beyond small changes of values, Spatial turns and shifts images, Patch is a picture
// put on them, and EOT makes perturbations that survive the differentiable changes of
// package transform.
//
//	pgd := &attack.PGD{Threat: attack.Threat{Norm: attack.Linf, Eps: 0.3}, Steps: 40}
//	report, err := attack.Evaluate(ctx, model, x, y, pgd)
//	fmt.Println(report.Clean, report.Worst)
//
// Evaluate takes several attacks and counts the worst for each input; NormCurve and
// EpsCurve are accuracy against the radius, and Diagnose looks for masked gradients.
//
// Results are per example: an attack never undoes an existing mistake, and
// reports success only for an input that it has seen the model get wrong.
// A model that answers at random is found out before an attack, by asking 4 times about
// the first 8 inputs, which no limit of queries of an attack counts. An attack that climbs
// (PGD and its relatives, APGD, Square, NES, SPSA, SimBA) then makes all its steps, as its
// first success may be a lucky draw.
// Randomness is per example too, so results depend neither on how a batch is cut
// nor on the number of threads.
package attack
