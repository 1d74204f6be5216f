// Package cluster finds groups in features without labels, k-means with k-means++
// starts, and measures how well groups agree with others: normalised mutual
// information and purity.
package cluster
