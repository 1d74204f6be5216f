package fedleak

import (
	"errors"
	"fmt"
	"math/rand/v2"
)

// Schedule chooses the batches of a federation, which the server knows. What it
// chooses decides what CAFE can learn: see Identify.
type Schedule interface {
	// Batch returns the ids of round t >= 0, each in [0, n) for n samples and none
	// twice, always the same for the same t.
	Batch(t, n int) []int
	// Check says what keeps the schedule from serving n samples.
	Check(n int) error
}

var (
	_ Schedule = Uniform{}
	_ Schedule = Epochs{}
	_ Schedule = FixedBatches{}
	_ Schedule = PerClient{}
)

// Uniform draws K of the n ids without replacement, independently in each round.
type Uniform struct {
	K    int    // ids in a batch, 1 to the number of samples
	Seed uint64 // of the batches
}

// Check implements Schedule.
func (s Uniform) Check(n int) error { return checkBatch(s.K, n) }

// Batch implements Schedule.
func (s Uniform) Batch(t, n int) []int { return choose(stream(s.Seed, uint64(t)), s.K, n) }

// Epochs deals the n ids out anew in each epoch of n/K rounds; ids that do not fill
// a batch sit the epoch out.
type Epochs struct {
	K    int    // ids in a batch, 1 to the number of samples
	Seed uint64 // of the batches
}

// Check implements Schedule.
func (s Epochs) Check(n int) error { return checkBatch(s.K, n) }

// Batch implements Schedule.
func (s Epochs) Batch(t, n int) []int {
	per := n / s.K
	order := stream(s.Seed, uint64(t/per)).Perm(n)
	return order[t%per*s.K:][:s.K:s.K]
}

// FixedBatches deals the ids out once and uses the same n/K batches in every epoch.
// Of the bias gradients of a model that stands still the server then sees no more than
// the sum over each batch, however long it looks, which costs nothing and stops Step I of
// CAFE. It stops no attack on one round: the gradient of the weights is a sum of K outer
// products, which SPEAR takes apart behind a wide layer with ReLU, as methods that
// separate independent sources may behind others (Kariyappa et al., ICML 2023). And a
// model in training gives every visit of a batch other gradients, new equations each.
type FixedBatches struct {
	K    int    // ids in a batch, 1 to the number of samples
	Seed uint64 // of the batches
}

// Check implements Schedule.
func (s FixedBatches) Check(n int) error { return checkBatch(s.K, n) }

// Batch implements Schedule.
func (s FixedBatches) Batch(t, n int) []int {
	return Epochs(s).Batch(t%(n/s.K), n)
}

// PerClient draws K ids of each of Clients equal blocks of ids, as a round of a
// horizontal federation does.
type PerClient struct {
	Clients, K int    // at least 1; K ids of each client
	Seed       uint64 // of the batches
}

// Check implements Schedule.
func (s PerClient) Check(n int) error {
	if s.Clients < 1 || n%s.Clients != 0 {
		return fmt.Errorf("fedleak: %d samples for %d clients, want equal shares", n, s.Clients)
	}
	return checkBatch(s.K, n/s.Clients)
}

// Batch implements Schedule.
func (s PerClient) Batch(t, n int) []int {
	own := n / s.Clients
	rng := stream(s.Seed, uint64(t))
	var out []int
	for c := range s.Clients {
		for _, i := range choose(rng, s.K, own) {
			out = append(out, c*own+i)
		}
	}
	return out
}

func checkBatch(k, n int) error {
	if n < 1 || k < 1 || k > n {
		return fmt.Errorf("fedleak: batches of %d out of %d samples, want 1 <= K <= N", k, n)
	}
	return nil
}

// choose draws k of n numbers without replacement.
func choose(rng *rand.Rand, k, n int) []int {
	order := make([]int, n)
	for i := range order {
		order[i] = i
	}
	for i := range k {
		j := i + rng.IntN(n-i)
		order[i], order[j] = order[j], order[i]
	}
	return order[:k:k]
}

// stream returns the random numbers of a place in the work.
func stream(seed uint64, place ...uint64) *rand.Rand {
	h := uint64(0x9e3779b97f4a7c15)
	for _, p := range place {
		h ^= p + 0x9e3779b97f4a7c15
		h *= 0xbf58476d1ce4e5b9
		h ^= h >> 29
	}
	return rand.New(rand.NewPCG(seed, h))
}

// checkBatches says what is wrong with batches of ids out of n samples: an empty
// batch, batches of different sizes, an id out of range or twice in a batch.
func checkBatches(batches [][]int, n int) error {
	if n < 1 {
		return fmt.Errorf("fedleak: %d samples, want at least 1", n)
	}
	if len(batches) == 0 {
		return errors.New("fedleak: no batches")
	}
	k := len(batches[0])
	last := make([]int, n)
	for t, b := range batches {
		if len(b) == 0 {
			return fmt.Errorf("fedleak: round %d has no ids", t)
		}
		if len(b) > n {
			return fmt.Errorf("fedleak: round %d has %d ids for %d samples", t, len(b), n)
		}
		if len(b) != k {
			return fmt.Errorf("fedleak: round %d has %d ids, round 0 has %d: want batches of one size", t, len(b), k)
		}
		for _, id := range b {
			if id < 0 || id >= n {
				return fmt.Errorf("fedleak: round %d has id %d, want 0 to %d", t, id, n-1)
			}
			if last[id] == t+1 {
				return fmt.Errorf("fedleak: round %d has id %d twice", t, id)
			}
			last[id] = t + 1
		}
	}
	return nil
}
