package main

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/redoubt-ml/redoubt/tensor"
	"github.com/redoubt-ml/redoubt/tensor/nn"
	"github.com/redoubt-ml/redoubt/weightpert"
)

// testImages returns the first n test images.
func (e *experiment) testImages(n int) (*tensor.Tensor, []int) { return e.test.Take(n).All() }

// attacks are those that every network is attacked with at every size.
func (e *experiment) attacks() []weightpert.PGD {
	return []weightpert.PGD{
		{Steps: e.steps, Leak: -1},
		{Steps: e.steps},
		{Steps: e.steps, Objective: weightpert.Objective{Kind: weightpert.StillCorrect}},
		{Steps: e.steps, Objective: weightpert.Objective{Kind: weightpert.Hinge}},
	}
}

// ensembleEps is the size at which core regimes of every seed are pushed to each class;
// those of the first seed are at all sizes.
const ensembleEps = 0.01

// broken says, by size, which of the test images some attack got wrong.
type broken map[float64][]bool

// add marks the images that a network gets wrong and returns which it gets right.
func (b broken) add(eps float64, net nn.Layer, x *tensor.Tensor, y []int) []bool {
	if b[eps] == nil {
		b[eps] = make([]bool, len(y))
	}
	right := make([]bool, len(y))
	for i, c := range tensor.ArgMax(net.Forward(&nn.Pass{}, x)) {
		right[i] = c == y[i]
		b[eps][i] = b[eps][i] || !right[i]
	}
	return right
}

// portion is the share of a value among the first k.
func portion(value bool, of []bool, k int) float64 {
	n := 0
	for _, v := range of[:k] {
		if v == value {
			n++
		}
	}
	return float64(n) / float64(k)
}

// attack measures the accuracy under universal attacks.
func (e *experiment) attack(ctx context.Context, net nn.Layer, r regime, f *figures) (broken, error) {
	x, y := e.testImages(e.attackImages)
	k := min(e.sizes().Certified, len(y))
	cx, cy := tensor.Slice(x, 0, 0, k), y[:k]
	f.Attacked, f.CrossEntropy = map[string]float64{}, map[string]float64{}
	if r.core {
		f.Ensemble = map[string]float64{}
	}
	same := map[string]float64{}
	f.Same = map[string]map[string]float64{"universal": same}
	lost := broken{}
	stage := e.env.Stage("attacking "+f.Name, len(attackEps))
	for i, eps := range attackEps {
		run := func(a weightpert.PGD) (float64, error) {
			a.Eps = eps
			out, err := a.Run(ctx, net, x, y)
			if err != nil {
				return 0, err
			}
			left := portion(true, lost.add(eps, out.Network, cx, cy), min(e.crown, k))
			if before, ok := same[key(eps)]; !ok || left < before {
				same[key(eps)] = left
			}
			return out.Accuracy, nil
		}
		worst := 1.0
		for n, a := range e.attacks() {
			acc, err := run(a)
			if err != nil {
				return nil, err
			}
			if n == 0 {
				f.CrossEntropy[key(eps)] = acc
			}
			worst = min(worst, acc)
		}
		f.Attacked[key(eps)] = worst
		if r.core && (f.Seed == e.env.Seed || eps == ensembleEps) {
			for c := range e.test.Classes {
				acc, err := run(weightpert.PGD{Steps: e.steps, Objective: weightpert.Objective{Kind: weightpert.Push, Class: c}})
				if err != nil {
					return nil, err
				}
				worst = min(worst, acc)
			}
			f.Ensemble[key(eps)] = worst
		}
		stage.Done(i + 1)
	}
	relative, err := weightpert.PGD{Eps: 0.1, Ball: weightpert.RelativeLinf, Steps: e.steps, Leak: -1}.Run(ctx, net, x, y)
	if err != nil {
		return nil, err
	}
	f.Relative = &relative.Accuracy
	return lost, nil
}

// methods are the certificates of the table, loose to tight.
var methods = []weightpert.Method{weightpert.Product{}, weightpert.Path{}, weightpert.IBP{}, weightpert.CROWN{}}

// methodName is the key of a method in JSON.
func methodName(m weightpert.Method) string { return strings.ToLower(m.Name()) }

// certify measures certified accuracy, and on the first seed radii and the
// generalisation bound.
func (e *experiment) certify(ctx context.Context, n *weightpert.Network, r regime, f *figures, lost broken, first bool) error {
	x, y := e.testImages(e.sizes().Certified)
	rows := weightpert.Examples(x)
	f.Certified = map[string]map[string]float64{}
	if first && r.core {
		if err := e.perImage(ctx, n, f, rows, y, lost); err != nil {
			return err
		}
	}
	stage := e.env.Stage("certifying "+f.Name, len(methods)*len(certifyEps))
	done := 0
	for _, m := range methods {
		rows, y := rows, y
		if _, ok := m.(weightpert.CROWN); ok {
			rows, y = rows[:min(e.crown, len(rows))], y[:min(e.crown, len(y))]
		}
		by := map[string]float64{}
		same := map[string]float64{}
		f.Certified[methodName(m)], f.Same[methodName(m)] = by, same
		for _, eps := range certifyEps {
			b, err := weightpert.Absolute()(n, eps)
			if err != nil {
				return err
			}
			c, err := weightpert.Certify(ctx, m, n, b, rows, y)
			if err != nil {
				return err
			}
			by[key(eps)] = c.Share()
			same[key(eps)] = portion(true, c.Certified, min(e.crown, len(c.Certified)))
			for i, hit := range lost[eps] {
				if hit && i < len(c.Certified) && c.Certified[i] {
					f.Flipped++
				}
			}
			if _, ok := m.(weightpert.IBP); ok && eps == 1e-3 {
				low, err := weightpert.CertifiedShare(c.Count, c.Total, 0.01)
				if err != nil {
					return err
				}
				f.AtLeast = &low
			}
			done++
			stage.Done(done)
		}
	}
	if !first || !r.core {
		return nil
	}
	if err := e.radii(ctx, n, f, rows, y); err != nil {
		return err
	}
	tx, ty := e.train.Take(e.bound).All()
	g, err := weightpert.Generalization(ctx, n, 1e-3, weightpert.Examples(tx), ty, 1, 0.01)
	if err != nil {
		return err
	}
	vacuous := g.Vacuous()
	f.Bound, f.Vacuous = &g, &vacuous
	return nil
}

// radii measures the median certified radius of each method.
func (e *experiment) radii(ctx context.Context, n *weightpert.Network, f *figures, x [][]float64, y []int) error {
	f.Radius = map[string]float64{}
	k := min(e.radius, len(x))
	stage := e.env.Stage("radii of "+f.Name, len(methods)*k)
	for i, m := range methods {
		var all []float64
		for j := range k {
			if err := ctx.Err(); err != nil {
				return err
			}
			v, err := weightpert.CertifiedRadius(ctx, n, m, weightpert.Absolute(), x[j], y[j], weightpert.RadiusOptions{Start: 1e-4, Halvings: 10})
			if err != nil {
				return err
			}
			all = append(all, v)
			stage.Done(i*k + j + 1)
		}
		slices.Sort(all)
		f.Radius[methodName(m)] = all[len(all)/2]
	}
	if p := f.Radius["product"]; p > 0 {
		f.Ratio = number(f.Radius["crown"] / p)
	}
	return nil
}

// perImage attacks images one by one where certificates get thin.
func (e *experiment) perImage(ctx context.Context, n *weightpert.Network, f *figures, x [][]float64, y []int, lost broken) error {
	f.PerImage, f.Same["each"] = map[string]float64{}, map[string]float64{}
	k := min(e.crown, len(x))
	e.env.Stage("attacking images of "+f.Name, -1)
	for _, eps := range certifyEps {
		if eps < 1e-3 {
			continue
		}
		b, err := weightpert.Absolute()(n, eps)
		if err != nil {
			return err
		}
		low, err := weightpert.SamplePGD{Rivals: 2, Steps: e.steps}.Margins(ctx, n, b, x[:k], y[:k])
		if err != nil {
			return err
		}
		f.PerImage[key(eps)] = positive(low)
		hit := lost[eps]
		if hit == nil {
			hit = make([]bool, k)
			lost[eps] = hit
		}
		for i, m := range low {
			hit[i] = hit[i] || m <= 0
		}
		f.Same["each"][key(eps)] = portion(false, hit, k)
	}
	return nil
}

// quantised says what rounding costs a network.
type quantised struct {
	Name string `json:"name"`
	// Accuracy is by the number of bits.
	Accuracy map[string]float64 `json:"accuracy"`
	// Certified is the share of test images whose prediction every rounding to 8
	// bits keeps.
	Certified map[string]float64 `json:"certified"`
}

// faults says what memory faults cost a network with 8-bit weights.
type faults struct {
	Name string `json:"name"`
	// BitErrors and StuckAtZero are mean accuracies by probability, of each bit
	// and of each weight.
	BitErrors   map[string]float64 `json:"bit_errors"`
	StuckAtZero map[string]float64 `json:"stuck_at_zero"`
	// Gaussian is the mean accuracy of the unrounded network under normal noise, by
	// its size in standard deviations of each matrix.
	Gaussian map[string]float64 `json:"gaussian"`
	// Random is the mean accuracy after 100 random flips, and Searched that after
	// the flips of the progressive bit search.
	Random   float64 `json:"random_flips"`
	Searched float64 `json:"searched"`
	Flips    int     `json:"flips"` // of the search
	First    float64 `json:"first_flip"`
}

// quantise rounds a network and breaks its memory.
func (e *experiment) quantise(ctx context.Context, net nn.Layer, n *weightpert.Network, r regime) error {
	e.env.Stage("quantisation and faults of "+r.name, -1)
	x, y := e.test.All()
	q := quantised{Name: r.name, Accuracy: map[string]float64{}, Certified: map[string]float64{}}
	for _, bits := range []int{8, 4, 3} {
		z, err := weightpert.Quantizer{Bits: bits}.Quantize(net)
		if err != nil {
			return err
		}
		if q.Accuracy[fmt.Sprint(bits)], err = weightpert.Accuracy(ctx, z.Network(), x, y); err != nil {
			return err
		}
	}
	if r.core {
		cx, cy := e.testImages(e.sizes().Certified)
		rows := weightpert.Examples(cx)
		for _, c := range []struct {
			name   string
			m      weightpert.Method
			perRow bool
			images int
		}{{"ibp", weightpert.IBP{}, false, len(rows)}, {"crown", weightpert.CROWN{}, false, e.crown}, {"crown per row", weightpert.CROWN{}, true, e.crown}} {
			b, err := weightpert.Quantizer{PerRow: c.perRow}.Rounding(n)
			if err != nil {
				return err
			}
			k := min(c.images, len(rows))
			cert, err := weightpert.Certify(ctx, c.m, n, b, rows[:k], cy[:k])
			if err != nil {
				return err
			}
			q.Certified[c.name] = cert.Share()
		}
	}
	e.out.Quantised = append(e.out.Quantised, q)
	return e.breakMemory(ctx, net, r)
}

func (e *experiment) breakMemory(ctx context.Context, net nn.Layer, r regime) error {
	x, y := e.test.All()
	z, err := weightpert.Quantizer{}.Quantize(net)
	if err != nil {
		return err
	}
	f := faults{Name: r.name, BitErrors: map[string]float64{}, StuckAtZero: map[string]float64{}, Gaussian: map[string]float64{}}
	mean := func(draw func(chip uint64) (nn.Layer, error)) (float64, error) {
		sum := 0.0
		for chip := range e.chips {
			broken, err := draw(e.env.Seed + uint64(chip))
			if err != nil {
				return 0, err
			}
			a, err := weightpert.Accuracy(ctx, broken, x, y)
			if err != nil {
				return 0, err
			}
			sum += a / float64(e.chips)
		}
		return sum, nil
	}
	for _, p := range []float64{0.001, 0.005, 0.01} {
		if f.BitErrors[key(p)], err = mean(func(chip uint64) (nn.Layer, error) {
			b, err := z.RandomBitErrors(p, chip)
			if err != nil {
				return nil, err
			}
			return b.Network(), nil
		}); err != nil {
			return err
		}
	}
	for _, p := range []float64{0.05, 0.2} {
		if f.StuckAtZero[key(p)], err = mean(func(chip uint64) (nn.Layer, error) { return weightpert.StuckWeights(net, p, 0, chip) }); err != nil {
			return err
		}
	}
	for _, alpha := range []float64{0.1, 0.2} {
		if f.Gaussian[key(alpha)], err = mean(func(chip uint64) (nn.Layer, error) { return weightpert.GaussianNoise(net, alpha, chip) }); err != nil {
			return err
		}
	}
	if f.Random, err = mean(func(chip uint64) (nn.Layer, error) {
		b, err := z.RandomFlips(100, chip)
		if err != nil {
			return nil, err
		}
		return b.Network(), nil
	}); err != nil {
		return err
	}
	sx, _ := e.train.Take(e.search).All()
	found, err := weightpert.BitSearch{Flips: e.flips, TopWeights: 40, MaxBits: 1}.Run(ctx, z, sx)
	if err != nil {
		return err
	}
	f.Flips = len(found.Flips)
	if f.Searched, err = weightpert.Accuracy(ctx, found.Network.Network(), x, y); err != nil {
		return err
	}
	one := z.Clone()
	if len(found.Flips) > 0 {
		f := found.Flips[0]
		if err := one.Flip(f.Layer, f.Index, f.Bit); err != nil {
			return err
		}
	}
	if f.First, err = weightpert.Accuracy(ctx, one.Network(), x, y); err != nil {
		return err
	}
	e.out.Faults = append(e.out.Faults, f)
	return nil
}

// sensitivity says how much one layer of a network matters.
type sensitivity struct {
	Name      string  `json:"name"`
	Layer     int     `json:"layer"`
	Attacked  float64 `json:"attacked_0.005"`  // accuracy when only this layer is attacked
	Certified float64 `json:"certified_0.005"` // by CROWN when only this layer moves
	Radius    number  `json:"norm_radius"`     // median closed-form radius, null for an infinite one
}

// layers attacks and certifies one layer at a time.
func (e *experiment) layers(ctx context.Context, net nn.Layer, n *weightpert.Network, r regime) error {
	const eps = 0.005
	x, y := e.testImages(e.attackImages)
	stage := e.env.Stage("layers of "+r.name, n.Depth())
	k := min(e.crown, len(y))
	rows := weightpert.Examples(tensor.Slice(x, 0, 0, k))
	certs, err := weightpert.Sensitivities(ctx, weightpert.CROWN{}, n, weightpert.Absolute, eps, rows, y[:k])
	if err != nil {
		return err
	}
	for i := range n.Depth() {
		out, err := weightpert.PGD{Eps: eps, Steps: e.steps, Layers: []int{i}}.Run(ctx, net, x, y)
		if err != nil {
			return err
		}
		e.out.Sensitivity = append(e.out.Sensitivity, sensitivity{r.name, i, out.Accuracy, certs[i].Certificate.Share(), number(certs[i].Norm)})
		stage.Done(i + 1)
	}
	return nil
}
