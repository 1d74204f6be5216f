package uda

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/redoubt-ml/redoubt/tensor"
	"github.com/redoubt-ml/redoubt/tensor/dataset"
	"github.com/redoubt-ml/redoubt/tensor/nn"
	"github.com/redoubt-ml/redoubt/tensor/optim"
)

// steady is small without dropout: a pass gives the same features however often it is
// made.
func steady() Architecture {
	a := small()
	a.Features = func(rng *rand.Rand, h, w, c int) (nn.Layer, int) {
		return nn.NewSequential(conv(rng, c, 4, 5, valid), nn.ReLU, nn.MaxPool2D(2, half), nn.Flatten,
			dense(rng, pooled(h)*pooled(w)*4, 12), nn.ReLU), 12
	}
	a.Discriminator = func(rng *rand.Rand, width int) nn.Layer {
		return nn.NewSequential(dense(rng, width, 8), nn.ReLU, dense(rng, 8, 2))
	}
	return a
}

// recorded returns a model without dropout whose optimisers move nothing, the batch
// for it, and where they put the gradients of each update.
func recorded(t *testing.T, method Method) (*Model, Batch, *[][]float64) {
	var all [][]float64
	tr := smallTraining(method)
	tr.Arch, tr.Optimizer = steady(), func() optim.Optimizer { return recorder{&all} }
	m, err := tr.New()
	require.NoError(t, err)
	_, b := parts(t, method)
	m.rng = rand.New(rand.NewPCG(1, 1))
	return m, b, &all
}

// adversaries are the methods with a discriminator, each with settings in common.
func adversaries(a Adversary) []Method {
	return []Method{
		DANN{a}, CDAN{Adversary: a}, CDAN{Adversary: a, Exact: true}, CDAN{Adversary: a, Entropy: true},
		CDAN{Adversary: a, DetachPredictions: true}, IWDAN{DANN{a}}, IWCDAN{CDAN{Adversary: a}},
	}
}

// weigh gives a model uneven class weights, if it has any.
func weigh(m *Model) {
	if m.importance != nil {
		m.importance.weights, m.importance.prior = []float64{.4, 1.7, .8}, []float64{.5, .2, .3}
	}
}

// Without dropout the gradients of a shared pass are those of passes apart: of D, of G
// with the domain loss in it, and of C without.
func TestSharedPassHasTheGradientsOfPassesApart(t *testing.T) {
	together, apart := adversaries(Adversary{SharedForward: true}), adversaries(Adversary{})
	for i := range apart {
		var got [2][][]float64
		var losses [2]Losses
		for k, method := range []Method{together[i], apart[i]} {
			m, b, all := recorded(t, method)
			weigh(m)
			losses[k] = method.Step(m, b)
			got[k] = *all
		}
		require.Len(t, got[0], 3)
		for k := range got[0] {
			require.InDeltaSlice(t, got[1][k], got[0][k], 1e-6, "%s, update %d", apart[i].Name(), k)
		}
		require.InDelta(t, losses[1].Domain, losses[0].Domain, 1e-6)
		require.InDelta(t, losses[1].Confusion, losses[0].Confusion, 1e-6)
	}
}

// domainLoss is the loss of D on true domains as a function of all that lies before
// it, with its gradients in G and D.
func domainLoss(m *Model, tn *turn) (loss float64, g, d []float64) {
	defer m.tape.Reset()
	p := m.pass()
	wg, wd := p.Watch(m.tape, nn.Params(m.G)), p.Watch(m.tape, nn.Params(m.Discriminator))
	in, predictions := tn.see(m.pass(), m.G.Forward(p, m.tape.Const(tn.both)))
	l := tn.loss(m.Discriminator.Forward(p, in), predictions, tn.truth)
	grads := tensor.Grad(l, append(wg[:len(wg):len(wg)], wd...)...)
	for i, v := range grads {
		if i < len(wg) {
			g = append(g, v.Values()...)
		} else {
			d = append(d, v.Values()...)
		}
	}
	return l.Item(), g, d
}

// Gradient reversal adds -lambda times the gradient of the domain loss to G's, adds
// nothing to C's and leaves D's as it is.
func TestReversalTurnsTheDomainGradientOfTheFeatures(t *testing.T) {
	plain, b, all := recorded(t, SourceOnly{})
	SourceOnly{}.Step(plain, b)
	class := *all
	for _, method := range adversaries(Adversary{Mode: GradientReversal})[:5] {
		m, b, all := recorded(t, method)
		tn := &turn{Model: m, adversarial: adversarial{rows: DomainCE}, b: b, n: 5, both: tensor.Concat(0, b.Source, b.Target)}
		if c, ok := method.(CDAN); ok {
			tn.adversarial = c.adversarial()
		}
		tn.truth, tn.inverted = domains(5, 4)
		_, g, d := domainLoss(m, tn)
		method.Step(m, b)
		got := *all
		want := make([]float64, len(g))
		for i := range want {
			want[i] = class[0][i] - Lambda(b.Progress)*g[i]
		}
		require.InDeltaSlice(t, want, got[0], 1e-6, method.Name())
		require.InDeltaSlice(t, class[1], got[1], 1e-6, method.Name())
		require.InDeltaSlice(t, d, got[2], 1e-6, method.Name())
	}
}

// The class loss of a source row of class y counts w_y/(K P_S(y)), its domain loss w_y,
// that of a target row 1: in the losses and in the gradients.
func TestClassWeightsWeighBothLosses(t *testing.T) {
	for _, a := range []Adversary{{}, {SharedForward: true}, {Mode: GradientReversal}} {
		method := IWDAN{DANN{a}}
		m, b, all := recorded(t, method)
		weigh(m)
		w, prior := m.importance.weights, m.importance.prior
		classRows := tensor.CrossEntropy(m.Logits(b.Source), b.Y).Values()
		both := tensor.Concat(0, b.Source, b.Target)
		truth, inverted := domains(5, 4)
		z := m.Discriminator.Forward(&nn.Pass{}, m.Features(both))
		var class, domain, confusion float64
		var head []float64
		for i, y := range b.Y {
			class += w[y] / (3 * prior[y]) * classRows[i] / 5
			one := b
			one.Source, one.Y = tensor.Slice(b.Source, 0, i, i+1), b.Y[i:i+1]
			plain, _, row := recorded(t, SourceOnly{})
			SourceOnly{}.Step(plain, one)
			if head == nil {
				head = make([]float64, len((*row)[1]))
			}
			for k, v := range (*row)[1] {
				head[k] += w[y] / (3 * prior[y]) * v / 5
			}
		}
		trueRows, falseRows := DomainCE(z, truth).Values(), DomainCE(z, inverted).Values()
		for i := range trueRows {
			by := 1.0
			if i < 5 {
				by = w[b.Y[i]]
			}
			domain += by * trueRows[i] / 9
			confusion += by * falseRows[i] / 9
		}
		l := method.Step(m, b)
		require.InDelta(t, class, l.Class, 1e-6)
		require.InDelta(t, domain, l.Domain, 1e-6)
		at := 2
		if a.Mode == GradientReversal {
			at = 1
		} else {
			require.InDelta(t, confusion, l.Confusion, 1e-6)
		}
		require.InDeltaSlice(t, head, (*all)[at], 1e-6)
	}
}

// sizes is a method that notes the batches it is given.
type sizes struct{ source, target *[]int }

func (sizes) Name() string                     { return "sizes" }
func (sizes) Prepare(*Model, *rand.Rand) error { return nil }
func (s sizes) Step(_ *Model, b Batch) Losses {
	*s.source = append(*s.source, b.Source.Dim(0))
	*s.target = append(*s.target, b.Target.Dim(0))
	return Losses{}
}

func TestEvenBatchesDifferByAtMostOne(t *testing.T) {
	for _, n := range []int{60, 61, 64, 67, 7, 20, 21} {
		var source, target []int
		tr := smallTraining(sizes{&source, &target})
		tr.Source, tr.Even, tr.TargetAsSource = pictures(1, n), true, true
		m, err := tr.New()
		require.NoError(t, err)
		require.NoError(t, tr.Epoch(ctx, m, 0))
		sum, least, most := 0, n, 0
		for _, s := range source {
			sum, least, most = sum+s, min(least, s), max(most, s)
		}
		require.Len(t, source, (n+19)/20)
		require.Equal(t, n, sum)
		require.LessOrEqual(t, most-least, 1)
		require.LessOrEqual(t, most, 20)
		require.Equal(t, source, target)
	}
	tr := smallTraining(DANN{})
	tr.Even, tr.DropLast = true, true
	_, err := tr.New()
	require.ErrorContains(t, err, "Even with DropLast")
}

// A state of a trained model goes into a fresh one whole, moments included; one that
// does not fit changes nothing.
func TestRestoreCarriesMomentsAndRefusesStrangers(t *testing.T) {
	for _, method := range methods() {
		tr := smallTraining(method)
		m, err := tr.New()
		require.NoError(t, err)
		require.NoError(t, tr.Epoch(ctx, m, 0))
		kept := m.Snapshot()
		other, err := tr.New()
		require.NoError(t, err)
		require.NoError(t, other.Restore(kept))
		for _, one := range []*Model{m, other} {
			require.NoError(t, tr.Epoch(ctx, one, 1))
		}
		require.Equal(t, values(m.networks()...), values(other.networks()...), method.Name())
	}
	dann, weighted := smallTraining(DANN{}), smallTraining(IWDAN{})
	m, err := dann.New()
	require.NoError(t, err)
	require.NoError(t, dann.Epoch(ctx, m, 0))
	w, err := weighted.New()
	require.NoError(t, err)
	before := w.Snapshot()
	require.ErrorContains(t, w.Restore(m.Snapshot()), "0 class weights, want 3")
	require.ErrorContains(t, m.Restore(before), "3 class weights, want 0")
	require.ErrorContains(t, w.Restore(nil), "no state")
	bad := m.Snapshot()
	bad.optims["head"].tensors["steps"].Set(-1, 0)
	before = m.Snapshot()
	require.NoError(t, dann.Epoch(ctx, m, 1))
	after := m.Snapshot()
	require.ErrorContains(t, m.Restore(bad), `optimiser "head"`)
	require.Equal(t, after, m.Snapshot())
	require.NotEqual(t, before, after)
}

// A state makes another model the same, whatever seed that was made with: it trains and
// answers as the first one does.
func TestRestoreMakesModelsOfOtherSeedsTheSame(t *testing.T) {
	for _, method := range methods() {
		tr := smallTraining(method)
		m, err := tr.New()
		require.NoError(t, err)
		require.NoError(t, tr.Epoch(ctx, m, 0))
		stranger := tr
		stranger.Seed++
		other, err := stranger.New()
		require.NoError(t, err)
		require.NoError(t, other.Restore(m.Snapshot()))
		for _, one := range []*Model{m, other} {
			require.NoError(t, tr.Epoch(ctx, one, 1))
		}
		require.Equal(t, values(m.networks()...), values(other.networks()...), method.Name())
	}
	// The map of the first model is not that of the second.
	m, err := smallTraining(CDAN{}).New()
	require.NoError(t, err)
	kept := m.Snapshot()
	before := m.Map.(RandomMap).F.Clone()
	m.Map.(RandomMap).F.Fill(2)
	require.NoError(t, m.Restore(kept))
	require.Equal(t, before.Values(), m.Map.(RandomMap).F.Values())
	narrow, err := smallTraining(CDAN{MapWidth: 20}).New()
	require.NoError(t, err)
	require.ErrorContains(t, m.Restore(narrow.Snapshot()), "of the state is")
}

func TestBadEvaluationIsAnError(t *testing.T) {
	m, err := smallTraining(SourceOnly{}).New()
	require.NoError(t, err)
	for want, s := range map[string]*dataset.Set{
		"no images":              nil,
		"0 labels for 6":         {H: 16, W: 16, C: 1, Classes: 3, Floats: make([]float32, 6*256)},
		"is 7, want it in [0, 3": {H: 16, W: 16, C: 1, Classes: 3, Floats: make([]float32, 256), Labels: []int{7}},
	} {
		_, err := Evaluate(ctx, m, s)
		require.ErrorContains(t, err, want)
		_, err = LossesOf(ctx, m, s)
		require.ErrorContains(t, err, want)
		_, err = Diagnose(ctx, m, s, s, 0, 1)
		require.ErrorContains(t, err, want)
	}
	_, err = FeaturesOf(ctx, m, nil)
	require.ErrorContains(t, err, "no images")
	_, err = Probabilities(ctx, m, nil)
	require.ErrorContains(t, err, "no images")
}

// FeatureRate slows G down in step A and nothing else.
func TestFeatureRateSlowsTheFeaturesOfStepA(t *testing.T) {
	rates := map[string][]float64{}
	for _, factor := range []float64{0, .1} {
		var all []float64
		tr := smallTraining(MCD{FeatureRate: factor, FeatureSteps: 1, DiscrepancyRate: .5})
		tr.Optimizer = func() optim.Optimizer { return rateRecorder{&all} }
		m, err := tr.New()
		require.NoError(t, err)
		_, b := parts(t, MCD{})
		m.rng = rand.New(rand.NewPCG(1, 1))
		tr.Method.Step(m, b)
		rates[fmt.Sprint(factor)] = all
	}
	// Step A moves G and both classifiers, B the classifiers, C G.
	require.InDeltaSlice(t, []float64{1e-2, 1e-2, 1e-2, 5e-3, 5e-3, 5e-3}, rates["0"], 1e-12)
	require.InDeltaSlice(t, []float64{1e-3, 1e-2, 1e-2, 5e-3, 5e-3, 5e-3}, rates["0.1"], 1e-12)
	tr := smallTraining(MCD{FeatureRate: -1})
	_, err := tr.New()
	require.ErrorContains(t, err, "feature rate -1")
}

// rateRecorder keeps learning rates and moves nothing.
type rateRecorder struct{ all *[]float64 }

func (r rateRecorder) Step(lr float64, _, _ []*tensor.Tensor)                   { *r.all = append(*r.all, lr) }
func (rateRecorder) State() map[string]*tensor.Tensor                           { return nil }
func (rateRecorder) SetState([]*tensor.Tensor, map[string]*tensor.Tensor) error { return nil }
func (rateRecorder) String() string                                             { return "rate recorder" }

// partly is an architecture whose features use one of two sets of normalisation, and
// the layers made of it.
func partly() (Architecture, *[]*nn.BatchNorm) {
	a, all := normalised(), new([]*nn.BatchNorm)
	a.Features = func(rng *rand.Rand, h, w, c int) (nn.Layer, int) {
		l := nn.NewBatchNorm(6, "", "idle")
		*all = append(*all, l)
		return nn.NewSequential(nn.Flatten, dense(rng, h*w*c, 6), l, nn.ReLU), 6
	}
	return a, all
}

// Parameters that no loss depends on stay as they are, whatever the decay.
func TestUnusedParametersStay(t *testing.T) {
	for _, method := range []Method{SourceOnly{}, DANN{}, DANN{Adversary{Mode: GradientReversal}}, MCD{}, SSL{}} {
		a, all := partly()
		tr := smallTraining(method)
		tr.Arch, tr.Epochs, tr.Optimizer = a, 1, func() optim.Optimizer { return &optim.Adam{WeightDecay: 0.1} }
		_, err := tr.Run(ctx)
		require.NoError(t, err)
		require.NotEmpty(t, *all)
		for _, l := range *all {
			require.Equal(t, tensor.Full(tensor.Float32, 1, 6).Values(), l.Sets[1].Gamma.Values(), method.Name())
		}
	}
}
