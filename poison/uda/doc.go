// Package uda trains classifiers by unsupervised domain adaptation: from a labelled
// source and an unlabelled target of another distribution, to be judged by the
// accuracy on the target.
//
// A feature network G is shared by a classifier C and, depending on the method, by
// something that pulls the features of the two domains together:
//
//	SourceOnly  nothing: the baseline that belongs in every table
//	DANN        a domain discriminator (Ganin et al., JMLR 17, 2016)
//	CDAN        a discriminator that also sees the predictions (Long et al., NeurIPS 2018)
//	MCD         two classifiers that disagree on the target (Saito et al., CVPR 2018)
//	SSL         a task without labels on both domains (Sun et al., arXiv 1909.11825)
//	IWDAN       DANN with class weights (Tachet des Combes et al., NeurIPS 2020)
//	IWCDAN      CDAN with class weights
//
// With D the discriminator and d the domain of an example, 0 for the source and 1 for the
// target, DANN and its kin let two sides take turns,
//
//	D:        min CE(d, D(G(x)))
//	G and C:  min CE(y_s, C(G(x_s))) + CE(1-d, D(G(x))).
//
// All are a Method. Their zero values are the settings from MNIST to USPS of Mehra et
// al., "Understanding the Limits of Unsupervised Domain Adaptation via Data Poisoning",
// NeurIPS 2021, but for MCD, which has DiscrepancyRate 0.1 there; on other pairs
// Adversary.Repeats is 3, and MCD's fields say what they are. Training runs any of them:
//
//	t := uda.Training{
//		Method: uda.DANN{}, Arch: uda.Digits(), Source: mnist, Target: usps,
//		Epochs: 201, BatchSize: 256, Seed: 1,
//	}
//	model, err := t.Run(ctx)
//	e, err := uda.Evaluate(ctx, model, uspsTest)
//
// # What an iteration may change
//
// The discriminator's step leaves G and C as they are, bit for bit; the step of
// G and C leaves the discriminator alone, and C never gets a gradient of the
// domain loss, although with CDAN that loss reaches G through C's predictions.
//
// # Reading the losses
//
// A softmax domain loss of ln 2 = 0.693 is what aligned features give; look at the
// balanced accuracy of the discriminator beside it (0.5 when aligned). A loss that
// is not finite ends training with a *DivergedError, so that an accuracy of 1/K is
// never a network of NaNs. Diagnose, called from Training.OnEpoch, shows the terms of
// the bounds of package bound as they develop, on labelled examples held out.
package uda
