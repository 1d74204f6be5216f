package fedleak

import (
	"maps"
	"math"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/redoubt-ml/redoubt/tensor"
	"github.com/redoubt-ml/redoubt/tensor/nn"
	"github.com/redoubt-ml/redoubt/tensor/optim"
	"github.com/redoubt-ml/redoubt/tensor/safetensors"
)

func recorded(t testing.TB, f *Federation, rounds int) *Transcript {
	o, err := f.Observe(rounds)
	require.NoError(t, err)
	keep, err := AttackRefs(f.Model)
	require.NoError(t, err)
	tr, err := Record(ctx, f.Model, o, keep)
	require.NoError(t, err)
	return tr
}

func TestTranscriptIsAttackedOffline(t *testing.T) {
	f := dense(t, 16, Uniform{K: 4, Seed: 1})
	want, err := CAFE{}.Run(ctx, f.Model, observe(t, f, 24))
	require.NoError(t, err)
	tr := recorded(t, f, 24)
	path := filepath.Join(t.TempDir(), "rounds.safetensors")
	require.NoError(t, tr.Save(path))
	loaded, err := LoadTranscript(path)
	require.NoError(t, err)
	require.Equal(t, tr.Protocol, loaded.Protocol)
	for i, r := range tr.Seen {
		require.Equal(t, r.IDs, loaded.Seen[i].IDs)
		require.Equal(t, r.Model, loaded.Seen[i].Model)
		require.Len(t, loaded.Seen[i].Gradients, len(r.Gradients))
		for ref, g := range r.Gradients {
			require.Equal(t, g.Values(), loaded.Seen[i].Gradients[ref].Values())
		}
	}
	got, err := CAFE{}.Run(ctx, f.Model, loaded)
	require.NoError(t, err)
	for p := range f.X {
		require.Equal(t, want.Parties[p].X.Values(), got.Parties[p].X.Values())
	}
}

func TestMissingGradientIsNamed(t *testing.T) {
	f := dense(t, 16, Uniform{K: 4, Seed: 1})
	tr := recorded(t, f, 24)
	l, err := f.Model.firstDense(1)
	require.NoError(t, err)
	for i := range tr.Seen {
		delete(tr.Seen[i].Gradients, l.weight)
	}
	_, err = CAFE{}.Run(ctx, f.Model, tr)
	var missing *GradientError
	require.ErrorAs(t, err, &missing)
	require.Equal(t, l.weight, missing.Ref)
	require.ErrorContains(t, err, "not in the transcript")
}

func TestBadTranscriptsAreNamed(t *testing.T) {
	f := dense(t, 6, Uniform{K: 2, Seed: 1})
	dir := t.TempDir()
	good := recorded(t, f, 3)
	for want, change := range map[string]func(*Transcript){
		"no rounds":            func(r *Transcript) { r.Seen = nil },
		"round 1 has no ids":   func(r *Transcript) { r.Seen[1].IDs = nil },
		"id 6, want 0 to 5":    func(r *Transcript) { r.Seen[1].IDs = []int{6, 1} },
		"id 1 twice":           func(r *Transcript) { r.Seen[2].IDs = []int{1, 1} },
		"1 ids, round 0 has 2": func(r *Transcript) { r.Seen[2].IDs = []int{1} },
		"2 ids for 1 samples":  func(r *Transcript) { r.Protocol.Samples = 1 },
		"4 clients":            func(r *Transcript) { r.Protocol.Clients = 4 },
		"1025 samples for 6 ids, want at most 1024": func(r *Transcript) { r.Protocol.Samples = 1025 },
	} {
		bad := &Transcript{Protocol: good.Protocol}
		for _, r := range good.Seen {
			r.Gradients = maps.Clone(r.Gradients)
			bad.Seen = append(bad.Seen, r)
		}
		change(bad)
		path := filepath.Join(dir, "bad")
		require.ErrorContains(t, bad.Save(path), want)
		require.NoFileExists(t, path)
	}
	ids := map[string]safetensors.IntTensor{"0.ids": {Shape: []int{1}, Data: []int64{0}}}
	meta := func(change map[string]string) map[string]string {
		m := map[string]string{"format": transcriptFormat, "setting": `{"samples": 2}`, "rounds": "1", "models": "ff"}
		maps.Copy(m, change)
		return m
	}
	for want, c := range map[string]safetensors.Contents{
		`format is "x"`:      {Ints: ids, Metadata: meta(map[string]string{"format": "x"})},
		"setting":            {Ints: ids, Metadata: meta(map[string]string{"setting": "{"})},
		`"2" rounds`:         {Ints: ids, Metadata: meta(map[string]string{"rounds": "2"})},
		"model of round 0":   {Ints: ids, Metadata: meta(map[string]string{"models": "xyz"})},
		"round 0 has no ids": {Metadata: meta(nil)},
		"belongs to no round": {Ints: map[string]safetensors.IntTensor{"0.ids": ids["0.ids"], "1.ids": ids["0.ids"]},
			Metadata: meta(nil)},
		`named "0.01"`: {Ints: ids, Tensors: map[string]*tensor.Tensor{"0.0.01": tensor.Zeros(tensor.Float32, 1)}, Metadata: meta(nil)},
		`named "x"`:    {Ints: ids, Tensors: map[string]*tensor.Tensor{"0.x": tensor.Zeros(tensor.Float32, 1)}, Metadata: meta(nil)},
	} {
		path := filepath.Join(dir, "file")
		require.NoError(t, safetensors.Write(path, c))
		_, err := LoadTranscript(path)
		require.ErrorContains(t, err, want)
	}
	_, err := LoadTranscript(filepath.Join(dir, "absent"))
	require.ErrorIs(t, err, os.ErrNotExist)
}

func FuzzLoadTranscript(f *testing.F) {
	small := &Transcript{Protocol: Setting{Samples: 3}, Seen: []Round{
		{IDs: []int{0, 2}, Model: 7, Gradients: map[Ref]*tensor.Tensor{{Top, 1}: tensor.Zeros(tensor.Float32, 2), {0, 0}: tensor.Zeros(tensor.Float64, 1, 2)}},
	}}
	path := filepath.Join(f.TempDir(), "seed")
	require.NoError(f, small.Save(path))
	b, err := os.ReadFile(path)
	require.NoError(f, err)
	f.Add(b)
	f.Add([]byte("not a transcript"))
	f.Fuzz(func(t *testing.T, b []byte) {
		path := filepath.Join(t.TempDir(), "file")
		require.NoError(t, os.WriteFile(path, b, 0o600))
		r, err := LoadTranscript(path)
		if err != nil {
			return
		}
		_, err = Identify([][]int{r.Batch(0)}, r.Protocol.Samples)
		require.NoError(t, err)
		require.NoError(t, r.Save(path))
	})
}

// An attack on a model that is being trained answers for its last parameters, less
// exactly the faster they move.
func TestTrainedModelIsAttackedFromItsTranscript(t *testing.T) {
	last := 1000.0
	for _, lr := range []float64{1e-6, 1e-3} {
		f := dense(t, 20, Uniform{K: 4, Seed: 1})
		tr := &Transcript{}
		keep, err := AttackRefs(f.Model)
		require.NoError(t, err)
		require.NoError(t, Training{Steps: 60, LR: optim.Constant(lr), Record: tr, Keep: keep}.Run(ctx, f))
		require.Equal(t, 60, tr.Rounds())
		// The last round belongs to the parameters before the last step.
		_, err = CAFE{}.Run(ctx, f.Model, tr)
		require.ErrorContains(t, err, "Forget")
		_, err = CAFE{Forget: 0.9}.Run(ctx, f.Model, tr)
		require.ErrorContains(t, err, "last round")
		require.NoError(t, tr.Append(ctx, f, 60, keep))
		require.Equal(t, f.Schedule.Batch(60, 20), tr.Batch(60))
		r, err := CAFE{Forget: 0.98}.Run(ctx, f.Model, tr)
		require.NoError(t, err)
		s := NewScore(f.X, r.Images(nil), r.Complete()).Median
		require.Less(t, s, last)
		last = s
	}
	require.Greater(t, last, 15.0)
}

func TestPublishedFollowsATraining(t *testing.T) {
	f := dense(t, 12, Uniform{K: 3, Seed: 2})
	a := Published{Repeat: 10, LR1: 1.0 / 6, LR2: 0.02, Gamma: 1}
	tb, err := a.Start(f.Model, f.Setting(), 3)
	require.NoError(t, err)
	v, _ := truth(t, f, 0, 3)
	before := gapOf(tb, v.RawMatrix().Data)
	for round := range 150 {
		ids := f.Schedule.Batch(round, 12)
		gs, err := f.Upload(ctx, round, ids, f.Model.Refs()...)
		require.NoError(t, err)
		require.NoError(t, tb.Observe(ids, gs))
		(&optim.SGD{}).Step(1e-4, nn.Params(f.Model.Top), gs[len(gs)-2:])
	}
	require.Less(t, gapOf(tb, v.RawMatrix().Data), before/20)
	refs := f.Model.Refs()
	gs, err := f.Upload(ctx, 0, []int{0, 1, 2}, refs...)
	require.NoError(t, err)
	require.ErrorContains(t, tb.Observe([]int{0, 1, 2, 3, 4, 5}, gs), "diverges")
	gs[2] = tensor.Full(tensor.Float64, math.NaN(), gs[2].Shape()...)
	var broken *GradientError
	require.ErrorAs(t, tb.Observe([]int{0, 1, 2}, gs), &broken)
	require.Equal(t, refs[2], broken.Ref)
	gs[2] = tensor.Zeros(tensor.Float64, 2)
	require.ErrorContains(t, tb.Observe([]int{0, 1, 2}, gs), "has shape [2]")
	require.ErrorContains(t, tb.Observe([]int{1, 1, 2}, make([]*tensor.Tensor, len(f.Model.Refs()))), "twice")
	require.ErrorContains(t, tb.Observe([]int{1, 2, 3}, nil), "0 gradients")
}

func gapOf(tb *Tables, v []float64) float64 {
	s := 0.0
	for i, x := range tb.V[0] {
		s += (x - v[i]) * (x - v[i])
	}
	return s
}

func TestRoundsThatCannotBeAppendedAreNamed(t *testing.T) {
	f := dense(t, 6, Uniform{K: 2, Seed: 1})
	tr := &Transcript{}
	require.NoError(t, tr.Append(ctx, f, 4, nil))
	require.Equal(t, f.Schedule.Batch(4, 6), tr.Batch(0))
	require.Len(t, tr.Seen[0].Gradients, len(f.Model.Refs()))
	require.ErrorContains(t, tr.Append(ctx, f, 5, []Ref{{9, 0}}), "belongs to no parameter")
	g := dense(t, 8, Uniform{K: 2, Seed: 1})
	require.ErrorContains(t, tr.Append(ctx, g, 5, nil), "as the federation")
	f.Labels[0] = 99
	require.ErrorContains(t, tr.Append(ctx, f, 5, nil), "label 99")
	g.Model.Top.Layers()[0].(*nn.Linear).Bias.Fill(math.NaN())
	require.ErrorContains(t, (&Transcript{}).Append(ctx, g, 0, nil), "NaN")
	require.Equal(t, 1, tr.Rounds())
}
