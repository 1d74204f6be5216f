package tensor

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// A pass counts who holds the memory of a gradient. Memory that is not its tape's own,
// which a rule may share with other goroutines, keeps no such count.
func TestPassesCountNoSharedMemory(t *testing.T) {
	shared := FromFloat64([]float64{3, 5})
	tape := NewTape()
	for name, given := range map[string]*Tensor{"on no tape": shared, "constant": tape.Const(shared), "watched": tape.Watch(shared).Detach()} {
		var counts []int32
		x := tape.Watch(FromFloat64([]float64{1, 2}))
		y := Custom(Rule{Name: "count", Backward: func(g *Tensor, _ []bool) []*Tensor {
			counts = append(counts, shared.st.refs)
			return []*Tensor{g}
		}}, x.Clone(), x)
		y = Custom(Rule{Name: "give", Backward: func(*Tensor, []bool) []*Tensor { return []*Tensor{given} }}, y.Clone(), y)
		require.Equal(t, []float64{3, 5}, Grad(Sum(y), x)[0].Values(), name)
		require.Equal(t, []int32{0}, counts, name)
	}
}
