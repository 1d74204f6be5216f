package bandit

import (
	"fmt"
	"slices"
	"strings"
)

// nameOf is the text form of a value that has names.
func nameOf(kind string, names []string, value int) ([]byte, error) {
	if value < 0 || value >= len(names) {
		return nil, fmt.Errorf("bandit: %s is %d, want 0 to %d", kind, value, len(names)-1)
	}
	return []byte(names[value]), nil
}

// byName is the value of such a text.
func byName(kind string, names []string, text []byte) (int, error) {
	k := slices.Index(names, string(text))
	if k < 0 {
		return 0, fmt.Errorf("bandit: %s is %.40q, want one of: %s", kind, text, strings.Join(names, ", "))
	}
	return k, nil
}
