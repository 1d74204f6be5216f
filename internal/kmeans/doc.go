// Package kmeans partitions points into clusters by Lloyd's iterations from one
// k-means++ start, and measures the distances between points.
package kmeans
