// Package report sets out the results of the examples: tables for the terminal
// and self-contained HTML pages.
package report
