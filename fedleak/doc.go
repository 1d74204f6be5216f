// Package fedleak recovers private data from the gradients that federated learning
// exchanges, and measures what defences leave of the attack.
//
// # Threat model
//
// In vertical federated learning M parties hold different features of the same N
// samples, such as the quadrants of images. Party m runs a private bottom network on
// its slice; the server joins the outputs, runs the top network and knows the loss.
// For a round the server names a batch of K samples, and each party uploads the mean
// gradient of its parameters over that batch. The server follows the protocol but
// computes more than it needs to: it knows all parameters and the batches, and never
// sees a slice, a label or the gradient of one sample.
//
// In horizontal federated learning clients hold samples of their own and share one
// network; with secure aggregation the server sees only the mean over the clients.
//
// # The attack
//
// CAFE (Jin, Chen, Hsu, Yu and Chen, NeurIPS 2021) looks at the first dense layer of a
// bottom network, u = h W + b. With v_n the gradient of sample n at u, divided by K,
// which does not depend on the rest of the batch while parameters stand still, a
// round over the batch S shows
//
//	dL/db = sum over n in S of v_n,   dL/dW = sum over n in S of h_n v_n^T.
//
// Step I finds all v_n from the first, Step II all h_n from the second, and Step III
// images whose features are h_n. The paper runs stochastic gradient descent over
// batches for each, as Published does. But the first two are systems of linear
// equations: CAFE solves them by least squares. Step I has a unique solution if and
// only if the matrix of batches has rank N, which Identify tells without a gradient;
// Step II, for K < N, if and only if v_n is not 0. No relation between N and the width
// of the layer is needed. Labels follow from the gradient of the logit bias, by Step I
// and, where signs do not tell, the features of Step II.
//
//	m := fedleak.NewQuadrants(rng, 28, 1, 10, fedleak.Shape{})
//	f := &fedleak.Federation{
//		Model: m, X: fedleak.Quadrants(x), Labels: y, Schedule: fedleak.Uniform{K: 40},
//	}
//	seen, err := f.Observe(1000)
//	r, err := fedleak.CAFE{}.Run(ctx, m, seen)
//	s := fedleak.NewScore(f.X, r.Images(nil), r.Complete())
//
// Analytic, RGAP and SPEAR look at a single round: a batch of one sample, or, behind
// ReLU, a small one. Matching is the family of attacks that look for samples with the
// observed gradients: DLG, iDLG, inverting gradients, SAPAG, GradInversion.
//
// # What stops it
//
// The schedule of batches stops CAFE: with the same batches in every epoch the matrix of
// batches has rank N/K for ever, and Step I on a model that stands still is impossible,
// at no cost. SPEAR, which takes the gradient of one batch apart, is not stopped by that
// where the first dense layer is wide. Shuffled epochs need about K epochs. Identify and
// IdentifyClients say before a protocol runs what its batches give to Step I, and
// Recovery.Invisible afterwards which slices an attack did not get, and why.
//
// FakeGradients upload the order of entries with other values, ClippedNoise is the step
// of differentially private training, with an Accountant, and Sparse leaves entries
// out. A defence is worth what an attacker who knows of it cannot recover: CAFE with
// Rescale undoes a change of scale, with Masked it solves for entries that were left
// out from further rounds, with Ridge and all rounds it averages noise, and Calibrated
// learns from other samples how the defended answer belongs to the image. Compare
// with a guess that needs no attack, MeanImage. Clipping by itself protects nothing.
//
// What is uploaded are gradients at the parameters that the server sent out. The updates
// of clients that make several steps of their own before they upload, as in federated
// averaging, are not attacked here.
package fedleak
