package sweep

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
)

// read writes lines and reads them back.
func read(t *testing.T, file string, lines ...Line) []Located {
	t.Helper()
	var text []byte
	for _, l := range lines {
		one, err := l.Encode()
		require.NoError(t, err)
		text = append(text, one...)
	}
	out, err := Read(bytes.NewReader(text), file)
	require.NoError(t, err)
	return out
}

// by returns the figures by name.
func by(m *Merged) map[string]Figure {
	out := map[string]Figure{}
	for _, f := range m.Figures {
		out[f.Name] = f
	}
	return out
}

// Critical values are those of printed tables of the t distribution, 97.5 %.
func TestIntervalsAreStudents(t *testing.T) {
	for freedom, want := range map[int]float64{1: 12.7062, 2: 4.3027, 4: 2.7764, 9: 2.2622, 29: 2.0452, 120: 1.9799} {
		require.InDelta(t, want, studentT(freedom), 1e-4)
	}
	var lines []Line
	for seed, v := range []float64{10, 12, 9, 13} { // mean 11, SD sqrt(10/3)
		lines = append(lines, lineOf(uint64(seed+1), fmt.Sprintf(`{"acc":%g,"holds":%v}`, v, seed != 0)))
	}
	m, err := Merge(read(t, "f", lines...))
	require.NoError(t, err)
	require.Empty(t, m.Missing)
	require.Equal(t, 4, m.Seeds)
	f := by(m)["acc"]
	require.Equal(t, 4, f.N)
	require.InDelta(t, 11, *f.Mean, 1e-12)
	require.InDelta(t, 1.825742, *f.SD, 1e-6)
	require.InDelta(t, 11-3.182446*1.825742/2, *f.Lo, 1e-5)
	require.InDelta(t, 11+3.182446*1.825742/2, *f.Hi, 1e-5)
	// Clopper and Pearson's interval of 3 in 4, as tables give it.
	f = by(m)["holds"]
	require.Equal(t, 0.75, *f.Mean)
	require.InDelta(t, 0.1941, *f.Lo, 1e-4)
	require.InDelta(t, 0.9937, *f.Hi, 1e-4)
	require.Nil(t, f.SD)
}

func TestOneSeedHasNoInterval(t *testing.T) {
	m, err := Merge(read(t, "f", lineOf(3, `{"a":2,"seed":3}`)))
	require.NoError(t, err)
	f := by(m)["a"]
	require.Equal(t, 2.0, *f.Mean)
	require.Nil(t, f.Lo)
	require.Nil(t, f.Hi)
	require.Nil(t, f.SD)
	require.NotContains(t, by(m), "seed")
	require.Equal(t, []Unit{{Seed: 1}, {Seed: 2}, {Seed: 4}}, m.Missing)
}

// The interval holds the true mean of normal figures in about 95 of 100 sweeps.
func TestIntervalsHoldTheMean(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 5))
	held := 0
	for range 2000 {
		v := make([]float64, 5)
		for i := range v {
			v[i] = 3 + 2*rng.NormFloat64()
		}
		if f := numbersFigure(v); *f.Lo <= 3 && 3 <= *f.Hi {
			held++
		}
	}
	require.InDelta(t, 0.95, float64(held)/2000, 0.02, "seed 5")
}

// Elements of lists are known by their names, whatever their order, and by their
// settings where names are not enough. Figures that a seed lacks are counted.
func TestElementsAreKnownByTheirNames(t *testing.T) {
	one := `{"cells":[{"rule":"G","eps":0.1,"pulls":10,"seed":1,"z":null},{"rule":"G","eps":0.2,"pulls":20,"seed":1,"z":1},{"rule":"SE","eps":0.1,"pulls":30,"seed":1,"z":2}],
		"curve":[{"step":2,"acc":0.5},{"step":4,"acc":0.6}],"sizes":[1,2],"right":[true,false],"attacked":{"0.01":0.5},"list":[],"text":"x"}`
	two := `{"cells":[{"rule":"SE","eps":0.1,"pulls":32,"seed":2,"z":4},{"rule":"G","eps":0.2,"pulls":22,"seed":2,"z":1},{"rule":"G","eps":0.1,"pulls":12,"seed":2,"z":1}],
		"curve":[{"step":2,"acc":0.7},{"step":4,"acc":0.6}],"sizes":[3,2],"right":[true,true],"attacked":{"0.01":0.7},"list":[],"text":"y"}`
	m, err := Merge(read(t, "f", lineOf(1, one), lineOf(2, two)))
	require.NoError(t, err)
	got := map[string]string{}
	for name, f := range by(m) {
		got[name] = fmt.Sprintf("%g of %d", *f.Mean, f.N)
		require.Equal(t, 2-f.N, f.Absent)
	}
	require.Equal(t, map[string]string{
		"cells[G, 0.1].pulls": "11 of 2", "cells[G, 0.2].pulls": "21 of 2", "cells[SE, 0.1].pulls": "31 of 2",
		"cells[G, 0.1].z": "1 of 1", "cells[G, 0.2].z": "1 of 2", "cells[SE, 0.1].z": "3 of 2",
		"curve[2].acc": "0.6 of 2", "curve[4].acc": "0.6 of 2", "sizes[0]": "2 of 2", "sizes[1]": "2 of 2",
		"attacked[0.01]": "0.6 of 2",
	}, got)
}

// What has a name is not mixed up with what has another, even alone in its list.
func TestOneElementKeepsItsName(t *testing.T) {
	m, err := Merge(read(t, "f", lineOf(1, `{"l":[{"n":"a","v":1}]}`), lineOf(2, `{"l":[{"n":"b","v":3}]}`), lineOf(3, `{"l":[]}`)))
	require.NoError(t, err)
	require.Len(t, m.Figures, 2)
	require.Equal(t, []int{1, 2}, []int{by(m)["l[a].v"].N, by(m)["l[b].v"].Absent})
}

// A figure is no name, even if it tells elements apart.
func TestFiguresAreNoNames(t *testing.T) {
	m, err := Merge(read(t, "f", lineOf(1, `{"l":[{"n":"a","v":1},{"n":"a","v":2}]}`), lineOf(2, `{"l":[{"n":"a","v":3},{"n":"a","v":4}]}`)))
	require.NoError(t, err)
	require.Equal(t, 2.0, *by(m)["l[a].v"].Mean)
	require.Equal(t, 3.0, *by(m)["l[a #2].v"].Mean)
}

// With a single seed figures tell elements apart as well as settings do.
func TestFiguresOfOneSeedAreNoNames(t *testing.T) {
	m, err := Merge(read(t, "f", lineOf(1, `{"l":[{"n":"a","v":1,"epochs":60},{"n":"a","v":2,"epochs":201}]}`)))
	require.NoError(t, err)
	require.Equal(t, 1.0, *by(m)["l[a].v"].Mean)
	require.Equal(t, 2.0, *by(m)["l[a #2].v"].Mean)
	require.Equal(t, 201.0, *by(m)["l[a #2].epochs"].Mean)
}

func TestValuesMayUseDataOfTheirOwn(t *testing.T) {
	var lines []Line
	for _, v := range []string{"digits", "photos"} {
		l := lineOf(1, `{"acc":1}`)
		l.Sweep.Values, l.Value = []string{"digits", "photos"}, v
		l.Data = map[string]string{"mnist test": "ab"}
		if v == "photos" {
			l.Data["cifar10 test"] = "cd"
		}
		lines = append(lines, l)
	}
	m, err := Merge(read(t, "f", lines...))
	require.NoError(t, err)
	require.Equal(t, map[string]string{"mnist test": "ab", "cifar10 test": "cd"}, m.Data)
	lines[1].Data["mnist test"] = "ef"
	_, err = Merge(read(t, "f", lines...))
	require.EqualError(t, err, `f line 2: data of mnist test is "ef", want "ab" as in f line 1`)
}

func TestValuesOfAListAreApart(t *testing.T) {
	var lines []Line
	for seed := range uint64(2) {
		for i, v := range []string{"ACL", "AdvCL"} {
			l := lineOf(seed+1, fmt.Sprintf(`{"acc":%d}`, 10*i+int(seed)))
			l.Sweep.Values, l.Value = []string{"ACL", "AdvCL"}, v
			lines = append(lines, l)
		}
	}
	m, err := Merge(read(t, "f", lines[:3]...))
	require.NoError(t, err)
	require.Equal(t, []int{2, 3}, []int{m.Seeds, m.Units})
	require.Equal(t, 0.5, *by(m)["ACL: acc"].Mean)
	require.Equal(t, 1, by(m)["AdvCL: acc"].N)
	require.Equal(t, []Unit{{2, "AdvCL"}, {3, "ACL"}, {3, "AdvCL"}, {4, "ACL"}, {4, "AdvCL"}}, m.Missing)
}

func TestWhatDoesNotFitIsRefused(t *testing.T) {
	first := read(t, "a", lineOf(1, `{"a":1}`))
	for want, l := range map[string]func(*Line){
		`b line 1: program is "other", want "trial" as in a line 1`:      func(l *Line) { l.Program = "other" },
		`b line 1: -mini is "false", want "true" as in a line 1`:         func(l *Line) { l.Settings = map[string]string{"mini": "false"} },
		`b line 1: data of mnist is "cd", want "ab" as in a line 1`:      func(l *Line) { l.Data = map[string]string{"mnist": "cd"} },
		`b line 1: another result for seed 1 than in a line 1, want one`: func(l *Line) { l.Unit.Seed = 1 },
		`b line 1: a is true, want the same kind of figure`:              func(l *Line) { l.Result = []byte(`{"a":true}`) },
		`b line 1: two figures have the name a`:                          func(l *Line) { l.Result = []byte(`{"a":1,"a":2}`) },
		`b line 1: number 1e999`:                                         func(l *Line) { l.Result = []byte(`{"a":1e999}`) },
	} {
		second := lineOf(2, `{"a":2}`)
		l(&second)
		_, err := Merge(append(first[:1:1], read(t, "b", second)...))
		require.ErrorContains(t, err, want)
	}
	_, err := Merge(nil)
	require.ErrorContains(t, err, "no lines")
	m, err := Merge(append(first[:1:1], first...))
	require.NoError(t, err)
	require.Equal(t, 1, by(m)["a"].N, "the same line twice counts once")
}

func TestFiguresBeyondNumbersHaveNoMean(t *testing.T) {
	m, err := Merge(read(t, "f", lineOf(1, `{"a":1.7e308}`), lineOf(2, `{"a":1.7e308}`)))
	require.NoError(t, err)
	require.Nil(t, by(m)["a"].Mean)
}

// Seeds that try one attack on one model leave the images that resist all of them, with
// the interval over images; without a common model there is no such figure.
func TestWorstOverSeeds(t *testing.T) {
	lines := func(model string, results ...string) []Located {
		var out []Line
		for seed, r := range results {
			l := lineOf(uint64(seed+1), r)
			l.Data = map[string]string{}
			if model != "" {
				l.Data["model"] = model
			}
			out = append(out, l)
		}
		return read(t, "f", out...)
	}
	a, b := `{"right":[true,true,false,true],"v":1}`, `{"right":[true,false,true,true],"v":2}`
	all := lines("m", a, b)
	m, err := Merge(all)
	require.NoError(t, err)
	added, err := m.AddWorst(all, "right", "model")
	require.NoError(t, err)
	require.True(t, added)
	f := m.Figures[0]
	require.Equal(t, WorstName, f.Name)
	require.Equal(t, 2, f.N)
	require.Equal(t, 0.5, *f.Mean)
	require.InDelta(t, 0.0676, *f.Lo, 1e-4) // Clopper and Pearson's, 2 of 4
	require.InDelta(t, 0.9324, *f.Hi, 1e-4)

	added, err = m.AddWorst(lines("", a, b), "right", "model")
	require.NoError(t, err)
	require.False(t, added)
	_, err = m.AddWorst(lines("m", a, `{"right":[true],"v":2}`), "right", "model")
	require.ErrorContains(t, err, "1 answers in right, want one for each image")
}
