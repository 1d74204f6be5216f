package cluster_test

import (
	"fmt"

	"github.com/redoubt-ml/redoubt/defense/advcl/cluster"
)

// Many clusters are pure by themselves; the mutual information does not reward them.
func ExamplePurity() {
	labels := []int{0, 0, 0, 1, 1, 1}
	for _, clusters := range [][]int{{0, 0, 0, 1, 1, 1}, {0, 1, 2, 3, 4, 5}} {
		purity, err := cluster.Purity(clusters, labels)
		if err != nil {
			fmt.Println(err)
			return
		}
		nmi, err := cluster.NMI(clusters, labels)
		fmt.Printf("%.2f %.2f %v\n", purity, nmi, err)
	}
	// Output:
	// 1.00 1.00 <nil>
	// 1.00 0.62 <nil>
}
