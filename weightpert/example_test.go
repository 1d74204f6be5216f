package weightpert_test

import (
	"context"
	"fmt"

	"github.com/redoubt-ml/redoubt/weightpert"
)

// A network of three layers keeps the label of x while its weights move by 0.05; the
// bound by norms says so too, with less room.
func Example() {
	net, err := weightpert.NewNetwork(
		weightpert.Layer{Weight: weightpert.NewMatrix([]float64{1, -1}, []float64{.5, 2}), Act: weightpert.ReLU},
		weightpert.Layer{Weight: weightpert.NewMatrix([]float64{1, -.5}, []float64{-1, 1}), Act: weightpert.ReLU},
		weightpert.Layer{Weight: weightpert.NewMatrix([]float64{2, -1}, []float64{1, 1})},
	)
	if err != nil {
		fmt.Println(err)
		return
	}
	x, label := []float64{1, .5}, 1
	box, err := weightpert.Absolute()(net, 0.05)
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, m := range []weightpert.Method{weightpert.Product{}, weightpert.Path{}, weightpert.IBP{}, weightpert.CROWN{}} {
		margins, err := weightpert.Margins(m, net, box, x, label)
		if err != nil {
			fmt.Println(err)
			return
		}
		radius, err := weightpert.CertifiedRadius(context.Background(), net, m, weightpert.Absolute(), x, label, weightpert.RadiusOptions{})
		if err != nil {
			fmt.Println(err)
			return
		}
		fmt.Printf("%-8s margin at least %.3f, certified up to eps %.4f\n", m.Name(), margins[0], radius)
	}
	// Output:
	// product  margin at least 1.076, certified up to eps 0.0999
	// path     margin at least 1.140, certified up to eps 0.1070
	// IBP      margin at least 1.425, certified up to eps 0.1449
	// CROWN    margin at least 1.425, certified up to eps 0.1449
}
