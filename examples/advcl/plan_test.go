package main

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/redoubt-ml/redoubt/defense/advcl"
	"github.com/redoubt-ml/redoubt/defense/advcl/finetune"
	"github.com/redoubt-ml/redoubt/internal/example"
	"github.com/redoubt-ml/redoubt/tensor/nn"
	"github.com/redoubt-ml/redoubt/tensor/optim"
)

// sizedLike returns an experiment of a plan's settings with a small network.
func sizedLike(p plan, steps int) *experiment {
	p.form, p.head = quickPlan.form, quickPlan.head
	if p.epochs == 0 {
		p.steps = steps
	}
	return &experiment{env: &example.Env{Seed: 1}, plan: p}
}

func contrastive(t *testing.T, e *experiment, name string) (*advcl.Contrastive, setup) {
	s, err := e.setUp(context.Background(), name, 1)
	require.NoError(t, err)
	return s.method.(*advcl.Contrastive), s
}

// DynACL's annealing ends with the training, at every scale.
func TestAnnealingIsAsLongAsTheTraining(t *testing.T) {
	c, _ := contrastive(t, sizedLike(fullPlan, 0), dynACL)
	crop := c.Views[advcl.Strong1].Anneal.(advcl.AnnealedCrop)
	for epoch, want := range map[int]float64{0: 1, 49: 1, 50: 0.95, 500: 0.5, 999: 0.05} {
		require.InDelta(t, want, crop.Strength(epoch), 1e-12)
	}
	require.Equal(t, 0.1, crop.Area)
	for epoch, want := range map[int]float64{0: 1, 500: 2. / 3, 1000: 1. / 3} {
		require.InDelta(t, want, c.Terms[0].Anneal.At(epoch), 1e-12)
		require.InDelta(t, 2-want, c.Terms[1].Anneal.At(epoch), 1e-12)
	}
	c, _ = contrastive(t, sizedLike(smallPlan, 1000), dynACL)
	crop = c.Views[advcl.Strong2].Anneal.(advcl.AnnealedCrop)
	require.Equal(t, 0.2, crop.Area, "crops are those of the other methods")
	require.InDelta(t, 0.5, crop.Strength(3), 1e-12)
	require.Zero(t, crop.Strength(6))
}

// The linear layer of the full scale is that of the reference code, the one of the
// small scale that of the experiment.
func TestTheLinearLayerIsThatOfTheScale(t *testing.T) {
	require.Equal(t, finetune.Tuning{Kind: finetune.SLF, LR: 0.01, BatchSize: 512, Epochs: 25, Drops: []int{15, 20}, Augment: advcl.Weakly(), Seed: 3}, fullPlan.tuning(3))
	require.Equal(t, finetune.Tuning{Kind: finetune.SLF, LR: 0.05, BatchSize: 256, Epochs: 30, Drops: []int{18, 25}, Standardize: true}, smallPlan.tuning(0))
}

// Every method of the full scale has the optimiser, the length and the rates of its own
// paper.
func TestEveryMethodHasItsOwnRecipe(t *testing.T) {
	e := &experiment{plan: fullPlan}
	of := func(name string) (run advcl.Pretraining, per int) {
		require.NoError(t, e.schedule(&run, name))
		return run, (e.plan.train + run.BatchSize - 1) / run.BatchSize
	}
	for name, want := range map[string][2]int{advCL: {1000, 512}, roCL: {1000, 512}, acl: {1000, 512}, deACL: {100, 256}, apDPE: {150, 64}, supervised: {100, 128}, trades: {100, 128}} {
		run, _ := of(name)
		require.Equal(t, want, [2]int{run.Epochs, run.BatchSize}, name)
		steps, _ := e.length(name)
		require.InEpsilon(t, 2*0.5554176*float64(run.BatchSize)*float64(steps), e.work(name, 1, steps), 1e-9, name)
	}
	run, per := of(roCL)
	require.InDelta(t, 1.5, run.Schedule(10*per-1), 1e-9)
	require.Equal(t, run.Schedule(500*per), run.Schedule(501*per-1), "one rate an epoch")
	require.Greater(t, run.Schedule(500*per), run.Schedule(501*per))
	run, _ = of(deACL)
	require.Equal(t, &optim.SGD{Momentum: 0.9, WeightDecay: 5e-4}, run.Optimizer)
	run, _ = of(apDPE)
	require.Equal(t, &optim.SGD{Momentum: 0.9, WeightDecay: 1e-4, Nesterov: true}, run.Optimizer)
	require.InDelta(t, 1e-3, run.Schedule(0), 1e-8)
	run, per = of(trades)
	require.InDeltaSlice(t, []float64{0.1, 0.01, 0.001}, []float64{run.Schedule(39 * per), run.Schedule(59 * per), run.Schedule(60 * per)}, 1e-12)
	// The bar that shows progress ends where the training does.
	e.plan.methods = []string{advCL, supervised, random}
	require.Equal(t, 98000+39100, e.steps())
}

// Networks whose programs begin with ImageNet's mean and deviation do so at the full scale,
// where everything is the papers', and nowhere else.
func TestPixelsAreNormalisedWhereThePapersDo(t *testing.T) {
	for _, name := range []string{simCLR, roCL, acl, dynACL, advCL, apDPE} {
		for _, p := range []plan{smallPlan, mediumPlan, fullPlan} {
			s, err := sizedLike(p, 10).setUp(t.Context(), name, 1)
			require.NoError(t, err)
			normalised := false
			s.net.Visit("", func(slot nn.Slot) {
				if slot.Name == "encoder.norm.mean" {
					normalised = true
					require.InDeltaSlice(t, []float64{0.485, 0.456, 0.406}, slot.Tensor.Values(), 1e-7)
				}
			})
			require.Equal(t, p.epochs > 0 && (name == acl || name == apDPE), normalised, name)
		}
	}
}

// The small experiment is the one that was fixed in advance: attacks, temperatures,
// crops, statistics, the set that is evaluated, and the work of a step.
func TestTheSmallExperimentIsAsFixed(t *testing.T) {
	p := smallPlan
	require.Equal(t, []int{20000, 2000, 128, 3, 30, 256}, []int{p.train, p.test, p.batch, p.seeds, p.probeEpochs, p.probeBatch})
	require.Equal(t, []int{2, 10, 50, 100}, p.clusters)
	require.Equal(t, advcl.Mini, p.form)
	require.Equal(t, advcl.Projector{Widths: []int{128, 64}}, p.head)
	require.Equal(t, []string{simCLR, roCL, acl, advCL, advCLPseudo, supervised, random}, p.methods)
	require.Equal(t, 0.12, p.lr)
	e := sizedLike(p, 1000)
	var run advcl.Pretraining
	require.NoError(t, e.schedule(&run, advCL))
	require.Nil(t, run.Optimizer, "that of the reference code")
	require.Equal(t, []int{1000, 128}, []int{run.Steps, run.BatchSize})
	require.InDeltaSlice(t, []float64{0.12 / 50, 0.12, 0.12e-3}, []float64{run.Schedule(0), run.Schedule(49), run.Schedule(999)}, 1e-12)

	attacked := func(train bool) advcl.Attack {
		return advcl.Attack{Eps: 8. / 255, StepSize: 4. / 255, Steps: 2, Eval: !train}
	}
	clamped := attacked(false)
	clamped.ClampStart = true
	both := []string{advcl.Clean, advcl.Attacked}
	for name, want := range map[string]struct {
		attack advcl.Attack
		sets   []string
		stats  string
		passes float64
	}{
		simCLR: {advcl.Attack{}, []string{""}, "", 6},
		roCL:   {clamped, []string{""}, "", 14},
		acl:    {attacked(false), both, "pgd", 20},
		dynACL: {attacked(false), both, "pgd", 20},
		advCL:  {attacked(true), both, "pgd", 16},
	} {
		c, s := contrastive(t, e, name)
		require.Equal(t, want.attack, c.Attack, name)
		require.Equal(t, want.sets, s.net.Encoder.Sets, name)
		require.Equal(t, want.stats, s.stats, name)
		require.Equal(t, want.passes, s.passes(), name)
		for _, term := range c.Terms {
			require.Equal(t, advcl.NTXent{Base: 0.07}, term.Loss, name)
		}
		if name != dynACL {
			require.Equal(t, advcl.Strong(0.2, 1), c.Views[advcl.Strong1].Augment, name)
			require.Equal(t, c.Views[advcl.Strong1], c.Views[advcl.Strong2], name)
		}
	}
	require.Equal(t, 23., e.sized(advcl.NewAdvCL(1)).WithPseudoLabels(nil).Passes())
	e.images = generated(20, 1)
	s, err := e.setUp(context.Background(), supervised, 1)
	require.NoError(t, err)
	require.Equal(t, 7., s.passes())
	require.Empty(t, s.stats)
}

// Five views of 512 images, or a chunk of one: ResNet-18 puts out 64 channels of 32 x 32
// five times, and half of that five times for each of three stages.
func TestMemoryOfALargeStepIsAnnounced(t *testing.T) {
	require.Equal(t, 5*65536+5*32768+5*16384+5*8192, advcl.ResNet18.Outputs(32))
	e := &experiment{plan: fullPlan, env: &example.Env{Seed: 1}, images: generated(20, 1)}
	e.plan.methods = []string{simCLR, advCL, advCLPseudo}
	all, memory, err := e.cost(t.Context())
	require.NoError(t, err)
	require.InDelta(t, 12.58, memory, 0.01)
	e.chunk = 64
	more, memory, err := e.cost(t.Context())
	require.NoError(t, err)
	require.InDelta(t, 0.315, memory, 0.001)
	// A pass of every view, and one for each step of the attack on one of them.
	passes := func(p, chunks float64) float64 { return (p + chunks) / p }
	require.InDelta(t, passes(6+22+35, 2+9+9), more/all, 1e-12)
}
