package main

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/redoubt-ml/redoubt/attack"
	"github.com/redoubt-ml/redoubt/internal/example"
)

// choice is what an attack is made of.
type choice struct {
	attack.Threat
	steps, restarts int
	seed            uint64
	progress        func(done, total int)
}

// attacks are the attacks that -attack names.
var attacks = map[string]func(c choice) attack.Attack{
	"noise": func(c choice) attack.Attack {
		return &attack.Noise{Threat: c.Threat, Repeats: c.steps, Seed: c.seed, OnProgress: c.progress}
	},
	"fgsm": func(c choice) attack.Attack { return &attack.FGSM{Threat: c.Threat} },
	"bim":  func(c choice) attack.Attack { return &attack.BIM{Threat: c.Threat, Steps: orDefault(c.steps, 10)} },
	"mi-fgsm": func(c choice) attack.Attack {
		return &attack.MIFGSM{Threat: c.Threat, Steps: c.steps, OnProgress: c.progress}
	},
	"pgd": func(c choice) attack.Attack {
		return &attack.PGD{Threat: c.Threat, Steps: orDefault(c.steps, 40), Restarts: c.restarts, Seed: c.seed, OnProgress: c.progress}
	},
	"slide": func(c choice) attack.Attack {
		return &attack.SLIDE{Threat: c.Threat, Steps: c.steps, OnProgress: c.progress}
	},
	"apgd-ce": func(c choice) attack.Attack {
		return &attack.APGD{Threat: c.Threat, Steps: c.steps, Restarts: c.restarts, Seed: c.seed, OnProgress: c.progress}
	},
	"apgd-dlr": func(c choice) attack.Attack {
		return &attack.APGD{Threat: c.Threat, Objective: attack.DLR{}, Steps: c.steps, Restarts: c.restarts, Seed: c.seed, OnProgress: c.progress}
	},
	"apgd-t": func(c choice) attack.Attack {
		return &attack.APGD{Threat: c.Threat, TargetClasses: 9, Steps: c.steps, Restarts: c.restarts, Seed: c.seed, OnProgress: c.progress}
	},
	"fab-t": func(c choice) attack.Attack {
		return &attack.FAB{Threat: c.Threat, Steps: c.steps, Restarts: c.restarts, Seed: c.seed, OnProgress: c.progress}
	},
	"square": func(c choice) attack.Attack {
		return &attack.Square{Threat: c.Threat, Queries: c.steps, Restarts: c.restarts, Seed: c.seed, OnProgress: c.progress}
	},
	"autoattack": func(c choice) attack.Attack {
		return &attack.AutoAttack{Threat: c.Threat, Seed: c.seed}
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
		return &attack.FMN{Threat: c.Threat, Steps: c.steps, OnProgress: c.progress}
	},
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
}

func orDefault(v, def int) int {
	if v == 0 {
		return def
	}
	return v
}

func attackNames() []string { return slices.Sorted(maps.Keys(attacks)) }

// makeAttack makes the attack of the flags. AutoAttack takes neither steps nor
// restarts: its numbers can be compared because nobody chooses them.
func (o *options) makeAttack(env *example.Env, seed uint64) (attack.Attack, error) {
	f, ok := attacks[o.attack]
	if !ok {
		return nil, fmt.Errorf("-attack is %q, want one of %s", o.attack, strings.Join(attackNames(), ", "))
	}
	if o.attack == "autoattack" && (o.steps != 0 || o.restarts != 0) {
		return nil, fmt.Errorf("-attack autoattack has no -steps and no -restarts")
	}
	c := choice{Threat: attack.Threat{Norm: o.norm, Eps: o.eps}, steps: o.steps, restarts: o.restarts, seed: seed}
	if env == nil {
		return f(c), nil
	}
	var stage *example.Stage
	c.progress = func(done, total int) {
		if stage == nil {
			stage = env.Stage(o.attack, total)
		}
		stage.Done(done)
	}
	a := f(c)
	if aa, ok := a.(*attack.AutoAttack); ok {
		current := ""
		aa.OnProgress = func(name string, done, total int) {
			if name != current {
				current, stage = name, env.Stage(name, total)
			}
			stage.Done(done)
		}
	}
	return a, nil
}
