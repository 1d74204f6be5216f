package advcl

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"

	"github.com/redoubt-ml/redoubt/tensor"
	"github.com/redoubt-ml/redoubt/tensor/dataset"
	"github.com/redoubt-ml/redoubt/tensor/nn"
)

// DeACL teaches a fresh encoder, in a tenth of the epochs, what a frozen one that was
// trained without attacks knows, and to answer attacked images like clean ones:
//
//	-cos(s(x), T(x)) - Weight cos(s(x'), s(x)),
//
// where s is the student, T the teacher and x' an image perturbed to lead s away from
// T(x). Its student has one set of normalisation statistics.
//
// Zhang et al., ECCV 2022.
type DeACL struct {
	Teacher *Encoder // with one set of statistics; see Encoder.Extract
	// Weight is that of agreement between clean and attacked images; 0 means 2.
	Weight float64
	Attack Attack // sees the student in evaluation mode, whatever Eval says
	Seed   uint64 // selects augmentation and the starts of attacks

	studio *studio
	tape   *tensor.Tape
	spare  spare
}

// NewDeACL returns DeACL with 5 steps of 2/255 within 8/255.
func NewDeACL(teacher *Encoder, seed uint64) *DeACL {
	return &DeACL{Teacher: teacher, Attack: Attack{Eps: defaultEps, StepSize: defaultStep, Steps: 5, Eval: true}, Seed: seed}
}

var _ Method = (*DeACL)(nil)

// Name returns "DeACL".
func (d *DeACL) Name() string { return "DeACL" }

// String describes all settings that the outcome depends on, with a checksum of the
// teacher.
func (d *DeACL) String() string {
	teacher := "no teacher"
	if d.Teacher != nil {
		teacher = "teacher " + d.Teacher.checksum()
	}
	return fmt.Sprintf("DeACL, %s, weight %v, attack %+v, seed %d", teacher, d.weight(), d.Attack, d.Seed)
}

// Passes is the work of a step for each image, in forward passes.
func (d *DeACL) Passes() float64 { return float64(2*d.Attack.Steps + 7) }

func (d *DeACL) weight() float64 {
	if d.Weight == 0 {
		return 2
	}
	return d.Weight
}

// Check returns an error unless the settings make sense for the network and the data.
func (d *DeACL) Check(net *Network, data *dataset.Set) error {
	d.studio = nil
	if d.Teacher == nil {
		return errors.New("advcl: DeACL: no teacher")
	}
	if len(d.Teacher.Sets) != 1 {
		return fmt.Errorf("advcl: DeACL: teacher has the sets of normalisation statistics %q, want one; see Encoder.Extract", d.Teacher.Sets)
	}
	if err := d.Teacher.Ready(""); err != nil {
		return err
	}
	if t, s := d.Teacher.Form.Features(), net.Encoder.Form.Features(); t != s {
		return fmt.Errorf("advcl: DeACL: teacher has %d features, student %d, want as many", t, s)
	}
	if !(d.Weight >= 0) || math.IsInf(d.Weight, 0) {
		return fmt.Errorf("advcl: DeACL: weight is %v, want a finite number above 0, or 0 for 2", d.Weight)
	}
	return d.Attack.Check()
}

// Loss is the loss of a batch of images without augmentation, for nn.Trainer.
func (d *DeACL) Loss(ctx context.Context, p *nn.Pass, layer nn.Layer, b nn.Batch) (*tensor.Tensor, error) {
	net, err := asNetwork(layer)
	if err != nil {
		return nil, err
	}
	if d.studio == nil {
		d.studio, d.tape, d.spare = newStudio(Views(), d.Seed), tensor.NewTape(), spare{}
	}
	x, err := d.studio.make(Weak, b.X, b.Index, b.Epoch, map[string]*tensor.Tensor{})
	if err != nil {
		return nil, err
	}
	// Off the step's tape, which then does not hold the teacher's pass.
	d.tape.Reset()
	target := d.spare.copyOf("target", d.Teacher.Forward(&nn.Pass{}, d.tape.Const(x)))
	x0, adv := x.Detach(), d.spare.copyOf("attacked", x)
	noise := []*rand.Rand{rand.New(rand.NewPCG(d.Seed^hash("noise of DeACL"), uint64(b.Step)))}
	err = d.Attack.climb(ctx, d.tape, []*tensor.Tensor{x0}, []*tensor.Tensor{adv}, noise, func(_ int, x []*tensor.Tensor) ([]*tensor.Tensor, error) {
		s := net.Features(&nn.Pass{}, x[0])
		away := tensor.Neg(tensor.Sum(cosine(s, d.tape.Const(target))))
		return tensor.Grad(away, x...), nil
	})
	if err != nil {
		return nil, err
	}
	n := x.Dim(0)
	target = b.X.Tape().Const(target)
	both := net.Features(p, tensor.Concat(0, x, b.X.Tape().Const(adv)))
	clean, attacked := tensor.Slice(both, 0, 0, n), tensor.Slice(both, 0, n, 2*n)
	agree := tensor.Add(tensor.Mean(cosine(clean, target)), tensor.MulScalar(tensor.Mean(cosine(attacked, clean)), d.weight()))
	return tensor.Neg(agree), nil
}

// cosine is the similarity of each row of a to the same row of b.
func cosine(a, b *tensor.Tensor) *tensor.Tensor { return tensor.Sum(tensor.Mul(unit(a), unit(b)), 1) }
