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
	"github.com/redoubt-ml/redoubt/tensor/nn"
	"github.com/redoubt-ml/redoubt/tensor/onnx"
	"github.com/redoubt-ml/redoubt/tensor/optim"
	"github.com/redoubt-ml/redoubt/tensor/safetensors"
)

// archs make the networks that a safetensors file can be of, by name. They may look
// at the file for sizes that the architecture leaves open.
var archs = map[string]func(f *safetensors.File) (nn.Layer, error){
	"mnist-cnn": func(*safetensors.File) (nn.Layer, error) { return nn.NewMNISTNet(unused()), nil },
	"mnist-pool": func(f *safetensors.File) (nn.Layer, error) {
		widths, err := denseWidths(f)
		if err != nil || len(widths) != 2 {
			return nil, fmt.Errorf("%d dense layers, want 2", len(widths))
		}
		return nn.NewMNISTPoolNet(unused(), widths[0]), nil
	},
	"mlp": func(f *safetensors.File) (nn.Layer, error) {
		widths, err := denseWidths(f)
		if err != nil {
			return nil, err
		}
		return nn.NewMLP(unused(), 28, 28, 1, widths...), nil
	},
	"resnet8":  func(*safetensors.File) (nn.Layer, error) { return nn.NewResNet8(unused(), 10), nil },
	"resnet18": func(*safetensors.File) (nn.Layer, error) { return nn.NewResNet18(unused(), 10), nil },
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

// loadModel reads a classifier and says what it is.
func loadModel(path, arch string) (attack.Model, string, error) {
	switch ext := strings.ToLower(filepath.Ext(path)); ext {
	case ".safetensors":
		return loadSafetensors(path, arch)
	case ".onnx":
		if arch != "" {
			return nil, "", fmt.Errorf("-arch %s: an ONNX file says itself what network it holds", arch)
		}
		m, err := onnx.Open(path)
		if err != nil {
			return nil, "", fmt.Errorf("-model: %w", err)
		}
		return nn.Classifier{Net: m}, fmt.Sprintf("ONNX graph (opset %d) from %s", m.Opset(), path), nil
	default:
		return nil, "", fmt.Errorf("-model %s: files end in .onnx or .safetensors, not %q", path, ext)
	}
}

func loadSafetensors(path, arch string) (attack.Model, string, error) {
	names := archNames()
	if arch != "" {
		if archs[arch] == nil {
			return nil, "", fmt.Errorf("-arch is %q, want one of %s", arch, strings.Join(names, ", "))
		}
		names = []string{arch}
	}
	f, err := safetensors.Open(path)
	if err != nil {
		return nil, "", fmt.Errorf("-model: %w", err)
	}
	defer f.Close()
	var why []string
	for _, name := range names {
		net, err := archs[name](f)
		if err == nil {
			err = nn.Load(path, net)
		}
		if err == nil {
			return nn.Classifier{Net: net}, name + " from " + path, nil
		}
		why = append(why, fmt.Sprintf("%s: %v", name, err))
	}
	return nil, "", fmt.Errorf("-model %s fits no network:\n  %s", path, strings.Join(why, "\n  "))
}

// trainSmall trains a network for a program started without a model.
func trainSmall(ctx context.Context, env *example.Env) (attack.Model, error) {
	train, _, _, err := env.MNIST(false)
	if err != nil {
		return nil, err
	}
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
