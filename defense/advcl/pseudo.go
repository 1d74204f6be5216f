package advcl

import (
	"fmt"
	"math"

	"github.com/redoubt-ml/redoubt/tensor"
	"github.com/redoubt-ml/redoubt/tensor/dataset"
	"github.com/redoubt-ml/redoubt/tensor/nn"
)

// Pseudo is the pseudo-supervised term: the mean cross-entropy of linear heads on the
// features of an attacked image, whose classes are cluster numbers.
//
// Eq. (10) of Fan et al., NeurIPS 2021.
type Pseudo struct {
	Labels *PseudoLabels // one labelling for each head of the network
	// Weight is λ; 0 means 0.2.
	Weight float64
	// View is what is attacked; "" means Weak.
	View string
	// Stats names the set of normalisation statistics of the attacked images.
	Stats string
}

func (s *Pseudo) weight() float64 {
	if s.Weight == 0 {
		return 0.2
	}
	return s.Weight
}

func (s *Pseudo) view() string {
	if s.View == "" {
		return Weak
	}
	return s.View
}

// String describes all that the outcome depends on.
func (s *Pseudo) String() string {
	return fmt.Sprintf("pseudo-labels %s weight %v, view %q, statistics %q", s.Labels, s.weight(), s.view(), s.Stats)
}

func (s *Pseudo) check(views Registry, net *Network, data *dataset.Set) error {
	if !(s.Weight >= 0) || math.IsInf(s.Weight, 0) {
		return fmt.Errorf("advcl: pseudo-labels: weight is %v, want above 0, or 0 for 0.2", s.Weight)
	}
	if s.Labels == nil {
		return fmt.Errorf("advcl: pseudo-labels: no labels, want a table")
	}
	if err := s.Labels.Fits(data); err != nil {
		return err
	}
	if err := views.check(s.view(), data.H); err != nil {
		return err
	}
	if len(net.Heads) != len(s.Labels.Heads) {
		return fmt.Errorf("advcl: pseudo-labels: network has %d heads for %d labellings, want as many", len(net.Heads), len(s.Labels.Heads))
	}
	for i, h := range net.Heads {
		if k := s.Labels.Heads[i].K; h.Weight.Dim(1) != k {
			return fmt.Errorf("advcl: pseudo-labels: head %d has %d classes, want %d", i, h.Weight.Dim(1), k)
		}
	}
	return nil
}

// of returns the labels of the given images by head, and how many have one.
func (s *Pseudo) of(idx []int) (labels [][]int, known []int) {
	for _, h := range s.Labels.Heads {
		l, n := make([]int, len(idx)), 0
		for k, at := range idx {
			if l[k] = h.ID[at]; l[k] >= 0 {
				n++
			}
		}
		labels, known = append(labels, l), append(known, n)
	}
	return labels, known
}

// loss is the mean over heads of the mean cross-entropy over labelled images.
func (s *Pseudo) loss(p *nn.Pass, net *Network, f *tensor.Tensor, idx []int) *tensor.Tensor {
	labels, known := s.of(idx)
	return headsLoss(p, net.Heads, f, labels, known)
}

// headsLoss is the mean over heads of the sum of the cross-entropies of features f
// over the images that have a label, one from 0 on, divided by the number known for the
// head; 0 for a head without any.
func headsLoss(p *nn.Pass, heads []*nn.Linear, f *tensor.Tensor, labels [][]int, known []int) *tensor.Tensor {
	var total *tensor.Tensor
	for i, h := range heads {
		ids, mask, all := make([]int, len(labels[i])), tensor.Zeros(f.DType(), len(labels[i])), true
		for k, l := range labels[i] {
			if l < 0 {
				all = false
				continue
			}
			ids[k] = l
			mask.Set(1, k)
		}
		ce := tensor.CrossEntropy(h.Forward(p, f), ids)
		if !all {
			ce = tensor.Mul(ce, mask)
		}
		ce = tensor.MulScalar(tensor.Sum(ce), 1/float64(max(1, known[i])*len(heads)))
		if total == nil {
			total = ce
		} else {
			total = tensor.Add(total, ce)
		}
	}
	return total
}
