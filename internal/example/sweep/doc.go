// Package sweep is the bookkeeping of one program that runs with many seeds on many
// machines: which machine runs what, the line of JSON that each finished run leaves, and
// the figures of all lines with their intervals.
//
// A sweep consists of units: the program with one seed or, where the values of one of
// its lists are taken apart, with one seed and one value. A shard is every n-th unit. A
// finished unit becomes one line, in a file of its own that is there whole or not at
// all, so that shards share a folder without a lock: what is killed loses the unit in
// progress, and what is started again, in the same shards or in others, makes the units
// that have no file.
package sweep
