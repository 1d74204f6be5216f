package advcl

import (
	"context"
	"math/rand/v2"
	"reflect"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/redoubt-ml/redoubt/tensor"
	"github.com/redoubt-ml/redoubt/tensor/dataset"
	"github.com/redoubt-ml/redoubt/tensor/nn"
	"github.com/redoubt-ml/redoubt/tensor/optim"
)

// teacher is an encoder that has seen images.
func teacher(t testing.TB, data *dataset.Set) *Encoder {
	e := NewEncoder(rand.New(rand.NewPCG(8, 8)), tiny)
	require.NoError(t, e.Calibrate(context.Background(), "", data, 1))
	return e
}

// Every other method makes its loss smaller, names what it needs, and depends on its
// seed alone.
func TestOtherMethodsTrain(t *testing.T) {
	data := blobs(32, 4, 1)
	all := []Task{Rotation, Jigsaw, Selfie}
	for name, c := range map[string]struct {
		method func() Method
		net    func() *Network
		passes float64
	}{
		"AT":       {func() Method { m := NewAT(1); m.Attack.Steps = 2; return m }, func() *Network { return network(1, []int{4}) }, 7},
		"TRADES":   {func() Method { m := NewTRADES(1); m.Attack.Steps = 2; return m }, func() *Network { return network(1, []int{4}) }, 11},
		"DeACL":    {func() Method { m := NewDeACL(teacher(t, data), 1); m.Attack.Steps = 2; return m }, func() *Network { return network(1, nil) }, 11},
		"rotation": {func() Method { m := NewAPRotation(1); m.Attack.Steps = 2; return m }, func() *Network { return network(1, TaskClasses(Rotation)) }, 10},
		"AP-DPE": {func() Method { m := NewAPDPE(1); m.Attack.Steps = 1; return m }, func() *Network {
			return network(1, TaskClasses(all...), "", Patches)
		}, 3 * 14},
	} {
		require.Equal(t, c.passes, c.method().Passes(), name)
		train := func() (*Network, []float64) {
			net, losses := c.net(), []float64{}
			run := Pretraining{Net: net, Method: c.method(), Data: data, Steps: 12, BatchSize: 16, Schedule: optim.Constant(0.02),
				OnStep: func(p nn.Progress) { losses = append(losses, p.Loss) }}
			require.NoError(t, run.Run(context.Background()), name)
			return net, losses
		}
		net, losses := train()
		again, _ := train()
		require.True(t, reflect.DeepEqual(weights(net), weights(again)), name)
		first, last := 0.0, 0.0
		for i := range 4 {
			first += losses[i]
			last += losses[len(losses)-1-i]
		}
		require.Less(t, last, first, name)
	}
}

// The diversity term is the log-determinant of the tasks' gradients: its own gradient
// in the weights, through second derivatives, agrees with differences.
func TestDiversityHasTheRightGradient(t *testing.T) {
	data := blobs(6, 2, 1)
	tasks := []Task{Rotation, Jigsaw}
	value := func(diversity float64, change func(n *Network)) (float64, []*tensor.Tensor) {
		a := &APDPE{Tasks: tasks, Diversity: diversity, Seed: 2}
		net := network(1, TaskClasses(tasks...))
		change(net)
		require.NoError(t, a.Check(net, data))
		x, _ := data.Batch([]int{0, 1, 2, 3, 4, 5})
		tape := tensor.NewTape()
		p := &nn.Pass{Train: true}
		watched := p.Watch(tape, []*tensor.Tensor{net.Heads[0].Weight})
		l, err := a.Loss(context.Background(), p, net, nn.Batch{X: tape.Const(x), Index: []int{0, 1, 2, 3, 4, 5}})
		require.NoError(t, err)
		return l.Item(), tensor.Grad(l, watched...)
	}
	same := func(*Network) {}
	without, g0 := value(0, same)
	with, g1 := value(1, same)
	require.Less(t, with, without, "the log-determinant is negative")
	d := tensor.Sub(g1[0].Clone(), g0[0].Clone())
	// Along the gradient itself, so that rounding matters little.
	const h = 0.02
	length := tensor.Dot(d, d).Item()
	move := func(sign float64) func(*Network) {
		return func(n *Network) {
			w := n.Heads[0].Weight
			w.CopyFrom(tensor.Add(w, tensor.MulScalar(d, sign*h)))
		}
	}
	diversity := func(sign float64) float64 {
		a, _ := value(0, move(sign))
		b, _ := value(1, move(sign))
		return b - a
	}
	require.InEpsilon(t, length, (diversity(1)-diversity(-1))/(2*h), 0.05)
}

// What the teacher answers is worked out beside the step's tape, which does not hold it.
func TestTheTeacherIsOffTheTape(t *testing.T) {
	data := blobs(8, 2, 1)
	from := teacher(t, data)
	tape := tensor.NewTape()
	asked := 0
	from.Add("spy", nn.Function(func(_ *nn.Pass, x *tensor.Tensor) *tensor.Tensor {
		asked++
		require.NotSame(t, tape, x.Tape())
		return x
	}))
	x, y := data.All()
	b := nn.Batch{X: tape.Const(x), Y: y, Index: []int{0, 1, 2, 3, 4, 5, 6, 7}}
	net := network(1, nil)
	p := &nn.Pass{Train: true}
	p.Watch(tape, nn.Params(net))
	_, err := NewDeACL(from, 1).Loss(context.Background(), p, net, b)
	require.NoError(t, err)
	require.Equal(t, 1, asked)
}

func TestPuzzlesAreWhatTheySay(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 1))
	src := make([]float32, 8*8*3)
	for i := range src {
		src[i] = rng.Float32()
	}
	dst := make([]float32, len(src))
	turn(dst, src, 8, 3, 1)
	require.Equal(t, src[(0*8+7)*3], dst[0], "the upper right corner comes to the upper left")
	back := make([]float32, len(src))
	turn(back, dst, 8, 3, 3)
	require.Equal(t, src, back)
	order, inverse := rng.Perm(16), make([]int, 16)
	for k, o := range order {
		inverse[o] = k
	}
	mix(dst, src, 8, 3, order)
	mix(back, dst, 8, 3, inverse)
	require.Equal(t, src, back)
	require.NotEqual(t, src, dst)
}

func TestOtherMethodsRefuseWhatDoesNotFit(t *testing.T) {
	data := blobs(8, 2, 1)
	unlabelled := *data
	unlabelled.Labels, unlabelled.Classes = nil, 0
	odd := *data
	odd.H, odd.W, odd.Bytes = 6, 6, data.Bytes[:8*6*6*3]
	net := network(1, []int{2})
	raw := NewEncoder(rand.New(rand.NewPCG(8, 8)), tiny)
	wide := NewEncoder(rand.New(rand.NewPCG(8, 8)), Form{"wide", 8, 2, []Stage{{32, 1, 2}}})
	require.NoError(t, wide.Calibrate(context.Background(), "", data, 1))
	for want, c := range map[string]struct {
		m    Method
		data *dataset.Set
	}{
		"Beta is -1":                {&Supervised{Beta: -1}, data},
		"0 steps of the attack":     {&Supervised{}, data},
		"images without labels":     {NewAT(1), &unlabelled},
		"no teacher":                {NewDeACL(nil, 1), data},
		"no batch has entered":      {NewDeACL(raw, 1), data},
		"want one; see":             {NewDeACL(NewEncoder(rand.New(rand.NewPCG(8, 8)), tiny, Clean, Attacked), 1), data},
		"teacher has 32 features":   {NewDeACL(wide, 1), data},
		"weight is -1":              {&DeACL{Teacher: teacher(t, data), Weight: -1}, data},
		`task "puzzle"`:             {&APDPE{Tasks: []Task{"puzzle"}}, data},
		"no tasks":                  {&APDPE{Tasks: []Task{}}, data},
		"head 0 of 4 outputs":       {NewAPRotation(1), data},
		"diversity 1 of 1 tasks":    {&APDPE{Tasks: []Task{Rotation}, Diversity: 1}, data},
		"a multiple of 4":           {&APDPE{Tasks: []Task{Jigsaw}}, &odd},
		`want one named "patches"`:  {&APDPE{Tasks: []Task{Selfie}}, data},
		"without a head for the 10": {NewAT(1), func() *dataset.Set { d := *data; d.Classes = 10; return &d }()},
	} {
		n := net
		switch want {
		case "diversity 1 of 1 tasks":
			n = network(1, TaskClasses(Rotation))
		case "a multiple of 4":
			n = network(1, TaskClasses(Jigsaw))
		case `want one named "patches"`:
			n = network(1, TaskClasses(Selfie))
		}
		require.ErrorContains(t, c.m.Check(n, c.data), want)
	}
}
