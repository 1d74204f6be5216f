package main

import (
	"context"
	"encoding/json"
	"fmt"
	"github.com/redoubt-ml/redoubt/tensor/dataset"
	"os"
	"strconv"
	"time"
)

func main() {
	seed, _ := strconv.ParseUint(os.Args[1], 10, 64)
	train, test, src, err := dataset.MNIST()
	p := smallPlan
	if len(os.Args) > 2 {
		train, test, err = dataset.MNISTMini()
		p = miniPlan
	}
	if err != nil {
		panic(err)
	}
	t0 := time.Now()
	last := ""
	e := &experiment{plan: p, train: train, test: test, seed: seed, progress: func(s string, d, t int) {
		if s != last {
			fmt.Fprintln(os.Stderr, s, time.Since(t0))
			last = s
		}
	}}
	e.out.Data = src
	if err := e.run(context.Background()); err != nil {
		fmt.Println(err)
	}
	json.NewEncoder(os.Stdout).Encode(e.out)
}
