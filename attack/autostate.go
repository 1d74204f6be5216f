package attack

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"hash/fnv"
	"io/fs"
	"math"

	"github.com/redoubt-ml/redoubt/internal/ask"
	"github.com/redoubt-ml/redoubt/tensor"
	"github.com/redoubt-ml/redoubt/tensor/safetensors"
)

// autoState is what the state file says beside the tensors.
type autoState struct {
	Threat  Threat  `json:"threat"`
	Version Version `json:"version"`
	Seed    uint64  `json:"seed"`
	Inputs  string  `json:"inputs"` // checksum of inputs and labels
	Stages  []Stage `json:"stages"`
	Begun   Stage   `json:"begun"` // the part of the next stage that was done before a stop
}

// Names in the state file.
const (
	stateText        = "redoubt.autoattack"
	stateAdversaries = "adversaries"
	stateLabels      = "labels"    // the model's answers to them
	stateClean       = "clean"     // the model's answers to the inputs
	stateMean        = "mean"      // of the model's logits at the first inputs
	stateDeviation   = "deviation" // of these logits from one time to the next
)

// state is the state file of an evaluation. The zero state is of none.
type state struct {
	path            string
	about           autoState
	clean           []int // the model's answers to the inputs
	mean, deviation []float64
	classes         int
	begun           Stage // the part of the next stage that was done before a stop
}

// checksum tells sets of inputs apart.
func checksum(x *tensor.Tensor, y []int) string {
	h := fnv.New64a()
	fmt.Fprint(h, x.DType(), x.Shape(), y)
	var b [8]byte
	for _, v := range x.Values() {
		u := math.Float64bits(v)
		for i := range b {
			b[i] = byte(u >> (8 * i))
		}
		h.Write(b[:])
	}
	return fmt.Sprintf("%016x", h.Sum64())
}

// stateAnswers is how often the model is asked about the first inputs, to be known again.
const stateAnswers = 20

// know asks the model about the first inputs.
func (s *state) know(ctx context.Context, m Model, x *tensor.Tensor, y []int) error {
	n := min(examined, len(y))
	rows := rowsOf(ask.Range(0, n), y, nil)
	x = tensor.Slice(x, 0, 0, n)
	tape := tensor.NewTape()
	for k := range stateAnswers {
		if err := ctx.Err(); err != nil {
			return fmt.Errorf("attack: stopped: %w", err)
		}
		tape.Reset()
		logits, err := query(ctx, m, tape.Const(x), rows)
		if err != nil {
			return err
		}
		z := logits.Values()
		if k == 0 {
			s.classes, s.mean, s.deviation = logits.Dim(1), make([]float64, len(z)), make([]float64, len(z))
		}
		for i, v := range z {
			d := v - s.mean[i]
			s.mean[i] += d / float64(k+1)
			s.deviation[i] += d * (v - s.mean[i])
		}
	}
	for i, v := range s.deviation {
		s.deviation[i] = math.Sqrt(v / (stateAnswers - 1))
	}
	return nil
}

// sameModel says whether means of logits, with their deviations, are of the model that s
// knows: within rounding and six standard errors of their difference.
func (s *state) sameModel(mean, deviation []float64) bool {
	if len(mean) != len(s.mean) || len(deviation) != len(s.mean) {
		return false
	}
	for lo := 0; lo < len(mean); lo += s.classes {
		rounding := answersDiffer * size(L2, s.mean[lo:lo+s.classes])
		for i := lo; i < lo+s.classes; i++ {
			chance := math.Hypot(s.deviation[i], deviation[i]) / math.Sqrt(stateAnswers)
			if !(math.Abs(mean[i]-s.mean[i]) <= rounding+6*chance) {
				return false
			}
		}
	}
	return true
}

// save writes what has been found.
func (s *state) save(rep *AutoReport) error {
	if s.path == "" {
		return nil
	}
	s.about.Stages, s.about.Begun = rep.Stages, s.begun
	text, err := json.Marshal(s.about)
	if err != nil {
		return err
	}
	ints := func(v []int) safetensors.IntTensor {
		out := make([]int64, len(v))
		for i, l := range v {
			out[i] = int64(l)
		}
		return safetensors.IntTensor{Shape: []int{len(v)}, Data: out}
	}
	logits := func(v []float64) *tensor.Tensor { return tensor.FromFloat64(v, len(v)/s.classes, s.classes) }
	return safetensors.Write(s.path, safetensors.Contents{
		Tensors:  map[string]*tensor.Tensor{stateAdversaries: rep.Result.X, stateMean: logits(s.mean), stateDeviation: logits(s.deviation)},
		Ints:     map[string]safetensors.IntTensor{stateLabels: ints(rep.Result.Label), stateClean: ints(s.clean)},
		Metadata: map[string]string{stateText: string(text)},
	})
}

// otherAnswers is the share of the adversaries in a state file to which the model may
// answer differently than the file says, for rounding, though one always may be.
const otherAnswers = 0.02

// openState returns the state file of the evaluation, with what it holds in the report if
// there is one. clean are the model's answers to the inputs; chance says that they are
// random, so that those in the file count.
func (a *AutoAttack) openState(ctx context.Context, rep *AutoReport, m Model, x *tensor.Tensor, y, clean []int, chance bool, attacks []Attack) (state, error) {
	s := state{path: a.State, clean: clean, about: autoState{Threat: rep.Threat, Version: rep.Version, Seed: rep.Seed, Inputs: checksum(x, y)}}
	if err := s.know(ctx, m, x, y); err != nil {
		return s, err
	}
	f, err := safetensors.Open(a.State)
	if errors.Is(err, fs.ErrNotExist) {
		return s, nil
	}
	if err != nil {
		return s, fmt.Errorf("attack: AutoAttack: state: %w", err)
	}
	defer f.Close()
	err = s.load(ctx, f, rep, m, x, y, chance, attacks)
	return s, err
}

// load takes over what a state file holds.
func (s *state) load(ctx context.Context, f *safetensors.File, rep *AutoReport, m Model, x *tensor.Tensor, y []int, chance bool, attacks []Attack) error {
	var about autoState
	if err := json.Unmarshal([]byte(f.Metadata()[stateText]), &about); err != nil {
		return fmt.Errorf("attack: AutoAttack: state %s: no description of an evaluation: %w", s.path, err)
	}
	if about.Threat != rep.Threat || about.Version != rep.Version || about.Seed != rep.Seed || about.Inputs != s.about.Inputs || len(about.Stages) > len(attacks) {
		return fmt.Errorf("attack: AutoAttack: state %s is of another evaluation: %v, version %s, seed %d, want %v, %s, %d and the same inputs",
			s.path, about.Threat, about.Version, about.Seed, rep.Threat, rep.Version, rep.Seed)
	}
	for k, st := range about.Stages {
		if st.Name != attacks[k].Name() {
			return fmt.Errorf("attack: AutoAttack: state %s: stage %d is %s, want %s", s.path, k, st.Name, attacks[k].Name())
		}
	}
	var tensors [3]*tensor.Tensor
	for k, name := range []string{stateAdversaries, stateMean, stateDeviation} {
		var err error
		if tensors[k], err = f.Tensor(name); err != nil {
			return fmt.Errorf("attack: AutoAttack: state %s: %w", s.path, err)
		}
	}
	var ints [2][]int64
	for k, name := range []string{stateLabels, stateClean} {
		var err error
		if ints[k], err = f.Ints(name); err != nil {
			return fmt.Errorf("attack: AutoAttack: state %s: %w", s.path, err)
		}
	}
	adv, labels, clean := tensors[0], ints[0], ints[1]
	if fmt.Sprint(adv.Shape()) != fmt.Sprint(x.Shape()) || adv.DType() != x.DType() || len(labels) != len(y) || len(clean) != len(y) {
		return fmt.Errorf("attack: AutoAttack: state %s: adversaries %v%v with %d and %d labels, want %v%v and %d", s.path, adv.DType(), adv.Shape(), len(labels), len(clean), x.DType(), x.Shape(), len(y))
	}
	if !s.sameModel(tensors[1].Values(), tensors[2].Values()) {
		return fmt.Errorf("attack: AutoAttack: state %s is of another model: this one has other logits at the first inputs", s.path)
	}
	th := rep.Threat
	distances := th.Distance(adv, x)
	for i, d := range distances {
		if !(d <= th.Eps) {
			return fmt.Errorf("attack: AutoAttack: state %s: adversary %d is at distance %v, want %v at most", s.path, i, d, th.Eps)
		}
	}
	if chance {
		for i := range y {
			s.clean[i], rep.Result.Label[i] = int(clean[i]), int(labels[i])
		}
	} else {
		answers, err := Predict(ctx, m, adv)
		if err != nil {
			return fmt.Errorf("attack: AutoAttack: state %s: %w", s.path, err)
		}
		differ, adversaries := 0, 0
		for i, l := range labels {
			if int(l) != y[i] {
				adversaries++
			}
			if answers[i] != int(l) {
				differ++
			}
		}
		if float64(differ) > max(1, otherAnswers*float64(adversaries)) {
			return fmt.Errorf("attack: AutoAttack: state %s is of another model: this one answers %d of %d inputs differently, of which %d are adversaries", s.path, differ, len(y), adversaries)
		}
		rep.Result.Label = answers
	}
	right := make([]bool, len(y))
	for i, l := range rep.Result.Label {
		right[i] = s.clean[i] == y[i]
		rep.Right[i] = right[i] && l == y[i]
		rep.Result.Success[i] = !rep.Right[i]
	}
	rep.Result.X, rep.Result.Distance = adv, distances
	rep.Stages, s.begun = about.Stages, about.Begun
	rep.Clean, rep.Robust = count(right), count(rep.Right)
	return nil
}
