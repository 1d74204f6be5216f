package bandit_test

import (
	"testing"
	"time"

	"github.com/redoubt-ml/redoubt/bandit"
	"github.com/redoubt-ml/redoubt/bandit/env"
)

func TestTmpGLR(t *testing.T) {
	for _, est := range []bandit.Estimator{bandit.GaussianHuber{Sigma: 1}, bandit.Huber{Sigma: 1}} {
		for _, r := range []bandit.Rule{bandit.GapBased{}, bandit.Likelihood{}} {
			t0 := time.Now()
			b := env.I1()
			got := trials(t, b, env.Shift{Offset: 20}, bandit.Config{Delta: .1, Eps: b.Eps, Estimator: est, Rule: r, MaxPulls: 300000}, 100, 1)
			t.Log(est.Name(), r.Name(), got, time.Since(t0))
		}
	}
}
