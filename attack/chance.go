package attack

import (
	"context"

	"github.com/redoubt-ml/redoubt/internal/ask"
	"github.com/redoubt-ml/redoubt/tensor"
)

// By so many answers to so many inputs a model that answers at random is known:
// together no more than a forward pass of one batch.
const (
	chanceInputs  = 8
	chanceAnswers = 4
)

// atRandom says whether the model answers the first inputs differently from one time to
// the next, or in another order, as one with noise of its own for each row of a batch
// does. The questions count for no budget.
func atRandom(ctx context.Context, m Model, x *tensor.Tensor, y []int) (bool, error) {
	return answersVary(ctx, m, x, y, min(chanceInputs, len(y)))
}

// answersVary is atRandom by the first n inputs.
func answersVary(ctx context.Context, m Model, x *tensor.Tensor, y []int, n int) (bool, error) {
	there := ask.Range(0, n)
	back := make([]int, n)
	for i := range back {
		back[i] = n - 1 - i
	}
	tape := tensor.NewTape()
	var first *tensor.Tensor
	for k := range chanceAnswers {
		order := there
		if k%2 == 1 {
			order = back
		}
		tape.Reset()
		z, err := query(ctx, m, tape.Const(tensor.Gather(x, order)), rowsOf(order, y, nil))
		if err != nil {
			return false, err
		}
		z = tensor.Gather(z.Detach(), order) // turning round twice is none
		switch {
		case first == nil:
			first = z.Clone()
		case farthest(first, z) > answersDiffer:
			return true, nil
		}
	}
	return false, nil
}

// unluckyAnswers is how often an input itself is asked about where answers are random:
// it is a success by itself if all of them are.
const unluckyAnswers = 4
