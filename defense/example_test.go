package defense_test

import (
	"context"
	"fmt"
	"math/rand/v2"

	"github.com/redoubt-ml/redoubt/attack"
	"github.com/redoubt-ml/redoubt/defense"
	"github.com/redoubt-ml/redoubt/tensor"
	"github.com/redoubt-ml/redoubt/tensor/dataset"
	"github.com/redoubt-ml/redoubt/tensor/nn"
	"github.com/redoubt-ml/redoubt/tensor/optim"
)

// signs returns images of one row of nine pixels with two classes: the first pixel is
// darker (0.3) or brighter (0.7) by class, one time in twenty the other way round, and
// the eight others hint at the class by 0.03, less than the radius of the attacks.
func signs(n int) *dataset.Set {
	rng := rand.New(rand.NewPCG(1, 0))
	s := &dataset.Set{Name: "signs", H: 1, W: 9, C: 1, Classes: 2}
	for i := range n {
		y := float32(i%2)*2 - 1
		first := 0.5 + 0.2*y
		if rng.IntN(20) == 0 {
			first = 1 - first
		}
		s.Labels = append(s.Labels, i%2)
		s.Floats = append(s.Floats, first)
		for range 8 {
			s.Floats = append(s.Floats, 0.5+0.03*y)
		}
	}
	return s
}

var nearby = attack.Threat{Norm: attack.Linf, Eps: 0.05}

// robust trains a small network on signs and returns its accuracy under PGD.
func robust(loss nn.Loss) (float64, error) {
	ctx := context.Background()
	net := nn.NewMLP(rand.New(rand.NewPCG(1, 0)), 1, 9, 1, 2)
	t := nn.Trainer{Net: net, Data: signs(400), Epochs: 20, BatchSize: 50, Loss: loss, Schedule: optim.Constant(0.05)}
	if err := t.Run(ctx); err != nil {
		return 0, err
	}
	x, y := signs(400).All()
	report, err := attack.Evaluate(ctx, nn.Classifier{Net: net}, x, y, &attack.PGD{Threat: nearby, Steps: 20})
	return report.Worst.Value, err
}

// A network that is trained on attacked digits resists a stronger attack.
func ExampleAdversarialTraining() {
	ctx := context.Background()
	train, test, err := dataset.MNISTMini()
	if err != nil {
		fmt.Println(err)
		return
	}
	threat := attack.Threat{Norm: attack.Linf, Eps: 0.05}
	net := nn.NewMLP(rand.New(rand.NewPCG(1, 0)), 28, 28, 1, 64, 10)
	at := &defense.AdversarialTraining{Attack: attack.PGD{Threat: threat, Steps: 5}}
	trainer := nn.Trainer{Net: net, Data: train, Epochs: 5, BatchSize: 50, Loss: at.Loss}
	if err := trainer.Run(ctx); err != nil {
		fmt.Println(err)
		return
	}
	x, y := test.Take(200).All()
	report, err := attack.Evaluate(ctx, nn.Classifier{Net: net}, x, y, &attack.PGD{Threat: threat, Steps: 20})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println("more than half of the digits hold out:", report.Worst.Value > 0.5)
	// Output: more than half of the digits hold out: true
}

func ExampleNewSingleStep() {
	hardened, err := robust(defense.NewSingleStep(nearby, 1).Loss)
	fmt.Println(hardened > 0.9, err)
	// Output: true <nil>
}

func ExampleTRADES() {
	trades := &defense.TRADES{Attack: attack.PGD{Threat: nearby, Steps: 5}}
	hardened, err := robust(trades.Loss)
	fmt.Println(hardened > 0.9, err)
	// Output: true <nil>
}

// Two norms at once, with the weights of the attacks on record.
func ExampleAMPGD() {
	var log defense.WeightLog
	ampgd := &defense.AMPGD{
		Threats:   []attack.Threat{nearby, {Norm: attack.L2, Eps: 0.1}},
		Steps:     5,
		OnWeights: log.Add,
	}
	hardened, err := robust(ampgd.Loss)
	if err != nil {
		fmt.Println(err)
		return
	}
	w := log.Mean(0)
	fmt.Printf("%v, weights add up to %.2f after %d steps\n", hardened > 0.9, w[0]+w[1], len(log.Steps()))
	// Output: true, weights add up to 1.00 after 160 steps
}

// The attack that hurts each example most, as a baseline.
func ExampleNewMAX() {
	worst := defense.NewMAX(nearby, attack.Threat{Norm: attack.L2, Eps: 0.1})
	worst.Steps = 5
	hardened, err := robust(worst.Loss)
	fmt.Println(hardened > 0.9, err)
	// Output: true <nil>
}

func ExampleMSD() {
	msd := &defense.MSD{Threats: []attack.Threat{nearby, {Norm: attack.L2, Eps: 0.1}}, Steps: 10}
	hardened, err := robust(msd.Loss)
	fmt.Println(hardened > 0.9, err)
	// Output: true <nil>
}

// Accuracy when every input meets the attack that hurts it most, and on average.
func ExampleMulti() {
	ctx := context.Background()
	x := tensor.FromFloat32([]float32{0.9, 0.1, 0.55, 0.45, 0.5, 0.2}, 3, 2)
	net := nn.Function(func(_ *nn.Pass, x *tensor.Tensor) *tensor.Tensor { return tensor.MulScalar(x, 5) })
	report, err := attack.Evaluate(ctx, nn.Classifier{Net: net}, x, []int{0, 0, 0},
		&attack.PGD{Threat: attack.Threat{Norm: attack.Linf, Eps: 0.1}, Steps: 10},
		&attack.PGD{Threat: attack.Threat{Norm: attack.L2, Eps: 0.3}, Steps: 10})
	if err != nil {
		fmt.Println(err)
		return
	}
	m := defense.Multi(report)
	fmt.Println(m.Max.Right, "of", m.Max.Total)
	fmt.Printf("%.2f\n", m.Avg)
	// Output:
	// 1 of 3
	// 0.50
}

func ExampleArea() {
	fmt.Printf("%.2f\n", defense.Area([]float64{0, 0.1, 0.2}, []float64{1, 0.8, 0.2}))
	// Output: 0.14
}

func ExampleKL() {
	p := tensor.FromFloat64([]float64{0, 0, 2, 0}, 2, 2)
	q := tensor.FromFloat64([]float64{0, 0, 0, 2}, 2, 2)
	fmt.Printf("%.3f\n", defense.KL(p, q).Values())
	// Output: [0.000 1.523]
}

// Two gradients that are orthogonal, and two that are nearly one.
func ExampleLogDet() {
	a := tensor.FromFloat64([]float64{1, 0, 1, 0}, 2, 2)
	b := tensor.FromFloat64([]float64{0, 2, 1, 0.1}, 2, 2)
	fmt.Printf("%.1f\n", defense.LogDet(0, a, b).Values())
	// Output: [0.0 -4.6]
}
