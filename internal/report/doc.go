// Package report sets out the results of the examples: tables for the terminal, and
// pages as self-contained HTML and as data that other programs read.
package report
