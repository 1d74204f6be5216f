// Package realdata finds the files of tests with real data in the folder that the
// environment variable REDOUBT_DATA names, and skips a test whose files are not there.
// Every file is optional, so that a run with -v shows what was missing.
package realdata
