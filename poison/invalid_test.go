package poison_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/redoubt-ml/redoubt/poison"
	"github.com/redoubt-ml/redoubt/poison/bound"
	"github.com/redoubt-ml/redoubt/poison/uda"
)

func TestErrorsOfInputHaveATypeOfTheirOwn(t *testing.T) {
	_, err := poison.Watermark{Budget: poison.Budget{Fraction: 2}}.Build(bars(1, 4, .5), bars(2, 4, .5))
	var ofPoison *poison.InputError
	require.ErrorAs(t, err, &ofPoison)
	_, err = uda.Training{}.New()
	var ofUDA *uda.InputError
	require.ErrorAs(t, err, &ofUDA)
	_, err = bound.KL([]float64{1}, nil)
	var ofBound *bound.InputError
	require.ErrorAs(t, err, &ofBound)
	require.Nil(t, ofBound.Unwrap())
	_, err = poison.Watermark{Budget: poison.Budget{Fraction: .5}}.Build(bars(1, 4, .5), nan(bars(2, 4, .5)))
	require.ErrorAs(t, err, &ofPoison)
	require.Error(t, ofPoison.Unwrap(), "the cause is kept")
}
