package represent

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"

	"github.com/redoubt-ml/redoubt/attack"
	"github.com/redoubt-ml/redoubt/tensor"
	"github.com/redoubt-ml/redoubt/tensor/nn"
)

// Landscape is the mean cross-entropy of a classifier around its weights θ,
//
//	L(θ + a d1 + b d2)
//
// over a square of a and b, along two Gaussian directions scaled filter by filter. The
// network itself is not changed, and normalisation keeps its statistics.
//
// Li et al., NeurIPS 2018; with attacked inputs Fan et al., NeurIPS 2021, Figure 6. The
// size of the grid, and when inputs are attacked, are chosen here.
type Landscape struct {
	Net nn.Layer // the classifier
	// Stats names the set of normalisation statistics; "" is the first.
	Stats string
	// Points is the number of grid points along each axis; 0 means 25.
	Points int
	// Span is the largest |a| and |b|; 0 means 1.
	Span float64
	// Attack makes the inputs whose loss is drawn, at the centre and for all points;
	// nil takes them as they are.
	Attack *attack.PGD
	// Recraft attacks anew at every point, which costs as many times more as there
	// are points.
	Recraft bool
	// Seed selects the directions.
	Seed uint64
	// BatchSize is the number of inputs in a forward pass; 0 means 128.
	BatchSize int
	// OnProgress is called after each point, nil for none.
	OnProgress func(done, total int)
}

// Surface is a loss over a square of directions.
type Surface struct {
	// Axis holds the values of a, and of b, in ascending order.
	Axis []float64 `json:"axis"`
	// Loss is the mean cross-entropy in nats; Loss[j][i] is that at a = Axis[i] and
	// b = Axis[j].
	Loss [][]float64 `json:"loss"`
	// Center is the loss at the weights themselves.
	Center float64 `json:"center"`
	// Flat is the share of grid points whose loss is below Center + 0.5: the area of
	// the basin, 1 if it fills the square.
	Flat float64 `json:"flat"`
}

// Run computes the surface for inputs x [N, ...] with labels y. Errors: a setting out of
// its range, labels that do not fit, a loss that is not finite, what the attack says,
// and ctx's. On an error after the loss at the centre is known, the surface holds the
// points until then, in rows of which the last may be shorter, and Flat is a share of these.
func (l *Landscape) Run(ctx context.Context, x *tensor.Tensor, y []int) (Surface, error) {
	if err := l.check(x, y); err != nil {
		return Surface{}, err
	}
	points, span := l.Points, l.Span
	if points == 0 {
		points = 25
	}
	if span == 0 {
		span = 1
	}
	s := Surface{Axis: make([]float64, points)}
	for i := range s.Axis {
		s.Axis[i] = span * (2*float64(i)/float64(points-1) - 1)
	}
	rng := rand.New(rand.NewPCG(l.Seed, 0x1a4d))
	d1, d2 := Direction(rng, l.Net), Direction(rng, l.Net)
	m := newMoved(l.Net, l.Stats)
	if x.Tape() != nil {
		x = x.Clone()
	}
	shown := x
	var err error
	if l.Attack != nil {
		if shown, err = l.Attack.Perturb(ctx, m, x, y); err != nil {
			return Surface{}, fmt.Errorf("represent: Landscape: %w", err)
		}
	}
	if s.Center, err = l.loss(ctx, m, shown, y); err != nil {
		return Surface{}, err
	}
	done, below := 0, 0
	for j, b := range s.Axis {
		for i, a := range s.Axis {
			m.move(a, d1, b, d2)
			if l.Attack != nil && l.Recraft {
				shown, err = l.Attack.Perturb(ctx, m, x, y)
			}
			var loss float64
			if err == nil {
				loss, err = l.loss(ctx, m, shown, y)
			}
			if err != nil {
				return s, fmt.Errorf("represent: Landscape at (%.3g, %.3g): %w", a, b, err)
			}
			if i == 0 {
				s.Loss = append(s.Loss, make([]float64, 0, points))
			}
			s.Loss[j] = append(s.Loss[j], loss)
			done++
			if loss < s.Center+0.5 {
				below++
			}
			s.Flat = float64(below) / float64(done)
			if l.OnProgress != nil {
				l.OnProgress(done, points*points)
			}
		}
	}
	return s, nil
}

func (l *Landscape) check(x *tensor.Tensor, y []int) error {
	switch {
	case l.Net == nil:
		return errors.New("represent: Landscape: no network")
	case x == nil || x.Rank() < 1 || x.Len() == 0:
		return fmt.Errorf("represent: Landscape: inputs are %s, want a batch [N, ...] of at least one", form(x))
	case l.Points < 0 || l.Points == 1:
		return fmt.Errorf("represent: Landscape: Points is %d, want 0 (for the default) or at least 2", l.Points)
	case !(l.Span >= 0) || math.IsInf(l.Span, 0):
		return fmt.Errorf("represent: Landscape: Span is %v, want 0 (for the default) or a number above 0", l.Span)
	case l.BatchSize < 0:
		return fmt.Errorf("represent: Landscape: BatchSize is %d, want 0 (for the default) or more", l.BatchSize)
	case l.Recraft && l.Attack == nil:
		return errors.New("represent: Landscape: Recraft without an Attack")
	}
	return checkLabels("inputs", y, x.Dim(0))
}

// loss is the mean cross-entropy of a classifier.
func (l *Landscape) loss(ctx context.Context, m attack.Model, x *tensor.Tensor, y []int) (float64, error) {
	size := l.BatchSize
	if size == 0 {
		size = defaultBatch
	}
	sums := make([]float64, (len(y)+size-1)/size)
	err := inBatches(ctx, len(y), size, func(tape *tensor.Tape, lo, hi int) error {
		ce := tensor.CrossEntropy(m.Logits(tape.Const(tensor.Slice(x, 0, lo, hi))), y[lo:hi])
		for _, v := range ce.Values() {
			sums[lo/size] += v
		}
		if v := sums[lo/size]; v-v != 0 {
			return fmt.Errorf("loss is %v, want a finite number", v)
		}
		return nil
	})
	total := 0.0
	for _, v := range sums {
		total += v
	}
	return total / float64(len(y)), err
}

// Direction returns a random direction in the space of a network's parameters, one
// tensor for each of nn.Params(net): Gaussian, each filter of a convolution and each
// output's weights of a dense layer scaled to the length that they have in the network.
// Biases and the parameters of normalisation do not move.
//
// Li et al., NeurIPS 2018, section 4.
func Direction(rng *rand.Rand, net nn.Layer) []*tensor.Tensor {
	var out []*tensor.Tensor
	seen := make(map[*tensor.Tensor]bool)
	net.Visit("", func(s nn.Slot) {
		w := s.Tensor
		if !s.Trainable || seen[w] {
			return
		}
		seen[w] = true
		d := tensor.Zeros(w.DType(), w.Shape()...)
		if s.Layout == nn.Matrix || s.Layout == nn.Filter {
			d = tensor.Normal(rng, w.DType(), 0, 1, w.Shape()...)
			scaleFilters(d, w)
		}
		out = append(out, d)
	})
	return out
}

// scaleFilters scales each filter of d, the entries of one position on the last axis,
// to the length that it has in w.
func scaleFilters(d, w *tensor.Tensor) {
	filters := w.Dim(-1)
	rows := func(x *tensor.Tensor) *tensor.Tensor {
		return tensor.Sqrt(tensor.Sum(tensor.Square(tensor.Reshape(x.Detach(), -1, filters)), 0))
	}
	// A filter that is drawn as 0 stays 0.
	floor := tensor.Full(d.DType(), 1e-30, filters)
	scale := tensor.Div(rows(w), tensor.Maximum(rows(d), floor))
	d.CopyFrom(tensor.Mul(tensor.Reshape(d.Detach(), -1, filters), scale))
}

// moved is a network with other values for its parameters.
type moved struct {
	net            nn.Layer
	stats          string
	params, values []*tensor.Tensor
}

func newMoved(net nn.Layer, stats string) *moved {
	m := &moved{net: net, stats: stats, params: nn.Params(net)}
	for _, w := range m.params {
		m.values = append(m.values, w.Clone())
	}
	return m
}

// Logits implements attack.Model.
func (m *moved) Logits(x *tensor.Tensor) *tensor.Tensor {
	p := &nn.Pass{Stats: m.stats}
	for i, w := range m.params {
		p.Use(w, m.values[i])
	}
	return m.net.Forward(p, x)
}

// move sets the values to those of the network plus a d1 + b d2.
func (m *moved) move(a float64, d1 []*tensor.Tensor, b float64, d2 []*tensor.Tensor) {
	for i, w := range m.params {
		step := tensor.Add(tensor.MulScalar(d1[i], a), tensor.MulScalar(d2[i], b))
		m.values[i].CopyFrom(tensor.Add(w.Detach(), step))
	}
}
