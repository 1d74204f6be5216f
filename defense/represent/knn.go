package represent

import (
	"context"
	"fmt"
	"math"

	"github.com/redoubt-ml/redoubt/attack"
	"github.com/redoubt-ml/redoubt/internal/par"
	"github.com/redoubt-ml/redoubt/tensor"
)

// KNN classifies by the labels of the K training features of the largest cosine
// similarity. A feature of length 0 is similar to none.
type KNN struct {
	// K is the number of neighbours; 0 means 20.
	K int
	// Temperature t gives a neighbour of similarity s the weight exp(s/t), as in Wu
	// et al., CVPR 2018, who have 0.07; 0 gives every neighbour one vote.
	Temperature float64
}

// Predict returns labels for features test [M, D] from features train [N, D] with
// labels y. Of classes with equal votes the one with the nearest neighbour wins.
func (k KNN) Predict(ctx context.Context, train *tensor.Tensor, y []int, test *tensor.Tensor) ([]int, error) {
	if err := checkFeatures("test features", test, 1); err != nil {
		return nil, err
	}
	return k.vote(ctx, train, y, test, false)
}

// Accuracy returns the share of test features that Predict gives their label.
func (k KNN) Accuracy(ctx context.Context, train *tensor.Tensor, y []int, test *tensor.Tensor, yTest []int) (attack.Estimate, error) {
	if err := checkFeatures("test features", test, 1); err != nil {
		return attack.Estimate{}, err
	}
	if err := checkLabels("test features", yTest, test.Dim(0)); err != nil {
		return attack.Estimate{}, err
	}
	found, err := k.vote(ctx, train, y, test, false)
	if err != nil {
		return attack.Estimate{}, err
	}
	return agreement(found, yTest), nil
}

// LeaveOneOut returns the share of features x [N, D] that get their label y from the
// neighbours among all others.
func (k KNN) LeaveOneOut(ctx context.Context, x *tensor.Tensor, y []int) (attack.Estimate, error) {
	found, err := k.vote(ctx, x, y, x, true)
	if err != nil {
		return attack.Estimate{}, err
	}
	return agreement(found, y), nil
}

func agreement(found, y []int) attack.Estimate {
	right := 0
	for i, c := range found {
		if c == y[i] {
			right++
		}
	}
	return attack.NewEstimate(right, len(y))
}

// similarityBlock is the number of test features compared at a time.
const similarityBlock = 256

// vote classifies test features. alone leaves out the training feature of the same
// place.
func (k KNN) vote(ctx context.Context, train *tensor.Tensor, y []int, test *tensor.Tensor, alone bool) ([]int, error) {
	if k.K == 0 {
		k.K = 20
	}
	if err := checkFeatures("training features", train, 1); err != nil {
		return nil, err
	}
	n := train.Dim(0)
	if err := checkLabels("training features", y, n); err != nil {
		return nil, err
	}
	most := n
	if alone {
		most--
	}
	switch {
	case k.K < 1 || k.K > most:
		return nil, fmt.Errorf("represent: KNN: K is %d, want 1 to the %d neighbours that there are", k.K, most)
	case !(k.Temperature >= 0) || math.IsInf(k.Temperature, 0):
		return nil, fmt.Errorf("represent: KNN: Temperature is %v, want a finite number from 0 on", k.Temperature)
	case train.Dim(1) != test.Dim(1) || train.DType() != test.DType():
		return nil, fmt.Errorf("represent: KNN: training features are %s and test features %s, want as many values of one type", form(train), form(test))
	}
	keys, queries := unitRows(train), unitRows(test)
	out := make([]int, test.Dim(0))
	for from := 0; from < len(out); from += similarityBlock {
		if err := ctx.Err(); err != nil {
			return nil, fmt.Errorf("represent: KNN: stopped: %w", err)
		}
		to := min(len(out), from+similarityBlock)
		sim := tensor.MatMulT(tensor.Slice(queries, 0, from, to), keys, false, true)
		par.For(to-from, 4, func(lo, hi int) {
			for i := lo; i < hi; i++ {
				skip := -1
				if alone {
					skip = from + i
				}
				out[from+i] = k.elect(nearestTo(sim, i, k.K, skip), y)
			}
		})
	}
	return out, nil
}

// unitRows scales rows to length 1.
func unitRows(x *tensor.Tensor) *tensor.Tensor {
	length := tensor.Sqrt(tensor.Sum(tensor.Square(x.Detach()), 1))
	return tensor.Div(x.Detach(), tensor.Reshape(tensor.Maximum(length, tensor.Full(x.DType(), 1e-12, x.Dim(0))), x.Dim(0), 1))
}

// neighbour is a training feature and its similarity.
type neighbour struct {
	index      int
	similarity float64
}

// nearestTo returns the k most similar columns of a row, without skip, in order; of
// equals the first.
func nearestTo(sim *tensor.Tensor, row, k, skip int) []neighbour {
	found := make([]neighbour, 0, k+1)
	for j := range sim.Dim(1) {
		v := sim.At(row, j)
		if j == skip || len(found) == k && v <= found[k-1].similarity {
			continue
		}
		at := len(found)
		for at > 0 && found[at-1].similarity < v {
			at--
		}
		found = append(found, neighbour{})
		copy(found[at+1:], found[at:])
		found[at] = neighbour{j, v}
		found = found[:min(k, len(found))]
	}
	return found
}

// elect returns the label with the most votes.
func (k KNN) elect(found []neighbour, y []int) int {
	votes := map[int]float64{}
	best := y[found[0].index]
	for _, f := range found {
		w := 1.0
		if k.Temperature > 0 {
			// The largest similarity cancels; so none overflows.
			w = math.Exp((f.similarity - found[0].similarity) / k.Temperature)
		}
		votes[y[f.index]] += w
	}
	for _, f := range found {
		if votes[y[f.index]] > votes[best] {
			best = y[f.index]
		}
	}
	return best
}
