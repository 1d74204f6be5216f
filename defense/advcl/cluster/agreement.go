package cluster

import (
	"fmt"
	"math"
)

// labelled returns both labels of each point that has two, one of 0 or more in either
// labelling.
func labelled(a, b []int) (la, lb []int, err error) {
	if len(a) != len(b) || len(a) == 0 {
		return nil, nil, fmt.Errorf("cluster: labellings of %d and %d points, want as many, at least one", len(a), len(b))
	}
	for i := range a {
		if a[i] >= 0 && b[i] >= 0 {
			la, lb = append(la, a[i]), append(lb, b[i])
		}
	}
	if len(la) == 0 {
		return nil, nil, fmt.Errorf("cluster: none of %d points has a label of 0 or more in both labellings, want at least one", len(a))
	}
	return la, lb, nil
}

// tally says how often each value occurs.
func tally[T comparable](values []T) map[T]int {
	n := map[T]int{}
	for _, v := range values {
		n[v]++
	}
	return n
}

func pairs(a, b []int) [][2]int {
	out := make([][2]int, len(a))
	for i := range a {
		out[i] = [2]int{a[i], b[i]}
	}
	return out
}

// NMI is the normalised mutual information of two labellings of the same points,
// I(a; b)/sqrt(H(a) H(b)), 0 to 1: 1 for labellings that are the same up to names, 0 for
// independent ones, and 0 if one has a single label and the other more. A negative label
// stands for none, and points without two labels do not count. Errors: different numbers
// of points, none that counts.
func NMI(a, b []int) (float64, error) {
	a, b, err := labelled(a, b)
	if err != nil {
		return 0, err
	}
	joint, na, nb, n := tally(pairs(a, b)), tally(a), tally(b), len(a)
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
// 0 to 1. Points without a cluster or a label, a negative number, do not count. Errors:
// different numbers of points, none that counts.
func Purity(clusters, labels []int) (float64, error) {
	clusters, labels, err := labelled(clusters, labels)
	if err != nil {
		return 0, err
	}
	most := map[int]int{}
	for k, c := range tally(pairs(clusters, labels)) {
		most[k[0]] = max(most[k[0]], c)
	}
	sum := 0
	for _, c := range most {
		sum += c
	}
	return float64(sum) / float64(len(labels)), nil
}
