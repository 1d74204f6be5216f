// Package quickselect finds order statistics without sorting.
//
// Hoare, "Algorithm 65: Find", Communications of the ACM 1961.
package quickselect
