// Package plot draws the pictures of the examples: line, box, scatter and contour
// charts, on gonum/plot, and grids of images with their perturbations.
package plot
