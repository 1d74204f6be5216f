package advcl

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/redoubt-ml/redoubt/tensor"
	"github.com/redoubt-ml/redoubt/tensor/dataset"
	"github.com/redoubt-ml/redoubt/tensor/nn"
	"github.com/redoubt-ml/redoubt/tensor/optim"
)

// Pretraining trains a network by a method on images whose labels are not looked at,
// but by Supervised.
type Pretraining struct {
	Net    *Network     // what is trained, in place
	Method Method       // the way to pretrain
	Data   *dataset.Set // the images
	// Optimizer nil means SGD with momentum 0.9 and weight decay 1e-4, the reference
	// code's.
	Optimizer optim.Optimizer
	// Schedule nil means StepCosine to a thousandth, after 5 % of warming up, from the
	// reference code's 0.5 scaled by BatchSize/512.
	Schedule optim.Schedule
	// Steps is the number of training steps, or Epochs the number of passes over the
	// data with a smaller last batch; one of them is 0.
	Steps, Epochs int
	BatchSize     int    // 0 means 512, or all images if there are fewer
	Seed          uint64 // selects the order of images
	// Checkpoint names a file that the run can go on from, bit for bit; see
	// nn.Trainer, which also compares the method's settings. "" keeps none.
	Checkpoint string
	// SaveEvery is a number of steps after which the checkpoint is written too.
	SaveEvery int
	// OnStep is called after each step, nil for none.
	OnStep func(nn.Progress)
}

// Run trains until the last step is done or ctx is cancelled. What does not fit is an
// error that says so before the first step, with the network unchanged.
func (t *Pretraining) Run(ctx context.Context) error {
	size, err := t.check()
	if err != nil {
		return err
	}
	keep := t.Epochs > 0 && t.Data.Len()%size > 1
	run := nn.Trainer{
		Net: t.Net, Data: t.Data, Loss: t.Method.Loss, Optimizer: t.Optimizer, Schedule: t.Schedule,
		Steps: t.Steps, Epochs: t.Epochs, BatchSize: size, KeepLast: keep, Seed: t.Seed,
		Checkpoint: t.Checkpoint, SaveEvery: t.SaveEvery, Settings: t.Method.String(), OnStep: t.OnStep,
	}
	if run.Optimizer == nil {
		run.Optimizer = &optim.SGD{Momentum: 0.9, WeightDecay: 1e-4}
	}
	if run.Schedule == nil {
		steps := t.Steps
		if steps == 0 {
			per := t.Data.Len() / size
			if keep {
				per++
			}
			steps = t.Epochs * per
		}
		lr := 0.5 * float64(size) / 512
		if run.Schedule, err = (StepCosine{LR: lr, Steps: steps, WarmUp: steps / 20, Floor: lr / 1000}).Schedule(); err != nil {
			return err
		}
	}
	return run.Run(ctx)
}

// check returns the batch size, or what is wrong.
func (t *Pretraining) check() (size int, err error) {
	switch {
	case t.Net == nil || t.Net.Encoder == nil || t.Net.Projector == nil:
		return 0, errors.New("advcl: pretraining: no network")
	case t.Method == nil:
		return 0, errors.New("advcl: pretraining: no method")
	case t.Data == nil || t.Data.Len() == 0:
		return 0, errors.New("advcl: pretraining: no images")
	case t.Steps < 0 || t.Epochs < 0 || (t.Steps > 0) == (t.Epochs > 0):
		return 0, fmt.Errorf("advcl: pretraining: %d steps and %d epochs, want one of them above 0 and the other 0", t.Steps, t.Epochs)
	}
	if err := checkImages(t.Data); err != nil {
		return 0, err
	}
	if size = t.BatchSize; size == 0 {
		size = min(512, t.Data.Len())
	}
	if size < 2 || size > t.Data.Len() {
		return 0, fmt.Errorf("advcl: pretraining: batches of %d images, want 2 to the %d images", size, t.Data.Len())
	}
	return size, t.Method.Check(t.Net, t.Data)
}

// checkImages returns an error unless an encoder takes the images.
func checkImages(d *dataset.Set) error {
	if d == nil || d.Len() == 0 {
		return errors.New("advcl: no images")
	}
	if d.C != 3 {
		return fmt.Errorf("advcl: images of %s have %d channels, want 3", d.Name, d.C)
	}
	if d.H != d.W {
		return fmt.Errorf("advcl: images of %s are %dx%d, want square ones", d.Name, d.H, d.W)
	}
	if err := d.Check(); err != nil {
		return fmt.Errorf("advcl: %w", err)
	}
	return nil
}

// Calibrate sets the running normalisation statistics of an encoder that is not to be
// trained, of the named set, to those of the images: to the mean of what at most the
// given number of batches of 128 would each put there, whatever was there before.
// Errors: an unknown set, images that do not fit, fewer than 2 of them, the context's,
// which leaves the mean over the batches so far.
func (e *Encoder) Calibrate(ctx context.Context, set string, data *dataset.Set, batches int) error {
	if _, err := e.set(set); err != nil {
		return err
	}
	if err := checkImages(data); err != nil {
		return err
	}
	size := min(128, data.Len())
	if size < 2 || batches < 1 {
		return fmt.Errorf("advcl: calibration: %d batches of %d images, want at least 1 of at least 2", batches, size)
	}
	order, err := dataset.NewBatches(data.Len(), dataset.BatchOptions{Size: size, DropLast: true, Sequential: true})
	if err != nil {
		return err
	}
	defer func(kept []float64) {
		for i, l := range e.norms {
			l.Momentum = kept[i]
		}
	}(e.momenta())
	tape := tensor.NewTape()
	for k := range min(batches, order.PerEpoch()) {
		if err := ctx.Err(); err != nil {
			return err
		}
		// The running averages become plain ones.
		for _, l := range e.norms {
			l.Momentum = 1 / float64(k+1)
		}
		tape.Reset()
		x, _ := data.Batch(slices.Clone(order.Next()))
		p := &nn.Pass{Train: true, Stats: set}
		e.Forward(p, tape.Const(x))
		p.Commit()
	}
	return nil
}

// momenta are the momenta of the normalisations.
func (e *Encoder) momenta() []float64 {
	out := make([]float64, len(e.norms))
	for i, l := range e.norms {
		out[i] = l.Momentum
	}
	return out
}
