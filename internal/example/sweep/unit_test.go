package sweep

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
)

// Whatever the numbers, every unit is in exactly one shard, no shard has more than one
// unit more than another, and every unit has a file of its own.
func TestShardsCoverEveryUnitOnce(t *testing.T) {
	for seed := range uint64(200) {
		rng := rand.New(rand.NewPCG(seed, 1))
		r := Range{First: rng.Uint64N(1000), Seeds: 1 + rng.IntN(40)}
		for i := range rng.IntN(5) {
			r.Values = append(r.Values, fmt.Sprintf("method %d/x", i))
		}
		require.NoError(t, r.Validate())
		all := r.Units()
		require.Len(t, all, r.Seeds*max(1, len(r.Values)))
		n := 1 + rng.IntN(60)
		seen, files := map[Unit]int{}, map[string]bool{}
		for i := 1; i <= n; i++ {
			part := Shard{i, n}.Of(all)
			require.InDelta(t, float64(len(all))/float64(n), len(part), 1, "seed %d", seed)
			for _, u := range part {
				require.True(t, r.holds(u))
				seen[u]++
				files[u.FileName("p")] = true
			}
		}
		require.Len(t, seen, len(all), "seed %d", seed)
		require.Len(t, files, len(all), "seed %d", seed)
		for u, times := range seen {
			require.Equal(t, 1, times, "seed %d: %v", seed, u)
		}
		require.False(t, r.holds(Unit{r.First + uint64(r.Seeds), all[0].Value}))
	}
}

func TestRangesAreChecked(t *testing.T) {
	require.NoError(t, Range{First: math.MaxUint64, Seeds: 1}.Validate())
	for want, r := range map[string]Range{
		"0 seeds":            {},
		"-1 seeds":           {Seeds: -1},
		"want 1 to 1000000":  {Seeds: 500_001, Values: []string{"a", "b"}},
		"none above 1844674": {First: math.MaxUint64, Seeds: 2},
		"each once":          {Seeds: 1, Values: []string{"a", "a"}},
		"none empty":         {Seeds: 1, Values: []string{""}},
	} {
		require.ErrorContains(t, r.Validate(), want)
	}
}

func TestShardsAreRead(t *testing.T) {
	slurm := func(id, low, high, step, count string) map[string]string {
		return map[string]string{"SLURM_ARRAY_TASK_ID": id, "SLURM_ARRAY_TASK_MIN": low, "SLURM_ARRAY_TASK_MAX": high, "SLURM_ARRAY_TASK_STEP": step, "SLURM_ARRAY_TASK_COUNT": count}
	}
	kubernetes := func(index, completions string) map[string]string {
		return map[string]string{"JOB_COMPLETION_INDEX": index, "JOB_COMPLETIONS": completions}
	}
	both := slurm("1", "1", "4", "1", "4")
	both["JOB_COMPLETION_INDEX"] = "0"
	for _, c := range []struct {
		text string
		env  map[string]string
		want Shard
		err  string
	}{
		{"1/1", nil, Shard{1, 1}, ""},
		{"3/8", both, Shard{3, 8}, ""},
		{"0/8", nil, Shard{}, `"0/8", want i/n with i from 1 to n`},
		{"9/8", nil, Shard{}, `"9/8"`},
		{"2", nil, Shard{}, `"2"`},
		{"a/b", nil, Shard{}, `"a/b"`},
		{"1/2/3", nil, Shard{}, `"1/2/3"`},
		{"-1/-1", nil, Shard{}, `"-1/-1"`},
		{"env", nil, Shard{}, "neither SLURM_ARRAY_TASK_ID nor JOB_COMPLETION_INDEX is set"},
		{"env", both, Shard{}, "both SLURM_ARRAY_TASK_ID and JOB_COMPLETION_INDEX"},
		{"env", slurm("1", "1", "4", "1", "4"), Shard{1, 4}, ""},
		{"env", slurm("0", "0", "3", "1", "4"), Shard{1, 4}, ""},
		{"env", slurm("15", "7", "15", "4", "3"), Shard{3, 3}, ""},
		{"env", slurm("5", "5", "5", "1", "1"), Shard{1, 1}, ""},
		{"env", slurm("3", "0", "5", "1", "3"), Shard{}, "evenly spaced"},
		{"env", slurm("6", "0", "5", "1", "6"), Shard{}, "want 0 to 5"},
		{"env", slurm("x", "0", "5", "1", "6"), Shard{}, `SLURM_ARRAY_TASK_ID is "x"`},
		{"env", slurm("1", "0", "5", "0", "6"), Shard{}, "evenly spaced"},
		{"env", kubernetes("0", "4"), Shard{1, 4}, ""},
		{"env", kubernetes("3", "4"), Shard{4, 4}, ""},
		{"env", kubernetes("4", "4"), Shard{}, "JOB_COMPLETION_INDEX is 4 and JOB_COMPLETIONS 4"},
		{"env", kubernetes("1", "99999999999"), Shard{}, `JOB_COMPLETIONS is "99999999999"`},
		{"env", map[string]string{"JOB_COMPLETION_INDEX": "0"}, Shard{}, "JOB_COMPLETIONS is not set"},
	} {
		got, err := ParseShard(c.text, func(name string) (string, bool) { v, ok := c.env[name]; return v, ok })
		if c.err != "" {
			require.ErrorContains(t, err, c.err, "%+v", c)
			continue
		}
		require.NoError(t, err, "%+v", c)
		require.Equal(t, c.want, got)
	}
}
