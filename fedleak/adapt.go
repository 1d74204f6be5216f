package fedleak

// Adaptation is what an attacker who knows the defence does about it within CAFE.
type Adaptation interface {
	// gradients may change the result of Step I of a party.
	gradients(w *work, party int, g *gradients) error
	// features may change the result of Step II of a party.
	features(w *work, party int, f *features)
}
