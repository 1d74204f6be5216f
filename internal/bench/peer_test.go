package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os/exec"
	"regexp"
	"runtime"
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
	p := newPeers(t.TempDir(), "no-such-python", "no-such-node", "", []int{1, 2})
	m := &meter{rounds: 1, best: map[int]float64{}}
	all, _ := rows(p)
	for _, r := range all {
		if r.peer == "PyTorch" && r.name == "gradient matching, LeNet, batch 1" {
			res := m.measure(&r)
			assert.Nil(t, res.Ratio)
			assert.Contains(t, res.Missing, "python3-torch")
		}
	}
}

// What developers want of a row is shown on demand only.
func TestTargetsAreShownOnDemand(t *testing.T) {
	r := row{name: "some row", peer: "some library", threads: 1, higher: true, must: 1.25, aim: 1.5, value: func() (float64, error) { return 1.125, nil }}
	shown := func(targets bool) string {
		m := &meter{rounds: 1, targets: targets}
		res := m.measure(&r)
		var text bytes.Buffer
		heading(&text, targets)
		res.print(&text)
		object, err := json.Marshal(res)
		assert.NoError(t, err)
		return text.String() + string(object)
	}
	for _, word := range []string{"must", "aim", "SHORT"} {
		assert.Contains(t, shown(true), word)
		assert.NotContains(t, shown(false), word)
	}
	assert.Contains(t, shown(false), "1.125")
	for _, c := range []struct {
		better    string
		ratio     float64
		must, aim float64
		want      string
	}{
		{"higher", 1, 1.25, 1.5, "SHORT"}, {"higher", 1.25, 1.25, 1.5, "ok"}, {"higher", 1.5, 1.25, 1.5, "aim"},
		{"lower", 1, 0.75, 0.5, "SHORT"}, {"lower", 0.75, 0.75, 0.5, "ok"}, {"lower", 0.5, 0.75, 0.5, "aim"},
	} {
		r := result{Better: c.better, Ratio: &c.ratio, Must: &c.must, Aim: &c.aim}
		assert.Equal(t, c.want, r.verdict(), c)
	}
}

// Python looks for modules in the folder of a driver first: none may have the name of
// one.
func TestDriversHideNoModule(t *testing.T) {
	files, err := drivers.ReadDir("drivers")
	assert.NoError(t, err)
	for _, f := range files {
		source, err := drivers.ReadFile("drivers/" + f.Name())
		assert.NoError(t, err)
		for _, m := range regexp.MustCompile(`(?m)^import (\w+)`).FindAllSubmatch(source, -1) {
			_, err := drivers.ReadFile("drivers/" + string(m[1]) + ".py")
			assert.Error(t, err, "%s imports %s", f.Name(), m[1])
		}
	}
}

func TestNumbersOfThreadsAreThoseOfTheMachine(t *testing.T) {
	var c counts
	assert.NoError(t, c.Set("1"))
	assert.Equal(t, "1", c.String())
	for _, bad := range []string{"", "0", "1,", "two", fmt.Sprint(runtime.GOMAXPROCS(0) + 1)} {
		assert.ErrorContains(t, c.Set(bad), "is no number of threads")
	}
}
