package sweep

import (
	"fmt"
	"math"
	"net/url"
	"slices"
)

// maxUnits is the largest number of units of a sweep.
const maxUnits = 1_000_000

// Unit is what is run in one piece.
type Unit struct {
	Seed uint64 `json:"seed"`
	// Value is the one value of the list that is taken apart; empty if none is.
	Value string `json:"value,omitempty"`
}

// String names the unit, as in "seed 7" or "seed 7 of AdvCL".
func (u Unit) String() string {
	if u.Value == "" {
		return fmt.Sprintf("seed %d", u.Seed)
	}
	return fmt.Sprintf("seed %d of %s", u.Seed, u.Value)
}

// FileName is the name of the file with the unit's line.
func (u Unit) FileName(program string) string {
	name := fmt.Sprintf("%s-seed-%d", program, u.Seed)
	if u.Value != "" {
		name += "-" + url.PathEscape(u.Value)
	}
	return name + Extension
}

// Extension is how the names of files with lines end.
const Extension = ".jsonl"

// Range says of which units a sweep consists: Seeds seeds from First on, each with every
// one of Values, or by itself if there are none.
type Range struct {
	First  uint64   `json:"first"`
	Seeds  int      `json:"seeds"`
	Values []string `json:"values,omitempty"`
}

// Validate returns an error unless there are between 1 and maxUnits units, each once.
func (r Range) Validate() error {
	per := max(1, len(r.Values))
	switch {
	case r.Seeds < 1 || r.Seeds > maxUnits/per:
		return fmt.Errorf("a sweep of %d seeds and %d values, want 1 to %d units", r.Seeds, per, maxUnits)
	case r.First > math.MaxUint64-uint64(r.Seeds-1):
		return fmt.Errorf("%d seeds from %d on, want none above %d", r.Seeds, r.First, uint64(math.MaxUint64))
	}
	seen := map[string]bool{"": true}
	for _, v := range r.Values {
		if seen[v] {
			return fmt.Errorf("a sweep over values of which one is %q, want each once and none empty", v)
		}
		seen[v] = true
	}
	return nil
}

// Units lists the units, all values of a seed before the next seed.
func (r Range) Units() []Unit {
	var out []Unit
	for i := range r.Seeds {
		seed := r.First + uint64(i)
		if len(r.Values) == 0 {
			out = append(out, Unit{Seed: seed})
		}
		for _, v := range r.Values {
			out = append(out, Unit{seed, v})
		}
	}
	return out
}

// holds says whether a unit is one of the sweep.
func (r Range) holds(u Unit) bool {
	if u.Seed < r.First || u.Seed-r.First >= uint64(r.Seeds) {
		return false
	}
	if len(r.Values) == 0 {
		return u.Value == ""
	}
	return slices.Contains(r.Values, u.Value)
}
