package nn

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/redoubt-ml/redoubt/tensor"
	"github.com/redoubt-ml/redoubt/tensor/dataset"
	"github.com/redoubt-ml/redoubt/tensor/safetensors"
)

// A checkpoint is a safetensors file: the network under "model.", the
// optimiser's memory under "optimizer.", and as metadata the place in the run and
// what the run depends on.
const (
	modelPrefix     = "model."
	optimizerPrefix = "optimizer."
	memorySize      = "optimizer_tensors" // their number
)

// term is something that a run depends on, by the name it has in a checkpoint.
type term struct{ name, value string }

// hashOfRates is the name of the hash of the learning rates.
const hashOfRates = "learning_rates_sha256"

// comparedRates is how many learning rates of a run are compared at most.
const comparedRates = 1 << 20

// terms are what two runs must have in common for one to go on from the other's
// checkpoint. Some learning rates are there to be read, and a hash of all of them.
func (r *run) terms() ([]term, error) {
	var rates []string
	hash := sha256.New()
	err := guard(func() error {
		const parts = 16
		for i := range parts + 1 {
			step := int(float64(r.steps-1) * float64(i) / parts)
			rates = append(rates, fmt.Sprintf("%d: %v", step, r.Schedule(step)))
		}
		var b [8]byte
		n := min(r.steps, comparedRates)
		for i := range n {
			step := i
			if n < r.steps {
				step = int(float64(r.steps-1) * float64(i) / float64(n-1))
			}
			binary.LittleEndian.PutUint64(b[:], math.Float64bits(r.Schedule(step)))
			hash.Write(b[:])
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("schedule: %w", err)
	}
	return []term{
		{"seed", strconv.FormatUint(r.Seed, 10)},
		{"epochs", strconv.Itoa(r.Epochs)},
		{"steps", optional(r.Steps > 0, strconv.Itoa(r.Steps))},
		{"keep_last", optional(r.KeepLast, "true")},
		{"settings", r.Settings},
		{"batch_size", strconv.Itoa(r.x.Dim(0))},
		{"examples", strconv.Itoa(r.Data.Len())},
		{"data", r.Data.Fingerprint()},
		{"optimizer", r.Optimizer.String()},
		{"learning_rates", strings.Join(slices.Compact(rates), ", ")},
		{hashOfRates, hex.EncodeToString(hash.Sum(nil))},
	}, nil
}

// optional is a text if it holds, else "", as for a name that a file does not have.
func optional(holds bool, text string) string {
	if holds {
		return text
	}
	return ""
}

// save writes the checkpoint, whole or not at all.
func (r *run) save() error {
	if r.Checkpoint == "" {
		return nil
	}
	if err := r.write(); err != nil {
		return fmt.Errorf("nn: Trainer: checkpoint: %w", err)
	}
	return nil
}

func (r *run) write() error {
	c := safetensors.Contents{
		Tensors:  make(map[string]*tensor.Tensor),
		Metadata: map[string]string{"step": strconv.Itoa(r.step)},
	}
	for _, t := range r.fixed {
		c.Metadata[t.name] = t.value
	}
	if err := encode(c.Tensors, modelPrefix, r.Net); err != nil {
		return err
	}
	state := r.Optimizer.State()
	c.Metadata[memorySize] = strconv.Itoa(len(state))
	for name, t := range state {
		if !tensor.AllFinite(t) {
			return fmt.Errorf("tensor %q of the optimiser is not finite", name)
		}
		c.Tensors[optimizerPrefix+name] = t
	}
	return safetensors.Write(r.Checkpoint, c)
}

// resume reads the checkpoint if there is one.
func (r *run) resume() error {
	if r.Checkpoint == "" {
		return nil
	}
	var err error
	if r.fixed, err = r.terms(); err != nil {
		return fmt.Errorf("nn: Trainer: %w", err)
	}
	f, err := safetensors.Open(r.Checkpoint)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("nn: Trainer: checkpoint: %w", err)
	}
	defer f.Close()
	if err := r.restore(f); err != nil {
		return fmt.Errorf("nn: Trainer: checkpoint %s: %w", r.Checkpoint, err)
	}
	return nil
}

func (r *run) restore(f *safetensors.File) error {
	meta := f.Metadata()
	for _, t := range r.fixed {
		if _, found := meta[t.name]; !found && t.name == hashOfRates {
			continue // written when only some rates were compared
		}
		if meta[t.name] != t.value {
			return fmt.Errorf("%s is %q, want %q as in this run", t.name, meta[t.name], t.value)
		}
	}
	step, err := strconv.Atoi(meta["step"])
	if err != nil || step < 0 || step > r.steps {
		return fmt.Errorf("step is %q, want 0 to %d", meta["step"], r.steps)
	}
	state := make(map[string]*tensor.Tensor)
	for _, name := range f.Names() {
		if key, ok := strings.CutPrefix(name, optimizerPrefix); ok {
			if state[key], err = f.Tensor(name); err != nil {
				return err
			}
		}
	}
	if found := strconv.Itoa(len(state)); meta[memorySize] != found {
		return fmt.Errorf("file has %s tensors of the optimiser, want %q", found, meta[memorySize])
	}
	model, err := decode(f, modelPrefix, r.Net, func(string) bool { return false })
	if err != nil {
		return err
	}
	per := r.batches.PerEpoch()
	if err := r.batches.Seek(dataset.Position{Epoch: step / per, Batch: step % per}); err != nil {
		return err
	}
	if err := r.Optimizer.SetState(r.params, state); err != nil {
		return err
	}
	model.apply()
	r.step = step
	return nil
}
