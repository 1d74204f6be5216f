package bandit_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/redoubt-ml/redoubt/bandit"
	"github.com/redoubt-ml/redoubt/bandit/env"
)

func TestBadConfigurations(t *testing.T) {
	nan, inf := math.NaN(), math.Inf(1)
	good := bandit.Config{Arms: 3, Delta: .1, Eps: .05, Estimator: bandit.Huber{Sigma: 1}}
	_, err := bandit.New(good)
	require.NoError(t, err)
	for _, c := range []struct {
		want string
		edit func(*bandit.Config)
	}{
		{"Arms is 0", func(c *bandit.Config) { c.Arms = 0 }},
		{"Arms is 1", func(c *bandit.Config) { c.Arms = 1 }},
		{"Arms is -2", func(c *bandit.Config) { c.Arms = -2 }},
		{"Delta is 0", func(c *bandit.Config) { c.Delta = 0 }},
		{"Delta is 1", func(c *bandit.Config) { c.Delta = 1 }},
		{"Delta is NaN", func(c *bandit.Config) { c.Delta = nan }},
		{"Eps is -0.1", func(c *bandit.Config) { c.Eps = -.1 }},
		{"Eps is 0.5", func(c *bandit.Config) { c.Eps = .5 }},
		{"Eps is NaN", func(c *bandit.Config) { c.Eps = nan }},
		{"unknown adversary", func(c *bandit.Config) { c.Adversary = 7 }},
		{"unknown mode", func(c *bandit.Config) { c.Mode = -1 }},
		{"Tol is -1", func(c *bandit.Config) { c.Tol = -1 }},
		{"Tol is NaN", func(c *bandit.Config) { c.Tol = nan }},
		{"Tol is +Inf", func(c *bandit.Config) { c.Tol = inf }},
		{"Eta is 0.9", func(c *bandit.Config) { c.Eta = .9 }},
		{"Eta is 4.1", func(c *bandit.Config) { c.Eta = 4.1 }},
		{"Eta is NaN", func(c *bandit.Config) { c.Eta = nan }},
		{"N0 is -1", func(c *bandit.Config) { c.N0 = -1 }},
		{"MaxPulls is 29", func(c *bandit.Config) { c.MaxPulls = 29 }},
		{"MaxPulls is -1", func(c *bandit.Config) { c.MaxPulls = -1 }},
		{"MaxPulls is", func(c *bandit.Config) { c.MaxPulls = math.MaxInt }},
		{"MaxPulls is 100, want at least N0 times Arms", func(c *bandit.Config) { c.MaxPulls, c.N0 = 100, math.MaxInt }},
		{"MaxPulls is 2, want at least one for each of 3 arms", func(c *bandit.Config) { c.Rule, c.Estimator, c.MaxPulls = bandit.LUCB{}, nil, 2 }},
		{"Top is 3", func(c *bandit.Config) { c.Top = 3 }},
		{"Top is -1", func(c *bandit.Config) { c.Top = -1 }},
		{"only GapBased", func(c *bandit.Config) { c.Top, c.Rule = 2, bandit.Elimination{} }},
		{"needs an Estimator", func(c *bandit.Config) { c.Estimator = nil }},
		{"want none", func(c *bandit.Config) { c.Rule = bandit.LUCB{} }},
		{"Mean ignores contamination: Eps is 0.05, want 0", func(c *bandit.Config) { c.Estimator = bandit.Mean{Sigma: 1} }},
		{"MedianOfMeans ignores contamination", func(c *bandit.Config) { c.Estimator = bandit.MedianOfMeans{Sigma: 1} }},
		{"Catoni ignores contamination", func(c *bandit.Config) { c.Estimator = bandit.Catoni{Sigma: 1} }},
		{"Mean ignores contamination", func(c *bandit.Config) {
			c.Estimator, c.Rule, c.MaxPulls = bandit.Mean{Sigma: 1}, bandit.SuccessiveHalving{}, 1000
		}},
		{"LUCB ignores contamination", func(c *bandit.Config) { c.Rule, c.Estimator = bandit.LUCB{}, nil }},
		{"KL-LUCB ignores contamination", func(c *bandit.Config) { c.Rule, c.Estimator = bandit.KLLUCB{}, nil }},
		{"Track-and-Stop ignores contamination", func(c *bandit.Config) { c.Rule, c.Estimator = bandit.TrackAndStop{Sigma: 1}, nil }},
		{"LilUCB: Tol is 0.5, want 0", func(c *bandit.Config) { c.Rule, c.Estimator, c.Eps, c.Tol = bandit.LilUCB{}, nil, 0, .5 }},
		{"SuccessiveHalving: Tol is 0.5, want 0", func(c *bandit.Config) { c.Rule, c.MaxPulls, c.Tol = bandit.SuccessiveHalving{}, 1000, .5 }},
		{"Huber: Sigma is 0", func(c *bandit.Config) { c.Estimator = bandit.Huber{} }},
		{"Huber: Sigma is NaN", func(c *bandit.Config) { c.Estimator = bandit.Huber{Sigma: nan} }},
		{"TrimmedMean: Sigma is +Inf", func(c *bandit.Config) { c.Estimator = bandit.TrimmedMean{Sigma: inf} }},
		{"GaussianHuber: Sigma is -1", func(c *bandit.Config) { c.Estimator = bandit.GaussianHuber{Sigma: -1} }},
		{"Median: Sigma", func(c *bandit.Config) { c.Estimator = bandit.Median{} }},
		{"SignMedian: Sigma", func(c *bandit.Config) { c.Estimator = bandit.SignMedian{} }},
		{"AltschulerMedian: Sigma", func(c *bandit.Config) { c.Estimator = bandit.AltschulerMedian{} }},
		{"Mean: Sigma", func(c *bandit.Config) { c.Estimator = bandit.Mean{} }},
		{"MedianOfMeans: Sigma", func(c *bandit.Config) { c.Estimator = bandit.MedianOfMeans{} }},
		{"Catoni: Sigma", func(c *bandit.Config) { c.Estimator = bandit.Catoni{} }},
		{"less than 1/4", func(c *bandit.Config) {
			c.Estimator, c.Adversary, c.Eps = bandit.TrimmedMean{Sigma: 1}, bandit.Malicious, .25
		}},
		{"Likelihood: Mode", func(c *bandit.Config) { c.Rule, c.Mode = bandit.Likelihood{}, bandit.AssumeIdentifiable }},
		{"Likelihood: Estimator is MED", func(c *bandit.Config) { c.Rule, c.Estimator = bandit.Likelihood{}, bandit.Median{Sigma: 1} }},
		{"Likelihood: no Estimator", func(c *bandit.Config) { c.Rule, c.Estimator = bandit.Likelihood{}, nil }},
		{"SuccessiveHalving: MaxPulls", func(c *bandit.Config) { c.Rule = bandit.SuccessiveHalving{} }},
		{"MedianElimination: Tol", func(c *bandit.Config) { c.Rule, c.Estimator = bandit.MedianElimination{}, nil }},
		{"MedianElimination: Tol", func(c *bandit.Config) { c.Rule, c.Estimator, c.Tol = bandit.MedianElimination{}, nil, 1e-200 }},
		{"LUCB: Sigma", func(c *bandit.Config) { c.Rule, c.Estimator = bandit.LUCB{Sigma: -1}, nil }},
		{"TrackAndStop: Sigma", func(c *bandit.Config) { c.Rule, c.Estimator = bandit.TrackAndStop{}, nil }},
		{"LilUCB: Beta", func(c *bandit.Config) { c.Rule, c.Estimator = bandit.LilUCB{Beta: -1}, nil }},
		{"EvenDarElimination: Sigma", func(c *bandit.Config) { c.Rule, c.Estimator = bandit.EvenDarElimination{Sigma: nan}, nil }},
	} {
		cfg := good
		c.edit(&cfg)
		_, err := bandit.New(cfg)
		require.ErrorContains(t, err, c.want)
		require.True(t, strings.HasPrefix(err.Error(), "bandit: "), err.Error())
		_, err = bandit.Run(ctx, cfg, nil)
		require.Error(t, err)
		_, err = bandit.Resume(cfg, strings.NewReader("{}"))
		require.Error(t, err)
		_, err = bandit.Replay(cfg, strings.NewReader(""))
		require.Error(t, err)
	}
}

func TestBadObservations(t *testing.T) {
	ten := make([]float64, 10)
	with := func(v float64) []float64 {
		x := make([]float64, 10)
		x[3] = v
		return x
	}
	for _, c := range []struct {
		name string
		est  bandit.Estimator
		arm  int
		x    []float64
		want string
	}{
		{"arm not asked for", bandit.Huber{Sigma: 1}, 1, ten, "arm 1, want arm 0"},
		{"no such arm", bandit.Huber{Sigma: 1}, 3, ten, "arm 3, want 0 to 2"},
		{"no such arm", bandit.Huber{Sigma: 1}, -1, ten, "arm -1, want 0 to 2"},
		{"short batch", bandit.Huber{Sigma: 1}, 0, ten[:9], "9 rewards, want 10"},
		{"empty batch", bandit.Huber{Sigma: 1}, 0, nil, "0 rewards, want 10"},
		{"NaN", bandit.Huber{Sigma: 1}, 0, with(math.NaN()), "NaN at pull 4 of arm 0"},
		{"infinite mean", bandit.Mean{Sigma: 1}, 0, with(math.Inf(1)), "reward 4 of 10 is +Inf"},
		{"overflow", bandit.Mean{Sigma: 1}, 0, []float64{1e308, 1e308, 1e308, 0, 0, 0, 0, 0, 0, 0}, "passes the largest"},
		{"infinite Catoni", bandit.Catoni{Sigma: 1}, 0, with(math.Inf(-1)), "reward 4 of 10 is -Inf"},
		{"infinite blocks", bandit.MedianOfMeans{Sigma: 1}, 0, with(math.Inf(-1)), "reward 4 of 10 is -Inf"},
	} {
		cfg := bandit.Config{Arms: 3, Delta: .1, Eps: .05, Estimator: c.est}
		if !takesEps(cfg) {
			cfg.Eps = 0
		}
		s, err := bandit.New(cfg)
		require.NoError(t, err)
		before := s.Result()
		require.ErrorContains(t, s.Observe(c.arm, c.x), c.want, c.name)
		require.Equal(t, before, s.Result(), "an error leaves the search as it was")
		arm, n := s.Next()
		require.Equal(t, 0, arm)
		require.Equal(t, 10, n)
		require.NoError(t, s.Observe(arm, ten))
	}
}

// Infinite rewards are an adversary's right, and NaN is one with CountNaN.
func TestInfiniteRewards(t *testing.T) {
	b := env.I2()
	for _, e := range []bandit.Estimator{bandit.Huber{Sigma: 1}, bandit.TrimmedMean{Sigma: 1}, bandit.GaussianHuber{Sigma: 1},
		bandit.Median{Sigma: 1}, bandit.AltschulerMedian{Sigma: 1}, bandit.SymmetricMedian{}, bandit.BoundedKL{}} {
		for _, z := range []float64{math.Inf(1), math.Inf(-1), 1e300, math.NaN()} {
			in := b.Instance
			if _, kl := e.(bandit.BoundedKL); kl {
				in = env.Instance{Arms: []env.Law{env.Bernoulli{P: .9}, env.Bernoulli{P: .2}}}
			}
			c := env.Oblivious{Label: "far", Value: func(int, int, *rand.Rand) float64 { return z }}
			res, err := bandit.Run(ctx, bandit.Config{Arms: len(in.Arms), Delta: .1, Eps: .02, Estimator: e, CountNaN: true}, world(t, in, c, .02, 1).Pull)
			require.NoError(t, err)
			require.Equal(t, bandit.Identified, res.Outcome, "%s %v", e.Name(), z)
			require.Equal(t, 0, res.Arm)
			_, err = json.Marshal(res)
			require.NoError(t, err)
		}
	}
	s, err := bandit.New(bandit.Config{Arms: 2, Delta: .1, Estimator: bandit.Mean{Sigma: 1}, CountNaN: true})
	require.NoError(t, err)
	x := make([]float64, 10)
	x[0] = math.NaN()
	require.Error(t, s.Observe(0, x))
	require.True(t, math.IsNaN(x[0]), "the caller's rewards are left alone")
}

func TestBadSaves(t *testing.T) {
	cfg := bandit.Config{Arms: 3, Delta: .1, Eps: .05, Estimator: bandit.Huber{Sigma: 1}}
	s, err := bandit.New(cfg)
	require.NoError(t, err)
	require.NoError(t, s.Observe(0, make([]float64, 10)))
	var file bytes.Buffer
	require.NoError(t, s.Save(&file))
	text := file.String()
	for _, c := range []struct{ from, to, want string }{
		{text, "", "EOF"},
		{text, "{", "EOF"},
		{"search 2", "search 1", "format"},
		{"eps 0.05", "eps 0.06", "saved with"},
		{`"pulls":10`, `"pulls":11`, "the arms have 10 pulls, want 11"},
		{`"n":10`, `"n":9`, "arm 0: 10 rewards, want 9"},
		{`"j":1`, `"j":2`, "grid index 2"},
		{`"Started":1`, `"Started":3`, "arm 1 counts as started"},
		{`{"arm":1,"n":10}`, `{"arm":5,"n":10}`, "open request"},
		{`{"arm":1,"n":10}`, `{"arm":1,"n":2}`, "open request"},
		{`"queue":[{"arm":1,"n":10}],`, ``, "no open request"},
		{`"sample":"AAAA`, `"sample":"`, "saved sample"},
	} {
		broken := strings.Replace(text, c.from, c.to, 1)
		require.NotEqual(t, text, broken, c.from)
		_, err := bandit.Resume(cfg, strings.NewReader(broken))
		require.ErrorContains(t, err, c.want, c.from)
		require.True(t, strings.HasPrefix(err.Error(), "bandit: Resume: "))
	}
	other := cfg
	other.Estimator = bandit.TrimmedMean{Sigma: 1}
	_, err = bandit.Resume(other, strings.NewReader(text))
	require.ErrorContains(t, err, "saved with")
}

// Modes, adversaries and outcomes are read back from the text that they write.
func TestTextForms(t *testing.T) {
	type names struct {
		Mode      bandit.Mode
		Adversary bandit.Adversary
		Outcome   bandit.Outcome
	}
	for k := range 4 {
		want := names{bandit.Mode(k % 2), bandit.Adversary(k % 3), bandit.Outcome(k)}
		text, err := json.Marshal(want)
		require.NoError(t, err)
		var got names
		require.NoError(t, json.Unmarshal(text, &got))
		require.Equal(t, want, got)
	}
	var got names
	require.ErrorContains(t, json.Unmarshal([]byte(`{"Mode":"sure"}`), &got), `Mode is "sure", want one of: certified, assume-identifiable`)
	require.ErrorContains(t, json.Unmarshal([]byte(`{"Adversary":""}`), &got), `Adversary is "", want one of: oblivious, prescient, malicious`)
	require.ErrorContains(t, json.Unmarshal([]byte(`{"Outcome":"Running"}`), &got), `Outcome is "Running", want one of: running`)
	require.Equal(t, names{}, got)
	_, err := json.Marshal(names{Mode: 7})
	require.ErrorContains(t, err, "Mode is 7, want 0 to 1")
}

// sound checks what must hold of any search.
func sound(t *testing.T, s *bandit.Search) {
	t.Helper()
	res := s.Result()
	total := 0
	for i, iv := range res.Intervals {
		total += res.ArmPulls[i]
		for _, v := range []float64{iv.Est, iv.Lo, iv.Hi, iv.CoreLo, iv.CoreHi} {
			if math.IsNaN(v) {
				t.Fatalf("arm %d has interval %+v", i, iv)
			}
		}
		if iv.Lo > iv.Hi || math.IsInf(iv.Est, 0) {
			t.Fatalf("arm %d has interval %+v", i, iv)
		}
	}
	if total != res.Pulls || s.Done() != (res.Outcome != bandit.Running) || res.Outcome == bandit.Identified && res.Arm < 0 {
		t.Fatalf("result %+v", res)
	}
	if arm, n := s.Next(); s.Done() != (n == 0) || s.Done() != (arm < 0) {
		t.Fatalf("done %v, next %d %d", s.Done(), arm, n)
	}
}

// Any sequence of calls with any numbers ends in errors or sound states.
func FuzzObserve(f *testing.F) {
	f.Add(uint8(0), false, []byte("0123456789abcdef"))
	f.Add(uint8(3), true, bytes.Repeat([]byte{0x7f, 0xf0, 0, 1}, 40))
	f.Add(uint8(9), false, bytes.Repeat([]byte{0xff}, 100))
	estimators := []bandit.Estimator{bandit.Huber{Sigma: 1}, bandit.TrimmedMean{Sigma: 1}, bandit.Median{Sigma: 1},
		bandit.BoundedKL{}, bandit.SymmetricMedian{}, bandit.Mean{Sigma: 1}, bandit.Catoni{Sigma: 1}, bandit.MedianOfMeans{Sigma: 1}}
	rules := []bandit.Rule{bandit.GapBased{}, bandit.Elimination{}, bandit.UGapE{}, bandit.Uniform{}}
	var designs []*bandit.Design
	for _, e := range estimators {
		for _, r := range rules {
			for _, offline := range []bool{false, true} {
				cfg := bandit.Config{Arms: 3, Delta: .1, Eps: .1, Estimator: e, Rule: r, MaxPulls: 300, Offline: offline, CountNaN: offline}
				if !takesEps(cfg) {
					cfg.Eps = 0
				}
				d, err := bandit.NewDesign(cfg)
				if err != nil {
					f.Fatal(err)
				}
				designs = append(designs, d)
			}
		}
	}
	f.Fuzz(func(t *testing.T, which uint8, obey bool, b []byte) {
		s := designs[int(which)%len(designs)].New()
		special := []float64{0, 1, -1, math.Inf(1), math.Inf(-1), math.NaN(), 1e308, -1e308, 1e-308, .5, math.MaxFloat64}
		for len(b) > 2 && !s.Done() {
			arm, n := s.Next()
			if !obey && b[0]%4 == 0 {
				arm, n = int(int8(b[1])), int(b[0])%20
			}
			x := make([]float64, n)
			for i := range x {
				v := b[i%len(b)]
				if x[i] = special[int(v)%len(special)]; v > 128 {
					x[i] = float64(v) / float64(1+i)
				}
			}
			_ = s.Observe(arm, x)
			sound(t, s)
			b = b[1:]
		}
	})
}

// A saved search that was tampered with is rejected, or goes on soundly.
func FuzzResume(f *testing.F) {
	cfgs := []bandit.Config{
		{Arms: 2, Delta: .1, Eps: .05, Estimator: bandit.TrimmedMean{Sigma: 1}, MaxPulls: 400},
		{Arms: 2, Delta: .1, Eps: .05, Estimator: bandit.BoundedKL{}, Rule: bandit.Elimination{}, MaxPulls: 400, Offline: true},
		{Arms: 2, Delta: .1, Rule: bandit.LUCB{}, MaxPulls: 400},
		{Arms: 3, Delta: .1, Estimator: bandit.Huber{Sigma: 1}, Rule: bandit.SuccessiveHalving{}, MaxPulls: 400},
		{Arms: 2, Delta: .1, Rule: bandit.MedianElimination{}, Tol: 1, MaxPulls: 4000},
		{Arms: 2, Delta: .1, Eps: .05, Estimator: bandit.Huber{Sigma: 1}, Rule: bandit.Likelihood{}, MaxPulls: 400},
	}
	var designs []*bandit.Design
	for k, cfg := range cfgs {
		d, err := bandit.NewDesign(cfg)
		if err != nil {
			f.Fatal(err)
		}
		designs = append(designs, d)
		s := d.New()
		for range 4 {
			var file bytes.Buffer
			if err := s.Save(&file); err != nil {
				f.Fatal(err)
			}
			f.Add(uint8(k), file.Bytes())
			if s.Done() {
				break
			}
			arm, n := s.Next()
			if err := s.Observe(arm, make([]float64, n)); err != nil {
				f.Fatal(err)
			}
		}
	}
	f.Fuzz(func(t *testing.T, which uint8, b []byte) {
		s, err := designs[int(which)%len(designs)].Resume(bytes.NewReader(b))
		if err != nil {
			return
		}
		for range 3 {
			if arm, n := s.Next(); n > 0 && n < 1e5 {
				_ = s.Observe(arm, make([]float64, n))
			}
		}
		s.Result()
	})
}

// Whatever a search has been told, what Save writes Resume takes, and the two go on
// alike.
func FuzzSaveAndResume(f *testing.F) {
	for k := range uint8(30) {
		f.Add(k, []byte("\x00\x01\x03\x04\x06\x07\x09\x0a0123456789"))
		f.Add(k, []byte{3, 4, 6, 10, 7, 200, 3, 6, 1, 10, 4, 3})
		f.Add(k, []byte{6}) // all rewards are near the largest number
	}
	estimators := []bandit.Estimator{bandit.Huber{Sigma: 1}, bandit.TrimmedMean{Sigma: 1}, bandit.GaussianHuber{Sigma: 1}, bandit.Median{Sigma: 1},
		bandit.BoundedKL{}, bandit.SymmetricMedian{}, bandit.Mean{Sigma: 1}, bandit.Catoni{Sigma: 1}, bandit.MedianOfMeans{Sigma: 1}}
	var designs []*bandit.Design
	add := func(cfg bandit.Config) {
		cfg.Arms, cfg.Delta, cfg.MaxPulls = 2, .1, 400
		if !takesEps(cfg) {
			cfg.Eps = 0
		}
		d, err := bandit.NewDesign(cfg)
		if err != nil {
			f.Fatal(err)
		}
		designs = append(designs, d)
	}
	for k, e := range estimators {
		add(bandit.Config{Eps: .1, Estimator: e, Offline: k%2 == 0})
		add(bandit.Config{Eps: .05, Estimator: e, Rule: bandit.Elimination{}, Eta: 1, Offline: k%2 == 1})
	}
	for _, e := range estimators[:3:3] {
		add(bandit.Config{Eps: .05, Estimator: e, Rule: bandit.SuccessiveHalving{}})
	}
	for _, r := range []bandit.Rule{bandit.LUCB{}, bandit.KLLUCB{}, bandit.LilUCB{}, bandit.EvenDarElimination{}, bandit.TrackAndStop{Sigma: 1}} {
		add(bandit.Config{Rule: r})
	}
	add(bandit.Config{Rule: bandit.MedianElimination{}, Tol: 2})
	for _, e := range []bandit.Estimator{bandit.Huber{Sigma: 1}, bandit.GaussianHuber{Sigma: 1}} {
		add(bandit.Config{Eps: .05, Estimator: e, Rule: bandit.Likelihood{}})
	}
	special := []float64{0, 1, -1, math.Inf(1), math.Inf(-1), .5, 1e308, -1e308, 1e-308, math.MaxFloat64, -math.MaxFloat64}
	f.Fuzz(func(t *testing.T, which uint8, b []byte) {
		d := designs[int(which)%len(designs)]
		s := d.New()
		var twin *bandit.Search
		for k := 0; k < 30 && len(b) > 0 && !s.Done(); k++ {
			arm, n := s.Next()
			if n > 200 {
				return
			}
			if d.Config().Offline && b[k%len(b)]%3 == 0 {
				arm, n = int(b[k%len(b)]/3)%2, int(b[k%len(b)])%7
			}
			x := make([]float64, n)
			for i := range x {
				v := b[(i+k)%len(b)]
				if x[i] = special[int(v)%len(special)]; v > 128 {
					x[i] = float64(v) / float64(1+i)
				}
			}
			err := s.Observe(arm, x)
			if twin != nil {
				again := twin.Observe(arm, x)
				if fmt.Sprint(err) != fmt.Sprint(again) || fmt.Sprint(s.Result()) != fmt.Sprint(twin.Result()) {
					t.Fatalf("%v\n%v\n%+v\n%+v", err, again, s.Result(), twin.Result())
				}
			}
			var file bytes.Buffer
			if err := s.Save(&file); err != nil {
				t.Fatal(err)
			}
			text := file.String()
			if twin, err = d.Resume(&file); err != nil {
				t.Fatal(err)
			}
			file.Reset()
			if err := twin.Save(&file); err != nil || file.String() != text {
				t.Fatalf("%v\n%s\n%s", err, text, file.String())
			}
		}
	})
}

func FuzzReplay(f *testing.F) {
	f.Add("0,1,2,3,4,5,6,7,8,9,10\n")
	f.Add("1,NaN\n\n")
	d := bandit.Config{Arms: 2, Delta: .1, Eps: .05, Estimator: bandit.TrimmedMean{Sigma: 1}, MaxPulls: 200}
	f.Fuzz(func(t *testing.T, text string) {
		if res, err := bandit.Replay(d, strings.NewReader(text)); err == nil && res.Pulls > len(text) {
			t.Fatalf("%d pulls from %d bytes", res.Pulls, len(text))
		}
	})
}

// Intervals are read back from JSON as they were written, those that say nothing included.
func TestIntervalsInJSON(t *testing.T) {
	inf := math.Inf(1)
	for _, want := range []bandit.Interval{
		{Est: .1, Lo: .1 - .7, Hi: .1 + .7, CoreLo: .1 - .3, CoreHi: .1 + .3, Radius: .7, Core: .3},
		{Est: 1e300, Lo: -inf, Hi: inf, CoreLo: -inf, CoreHi: inf, Radius: inf, Core: inf},
		{Est: -1e-300, Lo: -1e-7, Hi: 1e22, CoreLo: -1e-9, CoreHi: 123456789, Radius: 5e21, Core: 1},
	} {
		text, err := json.Marshal(bandit.Result{Intervals: []bandit.Interval{want}})
		require.NoError(t, err)
		var got bandit.Result
		require.NoError(t, json.Unmarshal(text, &got))
		require.Equal(t, []bandit.Interval{want}, got.Intervals)
	}
	for text, want := range map[string]string{
		`null`:       `no "est" in null`,
		`{"est":1}`:  `no "lo" in {"est":1}`,
		`{"est":""}`: "cannot unmarshal string",
		`{"est":1,"lo":2,"hi":1,"core_lo":1,"core_hi":1,"radius":1,"core":0}`:      "[2, 1] around [1, 1], want rising ends",
		`{"est":1,"lo":0,"hi":1,"core_lo":null,"core_hi":1,"radius":1,"core":"x"}`: "cannot unmarshal string",
	} {
		got := bandit.Interval{Est: 5}
		require.ErrorContains(t, json.Unmarshal([]byte(text), &got), want)
		require.Equal(t, bandit.Interval{Est: 5}, got)
	}
}
