package advcl

import (
	"bytes"
	"context"
	"encoding/json"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/redoubt-ml/redoubt/defense/advcl/cluster"
	"github.com/redoubt-ml/redoubt/tensor"
	"github.com/redoubt-ml/redoubt/tensor/dataset"
	"github.com/redoubt-ml/redoubt/tensor/nn"
	"github.com/redoubt-ml/redoubt/tensor/optim"
	"github.com/redoubt-ml/redoubt/tensor/safetensors"
)

// weights returns all tensors of a network.
func weights(n nn.Layer) (out [][]float64) {
	n.Visit("", func(s nn.Slot) { out = append(out, s.Tensor.Values()) })
	return out
}

func TestSameSeedGivesTheSameWeights(t *testing.T) {
	data := blobs(40, 4, 1)
	train := func(seed uint64, threads int) [][]float64 {
		defer tensor.SetThreads(tensor.Threads())
		tensor.SetThreads(threads)
		c := NewAdvCL(seed).WithPseudoLabels(labels(t, data, 1, 2, 5))
		c.Attack.Steps = 2
		net := network(seed, []int{2, 5}, Routes...)
		require.NoError(t, (&Pretraining{Net: net, Method: c, Data: data, Steps: 3, BatchSize: 16, Seed: seed}).Run(context.Background()))
		return weights(net)
	}
	a := train(1, 1)
	require.True(t, reflect.DeepEqual(a, train(1, 1)))
	require.True(t, reflect.DeepEqual(a, train(1, 4)), "with more threads")
	require.False(t, reflect.DeepEqual(a, train(2, 1)))
}

func TestAStoppedRunGoesOnBitForBit(t *testing.T) {
	data := blobs(40, 4, 1)
	path := filepath.Join(t.TempDir(), "run.safetensors")
	start := func(method func() Method) (*Pretraining, *Network) {
		net := network(1, []int{2, 5}, Routes...)
		return &Pretraining{Net: net, Method: method(), Data: data, Steps: 6, BatchSize: 16, Checkpoint: path}, net
	}
	advcl := func() Method {
		c := NewAdvCL(1).WithPseudoLabels(labels(t, data, 1, 2, 5))
		c.Attack.Steps = 1
		return c
	}
	whole, want := start(advcl)
	whole.Checkpoint = ""
	require.NoError(t, whole.Run(context.Background()))

	first, _ := start(advcl)
	ctx, cancel := context.WithCancel(context.Background())
	first.OnStep = func(p nn.Progress) {
		if p.Step == 3 {
			cancel()
		}
	}
	require.ErrorIs(t, first.Run(ctx), context.Canceled)
	second, got := start(advcl)
	require.NoError(t, second.Run(context.Background()))
	require.True(t, reflect.DeepEqual(weights(want), weights(got)))

	other, _ := start(func() Method {
		c := advcl().(*Contrastive)
		c.Attack.Eps /= 2
		return c
	})
	require.ErrorContains(t, other.Run(context.Background()), "settings is")
}

// A file of another network, with a name more, less or changed, or another number of
// sets of statistics, is refused.
func TestLoadingIsStrict(t *testing.T) {
	dir := t.TempDir()
	net := network(1, nil, Routes...)
	path := filepath.Join(dir, "net.safetensors")
	require.NoError(t, nn.Save(path, net))
	require.NoError(t, nn.Load(path, network(2, nil, Routes...)))
	require.Error(t, nn.Load(path, network(2, nil, Clean, Attacked)))
	require.Error(t, nn.Load(path, network(2, nil)))
	for name, change := range map[string]func(c map[string]*tensor.Tensor){
		"renamed": func(c map[string]*tensor.Tensor) {
			c["encoder.bn1.gpd.weight"] = c["encoder.bn1.pgd.weight"]
			delete(c, "encoder.bn1.pgd.weight")
		},
		"dropped": func(c map[string]*tensor.Tensor) { delete(c, "encoder.bn1.pgd.weight") },
		"added":   func(c map[string]*tensor.Tensor) { c["module.x"] = tensor.Zeros(tensor.Float32, 1) },
		"shape":   func(c map[string]*tensor.Tensor) { c["encoder.bn1.weight"] = tensor.Zeros(tensor.Float32, 1) },
	} {
		f, err := safetensors.Open(path)
		require.NoError(t, err)
		c := safetensors.Contents{Tensors: map[string]*tensor.Tensor{}}
		for _, n := range f.Names() {
			c.Tensors[n], err = f.Tensor(n)
			require.NoError(t, err)
		}
		f.Close()
		change(c.Tensors)
		bad := filepath.Join(dir, name)
		require.NoError(t, safetensors.Write(bad, c))
		into := network(3, nil, Routes...)
		before := weights(into)
		require.Error(t, nn.Load(bad, into), name)
		require.True(t, reflect.DeepEqual(before, weights(into)))
	}
}

func TestExtractionNamesWhatIsMissing(t *testing.T) {
	net := network(1, nil, Clean, Attacked)
	_, err := net.Encoder.Extract("gpd")
	require.ErrorContains(t, err, `no set of normalisation statistics "gpd", want one of ["normal" "pgd"]`)
	_, err = net.Encoder.Extract(Attacked)
	require.ErrorContains(t, err, "no batch has entered")
	require.NoError(t, net.Encoder.Calibrate(context.Background(), Attacked, blobs(8, 2, 1), 1))
	_, err = net.Encoder.Extract(Attacked)
	require.NoError(t, err)
	_, err = net.Encoder.Extract(Clean)
	require.ErrorContains(t, err, "no batch has entered")
}

// failing is a context that is cancelled from the n-th question on.
type failing struct {
	context.Context
	left int
}

func (f *failing) Err() error {
	if f.left--; f.left < 0 {
		return context.Canceled
	}
	return nil
}

// Calibration puts the statistics of the images where others were: those of a batch, or
// the mean over several.
func TestCalibrationIsThatOfTheImages(t *testing.T) {
	data := blobs(2*128+10, 4, 1)
	ctx := context.Background()
	calibrated := func(ctx context.Context, data *dataset.Set, batches int) (e *Encoder, stats []*tensor.Tensor, err error) {
		e = network(1, nil, Clean, Attacked).Encoder
		for i, l := range e.norms {
			l.Momentum = 0.01 * float64(i)
			for k := range l.Sets[1].Mean.Len() {
				l.Sets[1].Mean.Set(5, k)
				l.Sets[1].Var.Set(7, k)
			}
		}
		err = e.Calibrate(ctx, Attacked, data, batches)
		for i, l := range e.norms {
			require.Equal(t, 0.01*float64(i), l.Momentum)
			require.Zero(t, tensor.MaxAbs(l.Sets[0].Mean), "other sets stay")
			stats = append(stats, l.Sets[1].Mean, l.Sets[1].Var)
		}
		return e, stats, err
	}
	same := func(want, got []*tensor.Tensor) {
		for i := range want {
			require.InDeltaSlice(t, want[i].Values(), got[i].Values(), 1e-5)
		}
	}
	part := func(from int) *dataset.Set {
		idx := make([]int, 128)
		for i := range idx {
			idx[i] = from + i
		}
		return data.Subset(idx)
	}

	e, first, err := calibrated(ctx, data, 1)
	require.NoError(t, err)
	x, _ := part(0).All()
	values := tensor.Reshape(e.convs[0].Forward(&nn.Pass{}, x), -1, tiny.Stem)
	mean, n := tensor.Mean(values, 0), float64(values.Dim(0))
	variance := tensor.MulScalar(tensor.Sum(tensor.Square(tensor.Sub(values, mean)), 0), 1/(n-1))
	same([]*tensor.Tensor{mean, variance}, first)

	_, second, err := calibrated(ctx, part(128), 1)
	require.NoError(t, err)
	var both []*tensor.Tensor
	for i := range first {
		both = append(both, tensor.MulScalar(tensor.Add(first[i], second[i]), 0.5))
	}
	require.Greater(t, tensor.MaxAbs(tensor.Sub(first[0], second[0])), 1e-3)
	for _, batches := range []int{2, 9} {
		_, all, err := calibrated(ctx, data, batches)
		require.NoError(t, err)
		same(both, all)
	}
	_, stopped, err := calibrated(&failing{ctx, 1}, data, 2)
	require.ErrorIs(t, err, context.Canceled)
	same(first, stopped)
}

// The default learning rate reaches its floor with the last step, also if the last
// batch of an epoch is smaller.
func TestTheDefaultScheduleIsAsLongAsTheRun(t *testing.T) {
	var rates []float64
	run := Pretraining{Net: network(1, nil), Method: NewSimCLR(1), Data: blobs(16, 4, 1), Epochs: 4, BatchSize: 10,
		OnStep: func(p nn.Progress) { rates = append(rates, p.LR) }}
	require.NoError(t, run.Run(context.Background()))
	require.Len(t, rates, 8)
	peak := 0.5 * 10 / 512
	want, err := StepCosine{LR: peak, Steps: 8, Floor: peak / 1000}.Schedule()
	require.NoError(t, err)
	for step, rate := range rates {
		require.InDelta(t, want(step), rate, 1e-12)
	}
	require.Greater(t, rates[6], 2*rates[7])
}

func TestPretrainingLearns(t *testing.T) {
	data := blobs(128, 64, 1)
	c := NewAdvCL(1)
	c.Attack.Steps, c.Attack.StepSize = 1, defaultEps
	// Small images have less to lose.
	c.Views[High] = View{Of: Weak, High: 2, Stats: Clean}
	var first, last float64
	net := network(1, nil, Clean, Attacked)
	run := Pretraining{Net: net, Method: c, Data: data, Steps: 100, BatchSize: 16, Schedule: optim.Constant(0.05), OnStep: func(p nn.Progress) {
		if p.Step == 0 {
			first = p.Loss
		}
		last = p.Loss
	}}
	require.NoError(t, run.Run(context.Background()))
	require.Less(t, last, first)
	require.Less(t, last, 0.9*math.Log(4*16-1)*0.5/0.07)
	require.Greater(t, last, NTXent{}.Bound(4, 16)*0.5/0.07)
}

func TestPseudoLabelsSurviveAFile(t *testing.T) {
	data := blobs(20, 4, 1)
	l := labels(t, data, 1, 2, 5)
	path := filepath.Join(t.TempDir(), "labels.json")
	require.NoError(t, l.Save(path))
	got, err := LoadPseudoLabels(path)
	require.NoError(t, err)
	require.Equal(t, l, got)
	require.Equal(t, l.String(), got.String())
	require.NoError(t, got.Fits(data))
	unlabelled := *data
	unlabelled.Labels, unlabelled.Classes = nil, 0
	require.NoError(t, got.Fits(&unlabelled), "labels of the data do not count")
	require.Equal(t, 20, l.Heads[1].Sizes[0]+l.Heads[1].Sizes[1]+l.Heads[1].Sizes[2]+l.Heads[1].Sizes[3]+l.Heads[1].Sizes[4])
}

func TestPseudoLabelsOfOtherImagesAreRefused(t *testing.T) {
	data := blobs(20, 4, 1)
	l := labels(t, data, 1, 2, 5)
	order := rand.New(rand.NewPCG(1, 1)).Perm(20)
	require.ErrorContains(t, l.Fits(data.Subset(order)), "belong to another set or order")
	require.ErrorContains(t, l.Fits(blobs(19, 4, 1)), "20 labels for 19 images")
	for want, change := range map[string]func(l *PseudoLabels){
		"label of image 3 is 2, want -1 to 1":  func(l *PseudoLabels) { l.Heads[0].ID[3] = 2 },
		"label of image 3 is -2, want -1 to 1": func(l *PseudoLabels) { l.Heads[0].ID[3] = -2 },
		"has 1 labels, want at least 2":        func(l *PseudoLabels) { l.Heads[0].K = 1 },
		"30 different labels":                  func(l *PseudoLabels) { l.Heads[0].K = 30 },
		"no labellings":                        func(l *PseudoLabels) { l.Heads = nil },
	} {
		bad := labels(t, data, 1, 2, 5)
		change(bad)
		require.ErrorContains(t, bad.Fits(data), want)
		text, err := json.Marshal(bad)
		require.NoError(t, err)
		_, err = ReadPseudoLabels(bytes.NewReader(text))
		require.Error(t, err)
	}
	for want, text := range map[string]string{
		"unknown field":     `{"data": "", "heads": [], "more": 1}`,
		"checksum":          `{"data": "12", "heads": []}`,
		"invalid character": `x`,
		"more text":         `{"data": "` + strings.Repeat("00", 32) + `", "heads": [{"k": 2, "id": [0, 1]}]} {}`,
	} {
		_, err := ReadPseudoLabels(strings.NewReader(text))
		require.ErrorContains(t, err, want)
	}
	_, err := LoadPseudoLabels(filepath.Join(t.TempDir(), "none"))
	require.ErrorIs(t, err, os.ErrNotExist)
	path := filepath.Join(t.TempDir(), "labels.json")
	require.NoError(t, os.WriteFile(path, []byte("{}"), 0o600))
	_, err = LoadPseudoLabels(path)
	require.ErrorContains(t, err, "advcl: pseudo-labels: "+path+": checksum of the images is")
	zero := tensor.Normal(rand.New(rand.NewPCG(1, 9)), tensor.Float32, 0, 1, 20, 3)
	for k := range 3 {
		zero.Set(0, 4, k)
	}
	_, err = Cluster(context.Background(), data, zero, cluster.KMeans{}, 2)
	require.ErrorContains(t, err, "1 of 20 features are 0")
	zero.Set(math.NaN(), 4, 0)
	_, err = Cluster(context.Background(), data, zero, cluster.KMeans{}, 2)
	require.ErrorContains(t, err, "not finite")
	_, err = Cluster(context.Background(), blobs(19, 2, 1), zero, cluster.KMeans{}, 2)
	require.ErrorContains(t, err, "want [19 D]")
	_, err = Cluster(context.Background(), nil, zero, cluster.KMeans{}, 2)
	require.ErrorContains(t, err, "advcl: pseudo-labels: no images")
	_, err = Cluster(context.Background(), data, nil, cluster.KMeans{}, 2)
	require.ErrorContains(t, err, "advcl: pseudo-labels: no features")
	e := network(1, nil).Encoder
	require.ErrorContains(t, e.Calibrate(context.Background(), "", nil, 1), "advcl: no images")
	require.ErrorContains(t, e.Calibrate(context.Background(), "", data.Take(1), 1), "1 batches of 1 images, want at least 1 of at least 2")
}

func FuzzReadPseudoLabels(f *testing.F) {
	f.Add([]byte(`{"data": "` + strings.Repeat("0a", 32) + `", "heads": [{"k": 2, "id": [0, 1, -1]}]}`))
	f.Add([]byte(`{"heads": null}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		l, err := ReadPseudoLabels(bytes.NewReader(text))
		if err != nil {
			return
		}
		again, err := json.Marshal(l)
		require.NoError(t, err)
		got, err := ReadPseudoLabels(bytes.NewReader(again))
		require.NoError(t, err)
		require.Equal(t, l.String(), got.String())
	})
}

// What does not fit is an error before the first step, and nothing changes.
func TestPretrainingRefusesWhatDoesNotFit(t *testing.T) {
	data := blobs(20, 4, 1)
	grey, wide, none := *data, *data, *data
	grey.C, grey.Bytes = 1, data.Bytes[:20*256]
	wide.H, wide.W = 8, 32
	none.Bytes, none.Labels = nil, nil
	none.Classes = 0
	bright := *data
	bright.Bytes, bright.Floats = nil, make([]float32, len(data.Bytes))
	bright.Floats[7] = float32(math.NaN())
	outside := *data
	outside.Bytes, outside.Floats = nil, make([]float32, len(data.Bytes))
	outside.Floats[7] = 1.5
	for want, change := range map[string]func(p *Pretraining, c *Contrastive){
		"1.5":                        func(p *Pretraining, _ *Contrastive) { p.Data = &outside },
		"have 1 channels, want 3":    func(p *Pretraining, _ *Contrastive) { p.Data = &grey },
		"8x32, want square":          func(p *Pretraining, _ *Contrastive) { p.Data = &wide },
		"no images":                  func(p *Pretraining, _ *Contrastive) { p.Data = &none },
		"NaN":                        func(p *Pretraining, _ *Contrastive) { p.Data = &bright },
		"no network":                 func(p *Pretraining, _ *Contrastive) { p.Net = nil },
		"no method":                  func(p *Pretraining, _ *Contrastive) { p.Method = nil },
		"0 steps and 0 epochs":       func(p *Pretraining, _ *Contrastive) { p.Steps = 0 },
		"2 steps and 3 epochs":       func(p *Pretraining, _ *Contrastive) { p.Epochs = 3 },
		"-1 epochs":                  func(p *Pretraining, _ *Contrastive) { p.Steps, p.Epochs = 0, -1 },
		"batches of 1 images":        func(p *Pretraining, _ *Contrastive) { p.BatchSize = 1 },
		"batches of 21 images":       func(p *Pretraining, _ *Contrastive) { p.BatchSize = 21 },
		"eps is -1":                  func(_ *Pretraining, c *Contrastive) { c.Attack.Eps = -1 },
		"eps is 1,":                  func(_ *Pretraining, c *Contrastive) { c.Attack.Eps = 1 },
		"step size is -1":            func(_ *Pretraining, c *Contrastive) { c.Attack.StepSize = -1 },
		"-1 steps":                   func(_ *Pretraining, c *Contrastive) { c.Attack.Steps = -1 },
		"temperature is -1":          func(_ *Pretraining, c *Contrastive) { c.Terms[0].Loss.Temperature = -1 },
		"weight is -1":               func(_ *Pretraining, c *Contrastive) { c.Terms[0].Weight = -1 },
		"pseudo-labels: weight is":   func(_ *Pretraining, c *Contrastive) { c.Pseudo.Weight = -1 },
		"no terms":                   func(_ *Pretraining, c *Contrastive) { c.Terms = nil },
		"attack of term 1":           func(_ *Pretraining, c *Contrastive) { c.Target = 1 },
		"no view named \"zoom\"":     func(_ *Pretraining, c *Contrastive) { c.Terms[0].Views[1] = "zoom" },
		"made of itself":             func(_ *Pretraining, c *Contrastive) { c.Views[High] = View{Of: High} },
		"which is attacked":          func(_ *Pretraining, c *Contrastive) { c.Views[High] = View{Of: Adversarial} },
		"removes every frequency":    func(_ *Pretraining, c *Contrastive) { c.Views[High] = View{High: 12} },
		"above 3 and below 4":        func(_ *Pretraining, c *Contrastive) { c.Views[High] = View{High: 3, Low: 4} },
		"Scale is":                   func(_ *Pretraining, c *Contrastive) { c.Views[Strong1] = View{Augment: Strong(-1, 1)} },
		"want one named \"other\"":   func(_ *Pretraining, c *Contrastive) { c.Views[High] = View{Stats: "other"} },
		"chunks of 1 images":         func(_ *Pretraining, c *Contrastive) { c.Chunk = 1 },
		"no labels, want a table":    func(_ *Pretraining, c *Contrastive) { c.Pseudo.Labels = nil },
		"1 heads for 2 labellings":   func(p *Pretraining, _ *Contrastive) { p.Net.Heads = p.Net.Heads[:1] },
		"head 1 has 5 classes, want": func(_ *Pretraining, c *Contrastive) { c.Pseudo.Labels = labels(t, data, 1, 2, 6) },
		"not in term 1": func(_ *Pretraining, c *Contrastive) {
			c.Terms = append(c.Terms, Term{Views: []string{Strong1, Weak}})
			c.Target = 1
		},
	} {
		net := network(1, []int{2, 5}, Routes...)
		c := NewAdvCL(1).WithPseudoLabels(labels(t, data, 1, 2, 5))
		run := &Pretraining{Net: net, Method: c, Data: data, Steps: 2, BatchSize: 10}
		change(run, c)
		before := weights(net)
		require.ErrorContains(t, run.Run(context.Background()), want)
		require.True(t, reflect.DeepEqual(before, weights(net)))
	}
	require.ErrorContains(t, network(1, nil).Encoder.Calibrate(context.Background(), "", &grey, 1), "1 channels")
	require.ErrorContains(t, network(1, nil).Encoder.Calibrate(context.Background(), "", data, 0), "0 batches")
}
