package weightpert

import (
	"errors"
	"fmt"
	"reflect"
	"runtime"
	"strings"

	"github.com/redoubt-ml/redoubt/tensor"
	"github.com/redoubt-ml/redoubt/tensor/nn"
)

// FromNN returns the certifiable form of a network for images of h by w by c
// pixels, or, with h and w 1, for vectors of c values. It takes Sequentials of
// Linear and Conv2D layers with ReLU, Sigmoid or Tanh between them, and Flatten, and a
// Perturbed network of these with its values; weights are copied. A convolution is laid
// out as a sparse matrix whose entries count as independent: bounds hold, but also cover
// changes that shared weights cannot make. A Normalize in front is to be left out, and
// applied to the inputs that bounds are asked for. An error names the first layer of
// another kind.
func FromNN(net nn.Layer, h, w, c int) (*Network, error) {
	if h < 1 || w < 1 || c < 1 {
		return nil, fmt.Errorf("weightpert: FromNN: images of %dx%dx%d, want at least 1x1x1", h, w, c)
	}
	r := &reader{h: h, w: w, c: c}
	if err := r.read(net, ""); err != nil {
		return nil, fmt.Errorf("weightpert: FromNN: %w", err)
	}
	if len(r.layers) == 0 {
		return nil, errors.New("weightpert: FromNN: network has no dense or convolution layer, want at least 1")
	}
	return NewNetwork(r.layers...)
}

// reader walks through a network.
type reader struct {
	h, w, c   int // of what the next layer sees
	layers    []Layer
	activated bool    // the last of layers has its activation
	values    nn.Pass // knows what to use for parameters
}

// at names a layer, or the network itself.
func at(name string) string {
	if name == "" {
		return "the network"
	}
	return "layer " + name
}

func (r *reader) read(l nn.Layer, name string) error {
	switch l := l.(type) {
	case *nn.Sequential:
		for i, child := range l.Layers() {
			if err := r.read(child, strings.TrimPrefix(fmt.Sprintf("%s.%d", name, i), ".")); err != nil {
				return err
			}
		}
		return nil
	case Perturbed:
		defer l.use(&r.values)()
		return r.read(l.Net, name)
	case *nn.Linear:
		return r.linear(l, name)
	case *nn.Conv2D:
		return r.conv(l, name)
	case nn.Plain:
		switch l {
		case nn.Flatten:
			r.h, r.w, r.c = 1, 1, r.h*r.w*r.c
			return nil
		case nn.ReLU:
			return r.activate(ReLU, name)
		case nn.Sigmoid:
			return r.activate(Sigmoid, name)
		case nn.Tanh:
			return r.activate(Tanh, name)
		}
		return r.uncovered(name, l.String())
	case *nn.BatchNorm:
		return fmt.Errorf("%s is a BatchNorm: its gain multiplies the weights before it and is a parameter itself, so a box around the weights would not bound the network", at(name))
	case *nn.Normalize:
		if len(r.layers) > 0 {
			return r.uncovered(name, "a Normalize behind other layers")
		}
		return fmt.Errorf("%s is a Normalize: it has no weights that could move, want the layers behind it, and bounds for inputs that it has mapped", at(name))
	case nn.Pool2D:
		return r.uncovered(name, l.String())
	case nn.Function:
		return fmt.Errorf("%s is a function of %s: %s, so a certificate through it could be false", at(name), functionName(l), functionReason(l))
	case nil:
		return fmt.Errorf("%s is nil, want a layer", at(name))
	}
	return fmt.Errorf("%s is a %T: how it amplifies changes is not known, so a certificate through it could be false", at(name), l)
}

// uncovered is the error for a layer that is known, but that no bound goes through.
func (r *reader) uncovered(name, what string) error {
	return fmt.Errorf("%s is %s, which no bound here covers, want Linear, Conv2D, ReLU, Sigmoid, Tanh or Flatten", at(name), what)
}

func (r *reader) activate(a Activation, name string) error {
	if len(r.layers) == 0 || r.activated {
		return fmt.Errorf("%s is %v behind no dense or convolution layer", at(name), a)
	}
	r.layers[len(r.layers)-1].Act = a
	r.activated = true
	return nil
}

func (r *reader) linear(l *nn.Linear, name string) error {
	weight := r.values.Value(l.Weight)
	in, out := weight.Dim(0), weight.Dim(1)
	if have := r.h * r.w * r.c; have != in {
		return fmt.Errorf("%s takes %d values, but gets %dx%dx%d = %d", at(name), in, r.h, r.w, r.c, have)
	}
	m := Matrix{Rows: out, Cols: in, Val: make([]float64, in*out)}
	for i, v := range weight.Values() {
		m.Val[i%out*in+i/out] = v
	}
	r.add(Layer{Weight: m}, l.Bias)
	r.h, r.w, r.c = 1, 1, out
	return nil
}

func (r *reader) add(l Layer, bias *tensor.Tensor) {
	if bias != nil {
		per := r.values.Value(bias).Values()
		for row := range l.Weight.Rows {
			l.Bias = append(l.Bias, per[row%len(per)])
		}
	}
	r.layers = append(r.layers, l)
	r.activated = false
}

func (r *reader) conv(l *nn.Conv2D, name string) error {
	filter := r.values.Value(l.Filter)
	kh, kw, in, out := filter.Dim(0), filter.Dim(1), filter.Dim(2), filter.Dim(3)
	win := l.Window
	win.StrideH, win.StrideW = max(win.StrideH, 1), max(win.StrideW, 1)
	oh := (r.h+win.Top+win.Bottom-kh)/win.StrideH + 1
	ow := (r.w+win.Left+win.Right-kw)/win.StrideW + 1
	if in != r.c || r.h+win.Top+win.Bottom < kh || r.w+win.Left+win.Right < kw {
		return fmt.Errorf("%s has filters %dx%dx%d, but gets images of %dx%dx%d", at(name), kh, kw, in, r.h, r.w, r.c)
	}
	f := filter.Values()
	extents := make([]extent, out)
	for k, v := range f {
		if k < out {
			extents[k] = extent{v, v}
		}
		extents[k%out] = extents[k%out].join(extent{v, v})
	}
	m := Matrix{Rows: oh * ow * out, Cols: r.h * r.w * r.c, Start: []int{0}, Col: []int32{}}
	for y := range oh {
		for x := range ow {
			for k := range out {
				for dy := range kh {
					iy := y*win.StrideH + dy - win.Top
					for dx := range kw {
						ix := x*win.StrideW + dx - win.Left
						if iy < 0 || iy >= r.h || ix < 0 || ix >= r.w {
							continue
						}
						for c := range in {
							m.Val = append(m.Val, f[((dy*kw+dx)*in+c)*out+k])
							m.Col = append(m.Col, int32((iy*r.w+ix)*r.c+c))
						}
					}
				}
				m.Start = append(m.Start, len(m.Val))
			}
		}
	}
	r.add(Layer{Weight: m, filter: extents}, l.Bias)
	r.h, r.w, r.c = oh, ow, out
	return nil
}

// functionName returns the name of the function that made a layer: nn.Dropout for
// instance.
func functionName(f nn.Function) string {
	if f == nil {
		return "nothing"
	}
	name := "no name"
	if fn := runtime.FuncForPC(reflect.ValueOf(f).Pointer()); fn != nil {
		name = fn.Name()[strings.LastIndex(fn.Name(), "/")+1:]
		if at := strings.Index(name, ".func"); at >= 0 {
			name = name[:at]
		}
	}
	return name
}

// functionReason says why no bound goes through a layer that is a function.
func functionReason(f nn.Function) string {
	if strings.HasSuffix(functionName(f), "Dropout") {
		return "in training it draws which units count, and bounds are of one fixed function; leave it out of the network that is certified"
	}
	return "nothing is known of how it amplifies changes"
}
