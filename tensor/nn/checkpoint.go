package nn

import (
	"errors"
	"fmt"
	"io/fs"
	"strconv"
	"strings"

	"github.com/redoubt-ml/redoubt/tensor"
	"github.com/redoubt-ml/redoubt/tensor/dataset"
	"github.com/redoubt-ml/redoubt/tensor/safetensors"
)

// A checkpoint is a safetensors file: the network under "model.", the
// optimiser's memory under "optimizer.", and the place in the run as metadata.
const (
	modelPrefix     = "model."
	optimizerPrefix = "optimizer."
)

// save writes the checkpoint, whole or not at all.
func (r *run) save() error {
	if r.Checkpoint == "" {
		return nil
	}
	c := safetensors.Contents{
		Tensors: make(map[string]*tensor.Tensor),
		Metadata: map[string]string{
			"step":       strconv.Itoa(r.step),
			"seed":       strconv.FormatUint(r.Seed, 10),
			"examples":   strconv.Itoa(r.Data.Len()),
			"batch_size": strconv.Itoa(r.x.Dim(0)),
		},
	}
	err := encode(c.Tensors, modelPrefix, r.Net)
	for name, t := range r.Optimizer.State() {
		c.Tensors[optimizerPrefix+name] = t
	}
	if err == nil {
		err = safetensors.Write(r.Checkpoint, c)
	}
	if err != nil {
		return fmt.Errorf("nn: Trainer: checkpoint: %w", err)
	}
	return nil
}

// resume reads the checkpoint if there is one.
func (r *run) resume() error {
	if r.Checkpoint == "" {
		return nil
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
	for key, want := range map[string]string{
		"seed":       strconv.FormatUint(r.Seed, 10),
		"examples":   strconv.Itoa(r.Data.Len()),
		"batch_size": strconv.Itoa(r.x.Dim(0)),
	} {
		if meta[key] != want {
			return fmt.Errorf("%s is %q, want %q as in this run", key, meta[key], want)
		}
	}
	step, err := strconv.Atoi(meta["step"])
	if err != nil || step < 0 {
		return fmt.Errorf("step is %q, want a number of steps", meta["step"])
	}
	state := make(map[string]*tensor.Tensor)
	for _, name := range f.Names() {
		if key, ok := strings.CutPrefix(name, optimizerPrefix); ok {
			if state[key], err = f.Tensor(name); err != nil {
				return err
			}
		}
	}
	model, err := decode(f, modelPrefix, r.Net, func(string) bool { return false })
	if err != nil {
		return err
	}
	if err := r.Optimizer.SetState(r.params, state); err != nil {
		return err
	}
	model.apply()
	if step < r.steps {
		per := r.batches.PerEpoch()
		if err := r.batches.Seek(dataset.Position{Epoch: step / per, Batch: step % per}); err != nil {
			return err
		}
	}
	r.step = step
	return nil
}
