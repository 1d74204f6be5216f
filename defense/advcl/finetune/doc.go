// Package finetune turns pretrained encoders into classifiers and measures them.
//
// There are three ways. Standard linear fine-tuning (SLF) trains one linear layer on
// the features of a frozen encoder with ordinary cross-entropy; adversarial linear
// fine-tuning (ALF) does so on attacked images; adversarial full fine-tuning (AFF)
// trains everything with TRADES.
//
//	c, err := finetune.Tuning{Kind: finetune.SLF}.Run(ctx, encoder, labelled)
//	scores, err := finetune.Protocol{Eps: []float64{8. / 255}}.Measure(ctx, c, x, y)
//
// Training ends with the last epoch; nothing is chosen by what test images say.
package finetune
