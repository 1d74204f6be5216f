package advcl

import (
	"fmt"
	"math"

	"github.com/redoubt-ml/redoubt/tensor/optim"
)

// EpochCosine is AdvCL's learning rate. In epoch e, counted from 1 to Epochs, it is
//
//	lr_e = floor + (LR - floor) (1 + cos(π e/Epochs))/2,  floor = LR/1000,
//
// but in the first WarmUp epochs it rises linearly, batch by batch, from Start to
// lr_WarmUp.
//
// Reference code of Fan et al., NeurIPS 2021.
type EpochCosine struct {
	LR     float64 // 0 means 0.5
	Epochs int     // of the training, more than WarmUp
	WarmUp int     // epochs; 0 means 10, -1 none
	Start  float64 // 0 means 0.01
	// PerEpoch is the number of batches in an epoch.
	PerEpoch int
}

// Schedule returns the learning rate by step. Errors: no more epochs than those of
// warming up, no batches, rates that are negative or not finite.
func (c EpochCosine) Schedule() (optim.Schedule, error) {
	if c.LR == 0 {
		c.LR = 0.5
	}
	if c.Start == 0 {
		c.Start = 0.01
	}
	switch c.WarmUp {
	case 0:
		c.WarmUp = 10
	case -1:
		c.WarmUp = 0
	}
	switch {
	case c.WarmUp < 0:
		return nil, fmt.Errorf("advcl: schedule: %d epochs of warming up, want -1 or more", c.WarmUp)
	case c.Epochs <= c.WarmUp:
		return nil, fmt.Errorf("advcl: schedule: %d epochs, want more than the %d of warming up", c.Epochs, c.WarmUp)
	case c.PerEpoch < 1:
		return nil, fmt.Errorf("advcl: schedule: %d batches in an epoch, want at least 1", c.PerEpoch)
	case !(c.LR > 0) || math.IsInf(c.LR, 0) || !(c.Start > 0) || math.IsInf(c.Start, 0):
		return nil, fmt.Errorf("advcl: schedule: learning rates %v and %v, want finite numbers above 0", c.LR, c.Start)
	}
	floor := c.LR / 1000
	rate := func(e int) float64 {
		return floor + (c.LR-floor)*(1+math.Cos(math.Pi*float64(min(e, c.Epochs))/float64(c.Epochs)))/2
	}
	return func(step int) float64 {
		e, q := step/c.PerEpoch+1, step%c.PerEpoch
		if e > c.WarmUp {
			return rate(e)
		}
		part := float64(q+(e-1)*c.PerEpoch) / float64(c.WarmUp*c.PerEpoch)
		return c.Start + part*(rate(c.WarmUp)-c.Start)
	}, nil
}

// StepCosine is ACL's learning rate, and the one of small runs: it rises linearly from
// 0 to LR at step WarmUp, counted from 1, and falls along half a cosine to Floor at
// step Steps.
type StepCosine struct {
	LR     float64 // the highest rate, above 0
	Steps  int     // of the training, more than WarmUp
	WarmUp int     // steps
	Floor  float64 // the last rate, from 0 to LR
}

// Schedule returns the learning rate by step. Errors: no more steps than those of
// warming up, rates that are negative or not finite.
func (c StepCosine) Schedule() (optim.Schedule, error) {
	switch {
	case c.WarmUp < 0:
		return nil, fmt.Errorf("advcl: schedule: %d steps of warming up, want 0 or more", c.WarmUp)
	case c.Steps <= c.WarmUp:
		return nil, fmt.Errorf("advcl: schedule: %d steps, want more than the %d of warming up", c.Steps, c.WarmUp)
	case !(c.LR > 0) || math.IsInf(c.LR, 0) || !(c.Floor >= 0 && c.Floor <= c.LR):
		return nil, fmt.Errorf("advcl: schedule: learning rate %v that falls to %v, want a finite number above 0 and one from 0 to it", c.LR, c.Floor)
	}
	return func(step int) float64 {
		s := min(step+1, c.Steps)
		if s <= c.WarmUp {
			return c.LR * float64(s) / float64(c.WarmUp)
		}
		part := float64(s-c.WarmUp) / float64(c.Steps-c.WarmUp)
		return c.Floor + (c.LR-c.Floor)*(1+math.Cos(math.Pi*part))/2
	}, nil
}
