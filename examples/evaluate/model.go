package main

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/redoubt-ml/redoubt/attack"
	"github.com/redoubt-ml/redoubt/internal/example"
	"github.com/redoubt-ml/redoubt/tensor/dataset"
	"github.com/redoubt-ml/redoubt/tensor/nn"
	"github.com/redoubt-ml/redoubt/tensor/onnx"
	"github.com/redoubt-ml/redoubt/tensor/optim"
	"github.com/redoubt-ml/redoubt/tensor/safetensors"
)

// arch makes a network that a safetensors file can be of. It may look at the file for
// sizes that the architecture leaves open.
type arch struct {
	input []int // shape of an image, [H, W, C]
	make  func(f *safetensors.File) (nn.Layer, error)
}

var (
	grey   = []int{28, 28, 1}
	colour = []int{32, 32, 3}
)

// archs are the architectures by name.
var archs = map[string]arch{
	"mnist-cnn": {grey, func(*safetensors.File) (nn.Layer, error) { return nn.NewMNISTNet(unused()), nil }},
	"mnist-pool": {grey, func(f *safetensors.File) (nn.Layer, error) {
		widths, err := denseWidths(f)
		if err != nil || len(widths) != 2 {
			return nil, fmt.Errorf("%d dense layers, want 2", len(widths))
		}
		return nn.NewMNISTPoolNet(unused(), widths[0]), nil
	}},
	"mlp": {grey, func(f *safetensors.File) (nn.Layer, error) {
		widths, err := denseWidths(f)
		if err != nil {
			return nil, err
		}
		return nn.NewMLP(unused(), 28, 28, 1, widths...), nil
	}},
	"resnet8":  {colour, func(*safetensors.File) (nn.Layer, error) { return nn.NewResNet8(unused(), 10), nil }},
	"resnet18": {colour, func(*safetensors.File) (nn.Layer, error) { return nn.NewResNet18(unused(), 10), nil }},
}

// unused initialises weights that the file replaces.
func unused() *rand.Rand { return rand.New(rand.NewPCG(0, 0)) }

func archNames() []string { return slices.Sorted(maps.Keys(archs)) }

// denseWidths are the outputs of the dense layers of a sequential network, in order.
func denseWidths(f *safetensors.File) ([]int, error) {
	at := map[int]int{}
	for _, name := range f.Names() {
		info, _ := f.Info(name)
		place, isWeight := strings.CutSuffix(name, ".weight")
		i, err := strconv.Atoi(place)
		if isWeight && err == nil && len(info.Shape) == 2 {
			at[i] = info.Shape[0]
		}
	}
	if len(at) == 0 {
		return nil, fmt.Errorf("no dense layers")
	}
	var widths []int
	for _, i := range slices.Sorted(maps.Keys(at)) {
		widths = append(widths, at[i])
	}
	return widths, nil
}

// classifier is a model from a file.
type classifier struct {
	attack.Model
	about string
	input []int // shape of an image, [H, W, C]
}

// loadModel reads the classifier that a flag names.
func loadModel(name, path, arch string) (classifier, error) {
	var c classifier
	var err error
	switch ext := strings.ToLower(filepath.Ext(path)); {
	case ext == ".safetensors":
		c, err = loadSafetensors(path, arch)
	case ext == ".onnx" && arch != "":
		err = fmt.Errorf("%s says itself what network it holds, want no -arch %s", path, arch)
	case ext == ".onnx":
		c, err = loadONNX(path)
	default:
		err = fmt.Errorf("%s: files end in .onnx or .safetensors, not %q", path, ext)
	}
	if err != nil {
		return c, fmt.Errorf("%s: %w", name, err)
	}
	return c, nil
}

// normalized is the classifier after pixels have lost mean and been divided by std, one
// number for each channel; itself without numbers.
func (c classifier) normalized(mean, std numbers) (classifier, error) {
	if len(mean) == 0 {
		return c, nil
	}
	if channels := c.input[len(c.input)-1]; len(mean) != channels {
		return c, fmt.Errorf("-mean and -std have %d numbers, want one for each of %d channels", len(mean), channels)
	}
	net := c.Model.(nn.Classifier).Net
	c.Model = nn.Classifier{Net: nn.NewSequential(nn.NewNormalize(mean, std), net)}
	c.about += fmt.Sprintf(", of pixels less %v, over %v", &mean, &std)
	return c, nil
}

// fits returns an error unless the classifier that a flag names takes the images of a data
// set.
func (c classifier) fits(name string, set *dataset.Set, data string) error {
	have := []int{set.H, set.W, set.C}
	if !slices.Equal(c.input, have) {
		return fmt.Errorf("%s wants %s, -dataset %s has %s", name, size(c.input), data, size(have))
	}
	return nil
}

// size writes a shape as in 28x28x1.
func size(shape []int) string {
	text := make([]string, len(shape))
	for i, n := range shape {
		text[i] = strconv.Itoa(n)
	}
	return strings.Join(text, "x")
}

func loadONNX(path string) (classifier, error) {
	m, err := onnx.Open(path)
	if err != nil {
		return classifier{}, err
	}
	return classifier{nn.Classifier{Net: m}, fmt.Sprintf("ONNX graph (opset %d) from %s", m.Opset(), path), m.InputShape()}, nil
}

func loadSafetensors(path, arch string) (classifier, error) {
	names := archNames()
	if arch != "" {
		names = []string{arch}
	}
	f, err := safetensors.Open(path)
	if err != nil {
		return classifier{}, err
	}
	defer f.Close()
	var why []string
	for _, name := range names {
		net, err := archs[name].make(f)
		if err == nil {
			err = nn.Load(path, net)
		}
		if err == nil {
			return classifier{nn.Classifier{Net: net}, name + " from " + path, archs[name].input}, nil
		}
		why = append(why, fmt.Sprintf("%s: %v", name, err))
	}
	return classifier{}, fmt.Errorf("%s fits no network:\n  %s", path, strings.Join(why, "\n  "))
}

// trainable are the data sets for which a program started without a model trains one.
var trainable = []string{"mnist", "fashion"}

// trainSmall trains a network on a data set.
func trainSmall(ctx context.Context, env *example.Env, train *dataset.Set) (attack.Model, error) {
	train = train.Take(20000)
	net := nn.NewMNISTNet(env.Rand("weights"))
	const epochs, batch = 3, 64
	steps := epochs * (train.Len() / batch)
	stage := env.Stage("training a network", steps)
	t := nn.Trainer{
		Net: net, Data: train, Epochs: epochs, BatchSize: batch, Seed: env.Seed, Schedule: optim.Triangle(3e-3, steps/3, steps),
		OnStep: func(p nn.Progress) { stage.Done(p.Step + 1) },
	}
	return nn.Classifier{Net: net}, t.Run(ctx)
}
