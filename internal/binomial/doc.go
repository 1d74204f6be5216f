// Package binomial bounds the probability of a success from a count of successes.
package binomial
