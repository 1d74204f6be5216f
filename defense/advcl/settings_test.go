package advcl

import (
	"context"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/redoubt-ml/redoubt/tensor"
	"github.com/redoubt-ml/redoubt/tensor/dataset"
	"github.com/redoubt-ml/redoubt/tensor/nn"
)

// Methods that train differently describe themselves differently, so that a checkpoint
// of one is not taken over by another; those that train alike are described alike.
func TestDescriptionsTellSettingsApart(t *testing.T) {
	data := blobs(16, 4, 1)
	advcl := func(change func(c *Contrastive)) string {
		c := NewAdvCL(1).WithPseudoLabels(labels(t, data, 1, 2, 5))
		change(c)
		return c.String()
	}
	dynamic := func(change func(c *Contrastive)) string {
		c := NewDynACL(1, Annealing{Epochs: 10})
		change(c)
		return c.String()
	}
	second := NewEncoder(rand.New(rand.NewPCG(8, 8)), tiny)
	require.NoError(t, second.Calibrate(context.Background(), "", data, 1))
	second.norms[0].Sets[0].Var.Set(2, 0)
	all := []string{
		advcl(func(*Contrastive) {}),
		advcl(func(c *Contrastive) {
			c.Views[Weak] = View{Augment: []dataset.Augment{dataset.PadCrop{Pad: 2}}, Stats: Clean}
		}),
		advcl(func(c *Contrastive) {
			c.Views[Weak] = View{Augment: []dataset.Augment{dataset.HorizontalFlip{}}, Stats: Clean}
		}),
		advcl(func(c *Contrastive) { c.Pseudo.View = Strong1 }),
		advcl(func(c *Contrastive) { c.Pseudo.Labels = labels(t, data, 2, 2, 5) }),
		advcl(func(c *Contrastive) { c.Terms[0].Weight = 2 }),
		advcl(func(c *Contrastive) { c.Attack.Eval = true }),
		dynamic(func(*Contrastive) {}),
		NewDynACL(1, Annealing{Epochs: 1000}).String(),
		NewDynACL(1, Annealing{Epochs: 10, Every: 2}).String(),
		dynamic(func(c *Contrastive) {
			c.Views[Strong1] = View{Anneal: AnnealedCrop{Area: 0.2, Annealing: Annealing{Epochs: 10}}, Stats: Clean}
		}),
		dynamic(func(c *Contrastive) { c.Terms[1].Anneal = c.Terms[0].Anneal }),
		NewDeACL(teacher(t, data), 1).String(),
		NewDeACL(second, 1).String(),
		NewDeACL(nil, 1).String(),
	}
	for i := range all {
		for j := range i {
			require.NotEqual(t, all[j], all[i], "%d and %d", j, i)
		}
	}
	require.Equal(t, all[0], advcl(func(*Contrastive) {}))
	require.Equal(t, all[7], dynamic(func(*Contrastive) {}))
	require.Equal(t, all[12], NewDeACL(teacher(t, data), 1).String())
}

func TestEncodeRefusesWhatDoesNotFit(t *testing.T) {
	data, ctx := blobs(8, 4, 1), context.Background()
	net := network(1, nil, Clean, Attacked)
	_, err := Encode(ctx, net.Encoder, Attacked, data)
	require.ErrorContains(t, err, "no batch has entered")
	require.NoError(t, net.Encoder.Calibrate(ctx, Attacked, data, 1))
	f, err := Encode(ctx, net.Encoder, Attacked, data)
	require.NoError(t, err)
	require.Equal(t, []int{8, 16}, f.Shape())
	whole, err := Encode(ctx, net, Attacked, data)
	require.NoError(t, err)
	require.Equal(t, f, whole, "features, not projections")
	for _, layer := range []nn.Layer{net.Encoder, net, nn.NewSequential(net.Encoder)} {
		_, err = Encode(ctx, layer, "gpd", data)
		require.ErrorContains(t, err, `"gpd"`)
	}
	grey := *data
	grey.C, grey.Bytes = 1, data.Bytes[:8*256]
	_, err = Encode(ctx, net.Encoder, Attacked, &grey)
	require.ErrorContains(t, err, "1 channels")
	_, err = Encode(ctx, net.Encoder, Attacked, nil)
	require.ErrorContains(t, err, "no images")
}

// One method can train several networks, one after the other, and sees changes of its
// settings between them.
func TestAMethodTrainsOneNetworkAfterAnother(t *testing.T) {
	data := blobs(16, 4, 1)
	c := NewRoCL(1)
	c.Chunk, c.Attack.Steps = 4, 1
	first, want := oneStep(t, c, network(1, nil), data, 8)
	again, got := oneStep(t, c, network(1, nil), data, 8)
	require.Equal(t, first, again)
	for i := range want {
		require.Equal(t, want[i].Values(), got[i].Values())
	}
	c.Seed = 2
	other, _ := oneStep(t, c, network(1, nil), data, 8)
	require.NotEqual(t, first, other, "another seed")
}

// No pass of a step in chunks has more images than a chunk has.
func TestNoPassHasMoreImagesThanAChunk(t *testing.T) {
	data := blobs(16, 4, 1)
	c, net := NewRoCL(1), network(1, nil)
	c.Chunk, c.Attack.Steps = 4, 1
	most := 0
	net.Encoder.Sequential = nn.NewSequential(&counter{Layer: net.Encoder.Sequential, most: &most})
	oneStep(t, c, net, data, 8)
	require.Equal(t, 4, most)
}

// counter is a layer that knows the largest batch that it has seen.
type counter struct {
	nn.Layer
	most    *int
	trained *int // number of passes in training mode; nil if it does not matter
}

func (c *counter) Forward(p *nn.Pass, x *tensor.Tensor) *tensor.Tensor {
	*c.most = max(*c.most, x.Dim(0))
	if p.Train && c.trained != nil {
		*c.trained++
	}
	return c.Layer.Forward(p, x)
}

func TestInfiniteWeightsAreRefused(t *testing.T) {
	data := blobs(16, 4, 1)
	s := NewTRADES(1)
	s.Beta = math.Inf(1)
	require.ErrorContains(t, s.Check(network(1, []int{4}), data), "Beta is +Inf")
	d := NewDeACL(teacher(t, data), 1)
	d.Weight = math.Inf(1)
	require.ErrorContains(t, d.Check(network(1, nil), data), "weight is +Inf")
}

// otherChanges are random changes that are no crops.
type otherChanges struct{ AnnealedCrop }

// SetCrops changes the area of strong crops and nothing else.
func TestCropsAreSetAlone(t *testing.T) {
	own := View{Anneal: otherChanges{}, Stats: "mine"}
	for _, c := range []*Contrastive{NewSimCLR(1), NewRoCL(1), NewACL(1), NewDynACL(1, Annealing{Epochs: 7, Every: 3}), NewAdvCL(1)} {
		before := c.Views.routed("")
		stats := c.Views[Strong1].Stats
		c.Views.SetCrops(0.3)
		for _, name := range []string{Strong1, Strong2} {
			want := View{Augment: Strong(0.3, 1), Stats: stats}
			if c.Method == "DynACL" {
				want = View{Anneal: AnnealedCrop{Area: 0.3, Annealing: Annealing{Epochs: 7, Every: 3}}, Stats: stats}
			}
			require.Equal(t, want, c.Views[name], c.Method)
			delete(before, name)
		}
		after := c.Views.routed("")
		delete(after, Strong1)
		delete(after, Strong2)
		require.Equal(t, before, after, c.Method)
		c.Views[Strong1] = own
		c.Views.SetCrops(0.5)
		require.Equal(t, own, c.Views[Strong1])
	}
}
