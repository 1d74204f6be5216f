package main

import (
	"context"
	"fmt"
	"time"

	"github.com/redoubt-ml/redoubt/attack"
	"github.com/redoubt-ml/redoubt/defense"
	"github.com/redoubt-ml/redoubt/tensor"
	"github.com/redoubt-ml/redoubt/tensor/nn"
	"github.com/redoubt-ml/redoubt/tensor/optim"
)

// linfThreat and l2Threat are the two attack sets of the defence.
var linfThreat = attack.Threat{Norm: attack.Linf, Eps: 0.2}

func l2Threat(eps float64) attack.Threat { return attack.Threat{Norm: attack.L2, Eps: eps} }

// defenseBatch is the number of images in a step of training against attacks.
const defenseBatch = 64

// l2Eps is the radius under L2 that the networks are hardened for.
const l2Eps = 2

// defenseRow is one way of training one network.
type defenseRow struct {
	Name      string     `json:"name"`
	Network   string     `json:"network"`
	Training  string     `json:"training"`
	Clean     float64    `json:"clean"`
	AccMaxAdv float64    `json:"acc_max_adv"`
	Interval  [2]float64 `json:"acc_max_adv_interval"`
	AccAvgAdv float64    `json:"acc_avg_adv"`
	Linf      float64    `json:"linf"`
	L2        float64    `json:"l2"`
	Curve     []float64  `json:"curve"` // acc_max_adv at the radii of curveEps
	Area      float64    `json:"s"`
	Weights   []float64  `json:"weights,omitempty"` // mean over the last epoch
	Seconds   float64    `json:"training_seconds"`
}

// scheme is a way of training against both attack sets, the second of a given radius.
type scheme struct {
	name string
	loss func(e *experiment, eps float64, log *defense.WeightLog) nn.Loss
}

var schemes = []scheme{
	{"linf only", func(e *experiment, _ float64, _ *defense.WeightLog) nn.Loss {
		return e.against(defense.NewAVG(linfThreat))
	}},
	{"l2 only", func(e *experiment, eps float64, _ *defense.WeightLog) nn.Loss {
		return e.against(defense.NewAVG(l2Threat(eps)))
	}},
	{"AVG", func(e *experiment, eps float64, _ *defense.WeightLog) nn.Loss {
		return e.against(defense.NewAVG(linfThreat, l2Threat(eps)))
	}},
	{"MAX", func(e *experiment, eps float64, _ *defense.WeightLog) nn.Loss {
		return e.against(defense.NewMAX(linfThreat, l2Threat(eps)))
	}},
	{"MSD", func(e *experiment, eps float64, _ *defense.WeightLog) nn.Loss {
		m := &defense.MSD{Threats: []attack.Threat{linfThreat, l2Threat(eps)}, Steps: e.inner, RampSteps: e.ramp(), Seed: e.env.Seed}
		return m.Loss
	}},
	{"AMPGD", func(e *experiment, eps float64, log *defense.WeightLog) nn.Loss {
		return e.against(&defense.AMPGD{Threats: []attack.Threat{linfThreat, l2Threat(eps)}, OnWeights: log.Add})
	}},
}

func (e *experiment) ramp() int { return e.defenseSteps() / 5 }

func (e *experiment) defenseSteps() int {
	n := min(e.defenseImages, e.sets["mnist"][0].Len())
	return e.defenseEpochs * (n / defenseBatch)
}

func (e *experiment) against(a *defense.AMPGD) nn.Loss {
	a.Steps, a.RampSteps, a.Seed = e.inner, e.ramp(), e.env.Seed
	return a.Loss
}

// defend trains networks against both attack sets in every way and attacks them.
func (e *experiment) defend(ctx context.Context) error {
	for _, a := range architectures {
		if a.letter != "A" && a.letter != "C" {
			continue
		}
		for _, s := range schemes {
			row, err := e.defended(ctx, a, s)
			if err != nil {
				return fmt.Errorf("%s, %s: %w", a.name, s.name, err)
			}
			e.out.Defense = append(e.out.Defense, row)
		}
	}
	return e.readWeights(ctx)
}

func (e *experiment) defended(ctx context.Context, a architecture, s scheme) (defenseRow, error) {
	row := defenseRow{Name: s.name + ", " + a.name, Network: a.name, Training: s.name}
	start := time.Now()
	net, weights, err := e.harden(ctx, a, s, l2Eps)
	if err != nil {
		return row, err
	}
	row.Seconds, row.Weights = time.Since(start).Seconds(), weights
	x, y := e.images("mnist", 0, e.judged)
	m, right, err := e.measure(ctx, net, x, y)
	if err != nil {
		return row, err
	}
	row.Clean, row.AccMaxAdv, row.AccAvgAdv = m.Clean.Value, m.Max.Value, m.Avg
	row.Interval = [2]float64{m.Max.Lo, m.Max.Hi}
	row.Linf, row.L2 = m.Each[0].Value, m.Each[1].Value
	row.Curve, err = e.curve(ctx, net, x, y, right)
	row.Area = defense.Area(curveEps, row.Curve)
	return row, err
}

// harden trains a network on the first images and returns it with the mean weights of
// the last epoch, if there are any.
func (e *experiment) harden(ctx context.Context, a architecture, s scheme, eps float64) (nn.Layer, []float64, error) {
	train := e.sets["mnist"][0].Take(e.defenseImages)
	net := a.build(e.env.Rand("defended weights "+a.letter), train.H, train.W, train.C, e.width)
	steps := e.defenseSteps()
	stage := e.env.Stage(fmt.Sprintf("hardening %s, %s, eps %v", a.name, s.name, eps), steps)
	log := new(defense.WeightLog)
	t := nn.Trainer{
		Net: net, Data: train, Epochs: e.defenseEpochs, BatchSize: defenseBatch, Seed: e.env.Seed + e.env.Stream("defended order"),
		Optimizer: &optim.Adam{}, Schedule: optim.Triangle(2e-3, steps/4, steps), Loss: s.loss(e, eps, log),
		OnStep: func(p nn.Progress) { stage.Done(p.Step + 1) },
	}
	err := t.Run(ctx)
	return net, log.Mean(steps - steps/e.defenseEpochs), err
}

// measure attacks a network under both norms, with two attacks each of which the
// better one counts for each image. right says which images hold out under L∞.
func (e *experiment) measure(ctx context.Context, net nn.Layer, x *tensor.Tensor, y []int) (m defense.MultiAccuracy, right []bool, err error) {
	e.env.Stage("attacking the hardened network", -1)
	model := nn.Classifier{Net: net}
	var both attack.Report
	for _, th := range []attack.Threat{linfThreat, l2Threat(l2Eps)} {
		r, err := attack.Evaluate(ctx, model, x, y,
			&attack.PGD{Threat: th, Steps: 50, Seed: e.env.Seed},
			&attack.APGD{Threat: th, Steps: 50, Objective: attack.DLR{}, Seed: e.env.Seed})
		if err != nil {
			return m, nil, err
		}
		both.Attacks = append(both.Attacks, attack.Outcome{Name: th.String(), Accuracy: r.Worst, Right: r.Right})
		both.Clean = r.Clean
	}
	n := 0
	for i := range y {
		if both.Attacks[0].Right[i] && both.Attacks[1].Right[i] {
			n++
		}
	}
	both.Worst = attack.NewEstimate(n, len(y))
	return defense.Multi(both), both.Attacks[0].Right, nil
}

// curveEps are the radii under L2 of the curve whose area is S; L∞ stays as it is.
var curveEps = []float64{0, 1, 2, 3, 4}

// curve is the accuracy under both norms at each radius under L2, for images that hold
// out under L∞ if right says so.
func (e *experiment) curve(ctx context.Context, net nn.Layer, x *tensor.Tensor, y []int, right []bool) ([]float64, error) {
	var left []int
	for i, r := range right {
		if r {
			left = append(left, i)
		}
	}
	var out []float64
	for _, eps := range curveEps {
		if len(left) > 0 && eps > 0 {
			labels := make([]int, len(left))
			for i, k := range left {
				labels[i] = y[k]
			}
			pgd := attack.PGD{Threat: l2Threat(eps), Steps: 20, Seed: e.env.Seed}
			res, err := pgd.Run(ctx, nn.Classifier{Net: net}, tensor.Gather(x, left), labels)
			if err != nil {
				return nil, err
			}
			var still []int
			for i, won := range res.Success {
				if !won {
					still = append(still, left[i])
				}
			}
			left = still
		}
		out = append(out, float64(len(left))/float64(len(y)))
	}
	return out, nil
}

// weightRow says where AMPGD's weights go when the second attack set grows.
type weightRow struct {
	EpsL2   float64   `json:"eps_l2"`
	Weights []float64 `json:"weights"` // linf and l2, mean over the last epoch
}

// readWeights trains the MLP against L2 balls of several radii.
func (e *experiment) readWeights(ctx context.Context) error {
	for _, eps := range e.weightEps {
		_, w, err := e.harden(ctx, architectures[0], schemes[len(schemes)-1], eps)
		if err != nil {
			return err
		}
		e.out.Weights = append(e.out.Weights, weightRow{eps, w})
	}
	return nil
}
