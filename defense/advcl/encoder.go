package advcl

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strconv"

	"github.com/redoubt-ml/redoubt/tensor"
	"github.com/redoubt-ml/redoubt/tensor/nn"
)

// Form is the form of a residual encoder for square images of three channels: a 3x3
// convolution, normalisation and ReLU, stages of basic blocks, and the mean over
// pixels. Pixels are not normalised; see Encoder.NormalizePixels.
type Form struct {
	Name   string  // for tables
	Stem   int     // channels of the first convolution
	Stride int     // of the first convolution
	Stages []Stage // at least one
}

// Stage is some basic blocks of one width, the first of which has the stride.
type Stage struct{ Width, Blocks, Stride int }

// Forms of encoders.
var (
	// ResNet18 is the form of the paper, with 512 features.
	ResNet18 = Form{"ResNet-18", 64, 1, []Stage{{64, 2, 1}, {128, 2, 2}, {256, 2, 2}, {512, 2, 2}}}
	// Mini has 128 features and a forty-fifth of ResNet18's multiplications.
	Mini = Form{"mini", 32, 2, []Stage{{32, 1, 1}, {64, 1, 2}, {128, 1, 2}}}
)

// Features is the number of features of an encoder of the form.
func (f Form) Features() int { return f.Stages[len(f.Stages)-1].Width }

// check returns an error unless the form makes sense.
func (f Form) check() error {
	if f.Stem < 1 || f.Stride < 1 || len(f.Stages) == 0 {
		return fmt.Errorf("advcl: form %q: %d channels at stride %d and %d stages, want at least 1 of each", f.Name, f.Stem, f.Stride, len(f.Stages))
	}
	for i, s := range f.Stages {
		if s.Width < 1 || s.Blocks < 1 || s.Stride < 1 {
			return fmt.Errorf("advcl: form %q: stage %d is %+v, want numbers of at least 1", f.Name, i, s)
		}
	}
	return nil
}

// MultiplyAdds is the number of multiply-adds of the convolutions for one image of
// size by size pixels.
func (f Form) MultiplyAdds(size int) int {
	total := 0
	f.eachConv(size, func(in, out, kernel, side int) { total += in * out * kernel * kernel * side * side })
	return total
}

// Outputs is the number of values that the convolutions put out for one image of size by
// size pixels. Training keeps about twice as many float32 values: each goes on through a
// normalisation.
func (f Form) Outputs(size int) int {
	total := 0
	f.eachConv(size, func(_, out, _, side int) { total += out * side * side })
	return total
}

// ConvWeights is the number of weights of the convolutions.
func (f Form) ConvWeights() int {
	total := 0
	f.eachConv(1, func(in, out, kernel, _ int) { total += in * out * kernel * kernel })
	return total
}

// eachConv calls visit with the extents of every convolution; side is that of its
// output.
func (f Form) eachConv(size int, visit func(in, out, kernel, side int)) {
	down := func(side, stride int) int { return (side + stride - 1) / stride }
	side := down(size, f.Stride)
	visit(3, f.Stem, 3, side)
	in := f.Stem
	for _, s := range f.Stages {
		for b := range s.Blocks {
			stride := 1
			if b == 0 {
				stride = s.Stride
			}
			side = down(side, stride)
			visit(in, s.Width, 3, side)
			visit(s.Width, s.Width, 3, side)
			if stride != 1 || in != s.Width {
				visit(in, s.Width, 1, side)
			}
			in = s.Width
		}
	}
}

// Encoder turns images [N, S, S, 3] into features [N, D].
type Encoder struct {
	*nn.Sequential
	Form Form
	Sets []string // names of the sets of normalisation statistics

	norms  []*nn.BatchNorm // in order
	convs  []*nn.Conv2D
	parts  []part        // of the Sequential, without pixels
	pixels *nn.Normalize // nil for none
}

// part is a layer with its name.
type part struct {
	name  string
	layer nn.Layer
}

// Mean and deviation of ImageNet's pixels in each channel, as the field has them.
var (
	ImageNetMean = [3]float64{0.485, 0.456, 0.406}
	ImageNetStd  = [3]float64{0.229, 0.224, 0.225}
)

// NewEncoder returns an encoder with the named sets of normalisation statistics, none
// for a single set without a name. Convolutions have He's normal initialisation with
// fan-out. It panics if the form makes no sense.
func NewEncoder(rng *rand.Rand, f Form, sets ...string) *Encoder {
	if err := f.check(); err != nil {
		panic(err.Error())
	}
	if len(sets) == 0 {
		sets = []string{""}
	}
	e := &Encoder{Sequential: new(nn.Sequential), Form: f, Sets: slices.Clone(sets)}
	add := func(name string, l nn.Layer) {
		e.parts = append(e.parts, part{name, l})
		e.Add(name, l)
	}
	stem, norm := nn.NewConv2DNoBias(rng, 3, f.Stem, 3, tensor.Same(f.Stride, 1)), nn.NewBatchNorm(f.Stem, sets...)
	e.convs, e.norms = append(e.convs, stem), append(e.norms, norm)
	add("conv1", stem)
	add("bn1", norm)
	add("relu", nn.ReLU)
	in := f.Stem
	for i, s := range f.Stages {
		stage := new(nn.Sequential)
		for k := range s.Blocks {
			stride := 1
			if k == 0 {
				stride = s.Stride
			}
			b := nn.NewBasicBlock(rng, in, s.Width, stride, sets...)
			stage.Add(strconv.Itoa(k), b)
			e.convs, e.norms = append(e.convs, b.Conv1, b.Conv2), append(e.norms, b.Norm1, b.Norm2)
			if b.Shortcut != nil {
				l := b.Shortcut.Layers()
				e.convs, e.norms = append(e.convs, l[0].(*nn.Conv2D)), append(e.norms, l[1].(*nn.BatchNorm))
			}
			in = s.Width
		}
		add("layer"+strconv.Itoa(i+1), stage)
	}
	add("avgpool", nn.GlobalAvgPool)
	return e
}

// NormalizePixels puts (x - mean)/std in front of the encoder, in place of what was put
// there before: the programs of ACL and AP-DPE do so with ImageNet's. Attacks, their radii
// included, stay in pixel units. Checkpoints hold both constants. It panics unless all
// are finite and deviations above 0.
func (e *Encoder) NormalizePixels(mean, std [3]float64) {
	e.pixels = nn.NewNormalize(mean[:], std[:])
	e.Sequential = new(nn.Sequential).Add("norm", e.pixels)
	for _, p := range e.parts {
		e.Add(p.name, p.layer)
	}
}

// set returns the position of a set of statistics; "" is the first.
func (e *Encoder) set(name string) (int, error) {
	if name == "" {
		return 0, nil
	}
	if i := slices.Index(e.Sets, name); i >= 0 {
		return i, nil
	}
	return 0, fmt.Errorf("advcl: encoder has no set of normalisation statistics %q, want one of %q", name, e.Sets)
}

// Ready returns an error if the encoder has no such set of statistics, or if no batch
// has entered it yet, so that it says nothing about any data.
func (e *Encoder) Ready(set string) error {
	i, err := e.set(set)
	if err != nil {
		return err
	}
	for _, l := range e.norms {
		s := l.Sets[i]
		for k := range s.Mean.Len() {
			if s.Mean.At(k) != 0 || s.Var.At(k) != 1 {
				return nil
			}
		}
	}
	return fmt.Errorf("advcl: no batch has entered the normalisation statistics %q; train the encoder or call Calibrate first", set)
}

// checksum is a hash of all values.
func (e *Encoder) checksum() string {
	h := sha256.New()
	var bits [8]byte
	e.Visit("", func(s nn.Slot) {
		for _, v := range s.Tensor.Values() {
			binary.LittleEndian.PutUint64(bits[:], math.Float64bits(v))
			h.Write(bits[:])
		}
	})
	return hex.EncodeToString(h.Sum(nil))
}

// Extract returns a copy of the encoder with one of its sets of statistics only, for
// evaluation and fine-tuning. Errors: an unknown set, one that Ready refuses.
func (e *Encoder) Extract(set string) (*Encoder, error) {
	if err := e.Ready(set); err != nil {
		return nil, err
	}
	k, _ := e.set(set)
	out := NewEncoder(rand.New(rand.NewPCG(0, 0)), e.Form)
	if e.pixels != nil {
		out.NormalizePixels([3]float64(e.pixels.Mean.Values()), [3]float64(e.pixels.Std.Values()))
	}
	for i, c := range e.convs {
		out.convs[i].Filter.CopyFrom(c.Filter)
	}
	for i, l := range e.norms {
		src, dst := l.Sets[k], out.norms[i].Sets[0]
		dst.Gamma.CopyFrom(src.Gamma)
		dst.Beta.CopyFrom(src.Beta)
		dst.Mean.CopyFrom(src.Mean)
		dst.Var.CopyFrom(src.Var)
	}
	return out, nil
}
