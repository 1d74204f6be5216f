package poison_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/redoubt-ml/redoubt/internal/realdata"
	"github.com/redoubt-ml/redoubt/poison"
	"github.com/redoubt-ml/redoubt/poison/uda"
	"github.com/redoubt-ml/redoubt/tensor/dataset"
)

// From MNIST to USPS, a tenth of mislabelled target images takes most of the target's
// accuracy and none of the source's, and the answers are those that were taught; the
// same number of mislabelled source images does little.
func TestRealPoisonIsLearntForTheTargetOnly(t *testing.T) {
	dir := realdata.Dir(t)
	load := func(name string, split dataset.Split, n int) *dataset.Set {
		s, err := dataset.Load(dir, name, split)
		realdata.Found(t, err)
		return s.Take(n).Resize(28, 28)
	}
	source, target := load("mnist", dataset.Train, 1000), load("usps", dataset.Train, 900)
	sourceTest, targetTest := load("mnist", dataset.Test, 500), load("usps", dataset.Test, 500)
	run := func(b poison.Builder) (onSource, onTarget uda.Evaluation) {
		tr := uda.Training{Method: uda.SourceOnly{}, Arch: uda.Digits(), Source: source, Target: target, Epochs: 12, BatchSize: 32, Seed: 1}
		if b != nil {
			p, err := b.Build(source, target)
			require.NoError(t, err)
			require.Equal(t, 90, p.Set.Len())
			tr.Source = p.Into(source)
		}
		m, err := tr.Run(ctx)
		require.NoError(t, err)
		es, err := uda.Evaluate(ctx, m, sourceTest)
		require.NoError(t, err)
		et, err := uda.Evaluate(ctx, m, targetTest)
		require.NoError(t, err)
		t.Logf("%v: source %.3f, target %.3f, shifted %.3f", b, es.Accuracy, et.Accuracy, et.On(uda.Shifted(10)))
		return es, et
	}
	budget := poison.Budget{Fraction: .1}
	cleanSource, cleanTarget := run(nil)
	badSource, badTarget := run(poison.MislabelledTarget(budget, 2))
	_, mildTarget := run(poison.MislabelledSource(budget, 2))
	require.Greater(t, cleanTarget.Accuracy, .6)
	require.Less(t, badTarget.Accuracy, cleanTarget.Accuracy-.3)
	require.Greater(t, badTarget.On(uda.Shifted(10)), .4)
	require.InDelta(t, cleanSource.Accuracy, badSource.Accuracy, .06)
	require.Greater(t, mildTarget.Accuracy, badTarget.Accuracy+.15)
}
