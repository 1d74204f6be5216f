package example

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestChoose(t *testing.T) {
	known := []string{"one", "two", "three"}
	for text, want := range map[string][]string{"": known, " ": known, "two": {"two"}, "Three, one": {"three", "one"}} {
		got, err := Choose("-parts", text, known)
		require.NoError(t, err)
		require.Equal(t, want, got)
	}
	for text, found := range map[string]string{"four": `"four"`, "one,,two": `""`} {
		_, err := Choose("-parts", text, known)
		require.ErrorContains(t, err, "-parts has "+found+", want some of one, two, three")
	}
	_, err := Choose("-parts", "two, one,TWO", known)
	require.ErrorContains(t, err, `-parts has "two" twice`)
}
