package gorgonia

import (
	"testing"

	"github.com/stretchr/testify/require"
	dense "gorgonia.org/tensor"

	"github.com/redoubt-ml/redoubt/tensor"
)

func TestArraysPassWithoutCopying(t *testing.T) {
	for _, x := range []*tensor.Tensor{
		tensor.FromFloat32([]float32{1, 2, 3, 4, 5, 6}, 2, 3), tensor.FromFloat64([]float64{1, 2, 3, 4, 5, 6}, 3, 1, 2),
	} {
		d := ToDense(x)
		require.Equal(t, x.Shape(), []int(d.Shape()))
		x.Set(9, make([]int, x.Rank())...)
		y, err := FromDense(d)
		require.NoError(t, err)
		require.Equal(t, x.Values(), y.Values())
		require.Equal(t, x.Shape(), y.Shape())
		require.Equal(t, x.DType(), y.DType())
		y.Set(-7, make([]int, x.Rank())...)
		require.Equal(t, -7.0, x.Values()[0])
	}
	// A part of consecutive rows has no gaps.
	part, err := ToDense(tensor.FromFloat32([]float32{1, 2, 3, 4, 5, 6}, 3, 2)).Slice(dense.S(1, 3))
	require.NoError(t, err)
	y, err := FromDense(part.(*dense.Dense))
	require.NoError(t, err)
	require.Equal(t, []float64{3, 4, 5, 6}, y.Values())
}

func TestArraysThatCannotBeShared(t *testing.T) {
	matrix := func() *dense.Dense {
		return dense.New(dense.WithShape(2, 3), dense.WithBacking([]float32{1, 2, 3, 4, 5, 6}))
	}
	turned := matrix()
	require.NoError(t, turned.T())
	column, err := matrix().Slice(nil, dense.S(0, 2))
	require.NoError(t, err)
	masked := matrix()
	require.NoError(t, masked.MaskedEqual(float32(2)))
	for want, d := range map[string]*dense.Dense{
		"no tensor": nil,
		"is not laid out row by row without gaps, want it materialised": turned,
		"tensor of shape [2 2] is not laid out row by row":              column.(*dense.Dense),
		"is not laid out row by row":                                    dense.New(dense.WithShape(2, 3), dense.AsFortran([]float64{1, 2, 3, 4, 5, 6})),
		"is masked":                                                     masked,
		"has elements of type int, want float32 or float64":             dense.New(dense.WithShape(2), dense.WithBacking([]int{1, 2})),
		"has 7 axes, want at most 6":                                    dense.New(dense.WithShape(1, 1, 1, 1, 1, 1, 2), dense.WithBacking([]float32{1, 2})),
	} {
		_, err := FromDense(d)
		require.ErrorContains(t, err, want)
	}
	// Materialised, they pass.
	y, err := FromDense(turned.Materialize().(*dense.Dense))
	require.NoError(t, err)
	require.Equal(t, []float64{1, 4, 2, 5, 3, 6}, y.Values())
}
