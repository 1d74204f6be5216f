// Command figures reads one JSON object from standard input and checks figures in
// it:
//
//	figures 'standard.clean>=0.9' 'standard.pgd40<=0.05'
//
// It prints each figure and exits with 1 if one is missing or out of bounds.
package main

import (
	"encoding/json"
	"fmt"
	"os"
	"strconv"
	"strings"
)

func main() {
	var root any
	if err := json.NewDecoder(os.Stdin).Decode(&root); err != nil {
		fmt.Println("figures: standard input:", err)
		os.Exit(1)
	}
	failed := false
	for _, claim := range os.Args[1:] {
		ok, text := check(root, claim)
		fmt.Println(text)
		failed = failed || !ok
	}
	if failed {
		os.Exit(1)
	}
}

// check looks up the dotted path on the left of a claim and compares.
func check(root any, claim string) (bool, string) {
	for _, rel := range []string{">=", "<="} {
		path, bound, found := strings.Cut(claim, rel)
		if !found {
			continue
		}
		want, err := strconv.ParseFloat(bound, 64)
		if err != nil {
			return false, fmt.Sprintf("%s: bound %q is not a number", claim, bound)
		}
		at := root
		for _, key := range strings.Split(path, ".") {
			object, ok := at.(map[string]any)
			if !ok || object[key] == nil {
				return false, claim + ": not in the output"
			}
			at = object[key]
		}
		got, ok := at.(float64)
		if !ok {
			return false, fmt.Sprintf("%s: %v is not a number", claim, at)
		}
		good := rel == ">=" && got >= want || rel == "<=" && got <= want
		return good, fmt.Sprintf("%s %v, want %s %v: %v", path, got, rel, want, map[bool]string{true: "ok", false: "OUT OF BOUNDS"}[good])
	}
	return false, claim + ": want PATH>=NUMBER or PATH<=NUMBER"
}
