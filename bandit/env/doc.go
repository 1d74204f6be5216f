// Package env is the world that a search for the best arm is tried in: laws of
// clean rewards, adversaries that replace some of them, and readers of two public
// data sets.
//
// Each arm has a private stack of rewards. Entry j holds a clean reward Y from the
// arm's law, a contamination flag D, and the reward that is shown:
//
//	X = (1-D) Y + D Z,  P(D = 1) = eps,
//
// with Z chosen by a Contamination. Whatever the order in which arms are pulled, the
// j-th pull of an arm shows entry j, so a run can be repeated, resumed, or compared
// with another rule on the same rewards. The clean rewards, the flags and the
// adversary's own noise come from three streams, so changing the adversary leaves
// the clean rewards as they are.
//
// None, Shift, Replace and Noise replace rewards at the toss of a coin, TailShift picks
// those that hurt; Oblivious, Prescient and Malicious take functions of the caller's own,
// of whom they demand that they keep to what their kind may see. I1 to I5 are instances
// to compare rules on; captions and inhibitors are real ones.
//
// # Where the real data come from
//
// PKIS2 is supporting table S4 of Drewry et al., "Progress towards a public chemogenomic
// set for protein kinases and a call for contributions", PLoS ONE 12(8), e0181585, 2017
// (Creative Commons Attribution): the percentages by which 645 compounds inhibit 406 kinases.
// Of its columns ReadPKIS2 wants Compound and the kinases; drop Regno, Chemotype, Smiles and
// those headed >90, >80 and >70.
//
// Captions are summaries of New Yorker caption contests, which the NEXT group publishes at
// https://github.com/nextml/caption-contest-data-api in contests/summaries (Creative Commons
// Attribution 4.0): ReadCaptions wants their columns target_id, unfunny, somewhat_funny,
// funny and count, the first under the name arm, and no captions without votes.
//
// The program examples/cbai looks for pkis2/pkis2_percent_inhibition.csv,
// newyorker/contest509r2_roundrobin.csv (509-round2_summary_RoundRobin) and
// newyorker/contest650_klucb.csv (650_summary_KLUCB) in its -data folder.
//
//	world, err := env.New(instance, env.Shift{Offset: 20}, 0.05, seed)
//	result, err := bandit.Run(ctx, config, world.Pull)
package env
