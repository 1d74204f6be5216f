// Evaluate measures how robust a classifier from a file is, and writes an evaluation
// card: the model, the data, the threat, the attacks with their budgets and seeds, and
// what each of them broke.
//
//	go run ./examples/evaluate -model net.onnx -dataset mnist -eps 0.3
//	go run ./examples/evaluate -model net.safetensors -dataset cifar10 -data DIR -norm l2 -eps 0.5 -attack pgd -steps 50 -out card
//	go run ./examples/evaluate -model net.onnx -dataset cifar10 -data DIR -eps 8/255 -mean 0.4914,0.4822,0.4465 -std 0.247,0.243,0.261
//	go run ./examples/evaluate -model net.onnx -norm l2 -eps 5 -attack ddn,fmn -curve -out card
//
// Without -model it trains a small network on MNIST, or on Fashion-MNIST, first and
// evaluates that.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/redoubt-ml/redoubt/attack"
	"github.com/redoubt-ml/redoubt/internal/example"
	"github.com/redoubt-ml/redoubt/tensor"
	"github.com/redoubt-ml/redoubt/tensor/dataset"
)

func main() { program().Main() }

// options are the program's own flags.
type options struct {
	model, arch, dataset string
	surrogate            string
	n                    int
	norm                 attack.Norm
	eps                  float64
	mean, std            numbers
	attack               string
	steps, restarts      int
	curve, diagnose      bool
}

func program() example.Program {
	var o options
	return example.Program{
		Name: "evaluate",
		About: "Measures how robust a classifier from an ONNX or safetensors file is, and\n" +
			"writes an evaluation card.",
		Flags: func(set *flag.FlagSet) {
			set.StringVar(&o.model, "model", "", "`file` with the classifier, .onnx or .safetensors; none trains a small one, on "+strings.Join(trainable, " or "))
			set.StringVar(&o.arch, "arch", "", "`network` that a safetensors file is of: "+strings.Join(archNames(), ", ")+"; none tries them all")
			set.StringVar(&o.dataset, "dataset", "mnist", "test images: "+strings.Join(dataset.Names(), ", ")+"; all but mnist need -data")
			set.IntVar(&o.n, "n", 100, "number of test images, from the first on")
			set.TextVar(&o.norm, "norm", attack.Linf, "norm of the threat: linf, l2, l1 or l0")
			o.eps = 0.1
			set.Var((*number)(&o.eps), "eps", "radius of the threat, a `number` or a quotient as in 8/255, for pixels from 0 to 1; "+strings.Join(unbounded, " and ")+" have none")
			set.Var(&o.mean, "mean", "`numbers` to take from the pixels of each channel before -model, with commas between; none for a model of pixels from 0 to 1")
			set.Var(&o.std, "std", "`numbers` to divide by after -mean")
			set.StringVar(&o.attack, "attack", "autoattack", "one of "+strings.Join(attackNames(), ", ")+"; or several with commas between")
			set.StringVar(&o.surrogate, "surrogate", "", "`file` with the classifier that -attack transfer goes through")
			set.IntVar(&o.steps, "steps", 0, "steps or queries of the attacks, 0 for their defaults; "+strings.Join(stepless, ", ")+" have none to choose")
			set.IntVar(&o.restarts, "restarts", 0, "restarts of "+strings.Join(restarting, ", ")+"; 0 for their defaults")
			set.BoolVar(&o.curve, "curve", false, "draw accuracy against the radius, with attacks that look for the nearest adversary")
			set.BoolVar(&o.diagnose, "diagnose", false, "look for masked gradients too")
		},
		OneScale: true,
		Check:    o.check,
		Places:   []string{"model", "surrogate"},
		Right:    "per_example",
		Tries:    "model",
		New: func(env *example.Env) (example.Experiment, error) {
			c := &card{options: o, env: env, Seed: env.Seed}
			var err error
			c.dataset, err = dataset.Find(o.dataset)
			return c, err
		},
	}
}

func (o *options) check(env *example.Env) error {
	if _, err := o.chooseAttacks(); err != nil {
		return err
	}
	name, err := dataset.Find(o.dataset)
	if err != nil {
		return fmt.Errorf("-dataset: %w", err)
	}
	switch {
	case o.arch != "" && archs[o.arch].make == nil:
		return fmt.Errorf("-arch is %q, want one of %s", o.arch, strings.Join(archNames(), ", "))
	case o.model == "" && !slices.Contains(trainable, name):
		return fmt.Errorf("-dataset %s without -model, want a model: small networks are trained on %s only", name, strings.Join(trainable, " and "))
	case name != "mnist" && env.Data == "":
		return fmt.Errorf("-dataset %s needs a folder with data sets: -data, or REDOUBT_DATA", name)
	case o.n < 1:
		return fmt.Errorf("-n is %d, want at least 1", o.n)
	case o.steps < 0 || o.restarts < 0:
		return fmt.Errorf("-steps is %d and -restarts %d, want 0 or more", o.steps, o.restarts)
	case o.arch != "" && o.model == "":
		return errors.New("-arch without -model")
	case len(o.mean)+len(o.std) > 0 && o.model == "":
		return errors.New("-mean or -std without -model")
	case len(o.mean) != len(o.std):
		return fmt.Errorf("-mean has %d numbers and -std %d, want one of each channel in both", len(o.mean), len(o.std))
	}
	for _, v := range o.std {
		if s := float32(v); !(s > 0) || math.IsInf(float64(s), 1) {
			return fmt.Errorf("-std has %v, want numbers above 0", v)
		}
	}
	if err := (attack.Threat{Norm: o.norm, Eps: o.eps}).Check(); err != nil {
		return fmt.Errorf("-norm and -eps: %w", err)
	}
	if o.diagnose && (o.norm != attack.Linf && o.norm != attack.L2 || o.eps == 0) {
		return fmt.Errorf("-diagnose under %v %v, want linf or l2 with eps above 0", o.norm, o.eps)
	}
	return nil
}

// sets loads the images, those to train on if there is no model. MNIST needs no folder.
func (o *options) sets(env *example.Env) (train, test *dataset.Set, source string, err error) {
	if o.dataset == "mnist" {
		return env.MNIST(false)
	}
	source = o.dataset + " in " + env.Data
	if o.model != "" {
		test, err = env.Load(o.dataset, dataset.Test)
		return nil, test, source, err
	}
	train, test, err = env.Both(o.dataset)
	return train, test, source, err
}

// load returns the model to be evaluated.
func (c *card) load(ctx context.Context, train, test *dataset.Set) (attack.Model, error) {
	if c.model == "" {
		c.Model = "small convolutional network, trained on " + c.dataset + " just now"
		return trainSmall(ctx, c.env, train)
	}
	m, err := loadModel("-model", c.model, c.arch)
	if err != nil {
		return nil, err
	}
	if err := m.fits("-model", test, c.dataset); err != nil {
		return nil, err
	}
	if m, err = m.normalized(c.mean, c.std); err != nil {
		return nil, err
	}
	c.Model = m.about
	return m.Model, c.env.UsesFile("model", c.model)
}

// loadSurrogate returns the model of -surrogate, nil without it.
func (c *card) loadSurrogate(test *dataset.Set) (attack.Model, error) {
	if c.surrogate == "" {
		return nil, nil
	}
	m, err := loadModel("-surrogate", c.surrogate, "")
	if err != nil {
		return nil, err
	}
	if err := m.fits("-surrogate", test, c.dataset); err != nil {
		return nil, err
	}
	return m.Model, c.env.UsesFile("surrogate", c.surrogate)
}

// Run fills the card; when it returns an error, the card holds what was reached.
func (c *card) Run(ctx context.Context) error {
	names, err := c.chooseAttacks()
	if err != nil {
		return err
	}
	train, set, source, err := c.sets(c.env)
	if err != nil {
		return err
	}
	surrogate, err := c.loadSurrogate(set)
	if err != nil {
		return err
	}
	if c.net, err = c.load(ctx, train, set); err != nil {
		return err
	}
	set = set.Take(c.n)
	c.Data, c.Images = source, set.Len()
	if !slices.Contains(unbounded, names[0]) {
		c.Threat.ball = &attack.Threat{Norm: c.norm, Eps: c.eps}
	}
	c.x, c.y = set.All()
	list := c.makeAttacks(c.env, names, surrogate)
	for _, a := range list {
		c.attacks = append(c.attacks, a.Name())
	}
	c.Attack = strings.Join(c.attacks, ", ")
	start := time.Now()
	err = c.attack(ctx, list)
	c.Seconds = time.Since(start).Seconds()
	c.PerSecond = float64(c.Images) / c.Seconds
	if err != nil || !c.diagnose {
		return err
	}
	c.env.Stage("looking for masked gradients", -1)
	c.Checks, err = attack.Diagnose(ctx, c.net, c.x, c.y, *c.Threat.ball, c.Seed)
	return err
}

// attack attacks the model. Where it is stopped between attacks the card says so.
func (c *card) attack(ctx context.Context, list []attack.Attack) error {
	err := c.attackAll(ctx, list)
	if n := len(c.Stages); err != nil && n > 0 {
		c.StoppedAfter = c.Stages[n-1].Name
		c.Attack += ", stopped after " + c.StoppedAfter
	}
	return err
}

func (c *card) attackAll(ctx context.Context, list []attack.Attack) error {
	if aa, ok := list[0].(*attack.AutoAttack); ok {
		rep, err := aa.Evaluate(ctx, c.net, c.x, c.y)
		if rep.Right == nil {
			return err
		}
		c.Clean, c.Robust, c.CleanIn, c.RobustIn = rep.Clean.Value, rep.Robust.Value, rep.Clean, rep.Robust
		c.PerExample, c.Warnings, c.adversaries = rep.Right, rep.Warnings, rep.Result.X
		for _, s := range rep.Stages {
			c.add(stage{s.Name, s.Settings, s.Robust.Value, s.Robust, s.Attacked, s.Broken, s.Queries, s.Gradients, s.Seconds})
		}
		return err
	}
	rep, err := attack.Evaluate(ctx, c.net, c.x, c.y, list...)
	if rep.Right == nil {
		return err
	}
	c.Clean, c.Robust, c.CleanIn, c.RobustIn = rep.Clean.Value, rep.Worst.Value, rep.Clean, rep.Worst
	c.PerExample, c.Warnings, c.adversaries = rep.Right, rep.Warnings, c.x.Clone()
	for _, r := range rep.Attacks {
		c.add(stage{r.Name, r.Settings, r.Accuracy.Value, r.Accuracy, rep.Clean.Right, rep.Clean.Right - r.Accuracy.Right, r.Queries, r.Gradients, r.Seconds})
		for i, right := range r.Right {
			if !right {
				replace(c.adversaries, r.Result.X, i)
			}
		}
	}
	if c.curve && err == nil {
		curve := attack.NewNormCurve(c.norm, c.x, rep)
		c.Curve = &curve
		for _, r := range rep.Attacks {
			alone := attack.Report{CleanRight: rep.CleanRight, Right: r.Right, Attacks: []attack.Outcome{r}}
			c.curves = append(c.curves, attack.NewNormCurve(c.norm, c.x, alone))
		}
	}
	return err
}

func (c *card) add(s stage) {
	c.Stages = append(c.Stages, s)
	c.Queries += s.Queries
	c.Gradients += s.Gradients
}

// replace makes image i of dst that of src.
func replace(dst, src *tensor.Tensor, i int) {
	d := dst.Len() / dst.Dim(0)
	copy(dst.Float32s()[i*d:(i+1)*d], src.Float32s()[i*d:])
}
