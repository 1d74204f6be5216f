package example

import (
	"fmt"
	"slices"
	"strings"
)

// CheckMini is the Check of a program with a flag -mini, whose sizes are its own.
func CheckMini(env *Env, mini bool) error {
	if mini && env.Scale != Small {
		return fmt.Errorf("-mini has no -scale %s", env.Scale)
	}
	return nil
}

// Choose reads the value of a flag that takes names separated by commas, with spaces
// allowed around them and in any case, and returns them as known spells them. No text
// means all known names. An error names the flag, and the name that is not known, beside
// those that are, or that is there twice.
func Choose(flag, text string, known []string) ([]string, error) {
	if strings.TrimSpace(text) == "" {
		return known, nil
	}
	var names []string
	for _, name := range strings.Split(text, ",") {
		name = strings.TrimSpace(name)
		i := slices.IndexFunc(known, func(k string) bool { return strings.EqualFold(k, name) })
		if i < 0 {
			return nil, fmt.Errorf("%s has %q, want some of %s", flag, name, strings.Join(known, ", "))
		}
		if slices.Contains(names, known[i]) {
			return nil, fmt.Errorf("%s has %q twice, want it once", flag, known[i])
		}
		names = append(names, known[i])
	}
	return names, nil
}
