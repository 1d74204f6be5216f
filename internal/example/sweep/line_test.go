package sweep

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// lineOf is a line of a sweep of four seeds.
func lineOf(seed uint64, result string) Line {
	return Line{
		Program: "trial", Settings: map[string]string{"mini": "true"}, Data: map[string]string{"mnist": "ab"},
		Sweep: Range{First: 1, Seeds: 4}, Unit: Unit{Seed: seed}, Seconds: 1.5, Result: json.RawMessage(result),
	}
}

func TestLinesAreOneLineAndComeBack(t *testing.T) {
	l := lineOf(2, "{\n  \"a\": [1,\n 2.5e-3]}")
	text, err := l.Encode()
	require.NoError(t, err)
	require.Equal(t, 1, bytes.Count(text, []byte("\n")))
	got, err := Read(bytes.NewReader(append(text, text...)), "f")
	require.NoError(t, err)
	require.Len(t, got, 2)
	require.Equal(t, "f line 2", got[1].Place())
	require.JSONEq(t, string(l.Result), string(got[0].Result))
	got[0].Result = l.Result
	require.Equal(t, l, got[0].Line)
}

func TestBadLinesAreNamed(t *testing.T) {
	good, err := lineOf(2, `{"a":1}`).Encode()
	require.NoError(t, err)
	change := func(from, to string) string {
		require.Contains(t, string(good), from)
		return strings.Replace(string(good), from, to, 1)
	}
	for text, want := range map[string]string{
		"":                                     "is empty",
		"\n":                                   "it ends after 1 bytes",
		string(good[:len(good)/2]):             "it ends after",
		string(good) + "{}\n":                  `line 2: no "program"`,
		"[]\n":                                 "want one JSON object",
		"null\n":                               `no "program"`,
		strings.TrimSpace(string(good)) + "x":  "byte",
		change(`"seed":2`, `"seed":5`):         "seed 5 is not of the line's own sweep",
		change(`"seed":2`, `"seed":-2`):        "-2",
		change(`"seeds":4`, `"seeds":4000000`): "4000000 seeds",
		change(`"seconds"`, `"second"`):        `unknown field "second"`,
		change(`1.5`, `-1`):                    `"seconds" is -1`,
		change(`{"a":1}`, `[1]`):               `"result" is "[1]"`,
		change(`{"mini":"true"}`, `null`):      `no "settings"`,
	} {
		_, err := Read(strings.NewReader(text), "file")
		require.ErrorContains(t, err, want, "%q", text)
		require.ErrorContains(t, err, "file ", "%q", text)
	}
}

func TestLinesFitOneSweep(t *testing.T) {
	l := lineOf(1, "{}")
	require.NoError(t, l.Fits("trial", map[string]string{"mini": "true"}))
	require.ErrorContains(t, l.Fits("other", nil), `program is "trial", want "other"`)
	require.ErrorContains(t, l.Fits("trial", map[string]string{"mini": "false"}), `-mini is "true", want "false"`)
	require.ErrorContains(t, l.Fits("trial", nil), `-mini is "true", want nothing`)
	require.ErrorContains(t, l.Fits("trial", map[string]string{"mini": "true", "steps": "3"}), `-steps is nothing, want "3"`)
}

// Whatever is read either fails or comes back the same when it is written again, and can
// be summed up.
func FuzzRead(f *testing.F) {
	good, err := lineOf(2, `{"a":[{"name":"x","v":1},{"name":"y","v":null}],"b":true}`).Encode()
	require.NoError(f, err)
	f.Add(good)
	f.Add(good[:50])
	f.Add(append(good, good...))
	f.Fuzz(func(t *testing.T, text []byte) {
		lines, err := Read(bytes.NewReader(text), "f")
		if err != nil {
			return
		}
		for _, l := range lines {
			again, err := l.Encode()
			require.NoError(t, err)
			back, err := Decode(again)
			require.NoError(t, err)
			require.Equal(t, l.Unit, back.Unit)
			require.Equal(t, l.Settings, back.Settings)
		}
		if lines[0].Sweep.Seeds < 1000 {
			if m, err := Merge(lines[:1]); err == nil {
				_, err = json.Marshal(m)
				require.NoError(t, err)
			}
		}
	})
}
