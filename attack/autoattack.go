package attack

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/redoubt-ml/redoubt/internal/ask"
	"github.com/redoubt-ml/redoubt/tensor"
)

var _ Attack = (*AutoAttack)(nil)

// Version is one of AutoAttack's fixed sets of attacks.
type Version string

// Versions of AutoAttack.
const (
	// Standard is APGD-CE, APGD-T, FAB-T and Square, for models that answer the
	// same question in the same way.
	Standard Version = "standard"
	// Plus is APGD-CE and APGD-DLR with 5 restarts each, FAB with 5 restarts,
	// Square, APGD-T and FAB-T: much slower than Standard, for when a little
	// more is wanted.
	Plus Version = "plus"
	// Rand is APGD-CE and APGD-DLR with gradients averaged over 20 answers, for
	// models that answer at random.
	Rand Version = "rand"
)

// AutoAttack is the evaluation without knobs that robustness is compared by: a
// fixed set of attacks one after the other, each on the inputs that have resisted
// so far. An input is robust if it is classified right and resists all of them.
//
// Standard is, under Linf and L2, APGD-CE (100 steps), APGD-T (9 targets of 100
// steps), FAB-T (the same) and Square (5000 queries); under L1 APGD-CE has 5
// restarts and APGD-T 5 targets. Plus and Rand are made for Linf and L2; under L1
// their APGD stays in the ball itself. With 3 classes APGD-T, which needs 4, gives way
// to APGD-DLR; with 2 both are left out; the report has a warning then. The
// cross-entropy is climbed in the form of log-odds, see CrossEntropy, which for one
// answer has the same direction; the mean over 20 answers of Rand weighs sure ones more.
//
// Croce and Hein, ICML 2020, section 5, with the settings of the public
// implementation, which the published numbers come from. Random numbers belong to
// the inputs, so results depend neither on how a batch is cut nor on threads.
type AutoAttack struct {
	Threat  Threat  // Linf, L2 or L1
	Version Version // "" means Standard
	// Seed selects the random numbers.
	Seed uint64
	// BatchSize is the number of inputs in a forward pass; 0 means 32.
	BatchSize int
	// State names a file that keeps what has been found; "" keeps none. If it exists,
	// the evaluation goes on from it; it must come from the same inputs, threat, version
	// and seed, and from a model with the same answers to the first inputs, on the
	// average of 20 if they are random. Of one that answers at random the file keeps what
	// the finished attacks have found, of others also what was found until a stop. To know
	// the model again each start asks it 20 times about the first 64 inputs, which are
	// not counted.
	State string
	// OnStage is called after each attack, nil for none.
	OnStage func(Stage)
	// OnProgress is called with an attack's name, the number of inputs it is
	// done with and the number in all; nil for none. Calls do not overlap.
	OnProgress func(stage string, done, total int)
}

// Stage says what one attack of AutoAttack did.
type Stage struct {
	Name      string   `json:"name"`
	Settings  string   `json:"settings"`  // the attack in full
	Attacked  int      `json:"attacked"`  // inputs that had resisted so far
	Broken    int      `json:"broken"`    // of these, those that fell
	Robust    Estimate `json:"robust"`    // inputs that resist this attack and those before
	Queries   int      `json:"queries"`   // forward passes, over all inputs
	Gradients int      `json:"gradients"` // backward passes, over all inputs
	Seconds   float64  `json:"seconds"`
}

// AutoReport is the outcome of AutoAttack.
type AutoReport struct {
	Threat   Threat    `json:"threat"`  // as in AutoAttack
	Version  Version   `json:"version"` // as in AutoAttack
	Seed     uint64    `json:"seed"`    // as in AutoAttack
	Clean    Estimate  `json:"clean"`   // accuracy on the inputs as they are
	Robust   Estimate  `json:"robust"`  // upper bound of the robust accuracy
	Stages   []Stage   `json:"stages"`  // in the order of the attacks
	Warnings []Warning `json:"warnings,omitempty"`
	// Right says for each input whether it is classified right and resisted.
	Right []bool `json:"right"`
	// Result holds the adversaries found; its counts are over all attacks of
	// this call.
	Result Result `json:"-"`
}

// Name returns "AutoAttack" for the standard version, "AutoAttack-plus" and
// "AutoAttack-rand" for the others.
func (a *AutoAttack) Name() string {
	if v := or(a.Version, Standard); v != Standard {
		return "AutoAttack-" + string(v)
	}
	return "AutoAttack"
}

// String describes all that matters for the outcome.
func (a *AutoAttack) String() string {
	return summary("AutoAttack", a.Threat, "version", or(a.Version, Standard), "seed", a.Seed)
}

// Run attacks images x [N, H, W, C], or [N, H, W], with labels y. Other inputs are attacked
// as well, but Square finds less in them.
func (a *AutoAttack) Run(ctx context.Context, m Model, x *tensor.Tensor, y []int) (Result, error) {
	rep, err := a.Evaluate(ctx, m, x, y)
	return rep.Result, err
}

// Evaluate attacks images x as Run does and says what each attack did.
// When ctx is cancelled the report holds the attacks that were finished, and its Result
// also what the next one had found. Right and Robust count that too, unless the model
// answers at random.
func (a *AutoAttack) Evaluate(ctx context.Context, m Model, x *tensor.Tensor, y []int) (AutoReport, error) {
	rep := AutoReport{Threat: a.Threat, Version: or(a.Version, Standard), Seed: a.Seed}
	if err := a.check(m, x, y); err != nil {
		return rep, err
	}
	x = ask.OffTape(x)
	rep.Result = newResult(x)
	rep.Result.Distance = make([]float64, len(y))
	classes, warnings, err := a.examine(ctx, m, x, y)
	if err != nil {
		return rep, err
	}
	rep.Warnings = warnings
	clean, err := rep.begin(ctx, m, x, y)
	if err != nil {
		return rep, err
	}
	chance := a.Version == Rand || rep.warns(RandomizedModel)
	var file state
	attacks := a.attacks(classes)
	if a.State != "" {
		if file, err = a.openState(ctx, &rep, m, x, y, clean, chance, attacks); err != nil {
			return rep, err
		}
	}
	for _, st := range attacks[len(rep.Stages):] {
		start := time.Now()
		stage, err := a.stage(ctx, st, m, x, y, &rep, chance)
		stage.Seconds = time.Since(start).Seconds()
		stage.goOn(&file.begun)
		if err != nil {
			err = fmt.Errorf("attack: %s: %w", st.Name(), err)
			rep.Robust = count(rep.Right)
			if !chance {
				file.begun = stage
				if saveErr := file.save(&rep); saveErr != nil {
					err = errors.Join(err, saveErr)
				}
			}
			return rep, err
		}
		rep.Stages = append(rep.Stages, stage)
		rep.Robust = stage.Robust
		if err := file.save(&rep); err != nil {
			return rep, err
		}
		if a.OnStage != nil {
			a.OnStage(stage)
		}
	}
	rep.judgeStages(len(y))
	return rep, nil
}

func (a *AutoAttack) check(m Model, x *tensor.Tensor, y []int) error {
	if err := checkBall(m, x, y, a.Threat); err != nil {
		return err
	}
	switch {
	case a.Threat.Norm == L0:
		return errors.New("attack: AutoAttack under l0, want linf, l2 or l1")
	case a.BatchSize < 0:
		return fmt.Errorf("attack: AutoAttack: batch size %d, want 0 or more", a.BatchSize)
	case a.Version != "" && a.Version != Standard && a.Version != Plus && a.Version != Rand:
		return fmt.Errorf("attack: AutoAttack: version %q, want %q, %q or %q", a.Version, Standard, Plus, Rand)
	}
	return nil
}

// goOn adds what the part of the stage before a stop did, and empties that.
func (s *Stage) goOn(begun *Stage) {
	s.Attacked += begun.Broken
	s.Broken += begun.Broken
	s.Queries += begun.Queries
	s.Gradients += begun.Gradients
	s.Seconds += begun.Seconds
	*begun = Stage{}
}

// begin asks the model about the inputs as they are and returns its answers.
func (rep *AutoReport) begin(ctx context.Context, m Model, x *tensor.Tensor, y []int) ([]int, error) {
	answers, err := Predict(ctx, m, x)
	if err != nil {
		return nil, err
	}
	n := len(y)
	rep.Right = make([]bool, n)
	rep.Result = Result{
		X: x.Clone(), Label: slices.Clone(answers), Success: make([]bool, n), Distance: make([]float64, n),
		Queries: make([]int, n), Gradients: make([]int, n),
	}
	for i, l := range answers {
		rep.Right[i] = l == y[i]
		rep.Result.Success[i] = !rep.Right[i]
		rep.Result.Queries[i] = 1
	}
	rep.Clean = count(rep.Right)
	rep.Robust = rep.Clean
	return answers, nil
}

// eotRand is the number of answers over which the version for randomised models
// averages gradients.
const eotRand = 20

// attacks are those of the version, in order, but for those that need more classes.
func (a *AutoAttack) attacks(classes int) []Attack {
	apgd := func(o Objective, restarts, targets int) *APGD {
		g := &APGD{Threat: a.Threat, Objective: o, Restarts: restarts, TargetClasses: targets, Seed: a.Seed, BatchSize: a.BatchSize, PlainL1: a.Version == Plus || a.Version == Rand}
		if a.Version == Rand {
			g.EOT = eotRand
		}
		return g
	}
	fab := &FAB{Threat: a.Threat, Seed: a.Seed, BatchSize: a.BatchSize}
	square := &Square{Threat: a.Threat, Seed: a.Seed, BatchSize: a.BatchSize}
	var out []Attack
	add := func(need int, att Attack) {
		if classes >= need {
			out = append(out, att)
		}
	}
	switch a.Version {
	case Rand:
		add(2, apgd(CrossEntropy{}, 1, 0))
		add(3, apgd(DLR{}, 1, 0))
	case Plus:
		add(2, apgd(CrossEntropy{}, 5, 0))
		add(3, apgd(DLR{}, 5, 0))
		add(2, &FAB{Threat: a.Threat, Untargeted: true, Restarts: 5, Seed: a.Seed, BatchSize: a.BatchSize})
		add(2, square)
		add(4, apgd(DLR{}, 1, 9))
		add(2, fab)
	default:
		restarts, targets := 1, 9
		if a.Threat.Norm == L1 {
			restarts, targets = 5, 5
		}
		add(2, apgd(CrossEntropy{}, restarts, 0))
		if classes == 3 {
			add(3, apgd(DLR{}, restarts, 0))
		}
		add(4, apgd(DLR{}, 1, targets))
		add(2, fab)
		add(2, square)
	}
	return out
}

// prepare gives an attack the names of its inputs and the way to report.
func (a *AutoAttack) prepare(att Attack, ids []int) {
	var progress func(done, total int)
	if a.OnProgress != nil {
		progress = func(done, total int) { a.OnProgress(att.Name(), done, total) }
	}
	switch t := att.(type) {
	case *APGD:
		t.ids, t.OnProgress = ids, progress
	case *FAB:
		t.ids, t.OnProgress = ids, progress
	case *Square:
		t.ids, t.OnProgress = ids, progress
	}
}

// stage runs one attack on the inputs that have resisted so far, and counts as
// broken those of whose adversaries the model, asked again, is wrong. Of an attack that
// is stopped it takes what was found, which nobody can be asked about again: chance says
// that this breaks no input as answers are random.
func (a *AutoAttack) stage(ctx context.Context, att Attack, m Model, x *tensor.Tensor, y []int, rep *AutoReport, chance bool) (Stage, error) {
	st := Stage{Name: att.Name(), Settings: fmt.Sprint(att)}
	var ids []int
	for i, r := range rep.Right {
		if r {
			ids = append(ids, i)
		}
	}
	st.Attacked = len(ids)
	if len(ids) > 0 {
		labels := make([]int, len(ids))
		for k, i := range ids {
			labels[k] = y[i]
		}
		a.prepare(att, ids)
		x0 := tensor.Gather(x, ids)
		res, err := att.Run(ctx, m, x0, labels)
		if res.X == nil {
			return st, err
		}
		again, asked := res.Label, 0
		if err == nil {
			var answers []int
			if answers, err = Predict(ctx, m, res.X); err == nil {
				again, asked = answers, 1
			}
		}
		for k, i := range ids {
			rep.Result.Queries[i] += res.Queries[k] + asked
			rep.Result.Gradients[i] += res.Gradients[k]
			st.Queries += res.Queries[k] + asked
			st.Gradients += res.Gradients[k]
			if !res.Success[k] || again[k] == y[i] {
				continue
			}
			rep.Result.Success[i] = true
			rep.Result.Label[i] = again[k]
			rep.Result.Distance[i] = res.Distance[k]
			copyRow(rep.Result.X, i, res.X, k)
			if err == nil || !chance {
				st.Broken++
				rep.Right[i] = false
			}
		}
		if err != nil {
			return st, err
		}
	}
	st.Robust = count(rep.Right)
	return st, nil
}
