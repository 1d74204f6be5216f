// Package finetune turns pretrained encoders into classifiers and measures them.
//
// # Three ways
//
// Standard linear fine-tuning (SLF) trains one linear layer on the features of a frozen
// encoder with ordinary cross-entropy; adversarial linear fine-tuning (ALF) does so on
// attacked images; adversarial full fine-tuning (AFF) trains everything with TRADES.
//
//	c, err := finetune.Tuning{Kind: finetune.SLF}.Run(ctx, encoder, labelled)
//	scores, err := finetune.Protocol{Eps: []float64{8. / 255}}.Measure(ctx, c, x, y)
//
// # What to trust
//
// Training ends with the last epoch, or with a Validation takes the epoch that is best on
// images held out of the training images; nothing is chosen by what test images say. PGD
// is quick and shows a trend; a claim of robustness needs Protocol.AutoAttack, which attacks
// the first images that it is given. SLF tells most about an encoder, since nothing but a
// linear layer is added.
package finetune
