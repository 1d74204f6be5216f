package attack

import (
	"context"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/redoubt-ml/redoubt/internal/ask"
	"github.com/redoubt-ml/redoubt/tensor"
)

// Warning is a sign that an evaluation may be worth less than it seems.
type Warning struct {
	Kind WarningKind `json:"kind"`
	Text string      `json:"text"`
}

// WarningKind says what a warning is about.
type WarningKind string

// Kinds of warnings. All but GradientFreeWins are found before the attacks, on the first
// inputs; RandomizedModel, in the report of Evaluate, after an attack as well.
const (
	// RandomizedModel: the model answers the same question differently.
	RandomizedModel WarningKind = "randomized model"
	// SoftmaxOutput: the model returns probabilities instead of logits.
	SoftmaxOutput WarningKind = "softmax output"
	// ZeroGradient: the gradient of the objective is exactly 0 at some inputs.
	ZeroGradient WarningKind = "zero gradient"
	// FewClasses: some attacks cannot run.
	FewClasses WarningKind = "few classes"
	// NoImages: inputs are rows of values, or images with channels first, in which Square
	// finds less than in images [H, W, C].
	NoImages WarningKind = "no images"
	// GradientFreeWins: Square broke inputs that all attacks with gradients
	// before it had left, more than one in 500, so the gradients may be masked.
	GradientFreeWins WarningKind = "gradient-free attack wins"
)

// examined is the number of inputs that a model is examined with.
const examined = 64

// Thresholds of the public implementation.
const (
	answersDiffer = 1e-4 // L2 distance of answers, each scaled to length 1
	sumsToOne     = 1e-5
	squareGain    = 0.002 // share of the inputs
)

// examine looks at the model's answers to the first inputs.
func (a *AutoAttack) examine(ctx context.Context, m Model, x *tensor.Tensor, y []int) (classes int, ws []Warning, err error) {
	n := min(examined, len(y))
	rows := rowsOf(ask.Range(0, n), y, nil)
	x = tensor.Slice(x, 0, 0, n)
	warn := func(k WarningKind, format string, args ...any) {
		ws = append(ws, Warning{k, fmt.Sprintf(format, args...)})
	}
	tape := tensor.NewTape()
	w := tape.Watch(x)
	logits, err := query(ctx, m, w, rows)
	if err != nil {
		return 0, nil, err
	}
	z := logits.Clone()
	classes = z.Dim(1)

	var objective Objective = DLR{}
	if classes < 3 {
		objective = CrossEntropy{}
	}
	flat := 0
	g, err := inputGradient(objective.Values(logits, rows), w, rows)
	if err != nil {
		return 0, nil, err
	}
	answers := tensor.ArgMax(z)
	for i, s := range rowSums(g) {
		if s == 0 && answers[i] == y[i] {
			flat++
		}
	}
	if flat > 0 {
		warn(ZeroGradient, "the gradient is exactly 0 at %d of the first %d inputs that the model gets right: attacks that follow it cannot move there", flat, n)
	}
	if isDistribution(z) {
		warn(SoftmaxOutput, "the model returns probabilities, want logits: attacks that climb the cross-entropy are weaker on them")
	}
	var missing []string
	if classes < 3 && a.Version != "" && a.Version != Standard {
		missing = append(missing, "APGD-DLR needs 3")
	}
	if classes < 4 && a.Version != Rand {
		missing = append(missing, "APGD-T needs 4")
	}
	if len(missing) > 0 {
		warn(FewClasses, "%d classes: %s; what needs more is not run", classes, strings.Join(missing, ", "))
	}
	if s := x.Shape(); len(s) == 4 && colours(s[1]) && !colours(s[3]) {
		warn(NoImages, "inputs of shape %v look like images [C, H, W], want [H, W, C]: Square, which changes neighbouring pixels together, takes the last for channels", s[1:])
	}
	if x.Rank() < 3 {
		warn(NoImages, "inputs of shape %v are no images: Square, which changes neighbouring pixels together, has no rows and columns there", x.Shape()[1:])
	}
	if a.Version == Rand {
		return classes, ws, nil
	}
	chance, err := answersVary(ctx, m, x, y, n)
	if err != nil {
		return 0, nil, err
	}
	if chance {
		warn(RandomizedModel, "the model answers the same inputs differently: use the version %q", Rand)
	}
	return classes, ws, nil
}

// colours says whether images have so many channels.
func colours(n int) bool { return n == 1 || n == 3 || n == 4 }

// rowSums returns the sum of magnitudes of each example.
func rowSums(g *tensor.Tensor) []float64 {
	out := make([]float64, g.Dim(0))
	d := g.Len() / len(out)
	for i, v := range g.Values() {
		out[i/d] += math.Abs(v)
	}
	return out
}

// isDistribution says whether all rows are probabilities.
func isDistribution(z *tensor.Tensor) bool {
	k := z.Dim(1)
	v := z.Values()
	for i := 0; i < len(v); i += k {
		sum := 0.0
		for _, p := range v[i : i+k] {
			if p < 0 || p > 1 {
				return false
			}
			sum += p
		}
		if math.Abs(sum-1) > sumsToOne {
			return false
		}
	}
	return true
}

// farthest is the largest distance of two rows of logits, each scaled to length 1.
func farthest(a, b *tensor.Tensor) float64 {
	k := a.Dim(1)
	av, bv := a.Values(), b.Values()
	far := 0.0
	for i := 0; i < len(av); i += k {
		na, nb := size(L2, av[i:i+k])+tiny, size(L2, bv[i:i+k])+tiny
		d := make([]float64, k)
		for j := range d {
			d[j] = av[i+j]/na - bv[i+j]/nb
		}
		far = max(far, size(L2, d))
	}
	return far
}

// warns says whether there is a warning of a kind.
func (rep *AutoReport) warns(k WarningKind) bool {
	return slices.ContainsFunc(rep.Warnings, func(w Warning) bool { return w.Kind == k })
}

// judgeStages adds the warning that only the finished stages can give.
func (rep *AutoReport) judgeStages(n int) {
	for _, s := range rep.Stages {
		if s.Name == (&Square{}).Name() && float64(s.Broken) > squareGain*float64(n) {
			rep.Warnings = append(rep.Warnings, Warning{GradientFreeWins, fmt.Sprintf(
				"Square broke %d inputs that the attacks with gradients before it had left: the model may mask its gradients", s.Broken)})
		}
	}
}
