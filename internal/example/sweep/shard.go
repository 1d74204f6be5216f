package sweep

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// Shard is one of Count parts of a sweep. Index runs from 1 to Count.
type Shard struct{ Index, Count int }

// FromEnvironment is the text for which ParseShard asks the environment.
const FromEnvironment = "env"

// ParseShard reads a shard written as "i/n" with i from 1 to n. The text "env" takes it
// from the task of a Slurm job array or from the pod of a Kubernetes Indexed Job, by the
// variables that lookup finds:
//
//   - SLURM_ARRAY_TASK_ID with SLURM_ARRAY_TASK_MIN, _MAX, _STEP and _COUNT, whatever the
//     array's first number is; its numbers must be evenly spaced.
//   - JOB_COMPLETION_INDEX, which counts from 0, with JOB_COMPLETIONS, which the manifest
//     has to set.
//
// An error says what was found and what is wanted.
func ParseShard(text string, lookup func(name string) (string, bool)) (Shard, error) {
	if text == FromEnvironment {
		_, slurm := lookup("SLURM_ARRAY_TASK_ID")
		_, kubernetes := lookup("JOB_COMPLETION_INDEX")
		switch {
		case slurm && kubernetes:
			return Shard{}, errors.New("both SLURM_ARRAY_TASK_ID and JOB_COMPLETION_INDEX are set, want one of them, or i/n")
		case slurm:
			return slurmShard(lookup)
		case kubernetes:
			return kubernetesShard(lookup)
		}
		return Shard{}, errors.New("neither SLURM_ARRAY_TASK_ID nor JOB_COMPLETION_INDEX is set, want one of them, or i/n")
	}
	i, n, ok := strings.Cut(text, "/")
	index, err1 := strconv.Atoi(i)
	count, err2 := strconv.Atoi(n)
	s := Shard{index, count}
	if !ok || err1 != nil || err2 != nil || !s.valid() {
		return Shard{}, fmt.Errorf("%q, want i/n with i from 1 to n, as in 2/8, or %s", text, FromEnvironment)
	}
	return s, nil
}

func (s Shard) valid() bool { return s.Index >= 1 && s.Index <= s.Count }

// String writes the shard as ParseShard reads it.
func (s Shard) String() string { return fmt.Sprintf("%d/%d", s.Index, s.Count) }

// Of returns the units of the shard: of all units every Count-th, from the Index-th on.
func (s Shard) Of(all []Unit) []Unit {
	var out []Unit
	for i := s.Index - 1; i < len(all); i += s.Count {
		out = append(out, all[i])
	}
	return out
}

func slurmShard(lookup func(string) (string, bool)) (Shard, error) {
	const prefix = "SLURM_ARRAY_TASK_"
	v, err := numbers(lookup, prefix+"ID", prefix+"MIN", prefix+"MAX", prefix+"STEP", prefix+"COUNT")
	if err != nil {
		return Shard{}, err
	}
	id, least, most, step, count := v[0], v[1], v[2], v[3], v[4]
	if step < 1 || (most-least)%step != 0 || (most-least)/step+1 != count || (id-least)%step != 0 {
		return Shard{}, fmt.Errorf("task %d of a Slurm array of %d from %d to %d in steps of %d, want numbers that are evenly spaced", id, count, least, most, step)
	}
	s := Shard{(id-least)/step + 1, count}
	if !s.valid() {
		return Shard{}, fmt.Errorf("SLURM_ARRAY_TASK_ID is %d, want %d to %d", id, least, most)
	}
	return s, nil
}

func kubernetesShard(lookup func(string) (string, bool)) (Shard, error) {
	v, err := numbers(lookup, "JOB_COMPLETION_INDEX", "JOB_COMPLETIONS")
	if err != nil {
		return Shard{}, err
	}
	s := Shard{v[0] + 1, v[1]}
	if !s.valid() {
		return Shard{}, fmt.Errorf("JOB_COMPLETION_INDEX is %d and JOB_COMPLETIONS %d, want an index from 0 to one less than the number of completions", v[0], v[1])
	}
	return s, nil
}

// numbers reads variables that must hold whole numbers from 0 on.
func numbers(lookup func(string) (string, bool), names ...string) ([]int, error) {
	out := make([]int, len(names))
	for i, name := range names {
		text, ok := lookup(name)
		if !ok {
			return nil, fmt.Errorf("%s is not set beside %s, want both", name, names[0])
		}
		n, err := strconv.ParseInt(text, 10, 32)
		if err != nil || n < 0 {
			return nil, fmt.Errorf("%s is %q, want a whole number from 0 on", name, text)
		}
		out[i] = int(n)
	}
	return out, nil
}
