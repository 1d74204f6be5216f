package cluster_test

import (
	"context"
	"fmt"

	"github.com/redoubt-ml/redoubt/defense/advcl/cluster"
	"github.com/redoubt-ml/redoubt/tensor"
)

// Six points in two groups, and how well the groups agree with labels.
func ExampleKMeans() {
	x := tensor.FromFloat64([]float64{0, 0, 9, 9, 0, 1, 9, 8, 1, 0, 8, 9}, 6, 2)
	found, err := cluster.KMeans{K: 2, Seed: 1}.Run(context.Background(), x)
	if err != nil {
		fmt.Println(err)
		return
	}
	labels := []int{0, 1, 0, 1, 0, 0} // the last one is a mistake
	purity, err := cluster.Purity(found.ID, labels)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Printf("sizes %v, inertia %.2f, purity %.2f\n", found.Sizes, found.Inertia, purity)
	// Output: sizes [3 3], inertia 2.67, purity 0.83
}

// Names of clusters do not matter.
func ExampleNMI() {
	same, err := cluster.NMI([]int{0, 0, 1, 1}, []int{7, 7, 3, 3})
	fmt.Printf("%.2f %v\n", same, err)
	none, err := cluster.NMI([]int{0, 0, 1, 1}, []int{0, 1, 0, 1})
	fmt.Printf("%.2f %v\n", none, err)
	// Output:
	// 1.00 <nil>
	// 0.00 <nil>
}
