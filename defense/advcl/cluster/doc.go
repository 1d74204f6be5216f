// Package cluster finds groups in features without labels, and measures how well groups
// agree with others.
//
// KMeans looks for K centres that make the sum of squared distances small,
//
//	min over c_1, ..., c_K of  sum_i min_k ‖x_i - c_k‖²,
//
// by Lloyd's algorithm from k-means++ starts: centres drawn one after the other, a point
// with a probability in proportion to its squared distance from those drawn before.
//
//	found, err := cluster.KMeans{K: 10, Seed: 1}.Run(ctx, features) // [N, D]
//	purity, err := cluster.Purity(found.ID, labels)
//
// Purity is easy to read but grows with the number of clusters; NMI, the normalised
// mutual information, does not reward many clusters in the same way. Where the direction
// of a feature counts and not its length, as in contrastive learning, scale the rows to
// length 1 first, which advcl.Cluster does. The minimum found is a local one: Restarts
// keeps the best of several.
package cluster
