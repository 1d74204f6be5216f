package advcl

import (
	"context"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/redoubt-ml/redoubt/internal/ask"
	"github.com/redoubt-ml/redoubt/tensor"
	"github.com/redoubt-ml/redoubt/tensor/dataset"
	"github.com/redoubt-ml/redoubt/tensor/nn"
)

// crop is SimCLR's augmentation with a least share of the area.
func crop(area float64) []dataset.Augment {
	return []dataset.Augment{
		dataset.RandomResizedCrop{Scale: [2]float64{1 - (1 - area), 1}}, dataset.HorizontalFlip{},
		dataset.ColorJitter{Brightness: 0.4, Contrast: 0.4, Saturation: 0.4, Hue: 0.1, P: 0.8}, dataset.RandomGrayscale{P: 0.2},
	}
}

// Every constructor has the constants of its method's paper or reference code.
func TestConstructorsHaveThePapersConstants(t *testing.T) {
	type views map[string]View
	padded := []dataset.Augment{dataset.PadCrop{Pad: 4}, dataset.HorizontalFlip{}}
	five := Attack{Eps: 8. / 255, StepSize: 2. / 255, Steps: 5}
	fiveEval := five
	fiveEval.Eval = true
	stop := func(n int) []bool {
		out := make([]bool, n)
		for i := range out {
			out[i] = true
		}
		return out
	}
	for _, c := range []struct {
		got    *Contrastive
		terms  []Term
		target int
		attack Attack
		views  views
	}{
		{NewSimCLR(1), []Term{{Views: []string{Strong1, Strong2}}}, 0, Attack{}, views{
			Strong1: {Augment: crop(0.2)}, Strong2: {Augment: crop(0.2)},
		}},
		{NewRoCL(1), []Term{
			{Views: []string{Strong1, Strong2, Attacked1}, Loss: NTXent{StopKeys: stop(3)}, Weight: 2},
			{Views: []string{Attacked1, Strong2}, Loss: NTXent{StopKeys: stop(2)}, Weight: 1. / 256},
		}, 1, Attack{Eps: 0.0314, StepSize: 0.007, Steps: 7, Eval: true, ClampStart: true}, views{
			Strong1: {Augment: crop(0.08)}, Strong2: {Augment: crop(0.08)}, Attacked1: {Of: Strong1, Attacked: true},
		}},
		{NewACL(1), []Term{{Views: []string{Strong1, Strong2}, Weight: 0.5}, {Views: []string{Attacked1, Attacked2}, Weight: 0.5}}, 1, fiveEval, views{
			Strong1: {Augment: crop(0.1), Stats: "normal"}, Strong2: {Augment: crop(0.1), Stats: "normal"},
			Attacked1: {Of: Strong1, Attacked: true, Stats: "pgd"}, Attacked2: {Of: Strong2, Attacked: true, Stats: "pgd"},
		}},
		{NewAdvCL(1), []Term{{Views: []string{Adversarial, Strong1, Strong2, High}, Loss: NTXent{Base: 0.07}}}, 0, five, views{
			Strong1: {Augment: crop(0.2), Stats: "normal"}, Strong2: {Augment: crop(0.2), Stats: "normal"},
			Weak: {Augment: padded, Stats: "normal"}, High: {Of: Weak, High: 8, Stats: "normal"},
			Low: {Of: Weak, Low: 8, Stats: "normal"}, Adversarial: {Of: Weak, Attacked: true, Stats: "pgd"},
		}},
	} {
		require.Equal(t, c.terms, c.got.Terms, c.got.Method)
		require.Equal(t, c.target, c.got.Target, c.got.Method)
		require.Equal(t, c.attack, c.got.Attack, c.got.Method)
		for name, want := range c.views {
			require.Equal(t, want, c.got.Views[name], "%s %s", c.got.Method, name)
		}
	}
	pseudo := NewAdvCL(1).WithPseudoLabels(nil).Pseudo
	require.Equal(t, &Pseudo{Stats: "pgd_ce"}, pseudo)
	require.Equal(t, 0.2, pseudo.weight())
	require.Equal(t, Weak, pseudo.view())
	require.Equal(t, 0.5, NTXent{}.temperature())
	require.InDelta(t, 0.5/0.07, NTXent{Base: 0.07}.scale(), 1e-12)
	require.Equal(t, []int{2, 10, 50, 100, 500}, DefaultClusters)

	ten := fiveEval
	ten.Steps = 10
	require.Equal(t, ten, NewAT(1).Attack)
	require.Zero(t, NewAT(1).Beta)
	require.Equal(t, ten, NewTRADES(1).Attack)
	require.Equal(t, 6., NewTRADES(1).Beta)
	require.Equal(t, fiveEval, NewDeACL(nil, 1).Attack)
	require.Equal(t, 2., NewDeACL(nil, 1).weight())
}

// What the attack of ACL and RoCL sees moves no running statistics, what AdvCL's sees
// does, by the share of all its passes.
func TestOnlyAttacksInTrainingModeMoveStatistics(t *testing.T) {
	data := blobs(16, 4, 1)
	after := func(name string, steps int) []float64 {
		e := everyMethod(t, data)[name]
		e.c.Attack.Eps, e.c.Attack.Steps = 0, steps
		oneStep(t, e.c, e.net, data, 8)
		sets := e.net.Encoder.norms[0].Sets
		return sets[len(sets)-1].Mean.Values()
	}
	for _, name := range []string{"RoCL", "ACL", "DynACL"} {
		require.Equal(t, after(name, 0), after(name, 4), name)
	}
	none, four := after("AdvCL", 0), after("AdvCL", 4)
	for i := range none {
		// One pass of training, and four of the attack: 1 - 0.9^5 of the way for 0.1.
		require.InDelta(t, none[i]*0.40951/0.1, four[i], 1e-6)
	}
}

// RoCL's and ACL's losses are what their formulas say, of the projections of the step.
func TestLossesAreSumsOfTheirTerms(t *testing.T) {
	v := golden(3)
	of := func(c *Contrastive, names ...string) float64 {
		z := map[string]*tensor.Tensor{}
		for i, name := range names {
			z[name] = v[min(i, 2)]
		}
		total, _, err := c.sum(z, 0)
		require.NoError(t, err)
		return total.Item()
	}
	rocl := of(NewRoCL(1), Strong1, Strong2, Attacked1)
	require.InDelta(t, 3.7676248945+loss(t, NTXent{}, v[2], v[1])/256, rocl, 1e-9)
	acl := of(NewACL(1), Strong1, Strong2, Attacked1, Attacked2)
	require.InDelta(t, (1.1077514284+loss(t, NTXent{}, v[2], v[2]))/2, acl, 1e-9)
}

// DeACL's loss is -cos(s, T) - 2 cos(s', s) of one pass, and its attack leads the
// student away from the teacher.
func TestDeACLLeadsAwayFromItsTeacher(t *testing.T) {
	data := blobs(16, 4, 1)
	idx := []int{0, 1, 2, 3, 4, 5, 6, 7}
	x, _ := data.Batch(idx)
	towards := func(steps int) float64 {
		net := network(1, nil)
		require.NoError(t, net.Encoder.Calibrate(context.Background(), "", data, 1))
		d := NewDeACL(teacher(t, data), 1)
		d.Attack.Steps = steps
		require.NoError(t, d.Check(net, data))
		seen := &lastInput{Layer: net.Encoder.Sequential}
		net.Encoder.Sequential = nn.NewSequential(seen)
		tape := tensor.NewTape()
		l, err := d.Loss(context.Background(), &nn.Pass{Train: true}, net, nn.Batch{X: tape.Const(x), Index: idx})
		require.NoError(t, err)
		clean, attacked := tensor.Slice(seen.x, 0, 0, 8), tensor.Slice(seen.x, 0, 8, 16)
		require.LessOrEqual(t, tensor.MaxAbs(tensor.Sub(clean, attacked)), 8./255+1e-6)
		target := d.Teacher.Forward(&nn.Pass{}, clean)
		s, adv := tensor.Slice(seen.y, 0, 0, 8), tensor.Slice(seen.y, 0, 8, 16)
		want := -tensor.Mean(cosine(s, target)).Item() - 2*tensor.Mean(cosine(adv, s)).Item()
		require.InDelta(t, want, l.Item(), 1e-5)
		return tensor.Mean(cosine(net.Features(&nn.Pass{}, attacked), target)).Item()
	}
	require.Less(t, towards(5), towards(0)-1e-4)
}

// lastInput is a layer that keeps what it saw last in training mode, and what it said.
type lastInput struct {
	nn.Layer
	x, y *tensor.Tensor
}

func (l *lastInput) Forward(p *nn.Pass, x *tensor.Tensor) *tensor.Tensor {
	y := l.Layer.Forward(p, x)
	if p.Train {
		l.x, l.y = x.Detach().Clone(), y.Detach().Clone()
	}
	return y
}

// Projections without a direction are counted in every step.
func TestShortProjectionsAreCounted(t *testing.T) {
	data := blobs(16, 4, 1)
	c, net := NewSimCLR(1), network(1, nil)
	counted := -1
	c.OnStep = func(_ int, v Values) { counted = v.Short }
	oneStep(t, c, net, data, 8)
	require.Zero(t, counted)
	last := net.Projector.Layers()[len(net.Projector.Layers())-1].(*nn.Linear)
	last.Weight.Fill(0)
	last.Bias.Fill(0)
	oneStep(t, c, net, data, 8)
	require.Equal(t, 16, counted)
}

// A tenth of the jigsaw puzzles is left in order, and a 31st of the others.
func TestATenthOfThePuzzlesIsInOrder(t *testing.T) {
	a := NewAPDPE(1)
	a.spare = spare{}
	for range jigsaw {
		a.orders = append(a.orders, ask.Range(0, side*side))
	}
	z := a.pose(Jigsaw, nil, tensor.Zeros(tensor.Float32, 4000, side, side, 1), 0)
	kept, seen := 0., map[int]bool{}
	for _, y := range z.y {
		seen[y] = true
		if y == 0 {
			kept++
		}
	}
	require.InDelta(t, 0.1+0.9/31, kept/4000, 0.02)
	require.Len(t, seen, 31)
}

// Attacked images are in their ball and in the pixel box after every step, and the
// start is in the ball.
func TestEveryStepStaysInTheBall(t *testing.T) {
	rng := rand.New(rand.NewPCG(4, 4))
	for _, a := range []Attack{{Eps: 0.1, StepSize: 0.07, Steps: 6}, {Eps: 0.3, StepSize: 1, Steps: 4, ClampStart: true}} {
		x0 := tensor.Uniform(rng, tensor.Float32, 0, 1, 5, 8)
		x := x0.Clone()
		inside := func(x *tensor.Tensor, box bool) {
			from := x0.Values()
			for i, v := range x.Values() {
				require.InDelta(t, from[i], v, a.Eps+1e-6)
				if box {
					require.True(t, v >= 0 && v <= 1, "%v", v)
				}
			}
		}
		steps := 0
		err := a.climb(context.Background(), tensor.NewTape(), []*tensor.Tensor{x0}, []*tensor.Tensor{x}, []*rand.Rand{rng}, func(s int, x []*tensor.Tensor) ([]*tensor.Tensor, error) {
			inside(x[0], s > 0 || a.ClampStart)
			require.Greater(t, tensor.MaxAbs(tensor.Sub(x[0], x0)), a.Eps/4, "a start away from the image")
			steps++
			return []*tensor.Tensor{tensor.Normal(rng, tensor.Float32, 0, 1, 5, 8)}, nil
		})
		require.NoError(t, err)
		require.Equal(t, a.Steps, steps)
		inside(x, true)
	}
}
