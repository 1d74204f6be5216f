package main

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/redoubt-ml/redoubt/attack"
	"github.com/redoubt-ml/redoubt/attack/transform"
	"github.com/redoubt-ml/redoubt/internal/example"
)

// choice is what an attack is made of.
type choice struct {
	attack.Threat
	steps, restarts int
	seed            uint64
	nearest         bool // go on to the nearest adversary
	surrogate       attack.Model
	progress        func(done, total int)
}

// attacks are the attacks that -attack names. Those of AutoAttack have its budgets.
var attacks = map[string]func(c choice) attack.Attack{
	"noise": func(c choice) attack.Attack {
		return &attack.Noise{Threat: c.Threat, Repeats: c.steps, Seed: c.seed, OnProgress: c.progress}
	},
	"blur": func(c choice) attack.Attack {
		return &attack.Blur{Threat: c.Threat, Steps: c.steps, OnProgress: c.progress}
	},
	"fgsm": func(c choice) attack.Attack { return &attack.FGSM{Threat: c.Threat, OnProgress: c.progress} },
	"r+fgsm": func(c choice) attack.Attack {
		return &attack.RFGSM{Threat: c.Threat, Seed: c.seed, OnProgress: c.progress}
	},
	"bim": func(c choice) attack.Attack {
		return &attack.BIM{Threat: c.Threat, Steps: orDefault(c.steps, 10), OnProgress: c.progress}
	},
	"mi-fgsm": func(c choice) attack.Attack {
		return &attack.MIFGSM{Threat: c.Threat, Steps: c.steps, OnProgress: c.progress}
	},
	"di-fgsm": func(c choice) attack.Attack {
		return &attack.DIFGSM{Threat: c.Threat, Steps: c.steps, Seed: c.seed, OnProgress: c.progress}
	},
	"ti-fgsm": func(c choice) attack.Attack {
		return &attack.TIFGSM{Threat: c.Threat, Steps: c.steps, OnProgress: c.progress}
	},
	"pgd": func(c choice) attack.Attack {
		return &attack.PGD{Threat: c.Threat, Steps: orDefault(c.steps, 40), Restarts: c.restarts, Seed: c.seed, OnProgress: c.progress}
	},
	"eot": func(c choice) attack.Attack {
		return &attack.EOT{Threat: c.Threat, Transform: turnsAndShifts, Steps: c.steps, Seed: c.seed, OnProgress: c.progress}
	},
	"slide": func(c choice) attack.Attack {
		return &attack.SLIDE{Threat: c.Threat, Steps: c.steps, OnProgress: c.progress}
	},
	"apgd-ce": func(c choice) attack.Attack {
		return &attack.APGD{Threat: c.Threat, Steps: c.steps, Restarts: orDefault(c.restarts, c.underL1(5, 1)), Seed: c.seed, OnProgress: c.progress}
	},
	"apgd-dlr": func(c choice) attack.Attack {
		return &attack.APGD{Threat: c.Threat, Objective: attack.DLR{}, Steps: c.steps, Restarts: c.restarts, Seed: c.seed, OnProgress: c.progress}
	},
	"apgd-t": func(c choice) attack.Attack {
		return &attack.APGD{Threat: c.Threat, TargetClasses: c.underL1(5, 9), Steps: c.steps, Restarts: c.restarts, Seed: c.seed, OnProgress: c.progress}
	},
	"fab": func(c choice) attack.Attack {
		return &attack.FAB{Threat: c.Threat, Untargeted: true, Steps: c.steps, Restarts: orDefault(c.restarts, 5), Minimize: c.nearest, Seed: c.seed, OnProgress: c.progress}
	},
	"fab-t": func(c choice) attack.Attack {
		return &attack.FAB{Threat: c.Threat, Steps: c.steps, Restarts: c.restarts, Minimize: c.nearest, Seed: c.seed, OnProgress: c.progress}
	},
	"square": func(c choice) attack.Attack {
		return &attack.Square{Threat: c.Threat, Queries: c.steps, Restarts: c.restarts, Seed: c.seed, OnProgress: c.progress}
	},
	"autoattack": func(c choice) attack.Attack { return &attack.AutoAttack{Threat: c.Threat, Seed: c.seed} },
	"autoattack-plus": func(c choice) attack.Attack {
		return &attack.AutoAttack{Threat: c.Threat, Seed: c.seed, Version: attack.Plus}
	},
	"autoattack-rand": func(c choice) attack.Attack {
		return &attack.AutoAttack{Threat: c.Threat, Seed: c.seed, Version: attack.Rand}
	},
	"deepfool": func(c choice) attack.Attack {
		return &attack.DeepFool{Threat: c.Threat, Steps: c.steps, OnProgress: c.progress}
	},
	"cw": func(c choice) attack.Attack {
		return &attack.CarliniWagner{Threat: c.Threat, Steps: c.steps, OnProgress: c.progress}
	},
	"ead": func(c choice) attack.Attack {
		return &attack.EAD{Threat: c.Threat, Steps: c.steps, OnProgress: c.progress}
	},
	"ddn": func(c choice) attack.Attack {
		return &attack.DDN{Threat: c.Threat, Steps: c.steps, OnProgress: c.progress}
	},
	"fmn": func(c choice) attack.Attack {
		return &attack.FMN{Threat: c.Threat, Steps: c.steps, Seed: c.seed, OnProgress: c.progress}
	},
	"jsma": func(c choice) attack.Attack { return &attack.JSMA{Threat: c.Threat, OnProgress: c.progress} },
	"nes": func(c choice) attack.Attack {
		return &attack.NES{Threat: c.Threat, Queries: c.steps, Seed: c.seed, OnProgress: c.progress}
	},
	"spsa": func(c choice) attack.Attack {
		return &attack.SPSA{Threat: c.Threat, Queries: c.steps, Seed: c.seed, OnProgress: c.progress}
	},
	"simba": func(c choice) attack.Attack {
		return &attack.SimBA{Threat: c.Threat, Queries: c.steps, Seed: c.seed, OnProgress: c.progress}
	},
	"boundary": func(c choice) attack.Attack {
		return &attack.Boundary{Threat: c.Threat, Queries: c.steps, Seed: c.seed, OnProgress: c.progress}
	},
	"hopskipjump": func(c choice) attack.Attack {
		return &attack.HopSkipJump{Threat: c.Threat, Queries: c.steps, Seed: c.seed, OnProgress: c.progress}
	},
	"transfer": func(c choice) attack.Attack {
		return &attack.Transfer{Surrogate: c.surrogate, Attack: &attack.MIFGSM{Threat: c.Threat, Steps: c.steps, AllSteps: true, OnProgress: c.progress}}
	},
	"universal": func(c choice) attack.Attack {
		return &attack.Universal{Threat: c.Threat, Epochs: orDefault(c.steps, 100), Seed: c.seed, OnProgress: c.progress}
	},
	"patch": func(c choice) attack.Attack {
		return &attack.Patch{Steps: c.steps, Seed: c.seed, OnProgress: c.progress}
	},
	"spatial": func(c choice) attack.Attack {
		return &attack.Spatial{Tries: c.steps, Seed: c.seed, OnProgress: c.progress}
	},
}

// turnsAndShifts are what the attack in expectation is to survive.
var turnsAndShifts = transform.Pose{
	Degrees: transform.Range{Lo: -15, Hi: 15}, Down: transform.Range{Lo: -2, Hi: 2}, Right: transform.Range{Lo: -2, Hi: 2},
	Interpolation: transform.Bilinear,
}

var (
	// nearest are the attacks that look for the nearest adversary.
	nearest = []string{"boundary", "cw", "ddn", "deepfool", "ead", "fab", "fab-t", "fmn", "hopskipjump", "jsma"}
	// stepless are the attacks that have no number of steps or queries to choose, and
	// restarting those that have restarts.
	stepless   = []string{"autoattack", "autoattack-plus", "autoattack-rand", "fgsm", "jsma", "r+fgsm"}
	restarting = []string{"apgd-ce", "apgd-dlr", "apgd-t", "fab", "fab-t", "pgd", "square"}
	// norms are those of the attacks that do not take all.
	norms = map[string][]attack.Norm{
		"apgd-ce": notL0, "apgd-dlr": notL0, "apgd-t": notL0, "autoattack": notL0, "autoattack-plus": notL0, "autoattack-rand": notL0,
		"boundary": {attack.L2}, "cw": {attack.L2}, "ddn": {attack.L2}, "deepfool": notL0, "ead": {attack.L2, attack.L1},
		"fab": notL0, "fab-t": notL0, "fmn": notL0, "hopskipjump": {attack.Linf, attack.L2}, "jsma": {attack.L0},
		"simba": notL0, "slide": {attack.L1}, "square": notL0, "universal": notL0,
	}
	notL0 = []attack.Norm{attack.Linf, attack.L2, attack.L1}
	// unbounded are the attacks that have no ball of pixel values.
	unbounded = []string{"patch", "spatial"}
)

// underL1 returns l1 under that norm and other under the others.
func (c choice) underL1(l1, other int) int {
	if c.Norm == attack.L1 {
		return l1
	}
	return other
}

func orDefault(v, def int) int {
	if v == 0 {
		return def
	}
	return v
}

func attackNames() []string { return slices.Sorted(maps.Keys(attacks)) }

// normNames lists norms, as in "linf or l2".
func normNames(list []attack.Norm) string {
	names := make([]string, len(list))
	for i, n := range list {
		names[i] = n.String()
	}
	return strings.Join(names, " or ")
}

// isAuto says whether an attack is a version of AutoAttack.
func isAuto(name string) bool { return strings.HasPrefix(name, "autoattack") }

// chooseAttacks returns the attacks that -attack names. It returns an error unless those
// of the flags can be made. AutoAttack takes neither steps nor restarts: its numbers can
// be compared because nobody chooses them. An attack that a flag means nothing to is
// refused beside it, and one without a ball beside one with a ball.
func (o *options) chooseAttacks() ([]string, error) {
	if strings.TrimSpace(o.attack) == "" {
		return nil, fmt.Errorf("-attack names none, want some of %s", strings.Join(attackNames(), ", "))
	}
	names, err := example.Choose("-attack", o.attack, attackNames())
	if err != nil {
		return nil, err
	}
	return names, o.checkAttacks(names)
}

func (o *options) checkAttacks(names []string) error {
	for _, name := range names {
		free := slices.Contains(unbounded, name)
		switch {
		case o.steps != 0 && slices.Contains(stepless, name):
			return fmt.Errorf("-attack %s has no -steps", name)
		case o.restarts != 0 && !slices.Contains(restarting, name):
			return fmt.Errorf("-attack %s has no -restarts, want some of %s", name, strings.Join(restarting, ", "))
		case free != slices.Contains(unbounded, names[0]):
			return fmt.Errorf("-attack %s and %s: one has a ball and the other has none, so they do not compare", names[0], name)
		case free && o.diagnose:
			return fmt.Errorf("-diagnose looks for masked gradients in a ball, -attack %s has none", name)
		case norms[name] != nil && !slices.Contains(norms[name], o.norm):
			return fmt.Errorf("-attack %s under -norm %v, want %s", name, o.norm, normNames(norms[name]))
		case !free && o.eps == 0:
			return fmt.Errorf("-eps is 0, which leaves -attack %s nothing to change, want a radius above 0", name)
		case isAuto(name) && len(names) > 1:
			return fmt.Errorf("-attack %s stands alone, it is several attacks itself", name)
		case name == "transfer" && o.surrogate == "":
			return errors.New("-attack transfer needs a -surrogate")
		case o.curve && !slices.Contains(nearest, name):
			return fmt.Errorf("-curve needs attacks that look for the nearest adversary, want some of %s, not %s", strings.Join(nearest, ", "), name)
		}
	}
	if o.surrogate != "" && !slices.Contains(names, "transfer") {
		return errors.New("-surrogate is for -attack transfer")
	}
	return nil
}

// makeAttacks makes the attacks of the flags.
func (o *options) makeAttacks(env *example.Env, names []string, surrogate attack.Model) []attack.Attack {
	var out []attack.Attack
	for _, name := range names {
		c := choice{Threat: attack.Threat{Norm: o.norm, Eps: o.eps}, steps: o.steps, restarts: o.restarts, seed: env.Seed, nearest: o.curve, surrogate: surrogate}
		var stage *example.Stage
		c.progress = func(done, total int) {
			if stage == nil {
				stage = env.Stage(name, total)
			}
			stage.Done(done)
		}
		a := attacks[name](c)
		if aa, ok := a.(*attack.AutoAttack); ok {
			current := ""
			aa.OnProgress = func(name string, done, total int) {
				if name != current {
					current, stage = name, env.Stage(name, total)
				}
				stage.Done(done)
			}
		}
		out = append(out, a)
	}
	return out
}
