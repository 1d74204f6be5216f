package attack_test

import (
	"encoding/json"
	"fmt"

	"github.com/redoubt-ml/redoubt/attack"
)

// Norms have names in files.
func ExampleNorm() {
	text, err := json.Marshal(attack.Threat{Norm: attack.L2, Eps: 0.5})
	fmt.Println(string(text), err)
	var n attack.Norm
	fmt.Println(n.UnmarshalText([]byte("L3")))
	// Output:
	// {"norm":"l2","eps":0.5,"lo":0,"hi":0} <nil>
	// attack: norm "L3", want one of [linf l2 l1 l0]
}
