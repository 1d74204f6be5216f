package represent_test

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"

	"github.com/redoubt-ml/redoubt/defense/represent"
	"github.com/redoubt-ml/redoubt/tensor"
	"github.com/redoubt-ml/redoubt/tensor/dataset"
	"github.com/redoubt-ml/redoubt/tensor/dataset/corrupt"
	"github.com/redoubt-ml/redoubt/tensor/nn"
	"github.com/redoubt-ml/redoubt/tensor/optim"
)

// Inputs are told apart by their direction, which an encoder that sorts its values
// throws away.
func ExampleKNN_LeaveOneOut() {
	ctx := context.Background()
	x := tensor.FromFloat64([]float64{1, 0, 0, 1, 0.8, 0.2, 0.2, 0.8}, 4, 2)
	y := []int{0, 1, 0, 1}
	keep := func(x *tensor.Tensor) *tensor.Tensor { return x }
	sort := func(x *tensor.Tensor) *tensor.Tensor {
		return tensor.Concat(1, tensor.Reshape(tensor.Max(x, 1), x.Dim(0), 1), tensor.Reshape(tensor.Min(x, 1), x.Dim(0), 1))
	}
	for _, enc := range []represent.Encoder{keep, sort} {
		f, err := represent.Features(ctx, enc, x, 0)
		if err != nil {
			fmt.Println(err)
			return
		}
		accuracy, err := represent.KNN{K: 1}.LeaveOneOut(ctx, f, y)
		if err != nil {
			fmt.Println(err)
			return
		}
		fmt.Println(accuracy.Right, "of", accuracy.Total)
	}
	// Output:
	// 4 of 4
	// 0 of 4
}

// rows returns features of three groups along the first axis, with a little noise in
// three other directions.
func rows(n int) (x *tensor.Tensor, y []int) {
	x = tensor.Normal(rand.New(rand.NewPCG(1, 0)), tensor.Float64, 0, 0.1, n, 4)
	for i := range n {
		y = append(y, i%3)
		x.Set(x.At(i, 0)+float64(10*y[i]), i, 0)
	}
	return x, y
}

// A network up to its last layer, as an encoder.
func ExampleFeatures() {
	body := nn.NewMLP(rand.New(rand.NewPCG(1, 0)), 28, 28, 1, 64, 16)
	_, test, err := dataset.MNISTMini()
	if err != nil {
		fmt.Println(err)
		return
	}
	x, _ := test.Take(100).All()
	f, err := represent.Features(context.Background(), represent.Network(body, ""), x, 0)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(f.Shape())
	// Output: [100 16]
}

// Nearly all variance lies along one axis.
func ExamplePCA() {
	x, _ := rows(60)
	p, err := represent.PCA(x, 2)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Printf("%.2f of the variance\n", p.Variance[0]/p.Total)
	fmt.Println(p.Apply(x).Shape())
	// Output:
	// 1.00 of the variance
	// [60 2]
}

func ExampleSilhouette() {
	x, y := rows(60)
	mean, _, err := represent.Silhouette(context.Background(), x, y)
	fmt.Printf("%.1f %v\n", mean, err)
	// Output: 1.0 <nil>
}

// Groups that are apart stay apart on the map.
func ExampleTSNE() {
	ctx := context.Background()
	x, y := rows(60)
	m, err := represent.TSNE{Perplexity: 10, Iterations: 300, Seed: 1}.Embed(ctx, x)
	if err != nil {
		fmt.Println(err)
		return
	}
	places := tensor.Zeros(tensor.Float64, 60, 2)
	for i := range 60 {
		places.Set(m.X[i], i, 0)
		places.Set(m.Y[i], i, 1)
	}
	mean, _, err := represent.Silhouette(ctx, places, y)
	fmt.Println(mean > 0.5, err)
	// Output: true <nil>
}

// The loss around a trained network's weights is least in the middle.
func ExampleLandscape() {
	ctx := context.Background()
	train, _, err := dataset.MNISTMini()
	if err != nil {
		fmt.Println(err)
		return
	}
	train = train.Take(300)
	net := nn.NewMLP(rand.New(rand.NewPCG(1, 0)), 28, 28, 1, 16, 10)
	t := nn.Trainer{Net: net, Data: train, Epochs: 10, BatchSize: 50, Schedule: optim.Constant(5e-3)}
	if err := t.Run(ctx); err != nil {
		fmt.Println(err)
		return
	}
	x, y := train.All()
	s, err := (&represent.Landscape{Net: net, Points: 5, Seed: 1}).Run(ctx, x, y)
	if err != nil {
		fmt.Println(err)
		return
	}
	least := math.Inf(1)
	for _, row := range s.Loss {
		least = min(least, slices.Min(row))
	}
	fmt.Println(s.Axis, s.Center == least)
	// Output: [-1 -0.5 0 0.5 1] true
}

// What a neuron that sums the upper row looks for is a bright upper row.
func ExampleInversion() {
	upper := func(x *tensor.Tensor) *tensor.Tensor {
		return tensor.Reshape(tensor.Sum(tensor.Slice(x, 1, 0, 1), 1, 2, 3), x.Dim(0), 1)
	}
	grey := tensor.Full(tensor.Float32, 0.5, 1, 2, 2, 1)
	found, err := represent.Inversion{Neuron: 0, Steps: 50}.Run(context.Background(), upper, grey)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Printf("%.1f from %.1f to %.1f\n", found.X.Values(), found.Start[0], found.End[0])
	// Output: [1.0 1.0 0.5 0.5] from 1.0 to 2.0
}

// A classifier by brightness does not mind noise, and falls to fog.
func ExampleCorruptionAccuracy() {
	glow := nn.Function(func(_ *nn.Pass, x *tensor.Tensor) *tensor.Tensor {
		bright := tensor.Reshape(tensor.AddScalar(tensor.Mean(tensor.Flatten(x), 1), -0.4), x.Dim(0), 1)
		return tensor.Concat(1, tensor.Neg(bright), bright)
	})
	s := &dataset.Set{Name: "grey", H: 16, W: 16, C: 1, Classes: 2, Bytes: make([]byte, 10*256)}
	for i := range 10 {
		s.Labels = append(s.Labels, i%2)
		for j := range 256 {
			s.Bytes[256*i+j] = byte(75 + 60*(i%2))
		}
	}
	report, err := represent.CorruptionAccuracy(context.Background(), nn.Classifier{Net: glow}, s, represent.CorruptionOptions{
		Types: []corrupt.Type{corrupt.GaussianNoise, corrupt.Fog}, Severities: []int{3},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, row := range report.Rows {
		fmt.Println(row.Type, row.Accuracy.Right == row.Accuracy.Total)
	}
	// Output:
	// gaussian noise true
	// fog false
}
