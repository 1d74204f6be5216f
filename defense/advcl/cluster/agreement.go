package cluster

import (
	"fmt"
	"math"
)

// table counts pairs of labels. Negative ones stand for no label.
func table(a, b []int) (joint map[[2]int]int, na, nb map[int]int, n int, err error) {
	if len(a) != len(b) || len(a) == 0 {
		return nil, nil, nil, 0, fmt.Errorf("cluster: labellings of %d and %d points, want as many, at least one", len(a), len(b))
	}
	joint, na, nb = map[[2]int]int{}, map[int]int{}, map[int]int{}
	for i := range a {
		joint[[2]int{a[i], b[i]}]++
		na[a[i]]++
		nb[b[i]]++
	}
	return joint, na, nb, len(a), nil
}

// NMI is the normalised mutual information of two labellings of the same points,
// I(a; b)/sqrt(H(a) H(b)), 0 to 1: 1 for labellings that are the same up to names, 0 for
// independent ones, and 0 if one has a single label and the other more. Errors: none or
// different numbers of points.
func NMI(a, b []int) (float64, error) {
	joint, na, nb, n, err := table(a, b)
	if err != nil {
		return 0, err
	}
	information := 0.0
	// In the order of the points, so that rounding does not depend on a map.
	for i := range a {
		k := [2]int{a[i], b[i]}
		if c := joint[k]; c > 0 {
			information += float64(c) / float64(n) * math.Log(float64(c)*float64(n)/(float64(na[a[i]])*float64(nb[b[i]])))
			delete(joint, k)
		}
	}
	ha, hb := entropy(a, na), entropy(b, nb)
	if ha == 0 && hb == 0 {
		return 1, nil
	}
	if ha == 0 || hb == 0 {
		return 0, nil
	}
	return min(1, max(0, information/math.Sqrt(ha*hb))), nil
}

func entropy(labels []int, counts map[int]int) (h float64) {
	seen := map[int]bool{}
	for _, l := range labels {
		if !seen[l] {
			seen[l] = true
			p := float64(counts[l]) / float64(len(labels))
			h -= p * math.Log(p)
		}
	}
	return h
}

// Purity is the share of points whose label is the most frequent one of their cluster,
// 0 to 1. Errors: none or different numbers of points.
func Purity(clusters, labels []int) (float64, error) {
	joint, _, _, n, err := table(clusters, labels)
	if err != nil {
		return 0, err
	}
	most := map[int]int{}
	for k, c := range joint {
		most[k[0]] = max(most[k[0]], c)
	}
	sum := 0
	for _, c := range most {
		sum += c
	}
	return float64(sum) / float64(n), nil
}
