package advcl

import (
	"context"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/redoubt-ml/redoubt/defense/advcl/cluster"
	"github.com/redoubt-ml/redoubt/tensor"
	"github.com/redoubt-ml/redoubt/tensor/dataset"
	"github.com/redoubt-ml/redoubt/tensor/nn"
)

// tiny is a form for tests, for images of 16 by 16 pixels.
var tiny = Form{"tiny", 8, 2, []Stage{{8, 1, 1}, {16, 1, 2}}}

var tinyHead = Projector{Widths: []int{16, 8}}

// blobs returns n images of 16 by 16 pixels in k classes: stripes of a direction,
// colour and width of their own, with noise.
func blobs(n, k int, seed uint64) *dataset.Set {
	rng := rand.New(rand.NewPCG(seed, 1))
	s := &dataset.Set{Name: "stripes", H: 16, W: 16, C: 3, Classes: k}
	for i := range n {
		y := i % k
		s.Labels = append(s.Labels, y)
		angle, phase := math.Pi*float64(y)/float64(k), 2*math.Pi*rng.Float64()
		for r := range 16 {
			for c := range 16 {
				wave := math.Sin((math.Cos(angle)*float64(r)+math.Sin(angle)*float64(c))*1.2 + phase)
				for ch := range 3 {
					tint := 0.3 * math.Cos(2*math.Pi*(float64(y)/float64(k)+float64(ch)/3))
					v := 0.5 + 0.2*wave + tint*0.5 + 0.05*rng.NormFloat64()
					s.Bytes = append(s.Bytes, byte(255*min(1, max(0, v))))
				}
			}
		}
	}
	return s
}

func network(seed uint64, classes []int, sets ...string) *Network {
	return NewNetwork(rand.New(rand.NewPCG(seed, 2)), tiny, tinyHead, classes, sets...)
}

// step makes one training step's loss and gradients and returns them with the method's
// view of the step.
func oneStep(t testing.TB, c *Contrastive, net *Network, data *dataset.Set, n int) (loss float64, grads []*tensor.Tensor) {
	idx := make([]int, n)
	for i := range idx {
		idx[i] = i
	}
	return stepOn(t, c, net, data, idx)
}

func stepOn(t testing.TB, c *Contrastive, net *Network, data *dataset.Set, idx []int) (loss float64, grads []*tensor.Tensor) {
	require.NoError(t, c.Check(net, data))
	x, y := data.Batch(idx)
	tape := tensor.NewTape()
	p := &nn.Pass{Train: true}
	params := nn.Params(net)
	watched := p.Watch(tape, params)
	l, err := c.Loss(context.Background(), p, net, nn.Batch{X: tape.Const(x), Y: y, Index: idx})
	require.NoError(t, err)
	for _, g := range tensor.Grad(l, watched...) {
		grads = append(grads, g.Clone())
	}
	loss = l.Item()
	p.Commit()
	return loss, grads
}

func labels(t testing.TB, data *dataset.Set, seed uint64, ks ...int) *PseudoLabels {
	f := tensor.Normal(rand.New(rand.NewPCG(seed, 9)), tensor.Float32, 0, 1, data.Len(), 4)
	l, err := Cluster(context.Background(), data, f, cluster.KMeans{Restarts: 1}, ks...)
	require.NoError(t, err)
	return l
}

func TestEncodersHaveTheirCounts(t *testing.T) {
	require.Equal(t, 11159232, ResNet18.ConvWeights())
	require.Equal(t, 555417600, ResNet18.MultiplyAdds(32))
	require.Equal(t, 306016, Mini.ConvWeights())
	require.Equal(t, 12279808, Mini.MultiplyAdds(32))
	rng := rand.New(rand.NewPCG(1, 1))
	one := NewEncoder(rng, ResNet18)
	require.Equal(t, 11168832, nn.CountParams(one))
	net := NewNetwork(rng, Form{"narrow", 512, 1, []Stage{{512, 1, 1}}}, Projector{Widths: []int{512, 128}}, DefaultClusters)
	norms := 0
	for _, l := range one.norms {
		norms += l.Sets[0].Gamma.Len() + l.Sets[0].Beta.Len()
	}
	require.Equal(t, 9600, norms)
	require.Equal(t, 11188032, ResNet18.ConvWeights()+len(Routes)*norms)
	require.Equal(t, 329344, nn.CountParams(net.Projector))
	heads := 0
	for _, h := range net.Heads {
		heads += nn.CountParams(h)
	}
	require.Equal(t, 339606, heads)
	// The counts are those of the layers.
	mini, weights := NewEncoder(rng, Mini), 0
	for _, c := range mini.convs {
		weights += c.Filter.Len()
	}
	require.Equal(t, Mini.ConvWeights(), weights)
}

func TestEnsembleCrossEntropyOfZeroLogits(t *testing.T) {
	var heads []*nn.Linear
	var ids [][]int
	for _, k := range DefaultClusters {
		heads = append(heads, &nn.Linear{Weight: tensor.Zeros(tensor.Float64, 3, k)})
		ids = append(ids, []int{0, k - 1})
	}
	f := tensor.Full(tensor.Float64, 1, 2, 3)
	ce := headsLoss(&nn.Pass{}, heads, f, ids, []int{2, 2, 2, 2, 2}).Item()
	require.InDelta(t, 3.5455067127, ce, 1e-10)
	require.InDelta(t, 0.7091013425, (&Pseudo{}).weight()*ce, 1e-10)
	// With features that are all the same, see TestNTXentOfSymmetricFeaturesIsKnown.
	require.InDelta(t, 55.16717695, 54.45807561+(&Pseudo{}).weight()*ce, 1e-7)
	// Images without a label do not count; without any, the head's part is 0.
	one := headsLoss(&nn.Pass{}, heads[:1], f, [][]int{{-1, 1}}, []int{1}).Item()
	require.InDelta(t, math.Ln2, one, 1e-12)
	require.Zero(t, headsLoss(&nn.Pass{}, heads[:1], f, [][]int{{-1, -1}}, []int{0}).Item())
}

func TestClimbHasItsGoldenValues(t *testing.T) {
	w1, w2 := tensor.Zeros(tensor.Float64, 4, 3), tensor.Zeros(tensor.Float64, 3, 3)
	for i := range 3 {
		for j := range 4 {
			w1.Set(math.Sin(float64(1+i+2*j)), j, i)
		}
		for j := range 3 {
			w2.Set(math.Cos(float64(2+3*i+j)), j, i)
		}
	}
	ce := func(x *tensor.Tensor) *tensor.Tensor {
		logits := tensor.MatMul(tensor.Tanh(tensor.MatMul(x, w1)), w2)
		return tensor.Mean(tensor.CrossEntropy(logits, []int{1}))
	}
	x0 := tensor.FromFloat64([]float64{0.02, 0.5, 0.97, 0.3}, 1, 4)
	for _, c := range []struct {
		steps int
		want  float64
	}{{0, 1.4800031412}, {1, 1.5239333487}, {5, 1.6394055506}, {20, 1.6394055506}} {
		x := x0.Clone()
		a := Attack{Eps: defaultEps, StepSize: defaultStep, Steps: c.steps}
		first := true
		err := a.climb(context.Background(), tensor.NewTape(), []*tensor.Tensor{x0}, []*tensor.Tensor{x}, nil, func(_ int, x []*tensor.Tensor) ([]*tensor.Tensor, error) {
			g := tensor.Grad(ce(x[0]), x[0])
			if first {
				require.InDeltaSlice(t, []float64{-1.6101455, 1.97900794, -0.03697029, -1.9482378}, g[0].Values(), 1e-7)
				first = false
			}
			return g, nil
		})
		require.NoError(t, err)
		require.InDelta(t, c.want, ce(x).Item(), 1e-9, "%d steps", c.steps)
		if c.steps == 20 {
			require.InDeltaSlice(t, []float64{0, 0.53137255, 0.93862745, 0.26862745}, x.Values(), 1e-8)
		}
	}
}

// everyMethod are settings of Contrastive for images of 16 pixels a side, with the
// networks that they need.
func everyMethod(t testing.TB, data *dataset.Set) map[string]struct {
	c   *Contrastive
	net *Network
} {
	type entry = struct {
		c   *Contrastive
		net *Network
	}
	out := map[string]entry{
		"SimCLR": {NewSimCLR(1), network(1, nil)},
		"RoCL":   {NewRoCL(1), network(1, nil)},
		"ACL":    {NewACL(1), NewNetwork(rand.New(rand.NewPCG(1, 2)), tiny, Projector{Widths: []int{16, 8}, Routed: true, NormedOutput: true}, nil, Clean, Attacked)},
		"DynACL": {NewDynACL(1, Annealing{Epochs: 100}), network(1, nil, Clean, Attacked)},
		"AdvCL":  {NewAdvCL(1), network(1, nil, Clean, Attacked)},
		"pseudo": {NewAdvCL(1).WithPseudoLabels(labels(t, data, 1, 2, 5)), network(1, []int{2, 5}, Routes...)},
		"low":    {Ablation(1, Adversarial, Strong1, Strong2, Low, High), network(1, nil, Clean, Attacked)},
	}
	for name, e := range out {
		if e.c.Attack.Steps > 0 {
			e.c.Attack.Steps = 3
		}
		if e.c.Method == "SimCLR" {
			e.c.Attack = Attack{}
		}
		out[name] = e
	}
	return out
}

func TestAttacksStayInTheirBallAndRaiseTheirLoss(t *testing.T) {
	data := blobs(16, 4, 1)
	for name, e := range everyMethod(t, data) {
		if e.c.Attack.Steps == 0 {
			continue
		}
		for _, eps := range []float64{0, 8. / 255, 0.3} {
			c, net := e.c, e.net
			c.Attack.Eps, c.Attack.StepSize = eps, 0
			c.studio = nil
			require.NoError(t, c.Check(net, data))
			x, _ := data.Batch([]int{0, 1, 2, 3, 4, 5, 6, 7})
			tape := tensor.NewTape()
			p := &nn.Pass{Train: true}
			s, err := c.begin(p, net, nn.Batch{X: tape.Const(x), Index: []int{0, 1, 2, 3, 4, 5, 6, 7}})
			require.NoError(t, err)
			for _, v := range s.clean {
				s.z[v] = on(p, c.Views[v].Stats, func() *tensor.Tensor { return net.Forward(p, s.images[v]) })
			}
			start := map[string]*tensor.Tensor{}
			for _, v := range s.attacked {
				start[v] = s.images[v].Clone()
			}
			value := func(images map[string]*tensor.Tensor) float64 {
				held, err := c.held(s)
				require.NoError(t, err)
				for _, v := range s.attacked {
					held[v] = c.probe(s, c.Views[v].Stats, images[v])[0].Detach()
				}
				l, err := c.Terms[c.Target].value(nil, held)
				require.NoError(t, err)
				return l.Item()
			}
			before := value(start)
			require.NoError(t, c.attack(context.Background(), s))
			for _, v := range s.attacked {
				from := start[v].Values()
				for i, a := range s.images[v].Values() {
					if !(math.Abs(from[i]-a) <= eps+1e-6 && a >= 0 && a <= 1) {
						t.Fatalf("%s %s: %v from %v at eps %v", name, v, a, from[i], eps)
					}
				}
				if eps == 0 {
					require.Equal(t, start[v].Values(), s.images[v].Values())
				}
			}
			if eps > 0 {
				require.Greater(t, value(s.images), before, "%s at %v", name, eps)
			}
		}
	}
}

// The attack on pseudo-labels stays in its ball and in the pixel box, and raises their
// cross-entropy.
func TestTheAttackOnPseudoLabelsRaisesTheirLoss(t *testing.T) {
	data := blobs(16, 4, 1)
	for _, chunk := range []int{0, 3} {
		for _, eps := range []float64{0, 8. / 255, 0.3} {
			c, net := NewAdvCL(1).WithPseudoLabels(labels(t, data, 1, 2, 5)), network(1, []int{2, 5}, Routes...)
			c.Attack, c.Chunk = Attack{Eps: eps, Steps: 3}, chunk
			require.NoError(t, c.Check(net, data))
			idx := []int{0, 1, 2, 3, 4, 5, 6, 7}
			x, _ := data.Batch(idx)
			s, err := c.begin(&nn.Pass{Train: true}, net, nn.Batch{X: tensor.NewTape().Const(x), Index: idx})
			require.NoError(t, err)
			got, err := c.attackPseudo(context.Background(), s)
			require.NoError(t, err)
			base := s.made[c.Pseudo.view()]
			from := base.Values()
			for i, a := range got.Values() {
				if !(math.Abs(from[i]-a) <= eps+1e-6 && a >= 0 && a <= 1) {
					t.Fatalf("%v from %v at eps %v", a, from[i], eps)
				}
			}
			loss := func(x *tensor.Tensor) float64 {
				p := &nn.Pass{Train: true, Stats: c.Pseudo.Stats}
				return c.Pseudo.loss(p, net, net.Features(p, x), idx).Item()
			}
			if eps == 0 {
				require.Equal(t, from, got.Values())
			} else {
				require.Greater(t, loss(got), loss(base)+0.01, "chunks of %d, eps %v", chunk, eps)
			}
		}
	}
}

// The two strong views and the weak one are drawn apart, and the high-frequency one enters
// the network as the filter leaves it, outside the pixel box.
func TestViewsAreDrawnApart(t *testing.T) {
	data := blobs(16, 4, 1)
	c, net := NewAdvCL(1), network(1, nil, Clean, Attacked)
	for _, name := range []string{Strong1, Strong2, Weak} {
		v := c.Views[name]
		v.Augment = Strong(0.2, 1)
		c.Views[name] = v
	}
	require.NoError(t, c.Check(net, data))
	idx := []int{0, 1, 2, 3, 4, 5, 6, 7}
	x, _ := data.Batch(idx)
	s, err := c.begin(&nn.Pass{Train: true}, net, nn.Batch{X: tensor.NewTape().Const(x), Index: idx})
	require.NoError(t, err)
	names := []string{Strong1, Strong2, Weak}
	for i, a := range names {
		for _, b := range names[:i] {
			for k := range idx {
				require.Greater(t, tensor.MaxAbs(tensor.Sub(tensor.Slice(s.made[a], 0, k, k+1), tensor.Slice(s.made[b], 0, k, k+1))), 0.02, "%s and %s, image %d", a, b, k)
			}
		}
	}
	f, err := NewRadial(data.H, DefaultRadius)
	require.NoError(t, err)
	want, err := f.High(s.made[Weak])
	require.NoError(t, err)
	require.InDelta(t, 0, tensor.MaxAbs(tensor.Sub(want, s.images[High])), 1e-6)
	require.Less(t, slices.Min(s.images[High].Values()), -0.01)
}

// The two attacks have nothing to do with one another.
func TestAttacksAreDecoupled(t *testing.T) {
	data := blobs(16, 4, 1)
	attacked := func(change func(c *Contrastive)) (cl, ce []float64) {
		c := NewAdvCL(3).WithPseudoLabels(labels(t, data, 1, 2, 5))
		c.Attack.Steps = 2
		change(c)
		oneStep(t, c, network(1, []int{2, 5}, Routes...), data, 8)
		return c.spare[Adversarial].Values(), c.spare["pseudo-labels"].Values()
	}
	cl, ce := attacked(func(*Contrastive) {})
	for name, change := range map[string]func(c *Contrastive){
		"weight": func(c *Contrastive) { c.Pseudo.Weight = 7 },
		"labels": func(c *Contrastive) { c.Pseudo.Labels = labels(t, data, 2, 2, 5) },
	} {
		cl2, ce2 := attacked(change)
		require.Equal(t, cl, cl2, name)
		if name == "labels" {
			require.NotEqual(t, ce, ce2)
		}
	}
	for name, change := range map[string]func(c *Contrastive){
		"crop": func(c *Contrastive) { c.Views[Strong1] = View{Augment: Weakly(), Stats: Clean} },
		"high": func(c *Contrastive) { c.Views[High] = View{Of: Weak, High: 3, Stats: Clean} },
	} {
		cl2, ce2 := attacked(change)
		require.Equal(t, ce, ce2, name)
		require.NotEqual(t, cl, cl2, name)
	}
}

// Every attacked view has a start of its own in every step.
func TestStartsAreIndependent(t *testing.T) {
	c, seen := NewACL(1), map[uint64]bool{}
	for _, name := range []string{Attacked1, Attacked2, "pseudo-labels"} {
		for step := range 3 {
			v := c.source(name, step).Uint64()
			require.False(t, seen[v])
			seen[v] = true
		}
	}
	require.False(t, seen[NewACL(2).source(Attacked1, 0).Uint64()], "another seed")
}

// Clean views that are passed once give the same attack and the same gradients as
// clean views that are passed again in each attack step and for the loss.
func TestCachedCleanViewsChangeNothing(t *testing.T) {
	data := blobs(16, 4, 1)
	c, net := NewAdvCL(5), network(1, nil, Clean, Attacked)
	c.Attack.Steps = 3
	_, grads := oneStep(t, c, net, data, 8)

	again := network(1, nil, Clean, Attacked)
	idx := []int{0, 1, 2, 3, 4, 5, 6, 7}
	x, _ := data.Batch(idx)
	tape := tensor.NewTape()
	fresh := NewAdvCL(5)
	fresh.Attack.Steps = 3
	p := &nn.Pass{Train: true}
	watched := p.Watch(tape, nn.Params(again))
	s, err := fresh.begin(p, again, nn.Batch{X: tape.Const(x), Index: idx})
	require.NoError(t, err)
	weak := s.images[Adversarial].Detach()
	adv := weak.Clone()
	order := []string{Adversarial, Strong1, Strong2, High}
	err = fresh.Attack.climb(context.Background(), tensor.NewTape(), []*tensor.Tensor{weak}, []*tensor.Tensor{adv}, []*rand.Rand{fresh.source(Adversarial, 0)}, func(_ int, x []*tensor.Tensor) ([]*tensor.Tensor, error) {
		var z []*tensor.Tensor
		for _, name := range order {
			q := &nn.Pass{Train: true, Stats: fresh.Views[name].Stats}
			image := x[0]
			if name != Adversarial {
				image = x[0].Tape().Const(s.images[name])
			}
			z = append(z, again.Forward(q, image))
		}
		l, err := fresh.Terms[0].Loss.Loss(z...)
		if err != nil {
			return nil, err
		}
		return tensor.Grad(l, x...), nil
	})
	require.NoError(t, err)
	require.Equal(t, adv.Values(), c.spare[Adversarial].Values())
	var z []*tensor.Tensor
	for _, name := range order {
		image := s.images[name]
		if name == Adversarial {
			image = tape.Const(adv)
		}
		z = append(z, on(p, fresh.Views[name].Stats, func() *tensor.Tensor { return again.Forward(p, image) }))
	}
	l, err := fresh.Terms[0].Loss.Loss(z...)
	require.NoError(t, err)
	for i, g := range tensor.Grad(l, watched...) {
		scale := max(1e-6, tensor.MaxAbs(g))
		require.InDelta(t, 0, tensor.MaxAbs(tensor.Sub(g, grads[i]))/scale, 1e-5)
	}
}

// Every set of statistics is fed by its own images only, and evaluates differently.
func TestStatisticsAreRouted(t *testing.T) {
	data := blobs(16, 4, 1)
	moments := func(change func(c *Contrastive)) *Network {
		c, net := NewAdvCL(3).WithPseudoLabels(labels(t, data, 1, 2, 5)), network(1, []int{2, 5}, Routes...)
		c.Attack.Steps = 5
		change(c)
		oneStep(t, c, net, data, 8)
		return net
	}
	net := moments(func(*Contrastive) {})
	for i, name := range Routes {
		require.NoError(t, net.Encoder.Ready(name))
		s := net.Encoder.norms[0].Sets[i]
		require.NotZero(t, s.Mean.At(0))
	}
	first := func(n *Network, set int) []float64 { return n.Encoder.norms[0].Sets[set].Mean.Values() }
	require.NotEqual(t, first(net, 0), first(net, 1))
	// The attacked set does not see the crops' changes in its first layer beyond what
	// the attack does, and the pseudo-labelled one not at all.
	other := moments(func(c *Contrastive) { c.Views[Strong1] = View{Augment: Weakly(), Stats: Clean} })
	require.NotEqual(t, first(net, 0), first(other, 0))
	require.Equal(t, first(net, 2), first(other, 2))

	x, _ := data.Batch([]int{0, 1, 2})
	var outputs [][]float64
	for _, name := range Routes {
		e, err := net.Encoder.Extract(name)
		require.NoError(t, err)
		out := e.Forward(&nn.Pass{}, x).Values()
		require.Equal(t, net.Features(&nn.Pass{Stats: name}, x).Values(), out)
		outputs = append(outputs, out)
	}
	require.NotEqual(t, outputs[0], outputs[1])
	require.NotEqual(t, outputs[1], outputs[2])

	// Five passes of the attack and one of training: 1 - 0.9^6 of the way. With an eps
	// of 0 all of them see the same images.
	same := moments(func(c *Contrastive) { c.Attack.Eps = 0 })
	c := newStudio(Views(), 3)
	tape := tensor.NewTape()
	images, _ := data.Batch([]int{0, 1, 2, 3, 4, 5, 6, 7})
	weak, err := c.make(Weak, tape.Const(images), []int{0, 1, 2, 3, 4, 5, 6, 7}, 0, map[string]*tensor.Tensor{})
	require.NoError(t, err)
	mean := tensor.Mean(same.Encoder.convs[0].Forward(&nn.Pass{}, weak), 0, 1, 2)
	require.InDelta(t, 0.468559, 1-math.Pow(0.9, 6), 1e-12)
	require.InDelta(t, 0.468559*mean.At(0), first(same, 1)[0], 1e-6)
}

func TestRunningStatisticsHaveTheirGoldenValues(t *testing.T) {
	norm := nn.NewBatchNorm(1)
	for i, batch := range [][]float32{{1, 2, 3, 4}, {0, 0, 2, 2}, {1, 2, 3, 4}} {
		p := &nn.Pass{Train: true}
		norm.Forward(p, tensor.FromFloat32(batch, 4, 1))
		p.Commit()
		require.InDelta(t, []float64{0.25, 0.325, 0.5425}[i], norm.Sets[0].Mean.At(0), 1e-6)
		require.InDelta(t, []float64{1.0666666667, 1.0933333333, 1.1506666667}[i], norm.Sets[0].Var.At(0), 1e-6)
	}
	// The gradient in training mode includes those of mean and variance: it is
	// orthogonal to 1 and to the normalised input.
	rng := rand.New(rand.NewPCG(4, 4))
	x := tensor.Normal(rng, tensor.Float64, 2, 3, 6, 4)
	tape := tensor.NewTape()
	w := tape.Watch(x)
	y, _, _ := tensor.BatchNorm(w, tensor.Full(tensor.Float64, 1, 4), tensor.Zeros(tensor.Float64, 4), 1e-12, tensor.Identity)
	up := tensor.Normal(rng, tensor.Float64, 0, 1, 6, 4)
	g := tensor.Grad(tensor.Sum(tensor.Mul(y, up)), w)[0]
	require.InDelta(t, 0, tensor.MaxAbs(tensor.Sum(g, 0)), 1e-10)
	require.InDelta(t, 0, tensor.MaxAbs(tensor.Sum(tensor.Mul(g, y.Detach()), 0)), 1e-9)
}

// The gradient cache: with one chunk it is the ordinary step; with two chunks of the
// same images, normalisation sees the same statistics and the gradients are the same.
func TestChunksGiveTheSameGradients(t *testing.T) {
	data := blobs(16, 4, 1)
	compare := func(name string, want, got []*tensor.Tensor) {
		most := 0.0
		for _, g := range want {
			most = max(most, tensor.MaxAbs(g))
		}
		for i := range want {
			require.InDelta(t, 0, tensor.MaxAbs(tensor.Sub(want[i], got[i]))/most, 2e-5, "%s parameter %d", name, i)
		}
	}
	for name, e := range everyMethod(t, data) {
		e.c.Joint = false
		l, want := oneStep(t, e.c, e.net, data, 8)
		whole := everyMethod(t, data)[name]
		whole.c.Chunk = 100
		l2, got := oneStep(t, whole.c, whole.net, data, 8)
		require.InDelta(t, l, l2, 1e-4, name)
		compare(name, want, got)
	}
	twice := []int{0, 1, 2, 3, 0, 1, 2, 3}
	step := func(name string, chunk int) (float64, []*tensor.Tensor) {
		e := everyMethod(t, data)[name]
		// Starts differ from image to image: only attacks that go nowhere leave two
		// halves of a batch the same.
		e.c.Joint, e.c.Chunk, e.c.Attack.Eps, e.c.Attack.StepSize = false, chunk, 0, 0
		return stepOn(t, e.c, e.net, data, twice)
	}
	for name := range everyMethod(t, data) {
		l, want := step(name, 0)
		l2, got := step(name, 4)
		require.InDelta(t, l, l2, 1e-4, name)
		compare(name+" in two chunks", want, got)
	}
	c := NewSimCLR(1)
	c.Chunk = 4
	require.Equal(t, [][2]int{{0, 4}, {4, 8}}, c.pieces(8))
	for n := 2; n < 40; n++ {
		for _, size := range []int{3, 4, 7} {
			c.Chunk = size
			at := 0
			for _, part := range c.pieces(n) {
				require.Equal(t, at, part[0])
				require.True(t, part[1]-part[0] >= 2 && part[1]-part[0] <= size, "%d in chunks of %d", n, size)
				at = part[1]
			}
			require.Equal(t, n, at)
		}
	}
}

// A set of statistics that no view uses has no gradient, in chunks as without.
func TestUnusedParametersHaveNoGradient(t *testing.T) {
	data := blobs(16, 4, 1)
	for _, chunk := range []int{0, 4} {
		c, net := NewSimCLR(1), network(1, nil, Clean, Attacked)
		c.Chunk = chunk
		x, y := data.Batch([]int{0, 1, 2, 3, 4, 5, 6, 7})
		tape, p := tensor.NewTape(), &nn.Pass{Train: true}
		params := nn.Params(net)
		watched := p.Watch(tape, params)
		l, err := c.Loss(context.Background(), p, net, nn.Batch{X: tape.Const(x), Y: y, Index: []int{0, 1, 2, 3, 4, 5, 6, 7}})
		require.NoError(t, err)
		unused := map[*tensor.Tensor]bool{}
		net.Visit("", func(s nn.Slot) {
			if strings.Contains(s.Name, Attacked+".") {
				unused[s.Tensor] = true
			}
		})
		require.NotEmpty(t, unused)
		for i, g := range tensor.Gradients(l, tensor.GradOptions{NilUnreached: true}, watched...) {
			require.Equal(t, unused[params[i]], g == nil, "chunks of %d, parameter %d", chunk, i)
		}
	}
}

// In evaluation mode normalisation knows nothing of the batch, and attacks lead to the
// same images in chunks and without.
func TestAttacksAreTheSameInChunks(t *testing.T) {
	data := blobs(16, 4, 1)
	for name, e := range everyMethod(t, data) {
		if e.c.Attack.Steps == 0 {
			continue
		}
		e.c.Attack.Eval, e.c.Joint = true, false
		oneStep(t, e.c, e.net, data, 8)
		idx := []int{8, 9, 10, 11, 12, 13, 14, 15}
		x, _ := data.Batch(idx)
		images := func(chunk int) (out []float64) {
			e.c.Chunk = chunk
			require.NoError(t, e.c.Check(e.net, data))
			s, err := e.c.begin(&nn.Pass{Train: true}, e.net, nn.Batch{X: tensor.NewTape().Const(x), Index: idx})
			require.NoError(t, err)
			require.NoError(t, e.c.attack(context.Background(), s))
			for _, v := range s.attacked {
				out = append(out, s.images[v].Values()...)
			}
			if e.c.Pseudo != nil {
				x, err := e.c.attackPseudo(context.Background(), s)
				require.NoError(t, err)
				out = append(out, x.Values()...)
			}
			return out
		}
		want, got := images(0), images(3)
		others := 0
		for i := range want {
			if math.Abs(want[i]-got[i]) > 1e-6 {
				others++ // the sign of a gradient near 0 is a matter of rounding
			}
		}
		require.Less(t, float64(others)/float64(len(want)), 0.01, name)
	}
}

func TestPassesAreThoseOfThePaper(t *testing.T) {
	data := blobs(16, 4, 1)
	s := 2.
	for name, e := range everyMethod(t, data) {
		if e.c.Attack.Steps > 0 {
			e.c.Attack.Steps = int(s)
		}
		want := map[string]float64{
			"SimCLR": 6, "RoCL": 2*s + 9 + 1, "ACL": 4*s + 12, "DynACL": 4*s + 12,
			"AdvCL": 2*s + 12, "pseudo": 4*s + 15, "low": 2*s + 15,
		}[name]
		require.Equal(t, want, e.c.Passes(), name)
	}
}
