package main

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/redoubt-ml/redoubt/fedleak"
	"github.com/redoubt-ml/redoubt/internal/example"
	"github.com/redoubt-ml/redoubt/tensor"
	"github.com/redoubt-ml/redoubt/tensor/dataset"
)

// plan holds the sizes of the experiment.
type plan struct {
	samples, batch, rounds int // of the released setting
	net                    fedleak.Shape
	law                    int // rounds of Step I by gradient descent

	sizes []int         // batch sizes of the comparison
	small fedleak.Shape // its network
	steps int           // of each attack that matches gradients
	adam  int           // steps of CAFE's second try at an image; 0 for the usual number

	published         int // iterations of CAFE as published
	paper, paperBatch int // its samples and batch

	cifar, cifarBatch int

	private, defended, watched int // samples, batch and rounds of attacks on defences
	scored                     int // samples of which the images are recovered
	polish                     int // steps of Adam for each of their slices
	training, trainSteps, test int // samples, steps and test samples of defended training
}

var (
	smallPlan = plan{
		samples: 800, batch: 40, rounds: 1000, law: 1000,
		sizes: []int{8, 40, 100}, small: fedleak.Shape{Conv1: 16, Conv2: 32, Dense: 64, Hidden: 32}, steps: 300,
		published: 600, paper: 40, paperBatch: 10, cifar: 40, cifarBatch: 10,
		private: 200, defended: 20, watched: 400, scored: 40, polish: 200, training: 8000, trainSteps: 1000, test: 2000,
	}
	fullPlan = plan{
		samples: 800, batch: 40, rounds: 1600, law: 1600,
		sizes: []int{8, 40, 100}, small: fedleak.Shape{Conv1: 16, Conv2: 32, Dense: 64, Hidden: 32}, steps: 1200,
		published: 3000, paper: 40, paperBatch: 10, cifar: 40, cifarBatch: 10,
		private: 200, defended: 20, watched: 800, scored: 200, polish: 200, training: 20000, trainSteps: 3000, test: 5000,
	}
	miniPlan = plan{
		samples: 16, batch: 4, rounds: 24, net: fedleak.Shape{Conv1: 32, Conv2: 64, Dense: 32, Hidden: 16}, law: 24,
		sizes: []int{2, 10}, small: fedleak.Shape{Conv1: 16, Conv2: 32, Dense: 32, Hidden: 16}, steps: 20, adam: 200,
		published: 60, paper: 40, paperBatch: 10,
		private: 24, defended: 6, watched: 48, scored: 4, polish: 200, training: 600, trainSteps: 60, test: 200,
	}
)

// leak is the released setting.
type leak struct {
	// V is the relative error |V - V*|/|V*| of the matrix of all recovered samples, in
	// Frobenius norms, at the worst party; VMax the largest of a row at any party, and
	// VMid the median of rows.
	V      float64 `json:"v_rel_err"`
	VMax   float64 `json:"v_rel_err_max"`
	VMid   float64 `json:"v_rel_err_median"`
	H      float64 `json:"h_rel_err_median"` // median of rows
	PSNR   float64 `json:"psnr_median"`
	Mean   float64 `json:"psnr_mean"`
	Paper  float64 `json:"psnr_slices"` // mean over slices, as the released code prints it
	SSIM   float64 `json:"ssim"`
	Above  float64 `json:"frac_above_40"` // of the samples that are not dead
	Labels float64 `json:"label_accuracy"`
	// Dead counts the samples of which a slice has no gradient, Slices those slices.
	Dead    int     `json:"dead"`
	Slices  int     `json:"dead_slices"`
	Rounds  int     `json:"rounds"`
	Cond    float64 `json:"cond"`
	Seconds float64 `json:"seconds"`
	// LawRatio is the error that gradient descent leaves in Step I over the one
	// that its law predicts, after LawRounds rounds.
	LawRatio  float64 `json:"step_one_over_law"`
	LawError  float64 `json:"step_one_rel_err"`
	LawRounds int     `json:"step_one_rounds"`
}

// sizeRow compares attacks at one batch size; PSNR in dB, matched.
type sizeRow struct {
	K       int     `json:"k"`
	CAFE    float64 `json:"cafe"`
	DLG     float64 `json:"dlg"`
	Cosine  float64 `json:"cosine"`
	SAPAG   float64 `json:"sapag"`
	Many    float64 `json:"dlg_same_rounds"` // gradients matched over all rounds that CAFE sees
	Mean    float64 `json:"mean_image"`
	Rounds  int     `json:"rounds"` // that CAFE sees
	Seconds float64 `json:"seconds"`
}

// publishedRow is CAFE with its paper's iterations.
type publishedRow struct {
	Name    string  `json:"name"`
	Rounds  int     `json:"iterations"`
	V       float64 `json:"v_rel_err"`
	H       float64 `json:"h_rel_err_median"`
	PSNR    float64 `json:"psnr"`
	Seconds float64 `json:"seconds"`
	curve   [2][]float64
}

// color is CIFAR-10.
type color struct {
	PSNR    float64 `json:"psnr_median"`
	Least   float64 `json:"psnr_min"`
	Labels  float64 `json:"label_accuracy"`
	Seconds float64 `json:"seconds"`
}

// outcome is the result of the experiment. Parts that did not run are null or empty.
type outcome struct {
	CAFE      *leak          `json:"cafe"`
	Batches   []sizeRow      `json:"batches"`
	Published []publishedRow `json:"published"`
	CIFAR     *color         `json:"cifar10"`
	Defense   []defenseRow   `json:"defense"`
	MeanImage *float64       `json:"mean_image_psnr"`
	Seconds   float64        `json:"seconds"`
}

// experiment is the whole program.
type experiment struct {
	plan
	env                *example.Env
	parts              []string
	train, test, cifar *dataset.Set
	data               string
	left               []string // why parts are left out
	out                outcome
	pictures           []picture
}

// picture shows true and recovered images.
type picture struct {
	id, title string
	rows      []pictureRow
}

type pictureRow struct {
	name   string
	images *tensor.Tensor
	psnr   []float64
}

func (e *experiment) Run(ctx context.Context) error {
	start := time.Now()
	defer func() { e.out.Seconds = time.Since(start).Seconds() }()
	for _, p := range parts {
		if !slices.Contains(e.parts, p) {
			continue
		}
		var err error
		switch p {
		case "cafe":
			err = e.released(ctx)
		case "batches":
			err = e.compare(ctx)
		case "published":
			err = e.publish(ctx)
		case "defense":
			err = e.defend(ctx)
		case "cifar10":
			err = e.colors(ctx)
		}
		if err != nil {
			return fmt.Errorf("%s: %w", p, err)
		}
	}
	return nil
}

// inversion is Step III of CAFE.
func (e *experiment) inversion() fedleak.Inversion {
	return fedleak.Inversion{Seed: e.env.Seed, AdamSteps: e.adam}
}

// draw returns n images of a set chosen by the seed, and their labels.
func (e *experiment) draw(name string, set *dataset.Set, n int) (*tensor.Tensor, []int) {
	return set.Batch(e.env.Rand(name).Perm(set.Len())[:n])
}

// first returns the first rows of x that are marked, at most k of them.
func first(marked []bool, k int) []int {
	var ids []int
	for i, ok := range marked {
		if ok && len(ids) < k {
			ids = append(ids, i)
		}
	}
	return ids
}
