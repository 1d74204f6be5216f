package attack

import (
	"cmp"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"

	"github.com/redoubt-ml/redoubt/internal/kernel"
	"github.com/redoubt-ml/redoubt/internal/par"
	"github.com/redoubt-ml/redoubt/tensor"
)

// float is the element type of a tensor.
type float = kernel.Float

// Norm is a way to measure the size of a perturbation of one input.
type Norm int

// Norms of perturbations.
const (
	Linf Norm = iota // largest change of a value
	L2               // Euclidean length
	L1               // sum of absolute changes
	L0               // number of values that change
)

var normNames = []string{"linf", "l2", "l1", "l0"}

// String returns "linf", "l2", "l1" or "l0".
func (n Norm) String() string {
	if n < 0 || int(n) >= len(normNames) {
		return fmt.Sprintf("Norm(%d)", int(n))
	}
	return normNames[n]
}

// MarshalText returns the norm's name.
func (n Norm) MarshalText() ([]byte, error) {
	if n < 0 || int(n) >= len(normNames) {
		return nil, fmt.Errorf("attack: unknown norm %d", int(n))
	}
	return []byte(n.String()), nil
}

// UnmarshalText reads a norm's name.
func (n *Norm) UnmarshalText(text []byte) error {
	for i, name := range normNames {
		if name == string(text) {
			*n = Norm(i)
			return nil
		}
	}
	return fmt.Errorf("attack: norm %q, want one of %v", text, normNames)
}

// Threat is the set of inputs among which an attacker may choose: a ball around
// the original input intersected with the box of valid values.
//
// Under Linf a point in float32 stays so far inside the ball that no rounding
// takes it out: by up to 2^-24 of the larger end of the box.
type Threat struct {
	Norm Norm `json:"norm"`
	// Eps is the ball's radius in units of the input: typically 8/255 or 0.3
	// for Linf and pixels in [0, 1]; for L0 the number of values that may
	// change. 0 allows nothing: Run of an attack refuses it, as a radius that was
	// forgotten, where EpsCurve and the attacks of a training, PGD.Perturb, take it.
	Eps float64 `json:"eps"`
	// Lo and Hi are the ends of the box; both 0 mean [0, 1].
	Lo float64 `json:"lo"`
	Hi float64 `json:"hi"`
}

// Check returns an error if the threat makes no sense.
func (t Threat) Check() error {
	lo, hi := t.box()
	switch {
	case t.Norm < Linf || t.Norm > L0:
		return fmt.Errorf("attack: unknown norm %d", int(t.Norm))
	case !(t.Eps >= 0) || math.IsInf(t.Eps, 0):
		return fmt.Errorf("attack: eps is %v, want a finite number from 0 on", t.Eps)
	case !(lo < hi) || math.IsInf(lo, 0) || math.IsInf(hi, 0):
		return fmt.Errorf("attack: box [%v, %v], want finite ends in order", lo, hi)
	}
	return nil
}

// String describes the threat, as in "linf 0.3".
func (t Threat) String() string { return fmt.Sprintf("%v %.4g", t.Norm, t.Eps) }

func (t Threat) box() (lo, hi float64) {
	if t.Lo == 0 && t.Hi == 0 {
		return 0, 1
	}
	return t.Lo, t.Hi
}

// inner is a radius for Linf arithmetic in type T such that x0 ± inner, rounded
// to T, is never farther than Eps from x0.
func inner[T float](t Threat) T {
	lo, hi := t.box()
	var half T = 1
	for half+1 != 1 {
		half /= 2
	}
	r := T(t.Eps - max(math.Abs(lo), math.Abs(hi))*float64(half))
	if float64(r) > t.Eps {
		r = T(float64(r) * (1 - 2*float64(half)))
	}
	return max(0, r)
}

// innerLength is a radius for L2 arithmetic in type T on d values such that
// rounding the values of a point within it leaves the point within Eps.
func innerLength[T float](t Threat, d int) float64 {
	lo, hi := t.box()
	half := 1.0
	for T(half)+1 != 1 {
		half /= 2
	}
	return max(0, t.Eps-4*half*math.Sqrt(float64(d))*max(math.Abs(lo), math.Abs(hi), t.Eps/math.Sqrt(float64(d))))
}

// eachExample calls f with the values of each of the examples of x and x0, on
// several threads.
func eachExample[T float](x, x0 []T, n int, f func(i int, x, x0 []T)) {
	d := len(x) / n
	par.For(n, max(1, grain/max(1, d)), func(lo, hi int) {
		for i := lo; i < hi; i++ {
			f(i, x[i*d:(i+1)*d], x0[i*d:(i+1)*d])
		}
	})
}

// grain is the number of values that are worth a thread.
const grain = 1 << 14

// perExample checks a threat and two batches of one shape and calls f for each
// of their examples, in their type.
func (t Threat) perExample(op string, x, x0 *tensor.Tensor, f32 func(i int, x, x0 []float32), f64 func(i int, x, x0 []float64)) {
	if err := t.Check(); err != nil {
		panic(fmt.Sprintf("attack: %s: %v", op, err))
	}
	if fmt.Sprint(x.Shape()) != fmt.Sprint(x0.Shape()) || x.DType() != x0.DType() || x.Rank() < 1 {
		panic(fmt.Sprintf("attack: %s: batches %v%v and %v%v, want the same", op, x.DType(), x.Shape(), x0.DType(), x0.Shape()))
	}
	if x.Len() == 0 {
		return
	}
	if x.DType() == tensor.Float32 {
		eachExample(x.Float32s(), x0.Float32s(), x.Dim(0), f32)
	} else {
		eachExample(x.Float64s(), x0.Float64s(), x.Dim(0), f64)
	}
	x.Touch()
}

// Project replaces each example of x [N, ...] by the nearest point, in Euclidean
// distance, of the threat's set around the same example of x0, which lies in the
// box. Rounding to the tensor's type goes towards x0, so that the result is in the
// set exactly, as measured in float64. A NaN becomes the value of x0. It panics if
// the threat is not valid or the shapes differ.
//
// Proposition 1 of Wang et al., NeurIPS 2021.
func (t Threat) Project(x, x0 *tensor.Tensor) {
	t.perExample("Project", x, x0,
		func(_ int, x, x0 []float32) { project(t, x, x0) },
		func(_ int, x, x0 []float64) { project(t, x, x0) })
}

// Sample fills x with random points of the threat's set around x0: uniform in
// the ball (for L0, uniform values at uniformly chosen places), then projected
// onto the box. rng gives the source of each example.
func (t Threat) Sample(rng func(example int) *rand.Rand, x, x0 *tensor.Tensor) {
	t.perExample("Sample", x, x0,
		func(i int, x, x0 []float32) { sample(t, rng(i), x, x0) },
		func(i int, x, x0 []float64) { sample(t, rng(i), x, x0) })
}

func sample[T float](t Threat, r *rand.Rand, x, x0 []T) {
	lo, hi := t.box()
	d := len(x)
	switch t.Norm {
	case Linf:
		e := inner[T](t)
		for i, v := range x0 {
			x[i] = min(T(hi), max(T(lo), v+min(e, max(-e, T((2*r.Float64()-1)*t.Eps)))))
		}
		return
	case L2:
		v := make([]float64, d)
		sum := 0.0
		for i := range v {
			v[i] = r.NormFloat64()
			sum += v[i] * v[i]
		}
		scale := t.Eps * math.Pow(r.Float64(), 1/float64(d)) / math.Sqrt(sum)
		for i := range v {
			x[i] = T(float64(x0[i]) + scale*v[i])
		}
	case L1:
		v := make([]float64, d)
		sum := r.ExpFloat64()
		for i := range v {
			v[i] = r.ExpFloat64()
			sum += v[i]
			if r.IntN(2) == 0 {
				v[i] = -v[i]
			}
		}
		for i := range v {
			x[i] = T(float64(x0[i]) + t.Eps*v[i]/sum)
		}
	case L0:
		copy(x, x0)
		for _, i := range r.Perm(d)[:int(min(t.Eps, float64(d)))] {
			x[i] = T(lo + (hi-lo)*r.Float64())
		}
	}
	project(t, x, x0)
}

// Step moves x along the steepest ascent direction of the norm for the gradient
// g, by alpha, and projects. For Linf that is the sign of g, for L2 g scaled to
// length 1, for L1 the coordinate of the largest |g|, and where the box ends before
// alpha is spent those of the next largest; for L0, where no step is small, it is g
// scaled to an L1 length of 1 (Croce and Hein, ICCV 2019). An example whose gradient is
// 0 stays.
func (t Threat) Step(x, g, x0 *tensor.Tensor, alpha float64) {
	if x.DType() != g.DType() || x.Len() != g.Len() {
		panic(fmt.Sprintf("attack: Step: inputs %v%v, gradient %v%v", x.DType(), x.Shape(), g.DType(), g.Shape()))
	}
	t.perExample("Step", x, x0,
		func(i int, x, x0 []float32) { step(t, x, g.Float32s()[i*len(x):(i+1)*len(x)], x0, alpha) },
		func(i int, x, x0 []float64) { step(t, x, g.Float64s()[i*len(x):(i+1)*len(x)], x0, alpha) })
}

func step[T float](t Threat, x, g, x0 []T, alpha float64) {
	lo, hi := t.box()
	switch t.Norm {
	case Linf:
		kernel.SignStep(x, g, x0, T(alpha), inner[T](t), T(lo), T(hi))
		return
	case L2:
		add(x, g, alpha, length(g))
	case L1:
		spend(x, g, alpha, lo, hi)
	case L0:
		add(x, g, alpha, size(L1, g))
	}
	project(t, x, x0)
}

// spend changes x by alpha in all along g within the box, by as much as possible where
// |g| is largest: the steepest step of L1.
func spend[T float](x, g []T, alpha, lo, hi float64) {
	room := func(i int) float64 {
		if g[i] > 0 {
			return hi - float64(x[i])
		}
		return float64(x[i]) - lo
	}
	best, most := -1, 0.0
	for i, v := range g {
		if a := math.Abs(float64(v)); a > most && room(i) > 0 {
			best, most = i, a
		}
	}
	if best < 0 {
		return
	}
	order := []int{best}
	if room(best) < alpha {
		order = order[:0]
		for i, v := range g {
			if v != 0 && room(i) > 0 {
				order = append(order, i)
			}
		}
		slices.SortStableFunc(order, func(i, j int) int {
			return cmp.Compare(math.Abs(float64(g[j])), math.Abs(float64(g[i])))
		})
	}
	for _, i := range order {
		part := min(alpha, room(i))
		x[i] += T(math.Copysign(part, float64(g[i])))
		if alpha -= part; !(alpha > 0) {
			return
		}
	}
}

// stride is the size of a step that goes across the ball, for inputs of d values: Eps,
// or under L0, where that counts values, a quarter of their number.
func (t Threat) stride(d int) float64 {
	if t.Norm == L0 {
		return float64(d) / 4
	}
	return t.Eps
}

// add moves x by alpha along g, whose size is given; not at all if that is 0. It
// divides first, as alpha/size may be more than T holds.
func add[T float](x, g []T, alpha, size float64) {
	if !(size > 0) {
		return
	}
	for i, v := range g {
		x[i] += T(alpha * (float64(v) / size))
	}
}

// length is the Euclidean length of v; scaling by the largest value keeps tiny
// gradients from vanishing in the squares.
func length[T float](v []T) float64 {
	m := float64(kernel.MaxAbs(v))
	if m == 0 || math.IsNaN(m) || math.IsInf(m, 0) {
		return m
	}
	s := 0.0
	for _, e := range v {
		q := float64(e) / m
		s += q * q
	}
	return m * math.Sqrt(s)
}

// Distance returns how far each example of x is from that of x0, in the threat's
// norm, computed in float64.
func (t Threat) Distance(x, x0 *tensor.Tensor) []float64 {
	out := make([]float64, x.Dim(0))
	t.perExample("Distance", x, x0,
		func(i int, x, x0 []float32) { out[i] = distance(t.Norm, x, x0) },
		func(i int, x, x0 []float64) { out[i] = distance(t.Norm, x, x0) })
	return out
}

// size is the norm of v, computed in float64.
func size[T float](n Norm, v []T) float64 { return distance(n, v, nil) }

// distance is the norm of x - x0, computed in float64; a nil x0 is 0.
func distance[T float](n Norm, x, x0 []T) float64 {
	var s float64
	for i, v := range x {
		d := float64(v)
		if x0 != nil {
			d -= float64(x0[i])
		}
		d = math.Abs(d)
		switch n {
		case Linf:
			s = max(s, d)
		case L2:
			s += d * d
		case L1:
			s += d
		case L0:
			if d != 0 {
				s++
			}
		}
	}
	if n == L2 {
		return math.Sqrt(s)
	}
	return s
}

// dual is the norm that the gradient is measured in when perturbations are measured
// in n.
func dual(n Norm) Norm {
	switch n {
	case Linf:
		return L1
	case L1:
		return Linf
	}
	return n
}
