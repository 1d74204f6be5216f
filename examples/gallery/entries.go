package main

import (
	"slices"
	"strconv"
	"strings"

	"github.com/redoubt-ml/redoubt/internal/example"
)

// entry says how an example is shown.
type entry struct {
	name  string // of its folder
	title string
	about string   // what is seen, and why it matters
	quick []string // flags of its quick scale
	full  string   // the command of its long run
	// blocks are the tables and figures of its page that the gallery takes over, and
	// withData those that are there with some data sets only.
	blocks, withData []string
	reading          string // how to read them; empty if the captions say it
	picture          string // ID of the figure that -pictures writes
}

// command is what to type for the quick scale.
func (e entry) command(env *example.Env) string {
	return strings.Join(append([]string{"go run ./examples/" + e.name}, e.flags(env)...), " ")
}

// flags are those of the quick scale and those that the gallery was given.
func (e entry) flags(env *example.Env) []string {
	flags := slices.Clone(e.quick)
	if env.Seed != 1 { // the examples' default
		flags = append(flags, "-seed", strconv.FormatUint(env.Seed, 10))
	}
	if env.Data != "" {
		flags = append(flags, "-data", env.Data)
	}
	return flags
}

// entries are the examples in the order of the page.
var entries = []entry{
	{
		name: "quickstart", title: "Break a classifier, then harden it",
		about: "Two networks of the same shape learn to read digits: one from the images as they are, one from images that an attack changes while it learns. " +
			"An attacker may then change every pixel by at most 0.3 of its range. The first network reads nearly all clean digits and hardly any attacked one, although a human reader still reads them all. " +
			"The second one keeps most of its answers.",
		quick:   []string{"-mini"},
		full:    "go run ./examples/quickstart -out DIR",
		blocks:  []string{"digits", "accuracy", "radius"},
		picture: "digits",
	},
	{
		name: "evaluate", title: "How robust is a model? An evaluation card",
		about: "AutoAttack runs four attacks without settings to choose, each on what the ones before have left, so that its figures can be compared between models. " +
			"The card says what each attack broke and at what cost. Here it judges a small network that is trained on the spot; any classifier in an ONNX or safetensors file can take its place.",
		quick:   []string{"-n", "30"},
		full:    "go run ./examples/evaluate -model net.onnx -dataset cifar10 -data DATA -eps 0.0314 -n 1000 -out DIR",
		blocks:  []string{"attacks", "images"},
		picture: "images",
	},
	{
		name: "minmax", title: "One perturbation against many models at once",
		about: "An attack that must work on several models, images or transformations at once usually lowers the average of their losses, and leaves the hardest one unbroken. " +
			"The min-max attack of Wang et al. (NeurIPS 2021) plays against the hardest: it keeps a weight for each and moves weight to those that still resist.",
		quick:  []string{"-mini", "-parts", "ensemble,interpret"},
		full:   "go run ./examples/minmax -data DATA -out DIR",
		blocks: []string{"weights", "ensemble", "group"},
		reading: "ASR_all is the share of images that fool all four networks at once, the attack's success rate; the accuracies are those that each network keeps. " +
			"kappa 0 lets go of a network once it is fooled. Lift is what min-max gains over the average, with a 95 % interval. The paper's figures are for its own networks and unconfirmed, cell by cell.",
		picture: "weights",
	},
	{
		name: "weightpert", title: "When the weights themselves are changed",
		about: "Weights are rounded, stored in memory that fails, or changed by an attacker. What does a network keep if every weight may move by up to eps? " +
			"Certificates say for which images no such change can alter the answer, attacks show changes that do; the truth lies between. Training for it moves both up (after Tsai et al., NeurIPS 2021).",
		quick:  []string{"-mini", "-regimes", "standard,lambda-0.01,ibp-0.005,awp-0.02", "-seeds", "1"},
		full:   "go run ./examples/weightpert -out DIR",
		blocks: []string{"attacked-1", "certified-standard", "certified-ibp-0.005"},
		reading: "Trainings: standard is cross-entropy alone, lambda adds a bound on the margin under changed weights, ibp trains with interval bounds, awp with attacks on the weights. " +
			"Certificates from loose to tight: the product of the layers' norms, path by path, interval propagation (IBP), linear bounds (CROWN).",
		picture: "certified-ibp-0.005",
	},
	{
		name: "udapoison", title: "A little poison breaks domain adaptation",
		about: "A learner adapts from labelled digits (the source) to digits of another kind without labels (the target). An attacker adds a few images to the source, a tenth as many as the target has, and with labels of its choice. " +
			"The learner takes them over to the target, while its accuracy on the source stays (Mehra et al., NeurIPS 2021).",
		quick:  []string{"-mini", "-epochs", "40", "-learners", "DANN", "-seeds", "1", "-parts", "table"},
		full:   "go run ./examples/udapoison -data DATA -out DIR",
		blocks: []string{"poisons-1", "confusion", "accuracy"},
		reading: "Accuracies on the target, in %: clean without poison; alpha 0 with source images that carry wrong labels, which harms little; alpha 1 with target images that carry the next digit as their label. " +
			"shifted is the share of target images that get just that next digit, poison fit the share of poisons that are answered as the attacker wants. So short a training on so few images loses a part of the target; the full one loses nearly all of it.",
		picture: "poisons-1",
	},
	{
		name: "cafe", title: "Private images out of averaged gradients",
		about: "Four parties hold a quadrant of every image each and send gradients that are averaged over batches. The averaging is supposed to hide single images. " +
			"CAFE (Jin et al., NeurIPS 2021) uses that the same images return in many batches: it solves for what each image contributes, and recovers images and labels.",
		quick:  []string{"-mini"},
		full:   "go run ./examples/cafe -data DATA -out DIR",
		blocks: []string{"digits", "batch-10", "batches", "defences"},
		reading: "PSNR is the peak signal-to-noise ratio in dB: above 40 dB a copy cannot be told from the original, and the mean of other images, a guess without any attack, has the figure of the last row. " +
			"DLG, cosine and SAPAG match the gradients of one batch. Of the defences, points is what they cost in test accuracy, CAFE what the plain attack recovers, adaptive what one recovers that knows the defence, most the largest figure of all attacks, and ε the privacy that noise buys (smaller is more private).",
		picture: "digits",
	},
	{
		name: "cbai", title: "The best arm when some rewards are lies",
		about: "Which of ten drugs, ads or captions is best, in as few trials as possible, if an adversary replaces some of the results? The usual rules return a wrong answer with confidence. " +
			"Rules on robust means know what contamination can hide, and say so when no number of trials would tell two arms apart (after Mukherjee et al., NeurIPS 2021).",
		quick:  []string{"-mini"},
		full:   "go run ./examples/cbai -data DATA -out DIR",
		blocks: []string{"eps", "intervals-gap", "headline"},
		reading: "I1 to I4 are synthetic instances; in attack A1 the adversary shows values far below its mean for the best arm, and far above theirs for all others. Estimators: mean is not robust, ALT, MED and SGN are medians, TM is the trimmed mean, HM Huber's estimator, HG the same for Gaussian rewards. " +
			"Certified answers hold whatever the gaps; assume takes for granted that the arms can be told apart. worst case is the least number of pulls that any method needs under the worst adversary.",
		picture: "eps",
	},
	{
		name: "advcl", title: "Robustness from pretraining without labels",
		about: "An encoder is trained on images without labels and frozen; somebody else puts a linear layer on it and trains that in the ordinary way. Does robustness survive? " +
			"AdvCL (Fan et al., NeurIPS 2021) attacks its own views of each image during pretraining; plain contrastive learning (SimCLR) does not.",
		quick:  []string{"-quick", "-steps", "100", "-methods", "SimCLR,ACL,AdvCL"},
		full:   "go run ./examples/advcl -data DATA -out DIR",
		blocks: []string{"summary", "attacked-steps", "landscape-SimCLR", "landscape-AdvCL"},
		reading: "SA is the accuracy on images as they are, RA the accuracy under attacks of the radius beside it. In the landscapes a robust encoder has a wide flat ground. " +
			"A training of seconds shows that every stage works, and no more: robustness takes the thousands of steps of the full run.",
		picture: "landscape-AdvCL",
	},
}
