package main

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/redoubt-ml/redoubt/defense/advcl"
)

func TestCurvesCrossWhereTheirOrderChanges(t *testing.T) {
	o := outcome{Runs: []record{
		{Method: advCL, Curve: []point{{Step: 1, GFLOP: 2, SA: 0.1, RA8: 0.1}, {Step: 2, GFLOP: 4, SA: 0.2, RA8: 0.2}, {Step: 3, GFLOP: 6, SA: 0.3, RA8: 0.5}}},
		{Method: acl, Curve: []point{{Step: 1, GFLOP: 3, SA: 0.2, RA8: 0.3}, {Step: 2, GFLOP: 6, SA: 0.2, RA8: 0.4}, {Step: 3, GFLOP: 9, SA: 0.2, RA8: 0.45}}},
	}}
	o.findCrossings()
	require.Equal(t, []crossing{
		// Equal at step 2: the order changes from 1 to 3.
		{advCL, acl, "sa", "steps", [][2]float64{{1, 3}}, advCL},
		// At 3, 4 and 6 GFLOP: 0.15, 0.2 and 0.3 against 0.2.
		{advCL, acl, "sa", "gflop", [][2]float64{{3, 6}}, advCL},
		{advCL, acl, "ra_8", "steps", [][2]float64{{2, 3}}, advCL},
		{advCL, acl, "ra_8", "gflop", [][2]float64{{4, 6}}, advCL},
	}, o.Crossings)
	e := &experiment{out: o}
	require.Contains(t, e.crossingTable().Text(), "2–3, AdvCL above at the end")
	o.Runs[1].Curve = []point{{Step: 1, GFLOP: 1, RA8: 0.9}, {Step: 3, GFLOP: 3, RA8: 0.9}}
	o.findCrossings()
	require.Equal(t, crossing{advCL, acl, "ra_8", "steps", [][2]float64{}, acl}, o.Crossings[2])
	o.Runs[1].Curve = []point{{Step: 1, GFLOP: 7, RA8: 0.9}, {Step: 3, GFLOP: 8, RA8: 0.9}}
	o.findCrossings()
	require.Equal(t, crossing{advCL, acl, "ra_8", "gflop", nil, ""}, o.Crossings[3])
	e.out = o
	require.Contains(t, e.crossingTable().Text(), "no part in common")
}

// What is trained on the output of another encoder counts that one's work too.
func TestWorkIncludesTheEncoderThatIsNeeded(t *testing.T) {
	e := sizedLike(smallPlan, 10)
	own := e.work(simCLR, 6, 10)
	for _, name := range []string{advCLPseudo, deACL} {
		require.Equal(t, own, e.encoderWork(name), name)
	}
	require.Zero(t, e.encoderWork(advCL))
	total := func(methods ...string) float64 {
		e.plan.methods = methods
		c, err := e.cost(t.Context())
		require.NoError(t, err)
		return c
	}
	require.InEpsilon(t, float64(e.plan.seeds)*own*29/6, total(advCLPseudo), 1e-9, "6 and 23 passes")
	require.InEpsilon(t, total(advCLPseudo), total(simCLR, advCLPseudo), 1e-9, "the same encoder")
	require.Equal(t, 6., advcl.NewSimCLR(1).Passes())

	o := outcome{Scale: "small", Runs: []record{{Method: simCLR, GFLOP: 10}, {Method: deACL, GFLOP: 5, Encoder: 10}}}
	o.summarise()
	require.Equal(t, 1.5, o.Summary[1].Relative)
}

// The claim about all methods with attacks looks at all of them.
func TestTheLeastRobustMethodCounts(t *testing.T) {
	for _, name := range []string{roCL, acl, advCL, advCLPseudo, supervised, dynACL, deACL, apDPE, trades} {
		require.True(t, strongly[name], name)
		o := outcome{Scale: "small", Runs: []record{{Method: simCLR, RA8: 0.01}, {Method: random}, {Method: name, RA8: 0.05}}}
		for _, other := range []string{acl, advCL} {
			if other != name {
				o.Runs = append(o.Runs, record{Method: other, RA8: 0.4})
			}
		}
		o.summarise()
		require.False(t, o.Claims[0].Holds, name)
		require.Contains(t, o.Claims[0].Seen, "("+name+")")
	}
}
