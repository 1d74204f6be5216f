package minmax

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"

	"github.com/redoubt-ml/redoubt/attack"
	"github.com/redoubt-ml/redoubt/tensor"
)

var _ Domains = (*Group)(nil)

// BoxRule says how images that share a perturbation stay valid.
type BoxRule int

// Rules for the box of valid pixels.
const (
	// BoxIntersect keeps the perturbation where x_i + delta is valid for every
	// image of the group.
	BoxIntersect BoxRule = iota
	// BoxClipEach leaves the perturbation free in its ball and clips every
	// x_i + delta to [0, 1].
	BoxClipEach
)

// String returns "intersect" or "clip each".
func (b BoxRule) String() string {
	switch b {
	case BoxIntersect:
		return "intersect"
	case BoxClipEach:
		return "clip each"
	}
	return fmt.Sprintf("BoxRule(%d)", int(b))
}

// Group are the domains of groups of images that share one perturbation, one domain
// for each member: F_i(delta) = f( z(x_i + delta), y_i ).
//
// Eq. (5) of Wang et al., NeurIPS 2021.
type Group struct {
	Model attack.Model // the one that all groups are shown to
	// X holds the inputs [G K, ...], with pixels in [0, 1], and Y their labels. Inputs
	// g K to (g+1) K - 1 are group g.
	X *tensor.Tensor
	Y []int
	// Size is K, the number of images of a group; it divides their number. See
	// Partition.
	Size    int
	BoxRule BoxRule // the zero value is BoxIntersect
	// Targets holds a class to reach for each input; nil for any wrong class.
	Targets []int
	// Loss is what to make small; nil means PaperMargin.
	Loss Loss
}

// Partition returns the order of n inputs cut into random groups of the given size,
// one after the other; what is left over is dropped. It returns nil if no group is
// full.
func Partition(n, size int, rng *rand.Rand) []int {
	if size < 1 || n < size {
		return nil
	}
	return rng.Perm(n)[:n/size*size]
}

// PartitionByLabel returns the order of inputs with labels y that puts those of one
// label beside each other, cut into groups of the given size; what is left over of
// all is dropped. A group at the border of two labels holds both.
func PartitionByLabel(y []int, size int) []int {
	if size < 1 || len(y) < size {
		return nil
	}
	order := make([]int, len(y))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int { return y[a] - y[b] })
	return order[:len(y)/size*size]
}

// Names returns "member 0" and so on.
func (g *Group) Names() []string {
	names := make([]string, g.Size)
	for i := range names {
		names[i] = fmt.Sprintf("member %d", i)
	}
	return names
}

// Check implements Domains.
func (g *Group) Check() error {
	if g.Model == nil {
		return errors.New("minmax: no model")
	}
	if err := checkInputs(g.X, g.Y, g.Targets); err != nil {
		return err
	}
	if g.Size < 1 || len(g.Y)%g.Size != 0 {
		return fmt.Errorf("minmax: groups of %d for %d inputs, want a size that divides them", g.Size, len(g.Y))
	}
	if g.BoxRule != BoxIntersect && g.BoxRule != BoxClipEach {
		return fmt.Errorf("minmax: unknown box rule %d", int(g.BoxRule))
	}
	return checkLoss(g.Loss)
}

// Center returns zeros, one perturbation for each group.
func (g *Group) Center() *tensor.Tensor {
	shape := g.X.Shape()
	shape[0] /= g.Size
	return tensor.Zeros(g.X.DType(), shape...)
}

// Box writes the intersection of the members' boxes, or infinities.
func (g *Group) Box(row int, lo, hi []float64) {
	for i := range lo {
		lo[i], hi[i] = math.Inf(-1), math.Inf(1)
	}
	if g.BoxRule == BoxClipEach {
		return
	}
	d := len(lo)
	for k := row * g.Size; k < (row+1)*g.Size; k++ {
		for i := range lo {
			var v float64
			if g.X.DType() == tensor.Float32 {
				v = float64(g.X.Float32s()[k*d+i])
			} else {
				v = g.X.Float64s()[k*d+i]
			}
			lo[i], hi[i] = max(lo[i], -v), min(hi[i], 1-v)
		}
	}
}

// Start returns ZeroStart.
func (g *Group) Start() Start { return ZeroStart }

// inputs is the number of inputs to the model for each row.
func (g *Group) inputs() int { return g.Size }

// members returns the inputs of the given groups.
func (g *Group) members(rows []int) []int {
	out := make([]int, 0, len(rows)*g.Size)
	for _, r := range rows {
		for k := range g.Size {
			out = append(out, r*g.Size+k)
		}
	}
	return out
}

// Play implements Domains: the model runs once, on all members of all groups.
func (g *Group) Play(ctx context.Context, v *tensor.Tensor, at Rows) (Outcome, error) {
	n := len(at.Index)
	index := g.members(at.Index)
	logits, err := query(ctx, g.Model, "model", g.add(v, index), at)
	if err != nil {
		return Outcome{}, err
	}
	names := g.Names()
	if err := checkLogits(logits, at, func(i int) (string, int) { return names[i%g.Size], index[i] }); err != nil {
		return Outcome{}, err
	}
	loss := g.Loss
	if loss == nil {
		loss = PaperMargin
	}
	values, err := rate(loss, "model", logits, pickRows(index, g.Y, g.Targets))
	if err != nil {
		return Outcome{}, err
	}
	out := Outcome{Losses: tensor.Reshape(values, n, g.Size), Fooled: make([][]bool, n)}
	answers := tensor.ArgMax(logits)
	for i := range out.Fooled {
		out.Fooled[i] = make([]bool, g.Size)
		for k := range g.Size {
			j := i*g.Size + k
			out.Fooled[i][k] = won(answers[j], g.Y[index[j]], g.Targets, index[j])
		}
	}
	return out, nil
}

// add returns the perturbed inputs of some groups, whose perturbations are v.
func (g *Group) add(v *tensor.Tensor, index []int) *tensor.Tensor {
	spread := make([]int, len(index))
	for j := range spread {
		spread[j] = j / g.Size
	}
	x := tensor.Add(pick(g.X, index), tensor.Gather(v, spread))
	if g.BoxRule == BoxClipEach {
		return tensor.Clamp(x, 0, 1)
	}
	return x
}

// Inputs returns the perturbed inputs, of the shape of X, for perturbations [G, ...]
// such as those of a Result. It is differentiable in v, not in X.
func (g *Group) Inputs(v *tensor.Tensor) *tensor.Tensor {
	rows := make([]int, v.Dim(0))
	for i := range rows {
		rows[i] = i
	}
	return g.add(v, g.members(rows))
}
