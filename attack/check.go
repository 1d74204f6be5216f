package attack

import (
	"errors"
	"fmt"
	"math"

	"github.com/redoubt-ml/redoubt/tensor"
)

// checkAll checks what Run of most attacks is given.
func checkAll(m Model, x *tensor.Tensor, y []int, th Threat, targets []int, name string, settings ...setting) error {
	if err := th.checkRoom(); err != nil {
		return err
	}
	return checkInBox(m, x, y, th, targets, name, settings...)
}

// checkInBox is checkAll for attacks to which only the threat's box matters.
func checkInBox(m Model, x *tensor.Tensor, y []int, th Threat, targets []int, name string, settings ...setting) error {
	if err := CheckInputs(m, x, y, th); err != nil {
		return err
	}
	if err := checkTargets(y, targets); err != nil {
		return err
	}
	return checkSettings(name, settings...)
}

// setting is a hyper-parameter to check.
type setting struct {
	name  string
	value float64
	least float64
}

// checkSettings returns an error for the first one that is below its least value
// or not finite.
func checkSettings(attack string, settings ...setting) error {
	for _, s := range settings {
		if !(s.value >= s.least) || math.IsInf(s.value, 0) {
			return fmt.Errorf("attack: %s: %s is %v, want %v or more", attack, s.name, s.value, s.least)
		}
	}
	return nil
}

// checkBall is CheckInputs under a threat that lets something change.
func checkBall(m Model, x *tensor.Tensor, y []int, th Threat) error {
	if err := CheckInputs(m, x, y, th); err != nil {
		return err
	}
	return th.checkRoom()
}

// checkRoom returns an error if no value may change, as when a radius was forgotten:
// then every input would count as robust.
func (t Threat) checkRoom() error {
	if t.Eps == 0 || t.Norm == L0 && t.Eps > 0 && t.Eps < 1 {
		return fmt.Errorf("attack: eps is %v under %v, which lets nothing change, want a radius above 0", t.Eps, t.Norm)
	}
	return nil
}

// CheckInputs returns an error unless inputs x [N, ...] with labels y can be attacked
// under a threat: one that makes sense, at least one input, a label of 0 or more for each,
// and all pixels in the threat's box.
func CheckInputs(m Model, x *tensor.Tensor, y []int, th Threat) error {
	if err := th.Check(); err != nil {
		return err
	}
	if err := checkBatch(m, x); err != nil {
		return err
	}
	if err := checkLabels(x, y); err != nil {
		return err
	}
	lo, hi := th.box()
	return checkPixels(x, fmt.Sprintf("%v to %v", lo, hi), func(v float64) bool { return v >= lo && v <= hi })
}

func checkBatch(m Model, x *tensor.Tensor) error {
	switch {
	case m == nil:
		return errors.New("attack: no model")
	case x == nil || x.Rank() < 2:
		return errors.New("attack: inputs must be a batch [N, ...]")
	case x.Dim(0) == 0:
		return fmt.Errorf("attack: empty batch: inputs have shape %v", x.Shape())
	}
	return nil
}

func checkLabels(x *tensor.Tensor, y []int) error {
	if len(y) != x.Dim(0) {
		return fmt.Errorf("attack: %d labels for %d inputs", len(y), x.Dim(0))
	}
	for i, l := range y {
		if l < 0 {
			return fmt.Errorf("attack: label of input %d is %d, want 0 or more", i, l)
		}
	}
	return nil
}

// checkTargets returns an error unless there are no targets or a wrong class for
// every input.
func checkTargets(y, target []int) error {
	if target == nil {
		return nil
	}
	if len(target) != len(y) {
		return fmt.Errorf("attack: %d targets for %d inputs", len(target), len(y))
	}
	for i, t := range target {
		if t == y[i] {
			return fmt.Errorf("attack: target of input %d is its label %d, want another class", i, t)
		}
	}
	return nil
}

// checkPixels returns an error unless all values of x are good.
func checkPixels(x *tensor.Tensor, want string, good func(float64) bool) error {
	find := func(i int, v float64) error {
		d := x.Len() / x.Dim(0)
		return fmt.Errorf("attack: pixel %d of input %d is %v, want %s", i%d, i/d, v, want)
	}
	if x.DType() == tensor.Float32 {
		for i, v := range x.Float32s() {
			if !good(float64(v)) {
				return find(i, float64(v))
			}
		}
		return nil
	}
	for i, v := range x.Float64s() {
		if !good(v) {
			return find(i, v)
		}
	}
	return nil
}

func finite(v float64) bool { return !math.IsNaN(v) && !math.IsInf(v, 0) }
