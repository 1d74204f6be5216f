package main

import (
	"os/exec"
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestAbsentPeersAreNamedWithTheirInstallation(t *testing.T) {
	for _, program := range []string{"false", "true", "no-such-program"} {
		p := &peer{name: "Some library", install: "get it", command: func(string) (*exec.Cmd, error) { return exec.Command(program), nil }}
		assert.ErrorContains(t, p.ready(), "Some library is absent", program)
		assert.ErrorContains(t, p.ready(), "to install: get it", program)
		p.stop()
	}
}

func TestRowOfAnAbsentPeerSaysWhatIsMissing(t *testing.T) {
	p := newPeers(t.TempDir(), "no-such-python", "no-such-node", "")
	m := &meter{rounds: 1, best: map[int]float64{}}
	all, _ := rows(p)
	for _, r := range all {
		if r.peer == "PyTorch" && r.name == "match lenet b1" {
			res := m.measure(&r)
			assert.Nil(t, res.Ratio)
			assert.Contains(t, res.Missing, "python3-torch")
		}
	}
}
