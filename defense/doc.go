// Package defense trains classifiers that resist attacks.
//
// # Adversarial training
//
// Ordinary training minimises the mean loss L over the data. Adversarial training
// minimises the loss at the worst input of the threat's set around each example
// (Madry et al., ICLR 2018, Eq. (2)):
//
//	min_θ E_(x,y) max_{x' in B(x)} L(θ, x', y).
//
// The inner maximum is approximated by an attack on the network as it is at that
// step. Several steps of PGD from a random start give robustness that stronger
// attacks confirm; a single step costs little more than ordinary training, but
// can collapse: the network learns to fool that one step.
//
// # TRADES
//
// TRADES splits the loss into accuracy on the clean example and agreement
// between clean and attacked example, with a factor that trades one for the
// other (Zhang et al., ICML 2019, Eq. (5)):
//
//	min_θ E L(θ, x, y) + β max_{x' in B(x)} KL( p(x) ‖ p(x') ).
//
// # Several attacks at once
//
// A network hardened against one norm falls to another. AMPGD trains against K
// attack sets B_i together and lets each example weigh them, with a pull gamma
// towards equal weights (Wang et al., NeurIPS 2021, Eq. (11)):
//
//	min_θ E max_{w, x_i in B_i(x)} sum_i w_i L(θ, x_i, y) - gamma/2 ‖w - 1/K‖².
//
// The mean of the attacks (NewAVG), the worst of them (NewMAX) and multi steepest
// descent (MSD) are what it is compared with. WeightLog records how the weights move
// during training; Multi and Area measure the outcome.
//
// Each method is a loss for nn.Trainer:
//
//	at := &defense.AdversarialTraining{
//		Attack: attack.PGD{Threat: attack.Threat{Norm: attack.Linf, Eps: 0.3}, Steps: 7},
//	}
//	trainer := nn.Trainer{Net: net, Data: train, Epochs: 9, Loss: at.Loss}
//	err := trainer.Run(ctx)
//
// # Certificates and diagnostics
//
// Package smoothing makes a classifier whose answers are proved not to change within an
// L2 ball, and trains for it; package represent looks into encoders and at how a
// classifier on them stands up to common corruptions.
package defense
