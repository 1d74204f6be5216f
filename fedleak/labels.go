package fedleak

import (
	"math"

	"gonum.org/v1/gonum/mat"

	"github.com/redoubt-ml/redoubt/tensor"
	"github.com/redoubt-ml/redoubt/tensor/nn"
)

// The gradient of a sample's loss at the logits, over K, follows from Step I on the bias
// that makes them. With softmax p it is (p - onehot(y))/K, which is negative at the label
// y alone. With softmax taken twice it is negative at the label too, but may be so at
// other classes. What signs leave open is settled by the features of Step II: they give
// the logits, these the gradient for every label, and one of those is the one that was
// seen. A label of which neither is certain is -1.

// sure is the largest share of the distance between the two nearest gradients of labels
// by which the nearest may miss what was seen.
const sure = 0.25

// faithful is the estimated relative error of features up to which logits are computed
// from them.
const faithful = 0.05

// readLabels solves Step I for the gradients of the logits and reads the labels that
// their signs tell.
func (w *work) readLabels(b *mat.Dense) {
	w.logits, w.blur, w.out.Labels = w.plain.signs(b, w.m.DoubleSoftmax)
}

// signs solves Step I for the gradients of the logits, whose entries may be off by blur,
// and reads the labels that their signs tell.
func (s *system) signs(b *mat.Dense, twice bool) (logits *mat.Dense, blur []float64, labels []int) {
	logits = s.solve(b)
	sd := s.noise(b, logits)
	blur, labels = make([]float64, s.n), make([]int, s.n)
	for i, d := range s.normal.inverseDiagonal() {
		blur[i] = 8 * sd * math.Sqrt(d)
		labels[i] = -1
		if s.report.Determined[i] {
			labels[i] = signLabel(logits.RawRowView(i), blur[i], twice)
		}
	}
	return logits, blur, labels
}

// signLabel reads the class from the gradient of a sample at the logits, whose entries
// are known but for blur; -1 if that cannot be done for certain.
func signLabel(row []float64, blur float64, twice bool) int {
	least, second := 0, math.Inf(1)
	for j := 1; j < len(row); j++ {
		if row[j] < row[least] {
			second, least = row[least], j
		} else {
			second = math.Min(second, row[j])
		}
	}
	if row[least] >= 0 || second-row[least] <= blur {
		return -1
	}
	if twice && (row[least] >= -blur || second <= blur) {
		return -1
	}
	return least
}

// settleLabels reads the labels that signs left open from the features of Step II.
func (w *work) settleLabels() {
	if w.SkipLabels {
		return
	}
	open := false
	for _, y := range w.out.Labels {
		open = open || y < 0
	}
	if !open {
		return
	}
	choices := w.labelGradients()
	report := w.plain.report
	if c := w.o.Setting().Clients; c > 1 && report.Rank < report.Samples {
		if report.Rank == report.Samples-c+1 && balanced(w.batches, report.Samples, c) {
			w.labelsByClient(choices, c)
		}
		return
	}
	for i, y := range w.out.Labels {
		if y < 0 && report.Determined[i] && choices[i] != nil {
			w.out.Labels[i] = nearest(w.logits.RawRowView(i), choices[i])
		}
	}
}

// labelGradients returns, for each sample whose features are known at all parties, the
// gradients at its logits, over K, for each label; nil for the others.
func (w *work) labelGradients() [][][]float64 {
	n, _ := w.logits.Dims()
	out := make([][][]float64, n)
	var ids []int
	for i := range n {
		known := true
		for _, p := range w.out.Parties {
			known = known && p.Status[i] == Recovered && p.HError[i] <= faithful
		}
		if known {
			ids = append(ids, i)
		}
	}
	if len(ids) == 0 {
		return out
	}
	outs := make([]*tensor.Tensor, len(w.layers))
	for p, l := range w.layers {
		h := w.out.Parties[p].H
		_, d1 := h.Dims()
		x := fromValues(w.m.dtype(), rowsOf(h.RawMatrix().Data, ids, d1).RawMatrix().Data, len(ids), d1)
		outs[p] = l.after.Forward(&nn.Pass{}, x)
	}
	joined := outs[0]
	if len(outs) > 1 {
		joined = tensor.Concat(1, outs...)
	}
	z := w.m.Top.Forward(&nn.Pass{}, joined).To(tensor.Float64)
	k := float64(len(w.batches[0]))
	label := make([]int, len(ids))
	for y := range w.m.Classes {
		for i := range label {
			label[i] = y
		}
		tape := tensor.NewTape()
		at := tape.Watch(z)
		loss := tensor.Sum(w.m.Losses(at, tensor.OneHot(tensor.Float64, label, w.m.Classes)))
		g := tensor.Grad(tensor.MulScalar(loss, 1/k), at)[0].Values()
		for i, id := range ids {
			out[id] = append(out[id], append([]float64(nil), g[i*w.m.Classes:(i+1)*w.m.Classes]...))
		}
	}
	return out
}

// nearest returns the number of the vector that lies nearest to v, if v is surely no other
// one, and -1 otherwise.
func nearest(v []float64, choices [][]float64) int {
	best, miss := -1, math.Inf(1)
	for y, c := range choices {
		if d := gap(v, c); d < miss {
			best, miss = y, d
		}
	}
	for y, c := range choices {
		if y != best && !(miss < sure*gap(choices[best], c)) {
			return -1
		}
	}
	return best
}

// gap is the Euclidean distance.
func gap(a, b []float64) float64 {
	s := 0.0
	for i, v := range a {
		s += (v - b[i]) * (v - b[i])
	}
	return math.Sqrt(s)
}

// labelsByClient reads labels where the gradients of each client are known up to a
// vector that is the same for all of its samples, and these vectors add up to 0. A
// client's vector is the one with which every sample's gradient is that of some label.
// If several will do, as for a client whose samples all have one label, the vectors of
// the others tell.
func (w *work) labelsByClient(choices [][][]float64, clients int) {
	n, classes := w.logits.Dims()
	own := n / clients
	shifts := make([][]float64, clients)
	open, missing := 0, 0
	rest := make([]float64, classes)
	for c := range clients {
		fits := w.shiftsOf(choices, c*own, (c+1)*own)
		if len(fits) != 1 {
			open, missing = c, missing+1
			continue
		}
		shifts[c] = fits[0]
		for j, v := range fits[0] {
			rest[j] -= v
		}
	}
	if missing == 1 {
		shifts[open] = rest
	}
	row := make([]float64, classes)
	for i := range n {
		shift := shifts[i/own]
		if shift == nil {
			continue
		}
		for j, v := range w.logits.RawRowView(i) {
			row[j] = v - shift[j]
		}
		if choices[i] != nil {
			w.out.Labels[i] = nearest(row, choices[i])
		} else {
			w.out.Labels[i] = signLabel(row, w.blur[i]+1e-3/float64(len(w.batches[0])), w.m.DoubleSoftmax)
		}
	}
}

// shiftsOf returns the vectors by which the gradients of the samples from first to before
// last may all have been moved, those for each label of the first one whose features are
// known.
func (w *work) shiftsOf(choices [][][]float64, first, last int) [][]float64 {
	var members []int
	for i := first; i < last; i++ {
		if choices[i] != nil {
			members = append(members, i)
		}
	}
	if len(members) == 0 {
		return nil
	}
	_, classes := w.logits.Dims()
	var out [][]float64
	row := make([]float64, classes)
	for _, guess := range choices[members[0]] {
		shift := make([]float64, classes)
		for j, v := range w.logits.RawRowView(members[0]) {
			shift[j] = v - guess[j]
		}
		fits := true
		for _, i := range members[1:] {
			for j, v := range w.logits.RawRowView(i) {
				row[j] = v - shift[j]
			}
			if fits = nearest(row, choices[i]) >= 0; !fits {
				break
			}
		}
		if fits {
			out = append(out, shift)
		}
	}
	return out
}
