package minmax_test

import (
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	. "github.com/redoubt-ml/redoubt/attack/minmax"
)

func matrix(rows ...string) (out [][]bool) {
	for _, r := range rows {
		row := make([]bool, len(r))
		for i := range r {
			row[i] = r[i] == '1'
		}
		out = append(out, row)
	}
	return out
}

func TestScoresOfFiveImages(t *testing.T) {
	s := Score(matrix("1101", "1111", "0111", "1111", "1011"))
	require.Equal(t, 5, s.Rows)
	require.InDelta(t, 0.4, s.All.Value, 1e-12)
	require.InDelta(t, 0.85, s.Avg.Value, 1e-12)
	for i, want := range []float64{0.2, 0.2, 0.2, 0} {
		require.InDelta(t, want, s.Acc[i].Value, 1e-12)
	}
	// Clopper and Pearson's interval of 2 in 5, as tables give it.
	require.InDelta(t, 0.0527, s.All.Lo, 1e-4)
	require.InDelta(t, 0.8534, s.All.Hi, 1e-4)
	require.Zero(t, s.Acc[3].Lo)
}

func TestScoreIdentities(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 1))
	for range 200 {
		fooled := make([][]bool, 1+r.IntN(30))
		k := 1 + r.IntN(6)
		for i := range fooled {
			fooled[i] = make([]bool, k)
			for j := range fooled[i] {
				fooled[i][j] = r.IntN(4) > 0
			}
		}
		s := Score(fooled)
		sum, most := 0.0, 0.0
		for _, a := range s.Acc {
			sum += a.Value
			most = max(most, a.Value)
			require.True(t, a.Lo <= a.Value && a.Value <= a.Hi)
		}
		require.InDelta(t, 1-sum/float64(k), s.Avg.Value, 1e-12)
		require.LessOrEqual(t, s.All.Value, 1-most+1e-12)
		require.GreaterOrEqual(t, s.All.Value, 1-sum-1e-12)
		require.LessOrEqual(t, s.All.Value, s.Avg.Value+1e-12)
		require.True(t, s.Avg.Lo <= s.Avg.Value && s.Avg.Value <= s.Avg.Hi)
	}
}

// The lifts of the paper's first table, from its columns of ASR_all on 10,000
// images.
func TestLiftsOfTheFirstTable(t *testing.T) {
	for _, c := range []struct{ average, minmax, want float64 }{
		{84.03, 91.97, 9.45}, {69.31, 89.16, 28.64}, {69.12, 95.31, 37.89}, {48.17, 90.16, 87.17},
	} {
		rows := func(asr float64) [][]bool {
			out := make([][]bool, 10000)
			for i := range out {
				out[i] = []bool{float64(i) < 100*asr-0.5}
			}
			return out
		}
		lift, ok := LiftOf(rows(c.minmax), rows(c.average))
		require.True(t, ok)
		require.InDelta(t, c.want, lift.Percent, 0.006)
		require.True(t, lift.Lo < lift.Percent && lift.Percent < lift.Hi)
	}
	_, ok := LiftOf(matrix("10"), matrix("11"))
	require.False(t, ok)
	same, ok := LiftOf(matrix("11", "10"), matrix("11", "10"))
	require.True(t, ok)
	require.Equal(t, Lift{Rows: 2}, same, "the same rows leave no doubt")
}

// The interval of a lift covers the truth about as often as it says.
func TestIntervalOfLiftCovers(t *testing.T) {
	r := rand.New(rand.NewPCG(2, 2))
	const trials, n = 1000, 300
	covered := 0
	for range trials {
		a, b := make([][]bool, n), make([][]bool, n)
		for i := range a {
			u := r.Float64() // paired: the same difficulty for both
			a[i], b[i] = []bool{u+0.3*(r.Float64()-0.5) < 0.6}, []bool{u+0.3*(r.Float64()-0.5) < 0.4}
		}
		lift, ok := LiftOf(a, b)
		require.True(t, ok)
		if lift.Lo <= 50 && 50 <= lift.Hi {
			covered++
		}
	}
	require.InDelta(t, 950, covered, 30)
}

// What an interrupted attack has not reached does not count, on either side.
func TestRowsThatWereNotReachedDoNotCount(t *testing.T) {
	partial := matrix("11", "10", "11")
	partial[0], partial = nil, append(partial, nil)
	require.Equal(t, Score(matrix("10", "11")), Score(partial))
	require.Equal(t, 2, Score(partial).Rows)
	require.Equal(t, Scores{}, Score(nil))
	require.Equal(t, Scores{}, Score(make([][]bool, 3)))

	other := matrix("11", "11", "11", "11")
	want, ok := LiftOf(matrix("10", "11"), matrix("11", "11"))
	require.True(t, ok)
	lift, ok := LiftOf(partial, other)
	require.True(t, ok)
	require.Equal(t, want, lift)
	require.Equal(t, 2, lift.Rows)
	lift, ok = LiftOf(other, partial)
	require.True(t, ok)
	require.Equal(t, 2, lift.Rows)
	_, ok = LiftOf(nil, nil)
	require.False(t, ok)
	_, ok = LiftOf(make([][]bool, 4), other)
	require.False(t, ok)

	clean := matrix("00", "00", "01", "00")
	require.Equal(t, matrix("10"), Filter(partial, clean))
	require.Equal(t, matrix("10"), Filter(matrix("11", "10", "11"), [][]bool{nil, {false, false}, {true, false}}))
	require.Panics(t, func() { Score(matrix("10", "1")) })
}

func TestFilterKeepsRowsThatWereRight(t *testing.T) {
	require.Equal(t, matrix("11", "10"), Filter(matrix("11", "01", "10"), matrix("00", "01", "00")))
}

func TestSpread(t *testing.T) {
	s := NewSpread([]float64{4, 1, 3, 2, 0})
	require.Equal(t, 0.0, s.Min)
	require.Equal(t, 4.0, s.Max)
	require.Equal(t, 2.0, s.Mean)
	require.Equal(t, []float64{1, 2, 3}, []float64{s.Q1, s.Median, s.Q3})
	s = NewSpread([]float64{4, 0, 1, 3})
	require.Equal(t, []float64{0.75, 2, 3.25}, []float64{s.Q1, s.Median, s.Q3})
	require.Equal(t, Spread{Min: 5, Q1: 5, Median: 5, Q3: 5, Max: 5, Mean: 5}, NewSpread([]float64{5}))
}
