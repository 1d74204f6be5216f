package nn

import (
	"context"
	"errors"
	"fmt"
	"math"

	"github.com/redoubt-ml/redoubt/tensor"
	"github.com/redoubt-ml/redoubt/tensor/dataset"
	"github.com/redoubt-ml/redoubt/tensor/optim"
)

// Batch is what one training step sees.
type Batch struct {
	X     *tensor.Tensor // images [N, H, W, C] in the network's element type, on the step's tape
	Y     []int          // labels, nil if the data have none
	Index []int          // positions in the data set
	Epoch int            // from 0
	Step  int            // from 0, over all epochs
}

// Loss computes the scalar that a training step makes smaller. The pass watches
// the network's parameters and b.X lies on its tape; so must the result, a tensor
// of one element that depends on a parameter. A panic ends training with an error.
type Loss func(ctx context.Context, p *Pass, net Layer, b Batch) (*tensor.Tensor, error)

// CrossEntropy is the ordinary loss of a classifier, the mean cross-entropy over
// the batch in nats.
func CrossEntropy(_ context.Context, p *Pass, net Layer, b Batch) (*tensor.Tensor, error) {
	return tensor.Mean(tensor.CrossEntropy(net.Forward(p, b.X), b.Y)), nil
}

// Progress describes a training step that has been made.
type Progress struct {
	Epoch int     `json:"epoch"` // from 0
	Step  int     `json:"step"`  // from 0, over all epochs
	Steps int     `json:"steps"` // in all
	Loss  float64 `json:"loss"`  // of the step's batch
	LR    float64 `json:"lr"`    // learning rate
}

// Trainer trains a network on a data set. A step leaves parameters alone that its loss
// does not depend on, such as those of sets of normalisation statistics that it does
// not use.
type Trainer struct {
	Net  Layer        // what is trained, in place
	Data *dataset.Set // images and labels
	// Loss is what training makes smaller; nil means CrossEntropy, for which
	// the data must have labels and the network a class for each. With a Loss
	// of its own the data need no labels.
	Loss      Loss
	Optimizer optim.Optimizer    // nil means Adam with its defaults
	Schedule  optim.Schedule     // nil means a constant 1e-3
	Augment   *dataset.Augmenter // random changes of the images; nil for none
	// Epochs is the number of passes over the data, at least 1 unless Steps is set.
	Epochs int
	// Steps is the number of training steps, in place of Epochs, which is 0 then; 0
	// means that Epochs says it.
	Steps     int
	BatchSize int // 0 means 128; a smaller last batch of an epoch is left out
	// KeepLast trains on a smaller last batch of an epoch too.
	KeepLast bool
	// Seed selects the order of examples and the draws of Dropout.
	Seed uint64
	// Checkpoint names a file that holds the whole state of training. If it
	// exists, Run goes on from it, bit for bit as if it had not stopped; it is
	// written after each epoch and when Run is cancelled. "" keeps none. A file
	// of a run with another optimiser, seed, batch size, number of epochs or steps,
	// other data, learning rates or Settings is an error that names the difference,
	// and changes nothing. Of the network, the names, shapes and types of its tensors
	// are compared, not what its layers do; of the learning rates of more than 2^20
	// steps, that many. Loss and Augment are not compared: Settings can describe them.
	Checkpoint string
	// SaveEvery is a number of steps after which the checkpoint is written as well;
	// 0 means only after epochs.
	SaveEvery int
	// Settings says what else a run depends on, such as what Loss does.
	Settings string
	// OnStep is called after each step, nil for none.
	OnStep func(Progress)
}

// Run trains until the last epoch is done or ctx is cancelled; then the network
// keeps what it has learnt and the error is ctx's. A loss, gradient or learning
// rate that is not finite, a panic, or an update that leaves a parameter or
// statistic not finite ends training with an error that names the step; the
// network then has the parameters and statistics from before that step, and after
// an update that overflowed the optimiser has no memory.
func (t *Trainer) Run(ctx context.Context) error {
	if err := t.validate(); err != nil {
		return err
	}
	size := t.BatchSize
	if size == 0 {
		size = min(128, t.Data.Len())
	}
	batches, err := dataset.NewBatches(t.Data.Len(), dataset.BatchOptions{Size: size, DropLast: !t.KeepLast, Seed: t.Seed})
	if err != nil {
		return fmt.Errorf("nn: Trainer: %w", err)
	}
	if t.Epochs > math.MaxInt/batches.PerEpoch() {
		return fmt.Errorf("nn: Trainer: %d epochs of %d steps, want at most %d steps in all", t.Epochs, batches.PerEpoch(), math.MaxInt)
	}
	steps := t.Steps
	if steps == 0 {
		steps = t.Epochs * batches.PerEpoch()
	}
	r := &run{
		Trainer: *t, batches: batches, params: Params(t.Net), tape: tensor.NewTape(), steps: steps,
		x:     tensor.Zeros(tensor.Float32, size, t.Data.H, t.Data.W, t.Data.C),
		slots: slots(t.Net),
	}
	for _, s := range r.slots {
		r.saved = append(r.saved, s.Tensor.Clone())
	}
	if t.Data.Labels != nil {
		r.y = make([]int, size)
	}
	if len(r.params) == 0 {
		return errors.New("nn: Trainer: the network has no parameters")
	}
	for _, s := range r.slots[1:] {
		if first := r.slots[0]; s.Tensor.DType() != first.Tensor.DType() {
			return fmt.Errorf("nn: Trainer: %v is %v, want %v as %v (see Convert)", s, s.Tensor.DType(), first.Tensor.DType(), first)
		}
	}
	r.input = r.x
	if dtype := r.params[0].DType(); dtype != tensor.Float32 {
		r.input = r.x.To(dtype)
	}
	if r.Loss == nil {
		if err := r.classifies(); err != nil {
			return fmt.Errorf("nn: Trainer: %w", err)
		}
		r.Loss = CrossEntropy
	}
	if r.Optimizer == nil {
		r.Optimizer = &optim.Adam{}
	}
	if r.Schedule == nil {
		r.Schedule = optim.Constant(1e-3)
	}
	if err := r.resume(); err != nil {
		return err
	}
	for r.step < r.steps {
		if err := ctx.Err(); err != nil {
			return errors.Join(fmt.Errorf("nn: Trainer: stopped before step %d of %d: %w", r.step, r.steps, err), r.save())
		}
		if err := r.one(ctx); err != nil {
			if ctx.Err() != nil && errors.Is(err, ctx.Err()) {
				err = errors.Join(err, r.save())
			}
			return err
		}
		if r.step%batches.PerEpoch() == 0 || r.step == r.steps || r.SaveEvery > 0 && r.step%r.SaveEvery == 0 {
			if err := r.save(); err != nil {
				return err
			}
		}
	}
	return nil
}

func (t *Trainer) validate() error {
	switch {
	case t.Net == nil:
		return errors.New("nn: Trainer: no network")
	case t.Data == nil || t.Data.Len() == 0:
		return errors.New("nn: Trainer: no data")
	case t.Steps < 0:
		return fmt.Errorf("nn: Trainer: %d steps, want 0 (for Epochs) or more", t.Steps)
	case t.Steps == 0 && t.Epochs < 1:
		return fmt.Errorf("nn: Trainer: %d epochs, want at least 1", t.Epochs)
	case t.Steps > 0 && t.Epochs != 0:
		return fmt.Errorf("nn: Trainer: %d steps and %d epochs, want one of them", t.Steps, t.Epochs)
	case t.SaveEvery < 0:
		return fmt.Errorf("nn: Trainer: checkpoint every %d steps, want 0 (for none) or more", t.SaveEvery)
	case t.BatchSize < 0 || t.BatchSize > t.Data.Len():
		return fmt.Errorf("nn: Trainer: batch size %d, want 0 to the %d examples", t.BatchSize, t.Data.Len())
	}
	if err := t.Data.Check(); err != nil {
		return fmt.Errorf("nn: Trainer: %w", err)
	}
	return nil
}

// run is the state of one Run.
type run struct {
	Trainer
	batches     *dataset.Batches
	params      []*tensor.Tensor // all of one element type
	tape        *tensor.Tape
	step, steps int
	x           *tensor.Tensor // a batch of images, float32
	input       *tensor.Tensor // the same in the network's element type
	y           []int
	fixed       []term           // what a checkpoint must agree with
	slots       []Slot           // of the network
	saved       []*tensor.Tensor // their values before the update
}
