// Package ask puts questions to models: batch after batch on several threads, with
// panics turned into errors, and without waiting for a model that does not answer once
// a context is done.
package ask
