package attack_test

import (
	"context"
	"fmt"

	"github.com/redoubt-ml/redoubt/attack"
)

// The attacks of this file look for the smallest perturbation that succeeds. The
// boundary of quarters lies 0.1/√(2/16) = 0.28 and 0.4/√(2/16) = 1.13 from the two
// pictures under L2.

func ExampleDeepFool() {
	x, y := pictures()
	a := &attack.DeepFool{Threat: attack.Threat{Norm: attack.L2, Eps: 5}}
	res, err := a.Run(context.Background(), quarters{}, x, y)
	fmt.Printf("%v %.1f %v\n", res.Success, res.Distance, err)
	// Output: [true true] [0.3 1.2] <nil>
}

func ExampleCarliniWagner() {
	x, y := pictures()
	a := &attack.CarliniWagner{Threat: attack.Threat{Norm: attack.L2, Eps: 5}, Steps: 200}
	res, err := a.Run(context.Background(), quarters{}, x, y)
	fmt.Printf("%v %.1f %v\n", res.Success, res.Distance, err)
	// Output: [true true] [0.3 1.1] <nil>
}

func ExampleEAD() {
	x, y := pictures()
	a := &attack.EAD{Threat: attack.Threat{Norm: attack.L1, Eps: 10}, Steps: 200, Searches: 12}
	res, err := a.Run(context.Background(), quarters{}, x, y)
	fmt.Println(res.Success, res.Distance[0] < res.Distance[1], err)
	// Output: [true true] true <nil>
}

// DDN follows the gradient of the cross-entropy, which raises all wrong classes alike
// and so takes a longer way.
func ExampleDDN() {
	x, y := pictures()
	a := &attack.DDN{Threat: attack.Threat{Norm: attack.L2, Eps: 5}}
	res, err := a.Run(context.Background(), quarters{}, x, y)
	fmt.Printf("%v %.1f %v\n", res.Success, res.Distance, err)
	// Output: [true true] [0.3 1.4] <nil>
}

func ExampleFMN() {
	x, y := pictures()
	a := &attack.FMN{Threat: attack.Threat{Norm: attack.L2, Eps: 5}}
	res, err := a.Run(context.Background(), quarters{}, x, y)
	fmt.Printf("%v %.1f %v\n", res.Success, res.Distance, err)
	// Output: [true true] [0.3 1.1] <nil>
}

func ExampleFAB() {
	x, y := pictures()
	a := &attack.FAB{Threat: attack.Threat{Norm: attack.L2, Eps: 5}, Minimize: true}
	res, err := a.Run(context.Background(), quarters{}, x, y)
	fmt.Printf("%v %.1f %v\n", res.Success, res.Distance, err)
	// Output: [true true] [0.3 1.1] <nil>
}

// Under L0 the distance is the number of pixels that change.
func ExampleJSMA() {
	x, y := pictures()
	a := &attack.JSMA{Threat: attack.Threat{Norm: attack.L0, Eps: 5}}
	res, err := a.Run(context.Background(), quarters{}, x, y)
	fmt.Println(res.Success, res.Distance[0], err)
	// Output: [true false] 3 <nil>
}
