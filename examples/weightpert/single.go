package main

import (
	"context"
	"fmt"
	"math"
	"slices"
	"strconv"

	"github.com/redoubt-ml/redoubt/internal/report"
	"github.com/redoubt-ml/redoubt/weightpert"
)

// single says how many images each method certifies when one layer moves by a
// fraction of the range of its weights.
type single struct {
	Name     string  `json:"name"`
	Layer    int     `json:"layer"`
	Fraction float64 `json:"fraction"`
	Images   int     `json:"images"`
	// Certified is the share of images by method: product, path, weng, crown, ibp, and
	// exact for the last two layers.
	Certified map[string]float64 `json:"certified"`
	// Resisted is the share of images for which an attack on this layer, with weights
	// for each image, finds nothing.
	Resisted float64 `json:"resisted"`
}

var inf = math.Inf(1)

// fractions are the sizes of a change, relative to the range of a layer's weights.
var fractions = []float64{0.005, 0.01, 0.02, 0.04}

// singles compares the certificates for one layer at a time.
func (e *experiment) singles(ctx context.Context, n *weightpert.Network, r regime, f *figures) error {
	x, y := e.testImages(e.sizes().Each)
	rows := weightpert.Examples(x)
	stage := e.env.Stage("certificates of single layers of "+r.name, n.Depth()*len(fractions))
	for layer := n.Depth() - 1; layer >= 0; layer-- {
		w := n.Layer(layer).Weight.Val
		span := slices.Max(w) - slices.Min(w)
		for i, part := range fractions {
			s := single{Name: r.name, Layer: layer, Fraction: part, Images: len(y), Certified: map[string]float64{}}
			b, err := weightpert.PerRange(layer)(n, part)
			if err != nil {
				return err
			}
			var certified [][]bool
			for _, m := range methods {
				c, err := weightpert.Certify(ctx, m, n, b, rows, y)
				if err != nil {
					return err
				}
				s.Certified[methodName(m)] = c.Share()
				certified = append(certified, c.Certified)
			}
			if s.Certified["weng"], err = share(ctx, rows, y, func(x []float64, y int) (float64, error) {
				m, err := weightpert.WengBound(ctx, n, weightpert.RowBall{Layer: layer, Eps: part * span, P: inf}, true, x, y)
				return leastRival(m, y), err
			}); err != nil {
				return err
			}
			if layer >= n.Depth()-2 {
				if s.Certified["exact"], err = share(ctx, rows, y, func(x []float64, y int) (float64, error) { return exact(n, b, x, y) }); err != nil {
					return err
				}
			}
			low, err := weightpert.SamplePGD{Rivals: 2, Steps: e.steps}.Margins(ctx, n, b, rows, y)
			if err != nil {
				return err
			}
			s.Resisted = positive(low)
			for _, by := range certified {
				for i, ok := range by {
					if ok && low[i] <= 0 {
						f.Flipped++
					}
				}
			}
			e.out.SingleLayer = append(e.out.SingleLayer, s)
			stage.Done((n.Depth()-1-layer)*len(fractions) + i + 1)
		}
	}
	return nil
}

// exact returns the least margin of y over any rival that the box allows.
func exact(n *weightpert.Network, b *weightpert.Box, x []float64, y int) (float64, error) {
	least := inf
	for j := range n.Classes() {
		if j == y {
			continue
		}
		w, err := weightpert.LastTwo(n, b, x, y, j)
		if err != nil {
			return 0, err
		}
		least = min(least, w.Margin)
	}
	return least, nil
}

// leastRival is the smallest margin but that of y over itself.
func leastRival(m []float64, y int) float64 {
	least := inf
	for j, v := range m {
		if j != y {
			least = min(least, v)
		}
	}
	return least
}

// share returns the share of images with a positive margin.
func share(ctx context.Context, x [][]float64, y []int, margin func(x []float64, y int) (float64, error)) (float64, error) {
	low := make([]float64, len(x))
	for i := range x {
		if err := ctx.Err(); err != nil {
			return 0, err
		}
		var err error
		if low[i], err = margin(x[i], y[i]); err != nil {
			return 0, err
		}
	}
	return positive(low), nil
}

// positive returns the share of positive values.
func positive(v []float64) float64 {
	count := 0
	for _, m := range v {
		if m > 0 {
			count++
		}
	}
	return float64(count) / float64(len(v))
}

func (e *experiment) singleTable() *report.Table {
	names := []string{"product", "path", "weng", "ibp", "crown", "exact"}
	cols := []report.Column{report.Left("training"), report.Right("layer"), report.Right("change, % of range")}
	for _, name := range names {
		cols = append(cols, report.Right(name))
	}
	t := report.NewTable(fmt.Sprintf("One layer moves by a fraction of its weights' range: share of the first %d test images certified, and left by an attack on each, %%", e.sizes().Each), append(cols, report.Right("attack"))...)
	t.ID = "single-layer"
	for _, s := range e.out.SingleLayer {
		cells := []string{s.Name, strconv.Itoa(s.Layer + 1), fmt.Sprintf("%g", 100*s.Fraction)}
		for _, name := range names {
			if v, ok := s.Certified[name]; ok {
				cells = append(cells, report.InPercent(v))
			} else {
				cells = append(cells, "–")
			}
		}
		t.AddRow(append(cells, report.InPercent(s.Resisted))...)
	}
	return t
}
