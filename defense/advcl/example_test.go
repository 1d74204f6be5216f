package advcl_test

import (
	"context"
	"fmt"
	"math/rand/v2"

	"github.com/redoubt-ml/redoubt/defense/advcl"
	"github.com/redoubt-ml/redoubt/defense/advcl/cluster"
	"github.com/redoubt-ml/redoubt/defense/advcl/finetune"
	"github.com/redoubt-ml/redoubt/tensor"
	"github.com/redoubt-ml/redoubt/tensor/dataset"
	"github.com/redoubt-ml/redoubt/tensor/nn"
)

// Pretrain without labels, put a linear layer on the frozen encoder, and attack it.
func Example() {
	ctx := context.Background()
	rng := rand.New(rand.NewPCG(1, 1))
	// Light and dark images, each with noise of its own.
	images := &dataset.Set{Name: "light and dark", H: 16, W: 16, C: 3, Classes: 2}
	for i := range 64 {
		images.Labels = append(images.Labels, i%2)
		for range 16 * 16 * 3 {
			images.Bytes = append(images.Bytes, byte(60+i%2*100+rng.IntN(40)))
		}
	}
	form := advcl.Form{Name: "tiny", Stem: 8, Stride: 2, Stages: []advcl.Stage{{Width: 16, Blocks: 1, Stride: 2}}}
	net := advcl.NewNetwork(rng, form, advcl.Projector{Widths: []int{16, 8}}, nil, advcl.Clean, advcl.Attacked)
	run := advcl.Pretraining{Net: net, Method: advcl.NewAdvCL(1), Data: images, Steps: 10, BatchSize: 16}
	if err := run.Run(ctx); err != nil {
		fmt.Println(err)
		return
	}
	encoder, err := net.Encoder.Extract(advcl.Attacked)
	if err != nil {
		fmt.Println(err)
		return
	}
	classifier, err := finetune.Tuning{Kind: finetune.SLF, LR: 0.1, BatchSize: 16, Epochs: 20, Standardize: true}.Run(ctx, encoder, images)
	if err != nil {
		fmt.Println(err)
		return
	}
	x, y := images.All()
	scores, err := finetune.Protocol{Eps: []float64{2. / 255}}.Measure(ctx, classifier, x, y)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println("right on most clean images:", scores.Clean.Value > 0.9)
	fmt.Println("no better under attack:", scores.Robust[0].Value <= scores.Clean.Value)
	// Output:
	// right on most clean images: true
	// no better under attack: true
}

// The loss of views is least when views of an image agree and images are far apart.
func ExampleNTXent() {
	a := tensor.FromFloat64([]float64{1, 0, -1, 0}, 2, 2) // two images with two features
	l, err := advcl.NTXent{}.Loss(a, a)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Printf("%.4f, at least %.4f\n", l.Item(), advcl.NTXent{}.Bound(2, 2))
	// Output: 0.0360, at least 0.0360
}

// stripes returns images of 16x16 pixels with stripes along rows (0) or columns (1).
func stripes(n int) *dataset.Set {
	rng := rand.New(rand.NewPCG(2, 1))
	s := &dataset.Set{Name: "stripes", H: 16, W: 16, C: 3, Classes: 2}
	for i := range n {
		s.Labels = append(s.Labels, i%2)
		for p := range 16 * 16 {
			at := p / 16
			if i%2 == 1 {
				at = p % 16
			}
			for range 3 {
				s.Bytes = append(s.Bytes, byte(60+at/2%2*120+rng.IntN(40)))
			}
		}
	}
	return s
}

var tiny = advcl.Form{Name: "tiny", Stem: 8, Stride: 2, Stages: []advcl.Stage{{Width: 16, Blocks: 1, Stride: 2}}}

// pretrain makes some steps of a method and says whether its loss has fallen.
func pretrain(m advcl.Method, data *dataset.Set, heads []int, sets ...string) (bool, error) {
	net := advcl.NewNetwork(rand.New(rand.NewPCG(1, 1)), tiny, advcl.Projector{Widths: []int{16, 8}}, heads, sets...)
	var losses []float64
	run := advcl.Pretraining{Net: net, Method: m, Data: data, Steps: 20, BatchSize: 16, OnStep: func(p nn.Progress) { losses = append(losses, p.Loss) }}
	if err := run.Run(context.Background()); err != nil {
		return false, err
	}
	mean := func(v []float64) (m float64) {
		for _, x := range v {
			m += x / float64(len(v))
		}
		return m
	}
	return mean(losses[15:]) < mean(losses[:5]), nil
}

// What AdvCL is compared with are settings of the same training.
func ExampleContrastive() {
	data := stripes(32)
	for _, m := range []*advcl.Contrastive{advcl.NewSimCLR(1), advcl.NewRoCL(1), advcl.NewACL(1)} {
		m.Attack.Steps = 1
		fell, err := pretrain(m, data, nil, advcl.Clean, advcl.Attacked)
		fmt.Println(m.Name(), "trained:", fell, err)
	}
	// Output:
	// SimCLR trained: true <nil>
	// RoCL trained: true <nil>
	// ACL trained: true <nil>
}

// Cluster numbers of features stand in for labels.
func ExampleCluster() {
	ctx := context.Background()
	data := stripes(32)
	encoder := advcl.NewEncoder(rand.New(rand.NewPCG(1, 1)), tiny)
	if err := encoder.Calibrate(ctx, "", data, 1); err != nil {
		fmt.Println(err)
		return
	}
	features, err := advcl.Encode(ctx, encoder, "", data)
	if err != nil {
		fmt.Println(err)
		return
	}
	labels, err := advcl.Cluster(ctx, data, features, cluster.KMeans{Seed: 1}, 2, 4)
	if err != nil {
		fmt.Println(err)
		return
	}
	method := advcl.NewAdvCL(1).WithPseudoLabels(labels)
	method.Attack.Steps = 1
	fell, err := pretrain(method, data, labels.Clusters(), advcl.Routes...)
	fmt.Println(labels.Clusters(), "clusters, trained:", fell, err)
	// Output: [2 4] clusters, trained: true <nil>
}

// A student learns from a frozen encoder, which was trained without attacks.
func ExampleDeACL() {
	ctx := context.Background()
	data := stripes(32)
	teacher := advcl.NewEncoder(rand.New(rand.NewPCG(5, 1)), tiny)
	if err := teacher.Calibrate(ctx, "", data, 1); err != nil {
		fmt.Println(err)
		return
	}
	d := advcl.NewDeACL(teacher, 1)
	d.Attack.Steps = 1
	net := advcl.NewNetwork(rand.New(rand.NewPCG(1, 1)), tiny, advcl.Projector{}, nil)
	err := (&advcl.Pretraining{Net: net, Method: d, Data: data, Steps: 5, BatchSize: 16}).Run(ctx)
	fmt.Println(d.Name(), err)
	// Output: DeACL <nil>
}

// Adversarial training with labels is the reference.
func ExampleSupervised() {
	at := advcl.NewAT(1)
	at.Attack.Steps = 1
	fell, err := pretrain(at, stripes(32), []int{2})
	fmt.Println(at.Name(), fell, err)
	// Output: supervised AT true <nil>
}

// The high frequencies of a picture that is flat are nothing.
func ExampleRadial() {
	f, err := advcl.NewRadial(16, advcl.DefaultRadius)
	if err != nil {
		fmt.Println(err)
		return
	}
	flat := tensor.Full(tensor.Float32, 0.5, 1, 16, 16, 3)
	high, err := f.High(flat)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(f.Removed(), "of", 16*16, "frequencies removed, nothing left:", tensor.MaxAbs(high) < 1e-5)
	// Output: 193 of 256 frequencies removed, nothing left: true
}

// Views can be added to the paper's.
func ExampleRegistry() {
	method := advcl.Ablation(1, advcl.Adversarial, advcl.Strong1, "soft")
	method.Views["soft"] = advcl.View{Augment: advcl.Weakly(), Stats: advcl.Clean}
	method.Attack.Steps = 1
	_, err := pretrain(method, stripes(32), nil, advcl.Clean, advcl.Attacked)
	fmt.Println(err)
	// Output: <nil>
}

// The strength of augmentation falls as training goes on.
func ExampleAnnealing() {
	a := advcl.Annealing{Epochs: 100}
	for _, epoch := range []int{0, 49, 50, 99} {
		fmt.Printf("%.2f %.2f\n", a.Strength(epoch), a.Adversarial(epoch))
	}
	// Output:
	// 1.00 1.00
	// 1.00 1.33
	// 0.50 1.33
	// 0.50 1.67
}

func ExampleStepCosine() {
	s, err := advcl.StepCosine{LR: 1, Steps: 6, WarmUp: 2}.Schedule()
	if err != nil {
		fmt.Println(err)
		return
	}
	for step := range 6 {
		fmt.Printf("%.2f ", s(step))
	}
	// Output: 0.50 1.00 0.85 0.50 0.15 0.00
}

// Rotations are labels that come from the image itself.
func ExampleAPDPE() {
	ap := advcl.NewAPRotation(1)
	ap.Attack.Steps = 1
	fell, err := pretrain(ap, stripes(32), advcl.TaskClasses(advcl.Rotation))
	fmt.Println(ap.Name(), fell, err)
	// Output: AP-rotation true <nil>
}

func ExampleEpochCosine() {
	s, err := advcl.EpochCosine{LR: 1, Epochs: 4, WarmUp: -1, PerEpoch: 1}.Schedule()
	if err != nil {
		fmt.Println(err)
		return
	}
	for epoch := range 4 {
		fmt.Printf("%.2f ", s(epoch))
	}
	// Output: 0.85 0.50 0.15 0.00
}

// ACL with the crops of SimCLR and AdvCL, on a network that begins with ImageNet's mean
// and deviation as ACL's program does.
func ExampleRegistry_SetCrops() {
	method := advcl.NewACL(1)
	method.Views.SetCrops(0.2)
	head := advcl.Projector{Widths: []int{128, 64}, Routed: true}
	net := advcl.NewNetwork(rand.New(rand.NewPCG(1, 1)), advcl.Mini, head, nil, advcl.Clean, advcl.Attacked)
	net.Encoder.NormalizePixels(advcl.ImageNetMean, advcl.ImageNetStd)
	fmt.Printf("%.1f\n", method.Views[advcl.Strong1].Augment[0])
	fmt.Println(len(net.Encoder.Layers()))
	// Output:
	// {[0.2 1.0] [0.0 0.0]}
	// 8
}
