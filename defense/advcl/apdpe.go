package advcl

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"

	"github.com/redoubt-ml/redoubt/defense"
	"github.com/redoubt-ml/redoubt/internal/ask"
	"github.com/redoubt-ml/redoubt/tensor"
	"github.com/redoubt-ml/redoubt/tensor/dataset"
	"github.com/redoubt-ml/redoubt/tensor/nn"
)

// APDPE is adversarial pretraining by tasks whose labels come from the image itself:
// telling rotations apart, jigsaw permutations, and which of some patches belongs where.
// Its loss is the mean of all tasks' cross-entropies on clean and on attacked images,
// plus Diversity times the mean of log det(GᵀG + 1e-5 I), where G holds the input
// gradients of an image's attacked tasks, scaled to length 1: 0 where they are
// orthogonal and less elsewhere. It needs second derivatives.
//
// The encoder is shared whole. The third task pools the features of visible patches by
// one attention for each place, without the transformer of the paper. Patches have
// normalisation statistics of their own, Patches. The published program's network begins
// with ImageNet's mean and deviation, see Encoder.NormalizePixels.
//
// Chen, Liu, Chang, Cheng, Amini and Wang, CVPR 2020.
type APDPE struct {
	// Tasks are Rotation, Jigsaw and Selfie; nil means all. The network has a head for
	// each, of TaskClasses outputs, in this order.
	Tasks []Task
	// Diversity is the weight of the log-determinant in the loss, which is made
	// smaller. The published program adds 0.1, which drives the tasks' gradients
	// together; diverse attacks want it negative. 0 leaves it out.
	Diversity float64
	Attack    Attack // sees the network in evaluation mode, whatever Eval says
	Seed      uint64 // selects augmentation, tasks' labels and the starts of attacks

	studio *studio
	tape   *tensor.Tape
	spare  spare
	orders [][]int
}

// Task is something to learn from images alone.
type Task string

// Tasks.
const (
	Rotation Task = "rotation" // by how many quarter turns the image is turned
	Jigsaw   Task = "jigsaw"   // by which of 31 permutations 4x4 patches are mixed
	Selfie   Task = "selfie"   // which of 4 hidden patches belongs to a place
)

// Patches names the set of normalisation statistics of the third task.
const Patches = "patches"

// side is the number of patches along each side, hidden that of those to place.
const (
	side   = 4
	hidden = 4
	jigsaw = 31
)

// TaskClasses are the outputs of the heads that the tasks need.
func TaskClasses(tasks ...Task) []int {
	var out []int
	for _, t := range tasks {
		out = append(out, map[Task]int{Rotation: 4, Jigsaw: jigsaw, Selfie: side * side}[t])
	}
	return out
}

// NewAPDPE returns the three tasks with 10 steps of 2/255 within 8/255 and the
// published program's diversity term.
func NewAPDPE(seed uint64) *APDPE {
	return &APDPE{Diversity: 0.1, Attack: Attack{Eps: defaultEps, StepSize: defaultStep, Steps: 10, Eval: true}, Seed: seed}
}

// NewAPRotation returns adversarial rotation prediction, the first task alone.
func NewAPRotation(seed uint64) *APDPE {
	a := NewAPDPE(seed)
	a.Tasks, a.Diversity = []Task{Rotation}, 0
	return a
}

var _ Method = (*APDPE)(nil)

func (a *APDPE) tasks() []Task {
	if a.Tasks == nil {
		return []Task{Rotation, Jigsaw, Selfie}
	}
	return a.Tasks
}

// Name returns "AP-DPE", or "AP-" and the task if there is one.
func (a *APDPE) Name() string {
	if t := a.tasks(); len(t) == 1 {
		return "AP-" + string(t[0])
	}
	return "AP-DPE"
}

// String describes all settings that the outcome depends on.
func (a *APDPE) String() string {
	return fmt.Sprintf("%s of %v, diversity %v, attack %+v, seed %d", a.Name(), a.tasks(), a.Diversity, a.Attack, a.Seed)
}

// Passes is the work of a step for each image, in forward passes. The 6 for the second
// derivatives of a task are an estimate.
func (a *APDPE) Passes() float64 {
	per := 6 + 2*a.Attack.Steps
	if a.Diversity != 0 {
		per += 6
	}
	return float64(per * len(a.tasks()))
}

// Check returns an error unless the settings make sense for the network and the data.
func (a *APDPE) Check(net *Network, data *dataset.Set) error {
	a.studio = nil
	tasks := a.tasks()
	if len(tasks) == 0 {
		return errors.New("advcl: AP-DPE: no tasks")
	}
	for i, t := range tasks {
		want := TaskClasses(t)[0]
		switch {
		case want == 0:
			return fmt.Errorf("advcl: AP-DPE: task %q, want %q, %q or %q", t, Rotation, Jigsaw, Selfie)
		case len(net.Heads) <= i || net.Heads[i].Weight.Dim(1) != want:
			return fmt.Errorf("advcl: AP-DPE: network without a head %d of %d outputs for %s", i, want, t)
		case t != Rotation && data.H%side != 0:
			return fmt.Errorf("advcl: AP-DPE: images of %d pixels a side, want a multiple of %d", data.H, side)
		case t == Selfie:
			if err := net.hasSets(Patches); err != nil {
				return err
			}
		}
	}
	if math.IsNaN(a.Diversity) || math.IsInf(a.Diversity, 0) || a.Diversity != 0 && len(tasks) < 2 {
		return fmt.Errorf("advcl: AP-DPE: diversity %v of %d tasks, want a finite number, and 0 for one task", a.Diversity, len(tasks))
	}
	return a.Attack.Check()
}

// puzzle is a task's batch: the images to look at and their labels.
type puzzle struct {
	task   Task
	head   *nn.Linear
	x      *tensor.Tensor // [N, S, S, 3]
	y      []int
	places [][]int // of the hidden patches of each image
	// As numbers of patches of the whole batch, image by image: the visible ones, and
	// the k-th hidden ones.
	seen    []int
	removed [hidden][]int
	// asked says at which place the k-th hidden patch of a visible patch's image was.
	asked [hidden][]int
}

// Loss is the loss of a batch of images without augmentation, for nn.Trainer.
func (a *APDPE) Loss(ctx context.Context, p *nn.Pass, layer nn.Layer, b nn.Batch) (*tensor.Tensor, error) {
	net, err := asNetwork(layer)
	if err != nil {
		return nil, err
	}
	if a.studio == nil {
		a.studio, a.tape, a.spare = newStudio(Views(), a.Seed), tensor.NewTape(), spare{}
		rng := rand.New(rand.NewPCG(a.Seed, hash("permutations")))
		a.orders = [][]int{ask.Range(0, side*side)}
		for len(a.orders) < jigsaw {
			a.orders = append(a.orders, rng.Perm(side*side))
		}
	}
	x, err := a.studio.make(Weak, b.X, b.Index, b.Epoch, map[string]*tensor.Tensor{})
	if err != nil {
		return nil, err
	}
	tape := b.X.Tape()
	var losses []*tensor.Tensor
	var watched, attacked []*tensor.Tensor
	for i, t := range a.tasks() {
		z := a.pose(t, net.Heads[i], x, b.Step)
		adv := a.spare.copyOf("attacked "+string(t), z.x)
		noise := []*rand.Rand{rand.New(rand.NewPCG(a.Seed^hash("noise of "+string(t)), uint64(b.Step)))}
		err := a.Attack.climb(ctx, a.tape, []*tensor.Tensor{z.x}, []*tensor.Tensor{adv}, noise, func(_ int, x []*tensor.Tensor) ([]*tensor.Tensor, error) {
			return tensor.Grad(tensor.Sum(z.loss(&nn.Pass{}, net, x[0])), x...), nil
		})
		if err != nil {
			return nil, err
		}
		w := tape.Const(adv)
		if a.Diversity != 0 {
			w = tape.Watch(adv)
		}
		each := z.loss(p, net, w)
		watched, attacked = append(watched, w), append(attacked, tensor.Sum(each))
		losses = append(losses, tensor.Mean(z.loss(p, net, tape.Const(z.x))), tensor.Mean(each))
	}
	total := losses[0]
	for _, l := range losses[1:] {
		total = tensor.Add(total, l)
	}
	total = tensor.MulScalar(total, 1/float64(len(losses)))
	if a.Diversity == 0 {
		return total, nil
	}
	var g []*tensor.Tensor
	for i, l := range attacked {
		g = append(g, tensor.Gradients(l, tensor.GradOptions{CreateGraph: true}, watched[i])...)
	}
	return tensor.Add(total, tensor.MulScalar(tensor.Mean(defense.LogDet(1e-5, g...)), a.Diversity)), nil
}

// pose makes a task of images.
func (a *APDPE) pose(t Task, head *nn.Linear, x *tensor.Tensor, step int) *puzzle {
	n, size, c := x.Dim(0), x.Dim(1), x.Dim(3)
	z := &puzzle{task: t, head: head, x: a.spare.copyOf("posed "+string(t), x), y: make([]int, n)}
	rng := rand.New(rand.NewPCG(a.Seed^hash(string(t)), uint64(step)))
	from, to := x.Float32s(), z.x.Float32s()
	for i := range n {
		src, dst := from[i*size*size*c:(i+1)*size*size*c], to[i*size*size*c:(i+1)*size*size*c]
		switch t {
		case Rotation:
			z.y[i] = rng.IntN(4)
			turn(dst, src, size, c, z.y[i])
		case Jigsaw:
			// A tenth is left in order, beyond what chance would leave.
			if rng.Float64() >= 0.1 {
				z.y[i] = rng.IntN(jigsaw)
			}
			mix(dst, src, size, c, a.orders[z.y[i]])
		case Selfie:
			z.places = append(z.places, rng.Perm(side * side)[:hidden])
		}
	}
	z.index()
	return z
}

// index numbers the patches, once for all passes of a step.
func (z *puzzle) index() {
	const all = side * side
	n := len(z.places)
	z.seen = make([]int, 0, n*(all-hidden))
	for k := range hidden {
		z.removed[k], z.asked[k] = make([]int, 0, n), make([]int, 0, n*(all-hidden))
	}
	for i, places := range z.places {
		for k, place := range places {
			z.removed[k] = append(z.removed[k], i*all+place)
		}
		for at := range all {
			if slices.Contains(places, at) {
				continue
			}
			z.seen = append(z.seen, i*all+at)
			for k, place := range places {
				z.asked[k] = append(z.asked[k], place)
			}
		}
	}
}

// turn copies a square image, turned by quarter turns counter-clockwise.
func turn(dst, src []float32, size, c, quarters int) {
	for i := range size {
		for j := range size {
			r, s := i, j
			for range quarters {
				r, s = s, size-1-r
			}
			copy(dst[(i*size+j)*c:(i*size+j+1)*c], src[(r*size+s)*c:])
		}
	}
}

// mix copies an image whose patch k is patch order[k] of another.
func mix(dst, src []float32, size, c int, order []int) {
	edge := size / side
	for k, o := range order {
		for r := range edge {
			to, from := ((k/side)*edge+r)*size+(k%side)*edge, ((o/side)*edge+r)*size+(o%side)*edge
			copy(dst[to*c:(to+edge)*c], src[from*c:(from+edge)*c])
		}
	}
}

// loss is the task's cross-entropy [N] for images x in place of its own.
func (z *puzzle) loss(p *nn.Pass, net *Network, x *tensor.Tensor) *tensor.Tensor {
	if z.task == Selfie {
		return on(p, Patches, func() *tensor.Tensor { return z.place(p, net, x) })
	}
	return tensor.CrossEntropy(z.head.Forward(p, net.Features(p, x)), z.y)
}

// place is the mean cross-entropy, over an image's hidden places, of finding the patch
// that belongs there among the hidden ones.
func (z *puzzle) place(p *nn.Pass, net *Network, x *tensor.Tensor) *tensor.Tensor {
	n, size, c := x.Dim(0), x.Dim(1), x.Dim(3)
	edge, all := size/side, side*side
	patches := tensor.Transpose(tensor.Reshape(x, n*side, edge, side, edge*c), 0, 2, 1, 3)
	h := net.Features(p, tensor.Reshape(patches, n*all, edge, edge, c))
	scores := z.head.Forward(p, h) // of each patch for each place
	d := h.Dim(1)
	visible, of := tensor.Gather(h, z.seen), tensor.Gather(scores, z.seen)
	candidates := make([]*tensor.Tensor, hidden)
	for k := range candidates {
		candidates[k] = tensor.Gather(h, z.removed[k])
	}
	var total *tensor.Tensor
	for k := range hidden {
		attention := tensor.Softmax(tensor.Reshape(tensor.Pick(of, z.asked[k]), n, all-hidden))
		weighted := tensor.Mul(visible, tensor.Reshape(attention, n*(all-hidden), 1))
		query := tensor.Sum(tensor.Reshape(weighted, n, all-hidden, d), 1)
		columns := make([]*tensor.Tensor, hidden)
		for j, cand := range candidates {
			columns[j] = tensor.Reshape(tensor.Sum(tensor.Mul(query, cand), 1), n, 1)
		}
		logits := tensor.MulScalar(tensor.Concat(1, columns...), 1/math.Sqrt(float64(d)))
		right := make([]int, n)
		for i := range right {
			right[i] = k
		}
		if ce := tensor.CrossEntropy(logits, right); total == nil {
			total = ce
		} else {
			total = tensor.Add(total, ce)
		}
	}
	return tensor.MulScalar(total, 1./hidden)
}
