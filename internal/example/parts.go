package example

import (
	"flag"
	"fmt"
	"slices"
	"strings"
)

// Parts is the flag -parts of a program that does several things.
type Parts struct {
	Names []string // in order
	Text  *string  // what the flag says
	// Lacks says why a part cannot be run, and nothing if it can; nil if all can.
	Lacks func(env *Env, name string) string
}

// Flag declares the flag.
func (p Parts) Flag(set *flag.FlagSet) {
	set.StringVar(p.Text, "parts", "", "parts to run, separated by commas; none means all: "+strings.Join(p.Names, ", "))
}

// Choose returns the parts to run, as Choose does. One that cannot be run is an error if
// the flag names it; else it is left out, and left says why, a sentence for each.
func (p Parts) Choose(env *Env) (names, left []string, err error) {
	if names, err = Choose("-parts", *p.Text, p.Names); err != nil || p.Lacks == nil {
		return names, nil, err
	}
	names = slices.Clone(names)
	for _, name := range slices.Clone(names) {
		reason := p.Lacks(env, name)
		switch {
		case reason == "":
			continue
		case strings.TrimSpace(*p.Text) != "":
			return nil, nil, fmt.Errorf("-parts %s: %s", name, reason)
		}
		names = slices.DeleteFunc(names, func(n string) bool { return n == name })
		left = append(left, fmt.Sprintf("Part %s is left out: %s.", name, reason))
	}
	return names, left, nil
}

// Check is a Program's.
func (p Parts) Check(env *Env) error {
	_, _, err := p.Choose(env)
	return err
}

// Split is a Program's.
func (p Parts) Split() *Split {
	return &Split{Flag: "parts", Values: func(env *Env) ([]string, error) {
		names, _, err := p.Choose(env)
		return names, err
	}}
}
