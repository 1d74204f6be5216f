package nn

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"

	"github.com/redoubt-ml/redoubt/tensor"
)

// dropoutStream tells the random numbers of Dropout from the other uses of a seed.
const dropoutStream = 0xd409

// classifies returns an error unless the network gives an image of the data a
// score for each label that occurs.
func (r *run) classifies() error {
	d := r.Data
	if d.Labels == nil {
		return fmt.Errorf("%s has no labels, want one for each image", d.Name)
	}
	x, _ := d.Batch([]int{0})
	x = x.To(r.input.DType())
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
	x, y, input := r.x, r.y, r.input
	if n := len(idx); n < x.Dim(0) {
		x = tensor.Zeros(tensor.Float32, n, r.Data.H, r.Data.W, r.Data.C)
		input = x
		if y != nil {
			y = y[:n]
		}
	}
	r.Data.BatchInto(x, y, idx)
	if r.Augment != nil {
		r.Augment.Apply(x, idx, epoch)
	}
	switch {
	case r.input == r.x:
	case input == x:
		input = x.To(r.input.DType())
	default:
		input.CopyFrom(x)
	}
	r.tape.Reset()
	pass := &Pass{Train: true, Rand: rand.New(rand.NewPCG(r.Seed^dropoutStream, uint64(r.step)))}
	value, grads, err := r.gradients(ctx, pass, Batch{r.tape.Const(input), y, idx, epoch, r.step})
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

// gradients computes the loss of a batch and its gradients, all of them finite; that
// of a parameter from which no way leads to the loss is nil.
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
		grads = tensor.Gradients(loss, tensor.GradOptions{NilUnreached: true}, watched...)
		if !slices.ContainsFunc(grads, func(g *tensor.Tensor) bool { return g != nil }) {
			return errors.New("loss depends on no parameter of the network, want it computed by the network with the pass given")
		}
		return nil
	})
	if err != nil {
		return 0, nil, err
	}
	for i, g := range grads {
		if g != nil && !tensor.AllFinite(g) {
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
