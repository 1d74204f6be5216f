// Package example is the front that the example programs share: the flags -data,
// -seed, -scale, -out and -json, the progress line, the printed tables, the HTML
// report and the way a program stops; and sweeps over seeds on many machines, with
// -seeds, -shard, -split and -merge, whose bookkeeping is in package sweep.
package example
