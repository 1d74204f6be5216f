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
// Each method is a loss for nn.Trainer:
//
//	at := &defense.AdversarialTraining{
//		Attack: attack.PGD{Threat: attack.Threat{Norm: attack.Linf, Eps: 0.3}, Steps: 7},
//	}
//	trainer := nn.Trainer{Net: net, Data: train, Epochs: 9, Loss: at.Loss}
//	err := trainer.Run(ctx)
package defense
