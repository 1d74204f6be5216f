package attack

import (
	"fmt"
	"strings"
)

// summary describes an attack by its settings, given as names and values in turn.
func summary(name string, th Threat, settings ...any) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s under %v", name, th)
	for i := 0; i < len(settings); i += 2 {
		switch v := settings[i+1].(type) {
		case float64:
			fmt.Fprintf(&b, ", %v %.4g", settings[i], v)
		default:
			fmt.Fprintf(&b, ", %v %v", settings[i], v)
		}
	}
	return b.String()
}

// sized is what a description says of the size of steps: the usual one for 0, and nothing
// of the usual one under L0, which depends on the inputs.
func sized(th Threat, size, usual float64) string {
	if size == 0 && th.Norm == L0 {
		return ""
	}
	return fmt.Sprintf(", step size %.4g", or(size, usual))
}

// targeted is what a description says of targets.
func targeted(targets []int) string {
	if targets == nil {
		return ""
	}
	return ", targeted"
}
