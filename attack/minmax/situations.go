package minmax

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"

	"github.com/redoubt-ml/redoubt/attack"
	"github.com/redoubt-ml/redoubt/attack/transform"
	"github.com/redoubt-ml/redoubt/internal/ask"
	"github.com/redoubt-ml/redoubt/tensor"
)

var _ Domains = (*Situations)(nil)

// Situations are the domains of one perturbed image: each of several models sees it
// through each of several transformations,
//
//	F_i(x') = f( z_m(t(x')), y ).
//
// One model and no transformation is an ordinary attack, for Average and other rules
// that take one domain; several models are an ensemble, several transformations what
// expectation over transformation averages.
//
// Eq. (4) and (6) of Wang et al., NeurIPS 2021.
type Situations struct {
	Models []attack.Model // at least one
	// ModelNames are the names of the models; nil means "model 0" and so on.
	ModelNames []string
	// Transforms are what each model sees the image through; nil means as it is.
	// A random one is drawn anew for each image at each step.
	Transforms []transform.Transform
	// X holds the inputs [N, ...] with pixels in [0, 1] ([N, H, W, C] with
	// transforms), and Y their labels.
	X *tensor.Tensor
	Y []int
	// Targets holds a class to reach for each input; nil for any wrong class.
	Targets []int
	// AttackLabels holds, for each domain, labels for the loss to use instead of Y,
	// such as those of CleanLabels; nil means Y. Who is fooled is judged by Y.
	AttackLabels [][]int
	// Loss is what to make small; nil means PaperMargin.
	Loss Loss
	// Lambda is the weight of a penalty on how far the perturbation goes after
	// each transformation, Lambda/2 ‖t(x') - t(x)‖₂ for each input; 0 for none, as
	// in the paper.
	Lambda float64
}

// Ensemble returns the domains of several models.
func Ensemble(models []attack.Model, x *tensor.Tensor, y []int) *Situations {
	return &Situations{Models: models, X: x, Y: y}
}

// Transformations returns the domains of one model and several transformations.
func Transformations(m attack.Model, ts []transform.Transform, x *tensor.Tensor, y []int) *Situations {
	return &Situations{Models: []attack.Model{m}, Transforms: ts, X: x, Y: y}
}

// views are the transformations, at least one.
func (s *Situations) views() []transform.Transform {
	if len(s.Transforms) == 0 {
		return []transform.Transform{transform.Identity{}}
	}
	return s.Transforms
}

// Names returns the names of the models, of the transformations, or of both where
// there are several of both; the transformations of a model lie together.
func (s *Situations) Names() []string {
	var out []string
	for i := range s.Models {
		model := s.modelName(i)
		for _, t := range s.views() {
			switch {
			case len(s.Transforms) == 0:
				out = append(out, model)
			case len(s.Models) == 1:
				out = append(out, t.String())
			default:
				out = append(out, model+", "+t.String())
			}
		}
	}
	return out
}

func (s *Situations) modelName(i int) string {
	if i < len(s.ModelNames) {
		return s.ModelNames[i]
	}
	return fmt.Sprintf("model %d", i)
}

// Check implements Domains.
func (s *Situations) Check() error {
	if len(s.Models) == 0 {
		return errors.New("minmax: no models")
	}
	for i, m := range s.Models {
		if m == nil {
			return fmt.Errorf("minmax: %s is nil", s.modelName(i))
		}
	}
	if s.ModelNames != nil && len(s.ModelNames) != len(s.Models) {
		return fmt.Errorf("minmax: %d names for %d models", len(s.ModelNames), len(s.Models))
	}
	if err := checkInputs(s.X, s.Y, s.Targets); err != nil {
		return err
	}
	if s.Transforms != nil {
		if s.X.Rank() != 4 {
			return fmt.Errorf("minmax: inputs of shape %v with transforms, want images [N, H, W, C]", s.X.Shape())
		}
		for i, t := range s.Transforms {
			if t == nil {
				return fmt.Errorf("minmax: transform %d is nil", i)
			}
			if err := t.Check(); err != nil {
				return fmt.Errorf("minmax: transform %d: %w", i, err)
			}
		}
	}
	if !(s.Lambda >= 0) || math.IsInf(s.Lambda, 0) {
		return fmt.Errorf("minmax: lambda is %v, want a finite number from 0 on", s.Lambda)
	}
	if err := checkLoss(s.Loss); err != nil {
		return err
	}
	return checkAttackLabels(s.AttackLabels, len(s.Models)*len(s.views()), len(s.Y))
}

// checkInputs returns an error unless x and y can be attacked.
func checkInputs(x *tensor.Tensor, y, targets []int) error {
	if x == nil || x.Rank() < 2 || x.Len() == 0 {
		return errors.New("minmax: inputs must be a batch [N, ...] that is not empty")
	}
	if len(y) != x.Dim(0) {
		return fmt.Errorf("minmax: %d labels for %d inputs", len(y), x.Dim(0))
	}
	for i, l := range y {
		if l < 0 {
			return fmt.Errorf("minmax: label of input %d is %d, want 0 or more", i, l)
		}
	}
	if targets != nil && len(targets) != len(y) {
		return fmt.Errorf("minmax: %d targets for %d inputs", len(targets), len(y))
	}
	for i, t := range targets {
		if t < 0 || t == y[i] {
			return fmt.Errorf("minmax: target of input %d of label %d is %d, want another class", i, y[i], t)
		}
	}
	pixels := make([]float64, x.Len()/x.Dim(0))
	for i := range x.Dim(0) {
		readRow(pixels, x, i)
		for k, v := range pixels {
			if !(v >= 0 && v <= 1) {
				return fmt.Errorf("minmax: pixel %d of input %d is %v, want 0 to 1", k, i, v)
			}
		}
	}
	return nil
}

func checkAttackLabels(labels [][]int, domains, n int) error {
	if labels == nil {
		return nil
	}
	if len(labels) != domains {
		return fmt.Errorf("minmax: attack labels for %d domains, want %d", len(labels), domains)
	}
	for k, own := range labels {
		if len(own) != n {
			return fmt.Errorf("minmax: domain %d has %d attack labels for %d inputs", k, len(own), n)
		}
		for i, l := range own {
			if l < 0 {
				return fmt.Errorf("minmax: attack label of input %d in domain %d is %d, want 0 or more", i, k, l)
			}
		}
	}
	return nil
}

// Center returns X.
func (s *Situations) Center() *tensor.Tensor { return s.X }

// Box writes 0 and 1.
func (s *Situations) Box(_ int, lo, hi []float64) { unitBox(lo, hi) }

func unitBox(lo, hi []float64) {
	for i := range lo {
		lo[i], hi[i] = 0, 1
	}
}

// Start returns NormalStart.
func (s *Situations) Start() Start { return NormalStart }

// inputs is the number of inputs to each model for each row.
func (s *Situations) inputs() int { return len(s.views()) }

func (s *Situations) loss() Loss {
	if s.Loss == nil {
		return PaperMargin
	}
	return s.Loss
}

// Play implements Domains: each model runs once, on all views of the batch.
func (s *Situations) Play(ctx context.Context, v *tensor.Tensor, at Rows) (Outcome, error) {
	views := s.views()
	n, names := len(at.Index), s.Names()
	seen, err := s.look(v, at)
	if err != nil {
		return Outcome{}, err
	}
	out := Outcome{Fooled: make([][]bool, n)}
	for i := range out.Fooled {
		out.Fooled[i] = make([]bool, 0, len(names))
	}
	all := tensor.Concat(0, seen...)
	var losses []*tensor.Tensor
	classes := 0
	for m, model := range s.Models {
		logits, err := query(ctx, model, s.modelName(m), all, at)
		if err != nil {
			return Outcome{}, err
		}
		if m > 0 && logits.Dim(1) != classes {
			return Outcome{}, fmt.Errorf("minmax: %s has %d classes, want %d as %s has", s.modelName(m), logits.Dim(1), classes, s.modelName(0))
		}
		classes = logits.Dim(1)
		// With AttackLabels the loss does not see the labels that judge who is fooled.
		if err := checkClasses(s.modelName(m), pickRows(at.Index, s.Y, nil), classes); err != nil {
			return Outcome{}, err
		}
		if err := checkLogits(logits, at, func(i int) (string, int) { return names[m*len(views)+i/n], at.Index[i%n] }); err != nil {
			return Outcome{}, err
		}
		answers := tensor.ArgMax(logits)
		for t := range views {
			k := m*len(views) + t
			rows := s.rows(k, at.Index)
			values, err := rate(s.loss(), names[k], tensor.Slice(logits, 0, t*n, (t+1)*n), rows)
			if err != nil {
				return Outcome{}, err
			}
			losses = append(losses, tensor.Reshape(values, n, 1))
			for i, row := range at.Index {
				out.Fooled[i] = append(out.Fooled[i], won(answers[t*n+i], s.Y[row], s.Targets, row))
			}
		}
	}
	out.Losses = tensor.Concat(1, losses...)
	if s.Lambda > 0 {
		out.Losses = tensor.Add(out.Losses, s.penalty(seen, at))
	}
	return out, nil
}

// won says whether an answer is what the attacker wants.
func won(answer, y int, targets []int, row int) bool {
	if targets != nil {
		return answer == targets[row]
	}
	return answer != y
}

// look returns the transformed batch for each transformation.
func (s *Situations) look(v *tensor.Tensor, at Rows) (seen []*tensor.Tensor, err error) {
	views := s.views()
	name := ""
	defer func() {
		if p := recover(); p != nil {
			err = ask.Raised(p, "minmax: %s: transformation failed at step %d", name, at.Step)
		}
	}()
	for k, t := range views {
		name = t.String()
		w := v
		if s.Transforms != nil {
			w = t.Apply(viewSources(at, k), v)
		}
		if fmt.Sprint(w.Shape()) != fmt.Sprint(v.Shape()) {
			return nil, fmt.Errorf("minmax: %s: images of shape %v became %v, want the same", name, v.Shape(), w.Shape())
		}
		seen = append(seen, w)
	}
	return seen, nil
}

// viewSources gives every transformation numbers of its own.
func viewSources(at Rows, view int) transform.Sources {
	return func(i int) *rand.Rand {
		r := at.Source(i)
		return rand.New(rand.NewPCG(r.Uint64(), uint64(view)))
	}
}

// rows says what the rows of a domain's logits belong to, for the loss.
func (s *Situations) rows(domain int, index []int) attack.Rows {
	labels := s.Y
	if s.AttackLabels != nil {
		labels = s.AttackLabels[domain]
	}
	return pickRows(index, labels, s.Targets)
}

func pickRows(index, labels, targets []int) attack.Rows {
	rows := attack.Rows{Index: index, Y: make([]int, len(index))}
	for i, k := range index {
		rows.Y[i] = labels[k]
	}
	if targets != nil {
		rows.Target = make([]int, len(index))
		for i, k := range index {
			rows.Target[i] = targets[k]
		}
	}
	return rows
}

// penalty is Lambda/2 times the length of the transformed perturbation, [n, K].
func (s *Situations) penalty(seen []*tensor.Tensor, at Rows) *tensor.Tensor {
	clean, err := s.look(pick(s.X, at.Index), at)
	if err != nil {
		panic(err.Error()) // the perturbed images passed
	}
	var columns []*tensor.Tensor
	for t, w := range seen {
		square := tensor.Sum(tensor.Square(tensor.Flatten(tensor.Sub(w, clean[t]))), 1)
		// At a distance of 0 the length has no gradient; this one is 0 there.
		mask := tensor.Step(square.Detach())
		length := tensor.Mul(tensor.Sqrt(tensor.Add(square, tensor.Affine(mask, -1, 1))), mask)
		columns = append(columns, tensor.Reshape(tensor.MulScalar(length, s.Lambda/2), len(at.Index), 1))
	}
	var all []*tensor.Tensor
	for range s.Models {
		all = append(all, columns...)
	}
	return tensor.Concat(1, all...)
}
