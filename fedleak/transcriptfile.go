package fedleak

import (
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/redoubt-ml/redoubt/tensor"
	"github.com/redoubt-ml/redoubt/tensor/safetensors"
)

// A transcript file is a safetensors file. Round 12 has its ids in "12.ids" and, for
// each gradient that was kept, "12.PARTY.TENSOR", where PARTY is "top" or a number.
// The metadata hold the format, the setting as JSON, the number of rounds and the
// fingerprint of each round's model.
const transcriptFormat = "redoubt fedleak transcript 1"

// Save writes the transcript to a file, whole or not at all. A transcript of more than 1024
// samples must hold at least as many ids in its rounds, as it does from one epoch on.
func (t *Transcript) Save(path string) error {
	if err := t.save(path); err != nil {
		return fmt.Errorf("fedleak: Transcript.Save: %w", err)
	}
	return nil
}

func (t *Transcript) save(path string) error {
	if err := t.check(); err != nil {
		return err
	}
	setting, err := json.Marshal(t.Protocol)
	if err != nil {
		return err
	}
	prints := make([]string, len(t.Seen))
	c := safetensors.Contents{
		Tensors: make(map[string]*tensor.Tensor),
		Ints:    make(map[string]safetensors.IntTensor),
	}
	for i, r := range t.Seen {
		ids := make([]int64, len(r.IDs))
		for j, id := range r.IDs {
			ids[j] = int64(id)
		}
		c.Ints[fmt.Sprintf("%d.ids", i)] = safetensors.IntTensor{Shape: []int{len(ids)}, Data: ids}
		for ref, g := range r.Gradients {
			c.Tensors[fmt.Sprintf("%d.%s", i, ref.file())] = g
		}
		prints[i] = strconv.FormatUint(r.Model, 16)
	}
	c.Metadata = map[string]string{
		"format": transcriptFormat, "setting": string(setting),
		"rounds": strconv.Itoa(len(t.Seen)), "models": strings.Join(prints, " "),
	}
	return safetensors.Write(path, c)
}

// file is the name of a gradient in a file.
func (r Ref) file() string {
	if r.Party == Top {
		return fmt.Sprintf("top.%d", r.Tensor)
	}
	return fmt.Sprintf("%d.%d", r.Party, r.Tensor)
}

// parseRef is the inverse of Ref.file.
func parseRef(s string) (Ref, error) {
	party, number, ok := strings.Cut(s, ".")
	r := Ref{Party: Top}
	var err error
	if ok && party != "top" {
		r.Party, err = strconv.Atoi(party)
	}
	if ok && err == nil {
		r.Tensor, err = strconv.Atoi(number)
	}
	if !ok || err != nil || r.file() != s || r.Party < Top || r.Tensor < 0 {
		return Ref{}, fmt.Errorf("no gradient is named %q", s)
	}
	return r, nil
}

// LoadTranscript reads a file that Save wrote. Errors: a damaged file or another
// format, rounds without ids, ids out of range, twice in a batch or in batches of
// different sizes, tensors of no round.
func LoadTranscript(path string) (*Transcript, error) {
	f, err := safetensors.Open(path)
	if err != nil {
		return nil, fmt.Errorf("fedleak: LoadTranscript: %w", err)
	}
	defer f.Close()
	t, err := readTranscript(f)
	if err != nil {
		return nil, fmt.Errorf("fedleak: LoadTranscript: %s: %w", path, err)
	}
	return t, nil
}

func readTranscript(f *safetensors.File) (*Transcript, error) {
	meta := f.Metadata()
	if got := meta["format"]; got != transcriptFormat {
		return nil, fmt.Errorf("format is %q, want %q", got, transcriptFormat)
	}
	t := &Transcript{}
	if err := json.Unmarshal([]byte(meta["setting"]), &t.Protocol); err != nil {
		return nil, fmt.Errorf("setting: %w", err)
	}
	prints := strings.Fields(meta["models"])
	if n, err := strconv.Atoi(meta["rounds"]); err != nil || n != len(prints) || n < 1 {
		return nil, fmt.Errorf("%q rounds with %d models, want as many and at least 1", meta["rounds"], len(prints))
	}
	t.Seen = make([]Round, len(prints))
	for i, p := range prints {
		model, err := strconv.ParseUint(p, 16, 64)
		if err != nil {
			return nil, fmt.Errorf("model of round %d: %w", i, err)
		}
		t.Seen[i] = Round{Model: model, Gradients: make(map[Ref]*tensor.Tensor)}
	}
	for _, name := range f.Names() {
		if err := t.read(f, name); err != nil {
			return nil, fmt.Errorf("tensor %q: %w", name, err)
		}
	}
	return t, t.check()
}

// read takes in one tensor of a file.
func (t *Transcript) read(f *safetensors.File, name string) error {
	number, rest, _ := strings.Cut(name, ".")
	i, err := strconv.Atoi(number)
	if err != nil || i < 0 || i >= len(t.Seen) || strconv.Itoa(i) != number {
		return fmt.Errorf("belongs to no round, want 0 to %d", len(t.Seen)-1)
	}
	r := &t.Seen[i]
	if rest == "ids" {
		ids, err := f.Ints(name)
		if err != nil {
			return err
		}
		for _, id := range ids {
			if int64(int(id)) != id {
				return fmt.Errorf("id %d, want 0 to %d", id, t.Protocol.Samples-1)
			}
			r.IDs = append(r.IDs, int(id))
		}
		return nil
	}
	ref, err := parseRef(rest)
	if err != nil {
		return err
	}
	g, err := f.Tensor(name)
	if err != nil {
		return err
	}
	r.Gradients[ref] = g
	return nil
}

// check says what is wrong with a transcript as such.
func (t *Transcript) check() error {
	if len(t.Seen) == 0 {
		return errors.New("no rounds")
	}
	ids := make([][]int, len(t.Seen))
	for i, r := range t.Seen {
		ids[i] = r.IDs
		if len(r.IDs) == 0 {
			return fmt.Errorf("round %d has no ids", i)
		}
	}
	// The matrix of Step I has Samples² entries; a file must not ask for more
	// than its batches account for.
	seen := 0
	for _, b := range ids {
		seen += len(b)
	}
	if n, most := t.Protocol.Samples, max(fewSamples, seen); n > most {
		return fmt.Errorf("%d samples for %d ids, want at most %d", n, seen, most)
	}
	if c := t.Protocol.Clients; c < 0 || c > 0 && t.Protocol.Samples%c != 0 {
		return fmt.Errorf("%d samples for %d clients, want equal shares", t.Protocol.Samples, c)
	}
	return checkBatches(ids, t.Protocol.Samples)
}

// fewSamples is the number of samples that a transcript may have whatever it holds.
const fewSamples = 1 << 10
