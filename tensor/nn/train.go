package nn

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"

	"github.com/redoubt-ml/redoubt/tensor"
	"github.com/redoubt-ml/redoubt/tensor/dataset"
	"github.com/redoubt-ml/redoubt/tensor/optim"
)

// Batch is what one training step sees.
type Batch struct {
	X     *tensor.Tensor // images [N, H, W, C], on the step's tape
	Y     []int          // labels, nil if the data have none
	Index []int          // positions in the data set
	Epoch int            // from 0
	Step  int            // from 0, over all epochs
}

// Loss computes the scalar that a training step makes smaller. The pass watches
// the network's parameters and b.X lies on its tape; so must the result, a tensor
// of one element. A panic ends training with an error.
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
	Loss  float64 `json:"loss"`
	LR    float64 `json:"lr"`
}

// Trainer trains a network on a data set.
type Trainer struct {
	Net  Layer
	Data *dataset.Set
	// Loss is what training makes smaller; nil means CrossEntropy, for which
	// the data must have labels and the network a class for each. With a Loss
	// of its own the data need no labels.
	Loss      Loss
	Optimizer optim.Optimizer // nil means Adam with its defaults
	Schedule  optim.Schedule  // nil means a constant 1e-3
	Augment   *dataset.Augmenter
	Epochs    int // at least 1
	BatchSize int // 0 means 128; a smaller last batch of an epoch is left out
	// Seed selects the order of examples and the draws of Dropout.
	Seed uint64
	// Checkpoint names a file that holds the whole state of training. If it
	// exists, Run goes on from it, bit for bit as if it had not stopped; it is
	// written after each epoch and when Run is cancelled. "" keeps none.
	Checkpoint string
	// OnStep is called after each step, nil for none.
	OnStep func(Progress)
}

// streams of random numbers that belong to one seed.
const dropoutStream = 0xd409

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
	batches, err := dataset.NewBatches(t.Data.Len(), dataset.BatchOptions{Size: size, DropLast: true, Seed: t.Seed})
	if err != nil {
		return fmt.Errorf("nn: Trainer: %w", err)
	}
	if t.Epochs > math.MaxInt/batches.PerEpoch() {
		return fmt.Errorf("nn: Trainer: %d epochs of %d steps, want at most %d steps in all", t.Epochs, batches.PerEpoch(), math.MaxInt)
	}
	r := &run{
		Trainer: *t, batches: batches, params: Params(t.Net), tape: tensor.NewTape(),
		steps: t.Epochs * batches.PerEpoch(),
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
		if r.step%batches.PerEpoch() == 0 {
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
	case t.Epochs < 1:
		return fmt.Errorf("nn: Trainer: %d epochs, want at least 1", t.Epochs)
	case t.BatchSize < 0 || t.BatchSize > t.Data.Len():
		return fmt.Errorf("nn: Trainer: batch size %d, want 0 to the %d examples", t.BatchSize, t.Data.Len())
	}
	if err := t.Data.Validate(); err != nil {
		return fmt.Errorf("nn: Trainer: %w", err)
	}
	return nil
}

// run is the state of one Run.
type run struct {
	Trainer
	batches     *dataset.Batches
	params      []*tensor.Tensor
	tape        *tensor.Tape
	step, steps int
	x           *tensor.Tensor
	y           []int
	slots       []Slot           // of the network
	saved       []*tensor.Tensor // their values before the update
}

// classifies returns an error unless the network gives an image of the data a
// score for each label that occurs.
func (r *run) classifies() error {
	d := r.Data
	if d.Labels == nil {
		return fmt.Errorf("%s has no labels, want one for each image", d.Name)
	}
	x, _ := d.Batch([]int{0})
	var logits *tensor.Tensor
	if err := guard(func() error { logits = r.Net.Forward(&Pass{}, x); return nil }); err != nil {
		return fmt.Errorf("network does not take the images of %s, %dx%dx%d: %w", d.Name, d.H, d.W, d.C, err)
	}
	if logits == nil || logits.Rank() != 2 || logits.Dim(0) != 1 {
		return fmt.Errorf("network returned %s for one image, want logits [1 classes]", describe(logits))
	}
	for i, y := range d.Labels {
		if y >= logits.Dim(1) {
			return fmt.Errorf("label of image %d of %s is %d, but the network has %d classes, want a label of 0 to %d", i, d.Name, y, logits.Dim(1), logits.Dim(1)-1)
		}
	}
	return nil
}

// guard calls f and makes a panic of f an error.
func guard(f func() error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v", p)
		}
	}()
	return f()
}

// describe names the form of what a network or loss returned.
func describe(t *tensor.Tensor) string {
	if t == nil {
		return "nothing"
	}
	return fmt.Sprintf("%v%v", t.DType(), t.Shape())
}

// one makes one training step.
func (r *run) one(ctx context.Context) error {
	epoch := r.step / r.batches.PerEpoch()
	fail := func(err error) error {
		return fmt.Errorf("nn: Trainer: step %d (epoch %d): %w", r.step, epoch, err)
	}
	idx := r.batches.Next()
	r.Data.BatchInto(r.x, r.y, idx)
	if r.Augment != nil {
		r.Augment.Apply(r.x, idx, epoch)
	}
	r.tape.Reset()
	pass := &Pass{Train: true, Rand: rand.New(rand.NewPCG(r.Seed^dropoutStream, uint64(r.step)))}
	value, grads, err := r.gradients(ctx, pass, Batch{r.tape.Const(r.x), r.y, idx, epoch, r.step})
	if err != nil {
		return fail(err)
	}
	lr, err := r.rate()
	if err == nil {
		err = r.update(pass, lr, grads)
	}
	if err != nil {
		return fail(err)
	}
	r.step++
	if r.OnStep != nil {
		r.OnStep(Progress{Epoch: epoch, Step: r.step - 1, Steps: r.steps, Loss: value, LR: lr})
	}
	return nil
}

// gradients computes the loss of a batch and its gradients, all of them finite.
func (r *run) gradients(ctx context.Context, pass *Pass, b Batch) (value float64, grads []*tensor.Tensor, err error) {
	err = guard(func() error {
		watched := pass.Watch(r.tape, r.params)
		loss, err := r.Loss(ctx, pass, r.Net, b)
		switch {
		case err != nil:
			return err
		case loss == nil || loss.Len() != 1:
			return fmt.Errorf("loss is %s, want one number", describe(loss))
		case loss.Tape() == nil:
			return errors.New("loss is on no tape, want it computed from the batch by the network")
		case loss.Tape() != r.tape:
			return errors.New("loss is on another tape, want that of the batch")
		}
		if value = loss.Item(); math.IsNaN(value) || math.IsInf(value, 0) {
			return fmt.Errorf("loss is %v, want a finite number", value)
		}
		grads = tensor.Grad(loss, watched...)
		return nil
	})
	if err != nil {
		return 0, nil, err
	}
	for i, g := range grads {
		if !tensor.AllFinite(g) {
			return 0, nil, fmt.Errorf("gradient of parameter %d of shape %v is not finite", i, g.Shape())
		}
	}
	return value, grads, nil
}

// rate is the learning rate of the step.
func (r *run) rate() (lr float64, err error) {
	if err := guard(func() error { lr = r.Schedule(r.step); return nil }); err != nil {
		return 0, fmt.Errorf("schedule: %w", err)
	}
	if !(lr >= 0 && lr <= math.MaxFloat64) {
		return 0, fmt.Errorf("learning rate is %v, want a finite number of 0 or more", lr)
	}
	if r.params[0].DType() == tensor.Float32 && lr > math.MaxFloat32 {
		return 0, fmt.Errorf("learning rate is %v, want at most %v for float32 parameters", lr, math.MaxFloat32)
	}
	return lr, nil
}

// update moves parameters and statistics. On an error it moves them back.
func (r *run) update(pass *Pass, lr float64, grads []*tensor.Tensor) error {
	for i, s := range r.slots {
		r.saved[i].CopyFrom(s.Tensor)
	}
	err := guard(func() error {
		r.Optimizer.Step(lr, r.params, grads)
		pass.Commit()
		return nil
	})
	if err == nil {
		i := slices.IndexFunc(r.slots, func(s Slot) bool { return !tensor.AllFinite(s.Tensor) })
		if i < 0 {
			return nil
		}
		// The memory that has led here is of no more use.
		err = errors.Join(
			fmt.Errorf("the update, with a learning rate of %v, makes %v not finite", lr, r.slots[i]),
			r.Optimizer.SetState(r.params, nil))
	}
	for i, s := range r.slots {
		s.Tensor.CopyFrom(r.saved[i])
	}
	return err
}
