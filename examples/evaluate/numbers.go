package main

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

// number is a flag with a finite number, or with a quotient of two as in 8/255.
type number float64

// String writes the number.
func (n *number) String() string { return strconv.FormatFloat(float64(*n), 'g', -1, 64) }

// Set reads the number.
func (n *number) Set(text string) error {
	v, err := parseNumber(text)
	*n = number(v)
	return err
}

func parseNumber(text string) (float64, error) {
	above, below, quotient := strings.Cut(text, "/")
	v, err := strconv.ParseFloat(strings.TrimSpace(above), 64)
	if err == nil && quotient {
		var d float64
		d, err = strconv.ParseFloat(strings.TrimSpace(below), 64)
		v /= d
	}
	if err != nil || math.IsNaN(v) || math.IsInf(v, 0) {
		return 0, fmt.Errorf("want a number, or a quotient as in 8/255")
	}
	return v, nil
}

// numbers is a flag with numbers, with commas between.
type numbers []float64

// String writes the numbers.
func (n *numbers) String() string {
	text := make([]string, len(*n))
	for i, v := range *n {
		text[i] = strconv.FormatFloat(v, 'g', -1, 64)
	}
	return strings.Join(text, ",")
}

// Set reads the numbers.
func (n *numbers) Set(text string) error {
	*n = nil
	for _, t := range strings.Split(text, ",") {
		v, err := parseNumber(t)
		if err != nil {
			return err
		}
		*n = append(*n, v)
	}
	return nil
}
