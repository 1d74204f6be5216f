package function_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"time"

	"github.com/redoubt-ml/redoubt/attack"
	"github.com/redoubt-ml/redoubt/attack/adapter/function"
	"github.com/redoubt-ml/redoubt/tensor"
)

// service is a classifier behind HTTP: it answers the pixels of one image per row
// with the scores of two classes, dark and bright.
func service(w http.ResponseWriter, r *http.Request) {
	var rows [][]float32
	if err := json.NewDecoder(r.Body).Decode(&rows); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	scores := make([][2]float32, len(rows))
	for i, row := range rows {
		var sum float32
		for _, v := range row {
			sum += v - 0.5
		}
		scores[i] = [2]float32{-sum, sum}
	}
	json.NewEncoder(w).Encode(scores)
}

// post asks a service at url about images x.
func post(ctx context.Context, url string, x *tensor.Tensor) (*tensor.Tensor, error) {
	n := x.Dim(0)
	rows := make([][]float32, n)
	for i := range rows {
		d := x.Len() / n
		rows[i] = x.Float32s()[i*d : (i+1)*d]
	}
	body, err := json.Marshal(rows)
	if err != nil {
		return nil, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("server answered %s", resp.Status)
	}
	var scores [][]float32
	if err := json.NewDecoder(resp.Body).Decode(&scores); err != nil {
		return nil, err
	}
	z := tensor.Zeros(tensor.Float32, n, 2)
	for i, row := range scores {
		if i < n && len(row) == 2 {
			copy(z.Float32s()[2*i:], row)
		}
	}
	return z, nil
}

// A service that knows no gradients is attacked through its answers.
func Example() {
	server := httptest.NewServer(http.HandlerFunc(service))
	defer server.Close()
	defer http.DefaultClient.CloseIdleConnections()

	m := function.Scores(func(ctx context.Context, x *tensor.Tensor) (*tensor.Tensor, error) {
		return post(ctx, server.URL, x)
	}, function.Options{Timeout: time.Minute, BatchSize: 64, Budget: 10_000})

	x := tensor.Full(tensor.Float32, 0.55, 4, 6, 6, 1) // bright images
	square := &attack.Square{Threat: attack.Threat{Norm: attack.Linf, Eps: 0.1}, Queries: 500}
	res, err := square.Run(context.Background(), m, x, []int{1, 1, 1, 1})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println("broken", res.Success)
	fmt.Println("within the budget", m.Queries() <= 10_000)
	// Output:
	// broken [true true true true]
	// within the budget true
}

// A model that answers with labels alone suits the attacks that walk along the boundary,
// and refuses those that need a gradient.
func ExampleLabels() {
	m := function.Labels(func(_ context.Context, x *tensor.Tensor) ([]int, error) {
		labels := make([]int, x.Dim(0))
		for i := range labels {
			if x.At(i, 1) > x.At(i, 0) {
				labels[i] = 1
			}
		}
		return labels, nil
	}, 2, function.Options{})
	x, y := tensor.FromFloat32([]float32{0.7, 0.3}, 1, 2), []int{0}
	walk := &attack.HopSkipJump{Threat: attack.Threat{Norm: attack.L2, Eps: 1}, Queries: 500, Seed: 1}
	res, err := walk.Run(context.Background(), m, x, y)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Printf("broken at a distance of %.1f\n", res.Distance[0])
	_, err = (&attack.FGSM{Threat: attack.Threat{Norm: attack.Linf, Eps: 0.5}}).Run(context.Background(), m, x, y)
	fmt.Println(errors.Is(err, function.ErrGradient))
	// Output:
	// broken at a distance of 0.3
	// true
}

// A budget of questions is kept.
func ExampleScores() {
	m := function.Scores(func(_ context.Context, x *tensor.Tensor) (*tensor.Tensor, error) { return x, nil }, function.Options{Budget: 100})
	x := tensor.FromFloat32([]float32{0.9, 0.1}, 1, 2)
	search := &attack.NES{Threat: attack.Threat{Norm: attack.Linf, Eps: 0.1}}
	_, err := search.Run(context.Background(), m, x, []int{0})
	fmt.Println(errors.Is(err, function.ErrBudget), m.Queries() <= 100)
	// Output: true true
}
