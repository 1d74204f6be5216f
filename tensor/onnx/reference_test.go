package onnx

import (
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/redoubt-ml/redoubt/internal/realdata"
	"github.com/redoubt-ml/redoubt/tensor"
	"github.com/redoubt-ml/redoubt/tensor/dataset"
	"github.com/redoubt-ml/redoubt/tensor/nn"
)

// reference is what a model's ref.json of the peer framework holds.
type reference struct {
	TestAccuracy float64 `json:"test_accuracy"`
	First16      struct {
		Labels []int
		Logits [][]float64
	}
	Image0 gradientReference `json:"input_gradient_image0"`
	Wrong  gradientReference `json:"input_gradient_image0_wrong_label"`
}

type gradientReference struct {
	Label   int
	L1      float64 `json:"l1_norm_float64"`
	L2      float64 `json:"l2_norm_float64"`
	Entries []struct {
		Index int     // into [C, H, W]
		Value float64 `json:"value_float64"`
	}
}

// Models of the peer framework give its logits to 1e-4 and its input gradients
// to 1e-3, on the real images.
func TestReferenceModels(t *testing.T) {
	data := realdata.Dir(t)
	for _, m := range []struct {
		name, ref, data string
	}{
		{"mnist-cnn", "mnist-cnn", "mnist"},
		{"mnist-cnn-at", "mnist-cnn-at", "mnist"},
		{"mnist-pool", "mnist-pool", "mnist"},
		{"mlp", "mlp", "mnist"},
		{"cifar-resnet8", "cifar-resnet8", "cifar10"},
		{"cifar-resnet8-bn", "cifar-resnet8", "cifar10"},
	} {
		t.Run(m.name, func(t *testing.T) {
			raw, err := os.ReadFile(realdata.File(t, "models", m.ref+".ref.json"))
			require.NoError(t, err)
			var ref reference
			require.NoError(t, json.Unmarshal(raw, &ref))
			net, err := Open(realdata.File(t, "models", m.name+".onnx"))
			require.NoError(t, err)
			set, err := dataset.Load(data, m.data, dataset.Test)
			realdata.Found(t, err)
			x, y := set.Take(16).All()
			require.Equal(t, ref.First16.Labels, y)
			require.Equal(t, x.Shape()[1:], net.InputShape())
			require.Equal(t, []int{10}, net.OutputShape())
			logits := net.Forward(&nn.Pass{}, x)
			for i, row := range ref.First16.Logits {
				for j, want := range row {
					require.InDelta(t, want, logits.At(i, j), 1e-4, "image %d, class %d", i, j)
				}
			}
			x0, _ := set.Take(1).All()
			h, w, c := x0.Dim(1), x0.Dim(2), x0.Dim(3)
			for _, g := range []gradientReference{ref.Image0, ref.Wrong} {
				in := tensor.NewTape().Watch(x0)
				d := tensor.Grad(tensor.Sum(tensor.CrossEntropy(net.Forward(&nn.Pass{}, in), []int{g.Label})), in)[0]
				l2 := math.Sqrt(tensor.Dot(d, d).Item())
				assert.InEpsilon(t, g.L2, l2, 1e-3)
				assert.InEpsilon(t, g.L1, tensor.Sum(tensor.Abs(d)).Item(), 1e-3)
				for _, e := range g.Entries {
					got := d.At(0, e.Index/w%h, e.Index%w, e.Index/(h*w)%c)
					assert.InDelta(t, e.Value, got, 1e-3*l2, "entry %d", e.Index)
				}
			}
		})
	}
}

// Every broken file of the collection is refused with an error that says where,
// and the valid ones are read.
func TestBrokenFiles(t *testing.T) {
	dir := realdata.File(t, "models", "broken")
	raw, err := os.ReadFile(filepath.Join(dir, "index.json"))
	require.NoError(t, err)
	var index []struct {
		File, What string
		Valid      bool
	}
	require.NoError(t, json.Unmarshal(raw, &index))
	files := 0
	for _, f := range index {
		if !strings.HasSuffix(f.File, ".onnx") {
			continue
		}
		files++
		m, err := Open(filepath.Join(dir, f.File))
		switch {
		case f.Valid, f.File == "bad-dtype-double.onnx":
			if assert.NoError(t, err, f.What) && f.File != "good-conv.onnx" {
				y := m.Forward(&nn.Pass{}, tensor.FromFloat32([]float32{1, -2, 0.5, 0.25}, 1, 4))
				assert.InDeltaSlice(t, []float64{8.124905586242676, -2.008787155151367}, y.Values(), 1e-5, f.File)
			}
		default:
			assert.Error(t, err, "%s: %s", f.File, f.What)
		}
	}
	require.Equal(t, 42, files)
}
