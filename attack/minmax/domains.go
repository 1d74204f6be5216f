package minmax

import (
	"context"
	"fmt"
	"math/rand/v2"

	"github.com/redoubt-ml/redoubt/attack"
	"github.com/redoubt-ml/redoubt/internal/ask"
	"github.com/redoubt-ml/redoubt/tensor"
)

// Domains is what a perturbation is played against: for each of N rows (inputs, or
// groups of inputs) a point to choose near a centre, and K losses of that point.
type Domains interface {
	// Names returns the names of the K domains.
	Names() []string
	// Check returns an error that names what is wrong with the domains; the other
	// methods may rely on it.
	Check() error
	// Center returns the points [N, ...] around which the balls lie.
	Center() *tensor.Tensor
	// Box writes the bounds of row's point, lo <= centre <= hi; they may be
	// infinite.
	Box(row int, lo, hi []float64)
	// Start says where points begin if APGDA does not.
	Start() Start
	// Play judges points v [n, ...] of the given rows. The losses are
	// differentiable in v when a tape watches it. It may be called by several
	// goroutines. An error names the domain at fault; when ctx is done it is ctx's.
	Play(ctx context.Context, v *tensor.Tensor, at Rows) (Outcome, error)
}

// rowsFor returns the number of rows that show a model about the given number of inputs
// in a pass, at least 1: each row of a Group is several, and of Situations with
// transformations.
func rowsFor(d Domains, inputs int) int {
	if several, ok := d.(interface{ inputs() int }); ok {
		inputs /= several.inputs()
	}
	return max(1, inputs)
}

// Rows says what a batch of points belongs to.
type Rows struct {
	Index []int // rows among all of the domains
	// Step is the number of steps that the points have made, and one more than all
	// steps where points that were chosen are asked about once more.
	Step int
	// Source returns the source of the random numbers of a position of the batch
	// at this step; another one for each call, of the same numbers.
	Source func(position int) *rand.Rand
}

// Outcome is how a batch of n points does in K domains.
type Outcome struct {
	// Losses is [n, K], what the perturbation makes small.
	Losses *tensor.Tensor
	// Fooled says whether the perturbation has won, n rows of K; nil where there
	// is no winning.
	Fooled [][]bool
}

// Start is where points begin.
type Start int

// Ways to begin.
const (
	DomainStart  Start = iota // as the domains say
	ZeroStart                 // at the centre
	NormalStart               // normal with standard deviation 0.1 around it, projected
	UniformStart              // uniform in the ball, projected onto the box
)

// String returns "domain", "zero", "normal" or "uniform".
func (s Start) String() string {
	if names := []string{"domain", "zero", "normal", "uniform"}; s >= 0 && int(s) < len(names) {
		return names[s]
	}
	return fmt.Sprintf("Start(%d)", int(s))
}

// query runs a model on x for some domain and checks its answer.
func query(ctx context.Context, m attack.Model, domain string, x *tensor.Tensor, at Rows) (*tensor.Tensor, error) {
	return ask.Logits(ctx, m, x, fmt.Sprintf("minmax: %s: model", domain), fmt.Sprintf("at step %d", at.Step))
}

// checkLogits returns an error that names the domain and the input of the first row
// of logits that is not finite.
func checkLogits(logits *tensor.Tensor, at Rows, where func(row int) (domain string, input int)) error {
	if tensor.AllFinite(logits) {
		return nil
	}
	classes := logits.Dim(1)
	for k, v := range logits.Values() {
		if v-v != 0 {
			domain, input := where(k / classes)
			return fmt.Errorf("minmax: %s: model returned logits that are not finite for input %d at step %d", domain, input, at.Step)
		}
	}
	return nil
}

// checkLoss returns the error of a loss that can tell that it is badly set.
func checkLoss(l Loss) error {
	if c, ok := l.(interface{ Check() error }); ok {
		return c.Check()
	}
	return nil
}

// checkClasses returns an error unless all labels and targets are classes.
func checkClasses(domain string, rows attack.Rows, classes int) error {
	for i, y := range append(rows.Y[:len(rows.Y):len(rows.Y)], rows.Target...) {
		if y >= classes {
			return fmt.Errorf("minmax: %s: label or target of input %d is %d, want 0 to %d", domain, rows.Index[i%len(rows.Y)], y, classes-1)
		}
	}
	return nil
}

// rate asks the loss about the logits of a domain.
func rate(l Loss, domain string, logits *tensor.Tensor, rows attack.Rows) (values *tensor.Tensor, err error) {
	if err := checkClasses(domain, rows, logits.Dim(1)); err != nil {
		return nil, err
	}
	defer func() {
		if p := recover(); p != nil {
			err = ask.Raised(p, "minmax: %s: loss panicked", domain)
		}
	}()
	values = l.Values(logits, rows)
	if values == nil || values.Rank() != 1 || values.Dim(0) != len(rows.Y) {
		return nil, fmt.Errorf("minmax: %s: loss returned no value for each of %d inputs", domain, len(rows.Y))
	}
	return values, nil
}

// checkFinite returns an error that names the first domain and row whose loss is not
// finite.
func checkFinite(losses *tensor.Tensor, names []string, at Rows) error {
	if tensor.AllFinite(losses) {
		return nil
	}
	for i := range losses.Dim(0) {
		for k, name := range names {
			if v := losses.At(i, k); v-v != 0 {
				return fmt.Errorf("minmax: %s: loss of row %d is %v at step %d, want a finite number", name, at.Index[i], v, at.Step)
			}
		}
	}
	return nil
}
