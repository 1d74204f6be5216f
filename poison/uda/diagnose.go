package uda

import (
	"context"
	"fmt"
	"math/rand/v2"

	"github.com/redoubt-ml/redoubt/internal/kmeans"
	"github.com/redoubt-ml/redoubt/poison/bound"
	"github.com/redoubt-ml/redoubt/tensor"
	"github.com/redoubt-ml/redoubt/tensor/dataset"
	"github.com/redoubt-ml/redoubt/tensor/nn"
)

// Diagnosis holds the terms of the bounds as they appear from labelled examples of
// both domains. It is a diagnostic: neither bound is certified, because features
// are put into finitely many bins, whose masses and labels are estimated.
//
// Bins can only lower the distance of the domains. They average out disagreements
// between points of a bin, those of the domains' labels and those of the hypothesis with
// them; only where the domains lie differently within a bin can they make labels
// disagree that do not. Estimates from few examples raise the distance and the
// disagreements. As the distance and the source error weaken the lower bound and the
// mismatch of labels strengthens it, it can come out above the true one, and above
// the target error.
type Diagnosis struct {
	Bins   int          `json:"bins"`
	Bounds bound.Bounds `json:"bounds"`
	// SourceError and TargetError are the 0/1 errors of the classifier.
	SourceError float64 `json:"source_error"`
	TargetError float64 `json:"target_error"`
	// DiscriminatorTV is the total variation that the model's own discriminator
	// shows, 0 for a model without one: an under-estimate.
	DiscriminatorTV float64 `json:"discriminator_tv"`
}

// Diagnose estimates the terms on labelled examples that took no part in training.
// bins is the number of clusters of features, 0 means 20. A bin without examples of
// one domain takes the labels of the other there, so that it adds no mismatch.
// Errors: sets of another form, without labels, or with fewer examples than bins.
func Diagnose(ctx context.Context, m *Model, source, target *dataset.Set, bins int, seed uint64) (Diagnosis, error) {
	if bins == 0 {
		bins = 20
	}
	out := Diagnosis{Bins: bins}
	sets := []*dataset.Set{source, target}
	var features, predictions [2]*tensor.Tensor
	for i, s := range sets {
		err := labelled(m, s)
		if err != nil {
			return out, err
		}
		if features[i], err = FeaturesOf(ctx, m, s); err != nil {
			return out, err
		}
		if predictions[i], err = Probabilities(ctx, m, s); err != nil {
			return out, err
		}
	}
	parts, err := kmeans.Run(ctx, rand.New(rand.NewPCG(seed, 0xb135)), tensor.Concat(0, features[0], features[1]), bins)
	if err != nil {
		return out, fmt.Errorf("uda: diagnosis: %w", err)
	}
	out.Bounds, err = binned(parts.ID, sets, predictions, bins).Bounds()
	if err != nil {
		return out, err
	}
	errors := [2]float64{}
	for i, s := range sets {
		for k, a := range tensor.ArgMax(predictions[i]) {
			if a != s.Labels[k] {
				errors[i] += 1 / float64(s.Len())
			}
		}
	}
	out.SourceError, out.TargetError = errors[0], errors[1]
	if m.Discriminator != nil {
		if out.DiscriminatorTV, err = bound.TVFromDiscriminator(1 - m.seen(features, predictions)); err != nil {
			return out, err
		}
	}
	return out, nil
}

// seen is the balanced accuracy of the discriminator in evaluation mode.
func (m *Model) seen(features, predictions [2]*tensor.Tensor) float64 {
	f := tensor.Concat(0, features[0], features[1])
	if m.Map != nil {
		f = m.Map.Join(f, tensor.Concat(0, predictions[0], predictions[1]))
	}
	return balanced(m.Discriminator.Forward(&nn.Pass{}, f), features[0].Dim(0))
}

// binned is the discrete problem of clusters, of of the source's examples followed
// by the target's.
func binned(of []int, sets []*dataset.Set, predictions [2]*tensor.Tensor, bins int) bound.Discrete {
	k := sets[0].Classes
	table := func() [][]float64 {
		t := make([][]float64, bins)
		for b := range t {
			t[b] = make([]float64, k)
		}
		return t
	}
	mass := [2][]float64{make([]float64, bins), make([]float64, bins)}
	labels, h, all := [2][][]float64{table(), table()}, table(), make([]float64, bins)
	at := 0
	for i, s := range sets {
		p := predictions[i].Float32s()
		for e, y := range s.Labels {
			b := of[at]
			at++
			mass[i][b] += 1 / float64(s.Len())
			labels[i][b][y]++
			all[b]++
			for c := range k {
				h[b][c] += float64(p[e*k+c])
			}
		}
	}
	for b := range bins {
		if all[b] == 0 {
			h[b][0], labels[0][b][0], labels[1][b][0] = 1, 1, 1
			continue
		}
		normalise(h[b])
		for i := range labels {
			if mass[i][b] == 0 {
				copy(labels[i][b], labels[1-i][b])
			}
		}
		normalise(labels[0][b])
		normalise(labels[1][b])
	}
	return bound.Discrete{PS: mass[0], PT: mass[1], FS: labels[0], FT: labels[1], H: h}
}

func normalise(p []float64) {
	s := 0.0
	for _, v := range p {
		s += v
	}
	for i := range p {
		p[i] /= s
	}
}
