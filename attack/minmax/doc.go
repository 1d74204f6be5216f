// Package minmax finds one perturbation that does its work in K situations at once:
// against K models, on K images, under K transformations.
//
// # Problem
//
// Each situation is a domain with a loss F_i(v) that the attacker makes small, such
// as the lead of the true label. The usual heuristics minimise the average of the K
// losses (ensemble attacks, expectation over transformation) and leave the hardest
// domain unbroken. This package minimises the worst one, written with weights w on
// the simplex P (Wang et al., NeurIPS 2021, Eq. (3)):
//
//	min_{v in X} max_{w in P}  sum_i w_i F_i(v) - gamma/2 ‖w - 1/K‖²,
//
// where X is a ball of norm L∞, L2, L1 or L0 intersected with the box of valid
// values. gamma = 0 is the worst case, gamma = ∞ the average.
//
// # Method
//
// APGDA makes one projected gradient step down in v and one up in w for each
// iteration (Algorithm 1):
//
//	v_t = proj_X( v_{t-1} - alpha sum_i w_{t-1,i} ∇F_i(v_{t-1}) )
//	w_t = proj_P( w_{t-1} + beta (F(v_t) - gamma (w_{t-1} - 1/K)) )
//
// Both projections are exact. The weights of v_t come from the forward pass that
// the next gradient needs anyway, so an iteration costs what one on the average
// costs. Every input, or group of inputs, has weights of its own, and their final
// values say how hard each domain is to break.
//
// Who plays against the attacker is a Domains: Situations (models and
// transformations of one image), Group (images that share a perturbation) or
// Functions (losses of the caller's own). How the weights move is a Rule: MinMax,
// or one of the heuristics it is compared with.
//
//	ensemble := minmax.Ensemble(models, x, y)
//	a := &minmax.APGDA{Threat: attack.Threat{Norm: attack.Linf, Eps: 0.2}, StepSize: 0.25}
//	res, err := a.Run(ctx, ensemble)
//	scores := minmax.Score(res.Fooled)
//	fmt.Println(scores.All, res.MeanWeights())
//
// # What to compare with
//
// With a confidence kappa of 50 logits a model that is fooled already keeps its full
// gradient, and the average wastes its budget on it. With kappa = 0 the gradient
// ends where the model is fooled, and the average is nearly as strong as the
// min-max attack. So a gain is to be reported beside both: Margin{Kappa: 0} with
// Average is the column that says what the weights are worth.
package minmax
