package example

import (
	"flag"
	"io"
	"testing"

	"github.com/stretchr/testify/require"
)

// A part that cannot be run is an error where it is asked for, and named where it is not.
func TestPartsThatCannotBeRun(t *testing.T) {
	parse := func(text string) Parts {
		p := Parts{Names: []string{"grey", "colour", "sound"}, Text: new(string), Lacks: func(env *Env, name string) string {
			if name != "grey" && env.Data == "" {
				return "no data of " + name
			}
			return ""
		}}
		set := flag.NewFlagSet("", flag.ContinueOnError)
		set.SetOutput(io.Discard)
		p.Flag(set)
		require.NoError(t, set.Parse([]string{"-parts", text}))
		return p
	}
	for _, c := range []struct {
		text, data string
		want, left []string
	}{
		{"", "x", []string{"grey", "colour", "sound"}, nil},
		{"", "", []string{"grey"}, []string{"Part colour is left out: no data of colour.", "Part sound is left out: no data of sound."}},
		{"Sound,grey", "x", []string{"sound", "grey"}, nil},
	} {
		p, env := parse(c.text), &Env{Data: c.data}
		names, left, err := p.Choose(env)
		require.NoError(t, err)
		require.Equal(t, c.want, names)
		require.Equal(t, c.left, left)
		require.NoError(t, p.Check(env))
		names, err = p.Split().Values(env)
		require.NoError(t, err)
		require.Equal(t, c.want, names)
		require.Equal(t, []string{"grey", "colour", "sound"}, p.Names)
	}
	require.ErrorContains(t, parse("grey,colour").Check(&Env{}), "-parts colour: no data of colour")
	require.ErrorContains(t, parse("smell").Check(&Env{}), `-parts has "smell"`)
}
