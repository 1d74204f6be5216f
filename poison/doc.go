// Package poison breaks unsupervised domain adaptation by a few training images.
//
// A victim adapts from a labelled source S to an unlabelled target T with one of the
// methods of package uda, and is judged by its accuracy on the target. The attacker
// may append labelled images to S, knows the labels of the target images that are used
// for them, and cannot change images that are there, the target or the method.
//
// # Untargeted attacks
//
// Watermark blends target images t of class c with source images s of that class and
// gives the result the label of another class:
//
//	u = (1-alpha) s + alpha t,   label (c+1) mod K.
//
// With alpha = 1 these are mislabelled target images, of which the paper adds a tenth as
// many as there are target images; it reports DANN from MNIST to USPS falling from
// 92.17 % to 0.97 % of the target's test images. A victim that learns the attacker's
// labels for the target may keep those of the source. Training on the source alone
// falls for them, too: what is particular to adaptation is how small alpha can be.
// examples/udapoison measures all of this.
//
//	p, err := poison.MislabelledTarget(poison.Budget{Fraction: 0.1}, 1).Build(mnist, usps)
//	t.Source = p.Into(mnist)
//	model, err := t.Run(ctx)
//
// An accuracy near 1/K says little by itself. A victim that has learnt the poison has
// its answers on the shifted diagonal of the confusion matrix, keeps its accuracy on
// the source and fits the poison; see uda.Evaluation.
//
// # A targeted attack with right labels
//
// CleanLabel makes fresh victims give one target image a wanted class, with images of
// that class under their own label that are changed within a small ball:
//
//	min_u sum_i |g(x; θ*) - g(u_i; θ*)|²   such that |u_i - base_i|∞ <= eps,
//	θ* = argmin_θ L( S and the u_i, T; θ )
//
// Its success is that of Victims which the attacker has not seen, beside a control
// without poison. GradientMatching, Collision.Bullseye and CleanLabel.Fixed are other
// attacks to compare it with, RandomFlips and Noise what an attacker without knowledge
// can do.
//
// # Defences
//
// KNN, SpectralSignatures, ActivationClustering and Agreement are filters of the
// source; LossTrim leaves images out while training, and PartitionVote trains several
// models. None of them sees a label of the target.
//
// Source: Mehra, Kailkhura, Chen and Hamm, "Understanding the Limits of Unsupervised
// Domain Adaptation via Data Poisoning", NeurIPS 2021. Its bounds are in package bound.
package poison
