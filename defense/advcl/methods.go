package advcl

import (
	"context"
	"fmt"
	"math"
	"strings"

	"github.com/redoubt-ml/redoubt/tensor"
	"github.com/redoubt-ml/redoubt/tensor/dataset"
	"github.com/redoubt-ml/redoubt/tensor/nn"
)

// Method is a way to pretrain.
type Method interface {
	// Name is for tables.
	Name() string
	// String describes all settings that the outcome depends on.
	String() string
	// Check returns an error unless the settings make sense for the network and the
	// data.
	Check(net *Network, data *dataset.Set) error
	// Loss is the loss of a batch of images without augmentation, for nn.Trainer.
	Loss(ctx context.Context, p *nn.Pass, net nn.Layer, b nn.Batch) (*tensor.Tensor, error)
	// Passes is the work of a step for each image, in forward passes of the encoder.
	Passes() float64
}

// The constants of all methods of Fan et al., NeurIPS 2021: attacks of 8/255 in steps
// of 2/255, and the base temperature of the reference code.
const (
	defaultEps  = 8. / 255
	defaultStep = 2. / 255
	base        = 0.07
)

// NewSimCLR returns ordinary contrastive learning of two strong views, with one set of
// normalisation statistics. Chen et al., ICML 2020.
func NewSimCLR(seed uint64) *Contrastive {
	return &Contrastive{
		Method: "SimCLR", Seed: seed, Views: Views().routed(""),
		Terms: []Term{{Views: []string{Strong1, Strong2}}},
	}
}

// NewRoCL returns RoCL: three views, the third of which is the first one perturbed so
// that it is unlike the second; one set of normalisation statistics. Its program sums
// six ordered pairs where NTXent averages, adds 1/256 of the attacked pair, and sends
// gradients to anchors only. A step costs 10 passes and two more for each step of the
// attack, for which the second view is passed once in evaluation mode.
//
// Kim, Tack and Hwang, NeurIPS 2020.
func NewRoCL(seed uint64) *Contrastive {
	views := Views().routed("")
	views.SetCrops(0.08)
	return &Contrastive{
		Method: "RoCL", Seed: seed, Views: views,
		Terms: []Term{
			{Views: []string{Strong1, Strong2, Attacked1}, Loss: NTXent{StopKeys: []bool{true, true, true}}, Weight: 2},
			{Views: []string{Attacked1, Strong2}, Loss: NTXent{StopKeys: []bool{true, true}}, Weight: 1. / 256},
		},
		Target: 1,
		Attack: Attack{Eps: 0.0314, StepSize: 0.007, Steps: 7, Eval: true, ClampStart: true},
	}
}

// NewACL returns adversarial contrastive learning in its dual-stream form: the mean of
// the loss of two strong views and that of the same two perturbed to be unlike, each
// with statistics of its own, Clean and Attacked, and both views of a loss in one batch.
// What differs from its program: crops are bilinear and not bicubic. Its network begins
// with ImageNet's mean and deviation, see Encoder.NormalizePixels.
//
// Jiang, Chen, Chen and Wang, NeurIPS 2020.
func NewACL(seed uint64) *Contrastive {
	views := Views()
	views.SetCrops(0.1)
	return &Contrastive{
		Method: "ACL", Seed: seed, Views: views,
		Terms: []Term{
			{Views: []string{Strong1, Strong2}, Weight: 0.5},
			{Views: []string{Attacked1, Attacked2}, Weight: 0.5},
		},
		Target: 1, Joint: true,
		Attack: Attack{Eps: defaultEps, StepSize: defaultStep, Steps: 5, Eval: true},
	}
}

// Annealing is the schedule of DynACL: the strength of augmentation falls from 1 to 0
// over the epochs, while weight moves from the clean to the attacked term, both in stairs.
//
// Luo, Wang and Wang, ICLR 2023, and their reference code.
type Annealing struct {
	Epochs int // of the training
	Every  int // epochs between changes; 0 means 50
}

func (a Annealing) every() int {
	if a.Every == 0 {
		return 50
	}
	return a.Every
}

// Strength is that of an epoch, counted from 0: 1 - epoch/Epochs at the last change.
func (a Annealing) Strength(epoch int) float64 {
	return max(0, 1-float64(epoch/a.every()*a.every())/float64(max(1, a.Epochs)))
}

// Adversarial is the weight of the attacked term in an epoch, relative to that in ACL:
// min(1 + 2/3 e/Epochs, 2), where e is the last multiple of Every among the epochs
// counted from 1. The clean term has 2 minus that.
func (a Annealing) Adversarial(epoch int) float64 {
	e := (epoch + 1) / a.every() * a.every()
	return math.Min(1+2./3*float64(e)/float64(max(1, a.Epochs)), 2)
}

// AnnealedCrop is Strong with the strength of an Annealing.
type AnnealedCrop struct {
	Area float64 // least share of the area, as in Strong
	Annealing
}

// Augment returns the random changes of an epoch.
func (a AnnealedCrop) Augment(epoch int) []dataset.Augment {
	return Strong(a.Area, a.Strength(epoch))
}

// String describes all settings.
func (a AnnealedCrop) String() string { return fmt.Sprintf("crops of %v, %+v", a.Area, a.Annealing) }

// AnnealedWeight is the factor of the clean or the attacked term of an Annealing.
type AnnealedWeight struct {
	Annealing
	Attacked bool
}

// At is the factor in an epoch.
func (a AnnealedWeight) At(epoch int) float64 {
	if a.Attacked {
		return a.Adversarial(epoch)
	}
	return 2 - a.Adversarial(epoch)
}

// String describes all settings.
func (a AnnealedWeight) String() string {
	return fmt.Sprintf("attacked %v, %+v", a.Attacked, a.Annealing)
}

// NewDynACL returns ACL with annealing, without the momentum encoder of DynACL.
func NewDynACL(seed uint64, a Annealing) *Contrastive {
	c := NewACL(seed)
	c.Method = "DynACL"
	for _, name := range []string{Strong1, Strong2} {
		c.Views[name] = View{Anneal: AnnealedCrop{Area: 0.1, Annealing: a}, Stats: Clean}
	}
	c.Terms[0].Anneal = AnnealedWeight{Annealing: a}
	c.Terms[1].Anneal = AnnealedWeight{Annealing: a, Attacked: true}
	return c
}

// NewAdvCL returns AdvCL without pseudo-labels: the weak view perturbed, two strong
// views and the high frequencies of the weak view in one loss, with the reference
// code's factor of Temperature/0.07.
//
// Eq. (7) of Fan et al., NeurIPS 2021, with the fourth view of section 4.
func NewAdvCL(seed uint64) *Contrastive {
	return &Contrastive{
		Method: "AdvCL", Seed: seed, Views: Views(),
		Terms:  []Term{{Views: []string{Adversarial, Strong1, Strong2, High}, Loss: NTXent{Base: base}}},
		Attack: Attack{Eps: defaultEps, StepSize: defaultStep, Steps: 5},
	}
}

// WithPseudoLabels adds the pseudo-supervised term with its own statistics and λ = 0.2,
// and returns the method.
//
// Eq. (10) of Fan et al., NeurIPS 2021.
func (c *Contrastive) WithPseudoLabels(l *PseudoLabels) *Contrastive {
	c.Pseudo = &Pseudo{Labels: l, Stats: AttackedPseudo}
	c.Method += " + pseudo-labels"
	return c
}

// Ablation returns AdvCL with other views, each named as in Views: the rows of the
// paper's Table 4 are
//
//	attacked1, strong2
//	attacked1, attacked2
//	attacked1, attacked2, strong1, strong2
//	adversarial, strong1, strong2
//	adversarial, strong1, strong2, low
//	adversarial, strong1, strong2, low, high
//	adversarial, strong1, strong2, high
func Ablation(seed uint64, views ...string) *Contrastive {
	c := NewAdvCL(seed)
	c.Method = strings.Join(views, ", ")
	c.Terms[0].Views = views
	return c
}
