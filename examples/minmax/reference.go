package main

// The paper's figures, in percent, for its own networks: single cells are unconfirmed,
// and no figure here is a bound for a test. Where a table's lifts agree with averages
// that the paper's text states, that is said.
const unconfirmedAgreeing = "unconfirmed cell by cell; the lifts agree with the average that its text states"

// paperEnsemble holds ASR_all of average and min-max on MNIST, networks A to D, at the
// paper's radii.
var paperEnsemble = map[string][2]float64{
	"linf": {48.17, 90.16}, "l2": {69.12, 95.31}, "l1": {69.31, 89.16}, "l0": {84.03, 91.97},
}

// paperTransform holds ASR_gp and ASR_avg of average and min-max on CIFAR-10.
var paperTransform = map[string][4]float64{
	"A": {55.88, 60.03, 85.05, 85.65}, "B": {72.21, 77.43, 91.06, 91.78},
	"C": {56.51, 63.58, 87.26, 88.63}, "D": {61.13, 67.49, 87.65, 88.97},
}

// paperUniversal holds ASR_gp of average and min-max for network D on CIFAR-10, by K.
var paperUniversal = map[int][2]float64{2: {86.90, 87.08}, 4: {66.12, 71.64}, 5: {55.00, 63.55}, 10: {8.90, 25.10}}

// paperRules holds ASR_all of the weightings that both have, clipping and prior weights
// left out.
var paperRules = map[string]float64{
	"average": 48.17, "the two hardest only": 29.32, "all but the easiest": 53.39,
	"static min-max weights": 77.84, "min-max": 90.16,
}
