package attack_test

import (
	"context"
	"fmt"
	"math/rand/v2"

	"github.com/redoubt-ml/redoubt/attack"
	"github.com/redoubt-ml/redoubt/tensor"
)

// line is a model of two classes and two pixels: it answers 1 if the second pixel
// is the brighter one.
type line struct{}

func (line) Logits(x *tensor.Tensor) *tensor.Tensor { return tensor.MulScalar(x, 5) }

// quarters is a model of images of 8x8 pixels with four classes: the number of the
// brightest quarter.
type quarters struct{}

func (quarters) Logits(x *tensor.Tensor) *tensor.Tensor {
	means := tensor.AvgPool(x, 4, 4, tensor.Same(4, 0), false)
	return tensor.MulScalar(tensor.Reshape(means, x.Dim(0), 4), 40)
}

// pictures returns two images that quarters gets right: of the first the upper left
// quarter is brighter than the rest by 0.1, of the second the lower right one by 0.4.
func pictures() (x *tensor.Tensor, y []int) {
	x = tensor.Full(tensor.Float32, 0.5, 2, 8, 8, 1)
	for r := range 4 {
		for c := range 4 {
			x.Set(0.6, 0, r, c, 0)
			x.Set(0.9, 1, 4+r, 4+c, 0)
		}
	}
	return x, []int{0, 3}
}

// Two of three inputs are closer to the decision boundary than the radius.
func ExampleEvaluate() {
	x := tensor.FromFloat32([]float32{0.9, 0.1, 0.5, 0.4, 0.3, 0.45}, 3, 2)
	y := []int{0, 0, 1}
	pgd := &attack.PGD{Threat: attack.Threat{Norm: attack.Linf, Eps: 0.1}, Steps: 10}
	report, err := attack.Evaluate(context.Background(), line{}, x, y, pgd)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println("clean: ", report.Clean)
	fmt.Println("PGD-10:", report.Worst, report.Right)
	// Output:
	// clean:  100.0 % [29.2, 100.0]
	// PGD-10: 33.3 % [0.8, 90.6] [true false false]
}

func ExamplePredict() {
	x, _ := pictures()
	answers, err := attack.Predict(context.Background(), quarters{}, x)
	fmt.Println(answers, err)
	// Output: [0 3] <nil>
}

// A projection goes to the nearest point of ball and box together.
func ExampleThreat_Project() {
	x := tensor.FromFloat32([]float32{0.9, 0.5}, 1, 2)
	far := tensor.FromFloat32([]float32{1.9, 1.5}, 1, 2)
	th := attack.Threat{Norm: attack.L1, Eps: 0.5}
	th.Project(far, x)
	fmt.Printf("%.2f\n", far.Values())
	// Output: [1.00 0.90]
}

// An attack of one's own takes steps along the gradient and leaves the geometry to
// the threat.
func ExampleThreat_Step() {
	x0, y := pictures()
	th := attack.Threat{Norm: attack.Linf, Eps: 0.1}
	x := x0.Clone()
	th.Sample(func(example int) *rand.Rand { return rand.New(rand.NewPCG(1, uint64(example))) }, x, x0)
	tape := tensor.NewTape()
	for range 10 {
		watched := tape.Watch(x)
		loss := tensor.Sum(tensor.CrossEntropy(quarters{}.Logits(watched), y))
		th.Step(x, tensor.Grad(loss, watched)[0], x0, 0.025)
		tape.Reset()
	}
	answers, err := attack.Predict(context.Background(), quarters{}, x)
	fmt.Println(answers[0] == y[0], answers[1] == y[1], err)
	fmt.Printf("%.1f\n", th.Distance(x, x0))
	// Output:
	// false true <nil>
	// [0.1 0.1]
}

// With 98 right answers of 100, how far may the true accuracy be from 98 %?
func ExampleEstimate() {
	fmt.Println(attack.NewEstimate(98, 100))
	// Output: 98.0 % [93.0, 99.8]
}

// What an attacker wants is written as an objective; here the margin, with a lead
// that makes an adversary a confident one.
func ExampleMargin() {
	x, y := pictures()
	z := quarters{}.Logits(x)
	rows := attack.Rows{Y: y, Index: []int{0, 1}}
	fmt.Printf("%.1f\n", attack.Margin{}.Values(z, rows).Values())

	pgd := &attack.PGD{
		Threat: attack.Threat{Norm: attack.Linf, Eps: 0.2}, Steps: 20,
		Objective: attack.Margin{Confidence: 10},
	}
	res, err := pgd.Run(context.Background(), quarters{}, x, y)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(res.Success)
	// Output:
	// [-4.0 -16.0]
	// [true false]
}

// The difference of logits ratio does not see the scale of the logits.
func ExampleDLR() {
	rows := attack.Rows{Y: []int{0}, Index: []int{0}}
	z := tensor.FromFloat64([]float64{4, 3, 2, 0}, 1, 4)
	for _, scale := range []float64{1, 100} {
		fmt.Printf("%.3f\n", attack.DLR{}.Values(tensor.MulScalar(z, scale), rows).Item())
	}
	// Output:
	// -0.500
	// -0.500
}

// Where the probabilities of a sure model round to 1 and 0, the gradient is still there.
func ExampleCrossEntropy() {
	z := tensor.NewTape().Watch(tensor.FromFloat32([]float32{200, 0}, 1, 2))
	loss := attack.CrossEntropy{}.Values(z, attack.Rows{Y: []int{0}, Index: []int{0}})
	fmt.Println(loss.Item(), tensor.Grad(tensor.Sum(loss), z)[0].Values())
	// Output: -200 [-1 1]
}

// Accuracy against the radius, from the nearest adversaries that were found.
func ExampleNormCurve() {
	x, y := pictures()
	nearest := &attack.DDN{Threat: attack.Threat{Norm: attack.L2, Eps: 5}}
	report, err := attack.Evaluate(context.Background(), quarters{}, x, y, nearest)
	if err != nil {
		fmt.Println(err)
		return
	}
	curve := attack.NewNormCurve(attack.L2, x, report)
	for _, eps := range []float64{0.2, 0.5, 2} {
		fmt.Println(eps, curve.At(eps).Value)
	}
	// Output:
	// 0.2 1
	// 0.5 0.5
	// 2 0
}

func ExampleEpsCurve() {
	x, y := pictures()
	pgd := attack.PGD{Threat: attack.Threat{Norm: attack.Linf}, Steps: 20}
	curve, err := attack.EpsCurve(context.Background(), quarters{}, x, y, pgd, []float64{0, 0.1, 0.3})
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, e := range curve {
		fmt.Println(e.Right, "of", e.Total)
	}
	// Output:
	// 2 of 2
	// 1 of 2
	// 0 of 2
}

// The gradients of a linear model can be trusted.
func ExampleDiagnose() {
	x, y := pictures()
	th := attack.Threat{Norm: attack.Linf, Eps: 0.1}
	checks, err := attack.Diagnose(context.Background(), quarters{}, x, y, th, 1)
	if err != nil {
		fmt.Println(err)
		return
	}
	fine := true
	for _, c := range checks {
		fine = fine && c.OK
	}
	fmt.Println("nothing speaks against the gradients:", fine)
	// Output: nothing speaks against the gradients: true
}

// The number to publish: four attacks one after the other, without knobs.
func ExampleAutoAttack() {
	x, y := pictures()
	a := &attack.AutoAttack{Threat: attack.Threat{Norm: attack.Linf, Eps: 0.1}}
	report, err := a.Evaluate(context.Background(), quarters{}, x, y)
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, s := range report.Stages {
		fmt.Println(s.Name, "attacked", s.Attacked, "and broke", s.Broken)
	}
	fmt.Println("robust:", report.Right)
	// Output:
	// APGD-CE attacked 2 and broke 1
	// APGD-T attacked 1 and broke 0
	// FAB-T attacked 1 and broke 0
	// Square attacked 1 and broke 0
	// robust: [false true]
}

// flip is an attack of one's own: the negative of an image, if the threat allows it.
type flip struct{ threat attack.Threat }

func (flip) Name() string { return "negative" }

func (a flip) Run(ctx context.Context, m attack.Model, x *tensor.Tensor, y []int) (attack.Result, error) {
	negative := tensor.Affine(x, -1, 1)
	a.threat.Project(negative, x)
	answers, err := attack.Predict(ctx, m, negative)
	if err != nil {
		return attack.Result{}, fmt.Errorf("negative: %w", err)
	}
	n := len(y)
	res := attack.Result{
		X: negative, Label: answers, Distance: a.threat.Distance(negative, x),
		Success: make([]bool, n), Queries: make([]int, n), Gradients: make([]int, n),
	}
	for i := range y {
		res.Success[i], res.Queries[i] = answers[i] != y[i], 1
	}
	return res, nil
}

// Evaluate takes an attack of one's own beside those of the package.
func ExampleAttack() {
	x, y := pictures()
	th := attack.Threat{Norm: attack.Linf, Eps: 1}
	report, err := attack.Evaluate(context.Background(), quarters{}, x, y, flip{th}, &attack.FGSM{Threat: th})
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, a := range report.Attacks {
		fmt.Println(a.Name, a.Accuracy.Right, "of", a.Accuracy.Total)
	}
	// Output:
	// negative 0 of 2
	// FGSM 0 of 2
}
