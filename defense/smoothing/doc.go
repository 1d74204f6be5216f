// Package smoothing certifies classifiers by randomized smoothing: it makes a
// classifier out of any other whose answer provably stays the same within an L2 ball.
//
// # The smoothed classifier
//
// For a base classifier f and noise ε ~ N(0, σ²I) the smoothed classifier answers
// what f answers most often around x,
//
//	g(x) = argmax_c P( f(x + ε) = c ).
//
// If the answer cA has a probability of at least pA > 1/2 under noise, then
// g(x + δ) = cA for every ‖δ‖₂ < R with
//
//	R = σ Φ⁻¹(pA),
//
// where Φ is the standard normal distribution function: the form in which Algorithm 1
// of Cohen, Rosenfeld and Kolter (ICML 2019) uses their Theorem 1. Nothing is assumed
// of f: it may be a network, an ONNX file, or a service that answers with labels only.
//
// # What is certain
//
// Probabilities are estimated from draws, so every statement is one about chance. A
// radius that Certify returns is wrong with a probability of at most Alpha, and so is
// a class that Predict returns, for each input on its own. Where the draws do not
// suffice both abstain. The theorem is about real numbers; the rounding of float32
// inputs and of their sums with noise is outside of it.
//
//	c := &smoothing.Classifier{Model: nn.Classifier{Net: net}, Sigma: 0.5}
//	certs, err := c.Certify(ctx, x)
//	curve, err := smoothing.CertifiedAccuracy(certs, y, []float64{0, 0.25, 0.5, 1})
//
// # Training for it
//
// A network that has never seen noise is mostly wrong under it. Training trains it on
// noisy examples, and SmoothAdv on noisy examples that an attack on the smoothed
// classifier has found (Salman et al., NeurIPS 2019). Both are losses for nn.Trainer:
//
//	noise := &smoothing.Training{Sigma: 0.5}
//	trainer := nn.Trainer{Net: net, Data: train, Epochs: 9, Loss: noise.Loss}
//
// All radii and deviations are in units of the input, pixels in [0, 1] for images; a
// normalisation belongs into the model. Noisy pixels are not clipped.
package smoothing
