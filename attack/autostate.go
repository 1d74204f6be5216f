package attack

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"hash/fnv"
	"io/fs"
	"math"

	"github.com/redoubt-ml/redoubt/tensor"
	"github.com/redoubt-ml/redoubt/tensor/safetensors"
)

// autoState is what the state file says beside the adversaries.
type autoState struct {
	Threat  Threat  `json:"threat"`
	Version Version `json:"version"`
	Seed    uint64  `json:"seed"`
	Inputs  string  `json:"inputs"` // checksum of inputs and labels
	Stages  []Stage `json:"stages"`
}

// Names in the state file.
const (
	stateText        = "redoubt.autoattack"
	stateAdversaries = "adversaries"
	stateLabels      = "labels" // the model's answers to them
)

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

// save writes what the finished stages have found.
func (a *AutoAttack) save(rep *AutoReport, x *tensor.Tensor, y []int) error {
	if a.State == "" {
		return nil
	}
	text, err := json.Marshal(autoState{rep.Threat, rep.Version, rep.Seed, checksum(x, y), rep.Stages})
	if err != nil {
		return err
	}
	labels := make([]int64, len(y))
	for i, l := range rep.Result.Label {
		labels[i] = int64(l)
	}
	return safetensors.Write(a.State, safetensors.Contents{
		Tensors:  map[string]*tensor.Tensor{stateAdversaries: rep.Result.X},
		Ints:     map[string]safetensors.IntTensor{stateLabels: {Shape: []int{len(y)}, Data: labels}},
		Metadata: map[string]string{stateText: string(text)},
	})
}

// otherModel is the share of the adversaries in a state file that the model may answer
// differently than the file says, for rounding; beyond it the file is of another model.
const otherModel = 0.02

// load takes over what a state file holds and returns the number of stages that
// it has finished.
func (a *AutoAttack) load(ctx context.Context, rep *AutoReport, m Model, x *tensor.Tensor, y []int, attacks []Attack) (int, error) {
	if a.State == "" {
		return 0, nil
	}
	f, err := safetensors.Open(a.State)
	if errors.Is(err, fs.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return 0, fmt.Errorf("attack: AutoAttack: state: %w", err)
	}
	defer f.Close()
	var s autoState
	if err := json.Unmarshal([]byte(f.Metadata()[stateText]), &s); err != nil {
		return 0, fmt.Errorf("attack: AutoAttack: state %s: no description of an evaluation: %w", a.State, err)
	}
	if s.Threat != rep.Threat || s.Version != rep.Version || s.Seed != rep.Seed || s.Inputs != checksum(x, y) || len(s.Stages) > len(attacks) {
		return 0, fmt.Errorf("attack: AutoAttack: state %s is of another evaluation: %v, version %s, seed %d, want %v, %s, %d and the same inputs",
			a.State, s.Threat, s.Version, s.Seed, rep.Threat, rep.Version, rep.Seed)
	}
	for k, st := range s.Stages {
		if st.Name != attacks[k].Name() {
			return 0, fmt.Errorf("attack: AutoAttack: state %s: stage %d is %s, want %s", a.State, k, st.Name, attacks[k].Name())
		}
	}
	adv, err := f.Tensor(stateAdversaries)
	if err != nil {
		return 0, fmt.Errorf("attack: AutoAttack: state %s: %w", a.State, err)
	}
	labels, err := f.Ints(stateLabels)
	if err != nil {
		return 0, fmt.Errorf("attack: AutoAttack: state %s: %w", a.State, err)
	}
	if fmt.Sprint(adv.Shape()) != fmt.Sprint(x.Shape()) || adv.DType() != x.DType() || len(labels) != len(y) {
		return 0, fmt.Errorf("attack: AutoAttack: state %s: adversaries %v%v and %d labels, want %v%v and %d", a.State, adv.DType(), adv.Shape(), len(labels), x.DType(), x.Shape(), len(y))
	}
	for i, d := range a.Threat.Distance(adv, x) {
		if !(d <= a.Threat.Eps) {
			return 0, fmt.Errorf("attack: AutoAttack: state %s: adversary %d is at distance %v, want %v at most", a.State, i, d, a.Threat.Eps)
		}
		rep.Result.Distance[i] = d
	}
	if a.Version != Rand {
		answers, err := Predict(ctx, m, adv)
		if err != nil {
			return 0, fmt.Errorf("attack: AutoAttack: state %s: %w", a.State, err)
		}
		differ := 0
		for i, l := range labels {
			if answers[i] != int(l) {
				differ++
			}
		}
		if float64(differ) > otherModel*float64(len(y)) {
			return 0, fmt.Errorf("attack: AutoAttack: state %s is of another model: this one answers %d of %d inputs differently", a.State, differ, len(y))
		}
	}
	rep.Stages = s.Stages
	rep.Result.X = adv
	for i, l := range labels {
		rep.Result.Label[i] = int(l)
		rep.Right[i] = int(l) == y[i]
		rep.Result.Success[i] = !rep.Right[i]
	}
	rep.Robust = count(rep.Right)
	return len(s.Stages), nil
}
