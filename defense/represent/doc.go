// Package represent looks into what an encoder has learnt, and at how flat and how
// sturdy a classifier on it is.
//
// An Encoder maps inputs [N, ...] to features [N, D]: Network makes one of any nn.Layer.
// Features runs it over a data set in batches.
//
//	enc := represent.Network(net, "")
//	train, err := represent.Features(ctx, enc, xTrain, 0)
//	test, err := represent.Features(ctx, enc, xTest, 0)
//
// # Without training anything
//
// KNN is the probe by nearest neighbours, which needs no linear layer and no learning
// rate; Silhouette says how well classes are apart; PCA and TSNE make maps of features
// to look at. Numbers should be taken from the features, not from a map.
//
//	accuracy, err := represent.KNN{}.Accuracy(ctx, train, yTrain, test, yTest)
//	shown, err := represent.TSNE{Seed: 1}.Embed(ctx, test)
//
// # Of a classifier
//
// Landscape draws the loss L(θ + a d1 + b d2) around the weights θ along two random
// directions, scaled filter by filter; Inversion finds the image that drives one neuron furthest; and
// CorruptionAccuracy measures accuracy on common corruptions.
//
// These are the diagnostics that Fan et al. (NeurIPS 2021) hold their encoders up to.
// Where the paper gives no settings the defaults are this package's, and say so.
package represent
