package fedleak

import (
	"context"
	"slices"

	"gonum.org/v1/gonum/mat"

	"github.com/redoubt-ml/redoubt/tensor"
)

// Attack recovers private data from what a server sees.
type Attack interface {
	Name() string
	// Run attacks the observations of a protocol whose model has the parameters of
	// m. On an error the recovery, if not nil, holds what was reached, and marks
	// it: a cancelled context and data that are not identifiable are errors of
	// this kind.
	Run(ctx context.Context, m *Model, o Observations) (*Recovery, error)
}

// Status says what became of a slice.
type Status uint8

// What became of a slice.
const (
	// Unseen slices took part in no round that was used, or the attack did not
	// come to them.
	Unseen Status = iota
	// Recovered slices are the attack's answer.
	Recovered
	// Dead slices have no gradient at the first dense layer: nothing about them
	// can be seen.
	Dead
	// Undetermined slices have a gradient that the batches do not single out.
	Undetermined
)

// String names the status.
func (s Status) String() string {
	return [...]string{"unseen", "recovered", "dead", "undetermined"}[s]
}

// Recovery is what an attack found.
type Recovery struct {
	Attack          string
	Identifiability Identifiability
	// Rounds is the number of rounds that the attack looked at.
	Rounds int
	// Labels holds a class for each sample, -1 where it is not known; nil if the
	// attack does not look for labels.
	Labels  []int
	Parties []PartyRecovery
}

// PartyRecovery is what was found out about one party.
type PartyRecovery struct {
	// X holds the recovered slices [N, H, W, C] in [0, 1]; only those with status
	// Recovered mean anything, the others are mid-grey.
	X      *tensor.Tensor
	Status []Status
	// V [N, d2] holds the gradients at the output of the first dense layer and H
	// [N, d1] its inputs; nil for attacks that do not go this way.
	V, H *mat.Dense
	// VError and HError are estimates, from the data alone, of the relative error
	// of each row of V and H. A column of V in which a horizontal federation hides
	// the clients' shares is 0.
	VError, HError []float64
	// Residual is the distance, relative to the norm of the row of H, between the
	// features of the recovered slice and H.
	Residual []float64
}

// newRecovery returns the recovery of an attack that has not begun.
func newRecovery(name string, m *Model, n int) *Recovery {
	r := &Recovery{Attack: name, Parties: make([]PartyRecovery, len(m.Bottoms))}
	for p := range r.Parties {
		in := m.Inputs[p]
		r.Parties[p] = PartyRecovery{
			X:      tensor.Full(m.dtype(), 0.5, n, in[0], in[1], in[2]),
			Status: make([]Status, n),
		}
	}
	return r
}

// Count returns the number of slices of status s.
func (p *PartyRecovery) Count(s Status) int {
	k := 0
	for _, v := range p.Status {
		if v == s {
			k++
		}
	}
	return k
}

// Invisible is a slice that an attack did not recover.
type Invisible struct {
	Party, Sample int
	Status        Status
	Why           string
}

// Invisible lists the slices that were not recovered, by party and sample, with the reason
// in words.
func (r *Recovery) Invisible() []Invisible {
	d := r.Identifiability
	var out []Invisible
	for p := range r.Parties {
		for i, s := range r.Parties[p].Status {
			why := ""
			switch {
			case s == Recovered:
				continue
			case s == Dead:
				why = "no gradient comes to its first dense layer: the units behind are all off, as they are for a black slice under biases of 0"
			case slices.Contains(d.Missing, i):
				why = "the sample is in no batch"
			case s == Undetermined && i < len(d.Determined) && d.Determined[i]:
				why = "the rounds do not tell its features from those of the samples beside it"
			case s == Undetermined:
				why = "the batches do not single it out: " + d.Hint
			default:
				why = "the attack did not come to it, was not asked to, or saw no round with it"
			}
			out = append(out, Invisible{p, i, s, why})
		}
	}
	return out
}

// Complete says for each sample whether all of its slices were recovered.
func (r *Recovery) Complete() []bool {
	out := make([]bool, len(r.Parties[0].Status))
	for i := range out {
		out[i] = true
		for _, p := range r.Parties {
			out[i] = out[i] && p.Status[i] == Recovered
		}
	}
	return out
}

// Images returns the recovered slices, one tensor [N, H, W, C] per party, with those of
// guess in place of the ones that were not recovered or whose features are estimated to
// be wrong by more than their own norm; nil leaves all as they are.
func (r *Recovery) Images(guess []*tensor.Tensor) []*tensor.Tensor {
	out := make([]*tensor.Tensor, len(r.Parties))
	for p := range out {
		part := &r.Parties[p]
		out[p] = part.X.Clone()
		if guess == nil {
			continue
		}
		v := guess[p].Values()
		size := len(v) / len(part.Status)
		for i, s := range part.Status {
			if s != Recovered || part.HError != nil && part.HError[i] > 1 {
				setRow(out[p], i, v[i*size:(i+1)*size])
			}
		}
	}
	return out
}
