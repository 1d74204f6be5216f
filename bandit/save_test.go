package bandit_test

import (
	"bytes"
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/redoubt-ml/redoubt/bandit"
	"github.com/redoubt-ml/redoubt/bandit/env"
)

// A search that is saved and resumed at every step ends exactly as one that is
// not, for every rule and estimator; and the same seed gives the same log.
func TestSaveAndResume(t *testing.T) {
	for name, cfg := range everyRule() {
		t.Run(name, func(t *testing.T) {
			cfg.MaxPulls = 3000
			if _, halving := cfg.Rule.(bandit.SuccessiveHalving); !halving {
				cfg.MaxPulls = 6000
			}
			in := instanceFor(cfg)
			want, err := bandit.Run(ctx, cfg, world(t, in, env.Shift{Offset: 20}, .05, 5).Pull)
			require.NoError(t, err)
			again, err := bandit.Run(ctx, cfg, world(t, in, env.Shift{Offset: 20}, .05, 5).Pull)
			require.NoError(t, err)
			require.Equal(t, fmt.Sprint(want), fmt.Sprint(again))

			w := world(t, in, env.Shift{Offset: 20}, .05, 5)
			s, err := bandit.New(cfg)
			require.NoError(t, err)
			steps := 0
			for !s.Done() {
				if steps++; steps < 40 || steps%97 == 0 {
					var file bytes.Buffer
					require.NoError(t, s.Save(&file))
					s, err = bandit.Resume(cfg, &file)
					require.NoError(t, err)
				}
				arm, n := s.Next()
				x := make([]float64, n)
				require.NoError(t, w.Pull(ctx, arm, x))
				require.NoError(t, s.Observe(arm, x))
			}
			require.Equal(t, fmt.Sprint(want), fmt.Sprint(s.Result()))
			var file bytes.Buffer
			require.NoError(t, s.Save(&file))
			s, err = bandit.Resume(cfg, &file)
			require.NoError(t, err)
			require.True(t, s.Done())
			require.Equal(t, fmt.Sprint(want), fmt.Sprint(s.Result()))
		})
	}
}

func TestRecordAndReplay(t *testing.T) {
	b := env.I2()
	cfg := hm(b)
	var record bytes.Buffer
	want, err := bandit.Run(ctx, cfg, bandit.Record(&record, world(t, b.Instance, env.Shift{Offset: 20}, b.Eps, 3).Pull))
	require.NoError(t, err)
	text := record.String()
	got, err := bandit.Replay(cfg, strings.NewReader(text))
	require.NoError(t, err)
	require.Equal(t, want, got)

	// A record that stops early leaves a search that is running.
	lines := strings.SplitAfter(text, "\n")
	got, err = bandit.Replay(cfg, strings.NewReader(strings.Join(lines[:10], "")))
	require.NoError(t, err)
	require.Equal(t, bandit.Running, got.Outcome)

	for _, c := range []struct{ text, want string }{
		{"x,1\n", `line 1: arm is "x"`},
		{"0,a,1,1,1,1,1,1,1,1,1\n", `line 1: reward 1 of arm 0 is "a"`},
		{"1" + lines[0][1:], "line 1: bandit: Observe: arm 1, want arm 0"},
		{lines[0] + lines[1] + lines[2] + "0,1\n", "line 4: bandit: Observe: arm"},
		{"0,1\n", "line 1: bandit: Observe: arm 0 has 1 rewards, want 10"},
		{"0,NaN,1,1,1,1,1,1,1,1,1\n", "line 1: bandit: Observe: reward NaN at pull 1 of arm 0"},
		{text[:len(text)-1], "no newline at its end"},
		{text[:len(text)-3], "no newline at its end"},
		{text + "0,1\n", fmt.Sprintf("line %d: bandit: the search is over", len(lines))},
		{text + "0", fmt.Sprintf("line %d: the line has no newline", len(lines))},
	} {
		_, err := bandit.Replay(cfg, strings.NewReader(c.text))
		require.ErrorContains(t, err, c.want)
	}
}

// Logged rewards in any order give the search that asking for them would have.
func TestOffline(t *testing.T) {
	b := env.I2()
	cfg := hm(b)
	want, err := bandit.Run(ctx, cfg, world(t, b.Instance, env.Shift{Offset: 20}, b.Eps, 3).Pull)
	require.NoError(t, err)
	cfg.Offline = true
	s, err := bandit.New(cfg)
	require.NoError(t, err)
	w := world(t, b.Instance, env.Shift{Offset: 20}, b.Eps, 3)
	rng := rand.New(rand.NewPCG(1, 1))
	for !s.Done() {
		arm, x := rng.IntN(len(b.Arms)), make([]float64, 1+rng.IntN(40))
		require.NoError(t, w.Pull(ctx, arm, x))
		require.NoError(t, s.Observe(arm, x))
		if rng.IntN(4) == 0 && !s.Done() {
			var file bytes.Buffer
			require.NoError(t, s.Save(&file))
			s, err = bandit.Resume(cfg, &file)
			require.NoError(t, err)
		}
		if arm, n := s.Next(); !s.Done() {
			require.Positive(t, n, "arm %d", arm)
		}
	}
	require.Equal(t, want, s.Result())
	require.Error(t, s.Observe(0, []float64{1}))
}

// A batch that the estimator cannot hold leaves an offline search as it was, even
// when only what was stocked before makes it too much.
func TestOfflineRefusalChangesNothing(t *testing.T) {
	cfg := bandit.Config{Arms: 2, Delta: .1, Estimator: bandit.Mean{Sigma: 1}, Offline: true}
	s, err := bandit.New(cfg)
	require.NoError(t, err)
	big := []float64{1e308, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}
	require.NoError(t, s.Observe(1, big))
	saved := func() string {
		var file bytes.Buffer
		require.NoError(t, s.Save(&file))
		return file.String()
	}
	for range 2 {
		before := saved()
		require.ErrorContains(t, s.Observe(1, big), "passes the largest")
		require.Equal(t, before, saved())
		s, err = bandit.Resume(cfg, strings.NewReader(saved()))
		require.NoError(t, err)
	}
	require.NoError(t, s.Observe(0, make([]float64, 10)))
	require.Equal(t, 20, s.Result().Pulls)
}

// Rewards of both infinities among those kept leave a search that can be saved.
func TestSaveAfterInfinities(t *testing.T) {
	for _, eta := range []float64{1, 1.1} {
		cfg := bandit.Config{Arms: 2, Delta: .1, Eps: .05, Estimator: bandit.TrimmedMean{Sigma: 1}, Eta: eta}
		s, err := bandit.New(cfg)
		require.NoError(t, err)
		for range 50 {
			arm, n := s.Next()
			x := make([]float64, n)
			for i := range x {
				x[i] = math.Inf(1 - 2*((i+s.Result().Pulls)%2))
			}
			require.NoError(t, s.Observe(arm, x))
			var file bytes.Buffer
			require.NoError(t, s.Save(&file))
			s, err = bandit.Resume(cfg, &file)
			require.NoError(t, err)
		}
	}
}

// A search that ran out of budget goes on with a larger one, to the same end as if it had
// had that from the beginning; not halving, which shares it out.
func TestMoreBudget(t *testing.T) {
	for name, cfg := range everyRule() {
		for _, offline := range []bool{false, true} {
			cfg.Offline, cfg.MaxPulls = offline, 20000
			in := instanceFor(cfg)
			run := func(s *bandit.Search, w *env.World) bandit.Result {
				for !s.Done() {
					arm, n := s.Next()
					x := make([]float64, n)
					require.NoError(t, w.Pull(ctx, arm, x))
					require.NoError(t, s.Observe(arm, x))
				}
				return s.Result()
			}
			s, err := bandit.New(cfg)
			require.NoError(t, err)
			want := run(s, world(t, in, env.None{}, 0, 5))

			small := cfg
			least := 4 * 10
			if cfg.Estimator == nil {
				least = 4
			}
			small.MaxPulls = max(want.Pulls/2, least)
			if _, ok := cfg.Rule.(bandit.SuccessiveHalving); ok {
				small.MaxPulls = 100
			}
			w := world(t, in, env.None{}, 0, 5)
			s, err = bandit.New(small)
			require.NoError(t, err)
			part := run(s, w)
			var file bytes.Buffer
			require.NoError(t, s.Save(&file))
			text := file.String()
			if _, ok := cfg.Rule.(bandit.SuccessiveHalving); ok {
				_, err = bandit.Resume(cfg, &file)
				require.ErrorContains(t, err, "max pulls 100")
				continue
			}
			require.Equal(t, bandit.BudgetExhausted, part.Outcome, name)
			s, err = bandit.Resume(cfg, &file)
			require.NoError(t, err)
			require.Equal(t, bandit.Running, s.Result().Outcome, name)
			require.Equal(t, fmt.Sprint(want), fmt.Sprint(run(s, w)), name)

			// With less, it has ended.
			small.MaxPulls = least
			s, err = bandit.Resume(small, strings.NewReader(text))
			require.NoError(t, err)
			require.True(t, s.Done())
			require.Equal(t, part.Pulls, s.Result().Pulls)
		}
	}
}

// Rewards that waited when the budget ran out answer the requests of a larger one.
func TestMoreBudgetForRewardsThatWait(t *testing.T) {
	cfg := bandit.Config{Arms: 2, Delta: .1, Estimator: bandit.Huber{Sigma: 1}, MaxPulls: 30, Offline: true}
	s, err := bandit.New(cfg)
	require.NoError(t, err)
	many := make([]float64, 500)
	require.NoError(t, s.Observe(1, many))
	for i := range many {
		many[i] = 1
	}
	require.NoError(t, s.Observe(0, many))
	require.Equal(t, bandit.BudgetExhausted, s.Result().Outcome)
	var file bytes.Buffer
	require.NoError(t, s.Save(&file))
	cfg.MaxPulls = 1000
	s, err = bandit.Resume(cfg, &file)
	require.NoError(t, err)
	require.Equal(t, bandit.Identified, s.Result().Outcome)
	require.Equal(t, 0, s.Result().Arm)
}
