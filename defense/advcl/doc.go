// Package advcl pretrains encoders on images without labels so that a plain linear
// classifier on top of them resists attacks.
//
// # Threat model
//
// A user trains an encoder f on unlabelled images. Somebody else freezes it and trains
// one linear layer with ordinary cross-entropy. An attacker then changes every pixel by
// at most eps (8/255 in the field) and knows f and the layer. Contrastive learning
// alone leaves hardly any accuracy against that attacker.
//
// # Method
//
// AdvCL (Fan et al., NeurIPS 2021, Eq. (7) and (10)) minimises, over the encoder, a
// projection head and linear heads phi,
//
//	max_{‖δ‖∞≤eps} L_CL(τ1(x), τ2(x), x+δ, x_h)  +  λ max_{‖δ'‖∞≤eps} mean_i CE(phi_i(f(x+δ')), C_i)
//
// where τ1(x) and τ2(x) are strong random crops, x is a weakly augmented image, x_h
// its high frequencies, L_CL the multi-view NT-Xent loss, and C_i cluster numbers of
// features of an encoder that was trained before (SimCLR on the same images will do).
// Clean, attacked and pseudo-labelled images have normalisation statistics of their
// own; those of the attacked ones are kept.
//
//	net := advcl.NewNetwork(rng, advcl.Mini, advcl.Projector{Widths: []int{128, 64}}, nil, advcl.Clean, advcl.Attacked)
//	run := advcl.Pretraining{Net: net, Method: advcl.NewAdvCL(seed), Data: images, Steps: 1000, BatchSize: 128}
//	err := run.Run(ctx)
//	encoder, err := net.Encoder.Extract(advcl.Attacked)
//	classifier, err := finetune.Tuning{Kind: finetune.SLF}.Run(ctx, encoder, labelled)
//
// Pseudo-labels come from an encoder that was trained before, a SimCLR one say:
//
//	features, err := advcl.Encode(ctx, simclr, "", images)
//	labels, err := advcl.Cluster(ctx, images, features, cluster.KMeans{}, 2, 10, 50)
//	net := advcl.NewNetwork(rng, advcl.Mini, head, labels.Clusters(), advcl.Routes...)
//	method := advcl.NewAdvCL(seed).WithPseudoLabels(labels)
//
// # What it is compared with
//
// Each is a Pretraining with another Method:
//
//   - NewSimCLR, contrastive learning without attacks;
//   - NewRoCL, NewACL and NewDynACL, adversarial forms of it;
//   - NewDeACL, which teaches a student what a SimCLR encoder knows, in a tenth of the
//     epochs: the one to try first on a small machine;
//   - NewAPDPE, which learns from rotations, jigsaws and hidden patches;
//   - NewAT and NewTRADES, adversarial training with labels, the reference.
//
// # Where paper and code differ
//
// Where they do, or the paper is silent, the reference code is followed:
// the mean in place of the sum times Temperature/0.07, λ = 0.2, three sets of
// statistics, attacks in training mode. Clean views pass once in a step and not again
// in each step of the attack, which changes only how often their statistics move.
package advcl
