package fedleak

import (
	"fmt"
	"math"
)

// Matching looks for samples whose gradients are like the observed ones, without
// taking the batches apart first: the family of attacks from DLG on. DLG, IDLG,
// InvertingGradients, SAPAGAttack and GradInversion return its members.
//
// It minimises, over the samples of Rounds rounds from First on,
//
//	Distance(gradients) + TV * TotalVariation/entries + BatchNorm * statistics + Group * spread.
//
// Samples are tables by id, so that an id that comes in several rounds is one sample.
// Within one round nothing says which sample is which: see Match.
type Matching struct {
	Title    string   // the name; "" means that of the distance
	Distance Distance // nil means L2
	// First is the number of the first round that is matched, and Rounds that of
	// rounds, all of the parameters that the model has; 0 means 1.
	First, Rounds int
	// Scale multiplies the distance; 0 means 1.
	Scale float64
	// TV weighs the total variation per entry of a slice.
	TV float64
	// Xi is the total variation per slice below which it costs nothing.
	Xi float64
	// Fade lowers TV linearly to 0 over the steps of Adam.
	Fade bool
	// BatchNorm weighs the distances of means and variances from those that
	// normalisation layers hold, |μ(x) - μ|₂ + |σ²(x) - σ²|₂, ten times as much
	// for the first layer of each party: Yin et al., CVPR 2021. Rounds with batch
	// statistics were not normalised by those, and are an error.
	BatchNorm float64
	// Seeds is the number of runs, each from a starting point of its own; 0 means 1.
	// The answer is the run that ends with the least objective.
	Seeds int
	// Group, above 0, makes the runs one search whose answer is their mean, with one
	// table of labels, and weighs the squared distance of each from the mean:
	// group consistency of Yin et al., without their registration of
	// images, of which slices of a few pixels have no need. It needs Adam, by which
	// the runs move side by side.
	Group float64
	// Labels holds the known class of each id, of which those in the rounds that are
	// matched must be in [0, Classes); nil leaves the labels to Rule.
	Labels []int
	Rule   LabelRule // the zero value is JointLabels
	Method Method    // the zero value is Adam
	// Steps is the number of steps of Adam, or of evaluations of L-BFGS; 0 means
	// 300.
	Steps int
	// LR is the learning rate of Adam; 0 means 0.1.
	LR float64
	// Decay multiplies the learning rate by 0.1 after 3/8, 5/8 and 7/8 of the
	// steps of Adam.
	Decay bool
	// Box keeps pixels in [0, 1] at every step of Adam.
	Box  bool
	Init Init   // the zero value is NormalInit
	Seed uint64 // of the starting points
	// OnStep is told of each step of Adam with the objective, the mean over the runs
	// with Group and that of one run after the other without; nil for none.
	OnStep func(step int, objective float64)
}

// LabelRule says where the labels come from.
type LabelRule uint8

// Rules for labels.
const (
	// JointLabels are variables beside the pixels.
	JointLabels LabelRule = iota
	// CountedLabels are read from the gradient of the logit bias: the number of
	// samples of class c in a batch of K is K (mean p_c - g_c), with the model's
	// mean probabilities p on grey images. For K = 1 it is the class of the only
	// negative entry, the rule of iDLG (Zhao, Mopuri and Bilen, arXiv 2001.02610).
	// Several rounds tell which sample has which class, by Step I of CAFE: rounds
	// that leave labels open, or that have batch statistics, are then an error.
	CountedLabels
)

// Method is a way to minimise.
type Method uint8

// Methods of minimisation.
const (
	Adam     Method = iota // by rows
	SignAdam               // Adam on the signs of the gradient
	LBFGS                  // with strong Wolfe line searches, over all rounds at once
)

// Init is a distribution of starting points.
type Init uint8

// Starting points.
const (
	NormalInit  Init = iota // standard normal
	UniformInit             // uniform on [0, 1)
	GrayInit                // 0.5 with a deviation of 0.01
)

var _ Attack = Matching{}

// DLG is deep leakage from gradients: Zhu, Liu and Han, NeurIPS 2019.
func DLG() Matching { return Matching{Title: "DLG", Method: LBFGS} }

// IDLG is improved deep leakage: DLG with labels that are read off.
func IDLG() Matching { return Matching{Title: "iDLG", Method: LBFGS, Rule: CountedLabels} }

// InvertingGradients is the attack of Geiping et al., NeurIPS 2020: the cosine, total
// variation, 4800 steps of Adam on signs in the box with a decaying rate, and labels that
// are known or read off. They work in units of the pixels' deviation, from normal starting
// points and with a rate of 0.1; here pixels are in [0, 1], of which the deviation is
// about 0.3, and the starting points are uniform. Some use 24000 steps; with some hundred
// a rate of 0.1 gets further.
func InvertingGradients() Matching {
	return Matching{
		Title: "cosine", Distance: Cosine{}, TV: 0.2, Method: SignAdam, Steps: 4800, LR: 0.03, Decay: true,
		Box: true, Init: UniformInit, Rule: CountedLabels,
	}
}

// SAPAGAttack is the self-adaptive attack of Wang et al., arXiv 2009.06228, from
// uniform starting points: far from the gradients its distance is flat.
func SAPAGAttack() Matching { return Matching{Title: "SAPAG", Distance: SAPAG{}, Init: UniformInit} }

// GradInversion is the attack of Yin et al., CVPR 2021, for a model with normalisation
// layers that is observed with their stored statistics.
func GradInversion() Matching {
	return Matching{Title: "GradInversion", Scale: 1e-4, TV: 1e-4, BatchNorm: 0.1, Group: 0.01, Seeds: 3, Box: true, Rule: CountedLabels}
}

// Name implements Attack.
func (a Matching) Name() string {
	if a.Title != "" {
		return a.Title
	}
	return a.distance().Name()
}

func (a Matching) distance() Distance {
	if a.Distance == nil {
		return L2{}
	}
	return a.Distance
}

// Check says what is wrong with the settings.
func (a Matching) Check() error {
	for _, v := range []struct {
		name  string
		value float64
	}{{"TV", a.TV}, {"Xi", a.Xi}, {"BatchNorm", a.BatchNorm}, {"Group", a.Group}, {"LR", a.LR}, {"Scale", a.Scale}} {
		if !(v.value >= 0) || math.IsInf(v.value, 0) {
			return fmt.Errorf("fedleak: %s: %s is %v, want 0 or more", a.Name(), v.name, v.value)
		}
	}
	if a.Steps < 0 || a.First < 0 || a.Rounds < 0 || a.Seeds < 0 {
		return fmt.Errorf("fedleak: %s: %d steps, %d rounds from %d on, %d seeds, want 0 or more", a.Name(), a.Steps, a.Rounds, a.First, a.Seeds)
	}
	for _, v := range []struct {
		name string
		set  bool
	}{{"Fade", a.Fade}, {"Group", a.Group > 0}, {"Decay", a.Decay}, {"Box", a.Box}} {
		if v.set && a.Method == LBFGS {
			return fmt.Errorf("fedleak: %s: %s is set beside L-BFGS, want it with Adam or SignAdam alone", a.Name(), v.name)
		}
	}
	return nil
}
