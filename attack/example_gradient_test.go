package attack_test

import (
	"context"
	"fmt"

	"github.com/redoubt-ml/redoubt/attack"
	"github.com/redoubt-ml/redoubt/tensor"
)

func ExampleFGSM() {
	x, y := pictures()
	a := &attack.FGSM{Threat: attack.Threat{Norm: attack.Linf, Eps: 0.1}}
	res, err := a.Run(context.Background(), quarters{}, x, y)
	fmt.Println(res.Success, err)
	// Output: [true false] <nil>
}

func ExampleRFGSM() {
	x, y := pictures()
	a := &attack.RFGSM{Threat: attack.Threat{Norm: attack.Linf, Eps: 0.15}, Seed: 1}
	res, err := a.Run(context.Background(), quarters{}, x, y)
	fmt.Println(res.Success, err)
	// Output: [true false] <nil>
}

func ExampleBIM() {
	x, y := pictures()
	a := &attack.BIM{Threat: attack.Threat{Norm: attack.Linf, Eps: 0.1}, Steps: 10}
	res, err := a.Run(context.Background(), quarters{}, x, y)
	fmt.Println(res.Success, err)
	// Output: [true false] <nil>
}

func ExamplePGD() {
	x, y := pictures()
	a := &attack.PGD{Threat: attack.Threat{Norm: attack.L2, Eps: 0.5}, Steps: 20, Restarts: 2, Seed: 1}
	res, err := a.Run(context.Background(), quarters{}, x, y)
	fmt.Println(a.Name(), res.Success, err)
	// Output: PGD-20x2 [true false] <nil>
}

// With targets only the wanted answer counts.
func ExamplePGD_targets() {
	x, y := pictures()
	a := &attack.PGD{Threat: attack.Threat{Norm: attack.Linf, Eps: 0.3}, Steps: 20, Targets: []int{2, 2}}
	res, err := a.Run(context.Background(), quarters{}, x, y)
	fmt.Println(res.Success, res.Label, err)
	// Output: [true true] [2 2] <nil>
}

// In adversarial training every example makes all steps.
func ExamplePGD_Perturb() {
	x, y := pictures()
	a := &attack.PGD{Threat: attack.Threat{Norm: attack.Linf, Eps: 0.1}, Steps: 7}
	worst, err := a.Perturb(context.Background(), quarters{}, x, y)
	if err != nil {
		fmt.Println(err)
		return
	}
	loss := func(x *tensor.Tensor) float64 {
		return tensor.Mean(tensor.CrossEntropy(quarters{}.Logits(x), y)).Item()
	}
	fmt.Println("the loss has risen:", loss(worst) > loss(x)+1)
	// Output: the loss has risen: true
}

// LossCurve shows whether an attack had steps enough.
func ExampleLossCurve() {
	x, y := pictures()
	pgd := attack.PGD{Threat: attack.Threat{Norm: attack.Linf, Eps: 0.1}, Steps: 40}
	curve, err := attack.LossCurve(context.Background(), quarters{}, x, y, pgd)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(len(curve), "values; the last ten steps brought something:", curve[40] > curve[30]+0.1)
	// Output: 41 values; the last ten steps brought something: false
}

// APGD chooses its step size itself.
func ExampleAPGD() {
	x, y := pictures()
	a := &attack.APGD{Threat: attack.Threat{Norm: attack.L1, Eps: 3}, TargetClasses: 3}
	res, err := a.Run(context.Background(), quarters{}, x, y)
	fmt.Println(a.Name(), res.Success, err)
	// Output: APGD-T [true false] <nil>
}

// SLIDE moves the few values that matter most under L1.
func ExampleSLIDE() {
	x, y := pictures()
	a := &attack.SLIDE{Threat: attack.Threat{Norm: attack.L1, Eps: 3}, Steps: 50, Share: 0.1}
	res, err := a.Run(context.Background(), quarters{}, x, y)
	fmt.Println(res.Success, err)
	// Output: [true false] <nil>
}

// AllSteps makes adversaries that lie deep among the wrong answers.
func ExampleMIFGSM() {
	x, y := pictures()
	a := &attack.MIFGSM{Threat: attack.Threat{Norm: attack.Linf, Eps: 0.1}, AllSteps: true}
	res, err := a.Run(context.Background(), quarters{}, x, y)
	fmt.Println(res.Success, err)
	// Output: [true false] <nil>
}

func ExampleDIFGSM() {
	x, y := pictures()
	a := &attack.DIFGSM{Threat: attack.Threat{Norm: attack.Linf, Eps: 0.1}, Seed: 1}
	res, err := a.Run(context.Background(), quarters{}, x, y)
	fmt.Println(res.Success, err)
	// Output: [true false] <nil>
}

func ExampleTIFGSM() {
	x, y := pictures()
	a := &attack.TIFGSM{Threat: attack.Threat{Norm: attack.Linf, Eps: 0.1}, Radius: 1}
	res, err := a.Run(context.Background(), quarters{}, x, y)
	fmt.Println(res.Success, err)
	// Output: [true false] <nil>
}

// A model that only answers falls to an adversary made with another one.
func ExampleTransfer() {
	x, y := pictures()
	a := &attack.Transfer{
		Surrogate: quarters{},
		Attack:    &attack.MIFGSM{Threat: attack.Threat{Norm: attack.Linf, Eps: 0.1}, AllSteps: true},
	}
	res, err := a.Run(context.Background(), answers{}, x, y)
	fmt.Println(res.Success, "with", res.Queries, "queries", err)
	// Output: [true false] with [2 2] queries <nil>
}

// The step size that 0 means depends on the threat and the number of steps.
func ExamplePGD_DefaultStepSize() {
	x, _ := pictures()
	a := &attack.PGD{Threat: attack.Threat{Norm: attack.Linf, Eps: 0.1}, Steps: 10}
	fmt.Printf("%.3f\n", a.DefaultStepSize(x))
	// Output: 0.025
}
