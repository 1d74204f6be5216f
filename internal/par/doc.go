// Package par runs loops on a fixed pool of goroutines.
//
// A loop is cut into chunks whose bounds depend on its length and grain alone,
// so a computation that keeps its sums within a chunk gives the same bits for
// any number of threads. Workers spin for some tens of microseconds after a
// loop, because a training step issues its loops back to back and waking a
// parked goroutine costs more than many of them; then they park and cost
// nothing.
package par
