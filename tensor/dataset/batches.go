package dataset

import (
	"fmt"
	"iter"
	"math/rand/v2"
)

// Shuffler gives each epoch a random order of the examples that depends on
// nothing but Seed, the epoch and the number of examples.
type Shuffler struct {
	// Seed selects the sequence of orders; every value, 0 included, is a
	// seed of its own.
	Seed uint64
}

// Order returns the order of n examples in an epoch: a permutation of
// 0 ... n-1. It panics if n is negative.
func (s Shuffler) Order(epoch, n int) []int {
	if n < 0 {
		panic(fmt.Sprintf("dataset: Order: %d examples, want 0 or more", n))
	}
	order := make([]int, n)
	s.fill(order, epoch)
	return order
}

func (s Shuffler) fill(order []int, epoch int) {
	for i := range order {
		order[i] = i
	}
	rng := rand.New(rand.NewPCG(streamSeed(s.Seed, orderStream, uint64(epoch), 0)))
	rng.Shuffle(len(order), func(i, j int) { order[i], order[j] = order[j], order[i] })
}

// The uses of a seed, so that the same seed gives each use its own stream.
const (
	orderStream uint64 = iota + 1
	augmentStream
)

// streamSeed derives the two words of a PCG seed from a seed and the numbers
// that name a stream, by the finalizer of SplitMix64 (Steele, Lea, Flood,
// OOPSLA 2014) applied word by word.
func streamSeed(seed, use, a, b uint64) (hi, lo uint64) {
	h := mix64(seed)
	h = mix64(h ^ use)
	h = mix64(h ^ a)
	h = mix64(h ^ b)
	return h, mix64(h)
}

func mix64(z uint64) uint64 {
	z += 0x9e3779b97f4a7c15
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return z ^ z>>31
}

// BatchOptions says how NewBatches cuts the examples.
type BatchOptions struct {
	// Size is the number of examples in a batch; it must be at least 1.
	Size int
	// DropLast leaves out the last batch of an epoch if it is smaller than
	// Size.
	DropLast bool
	// Sequential keeps the order 0, 1, 2, ... in every epoch; by default
	// each epoch is shuffled.
	Sequential bool
	// Seed selects the orders; see Shuffler.
	Seed uint64
}

// Position is a place between two batches. It marshals to JSON, so that it can
// be saved with a checkpoint.
type Position struct {
	// Epoch counts from 0.
	Epoch int `json:"epoch"`
	// Batch is the number of batches of the epoch that have been given out.
	Batch int `json:"batch"`
}

// Batches gives out batches of example indices, epoch after epoch. It belongs
// to one goroutine.
type Batches struct {
	n     int
	opt   BatchOptions
	order []int
	// epoch is the epoch that order belongs to, -1 for none.
	epoch int
	at    Position
}

// NewBatches returns the batches of n examples, at the start of epoch 0. It
// returns an error if n or the batch size is below 1, or if DropLast would
// leave no batch.
func NewBatches(n int, opt BatchOptions) (*Batches, error) {
	if n < 1 {
		return nil, fmt.Errorf("dataset: batches: %d examples, want at least 1", n)
	}
	if opt.Size < 1 {
		return nil, fmt.Errorf("dataset: batches: size is %d, want at least 1", opt.Size)
	}
	if opt.DropLast && opt.Size > n {
		return nil, fmt.Errorf("dataset: batches: size is %d with DropLast, want at most the %d examples", opt.Size, n)
	}
	return &Batches{n: n, opt: opt, epoch: -1}, nil
}

// PerEpoch returns the number of batches in an epoch.
func (b *Batches) PerEpoch() int {
	if b.opt.DropLast {
		return b.n / b.opt.Size
	}
	return (b.n + b.opt.Size - 1) / b.opt.Size
}

// Position returns the place after the last batch given out.
func (b *Batches) Position() Position { return b.at }

// Seek continues at a place that Position returned, of Batches with the same
// arguments. It returns an error if there is no such place.
func (b *Batches) Seek(p Position) error {
	if p.Epoch < 0 || p.Batch < 0 || p.Batch >= b.PerEpoch() {
		return fmt.Errorf("dataset: batches: position is epoch %d, batch %d, want epoch 0 or more and batch 0 to %d", p.Epoch, p.Batch, b.PerEpoch()-1)
	}
	b.at = p
	return nil
}

// Next returns the indices of the next batch, going on to the next epoch after
// the last. The slice is valid until the next call.
func (b *Batches) Next() []int {
	if b.epoch != b.at.Epoch {
		if b.order == nil {
			b.order = make([]int, b.n)
		}
		if b.opt.Sequential {
			for i := range b.order {
				b.order[i] = i
			}
		} else {
			Shuffler{b.opt.Seed}.fill(b.order, b.at.Epoch)
		}
		b.epoch = b.at.Epoch
	}
	from := b.at.Batch * b.opt.Size
	idx := b.order[from:min(from+b.opt.Size, b.n)]
	if b.at.Batch++; b.at.Batch == b.PerEpoch() {
		b.at = Position{Epoch: b.at.Epoch + 1}
	}
	return idx
}

// Epoch iterates over the batches that are left of the current epoch. A loop
// that stops early leaves the position after the batch that it was given last.
func (b *Batches) Epoch() iter.Seq[[]int] {
	return func(yield func([]int) bool) {
		for epoch := b.at.Epoch; b.at.Epoch == epoch; {
			if !yield(b.Next()) {
				return
			}
		}
	}
}
