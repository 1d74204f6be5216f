package main

import (
	"strings"
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
		{advCL, acl, 0, "sa", "steps", [][2]float64{{1, 3}}, 3, advCL},
		// At 3, 4 and 6 GFLOP: 0.15, 0.2 and 0.3 against 0.2.
		{advCL, acl, 0, "sa", "gflop", [][2]float64{{3, 6}}, 6, advCL},
		{advCL, acl, 0, "ra_8", "steps", [][2]float64{{2, 3}}, 3, advCL},
		{advCL, acl, 0, "ra_8", "gflop", [][2]float64{{4, 6}}, 6, advCL},
	}, o.Crossings)
	e := &experiment{out: o}
	require.Contains(t, e.crossingTable().Text(), "crossing 2–3 up to 3: AdvCL above")
	o.Runs[1].Curve = []point{{Step: 1, GFLOP: 1, RA8: 0.9}, {Step: 3, GFLOP: 3, RA8: 0.9}}
	o.findCrossings()
	require.Equal(t, crossing{advCL, acl, 0, "ra_8", "steps", [][2]float64{}, 3, acl}, o.Crossings[2])
	o.Runs[1].Curve = []point{{Step: 1, GFLOP: 7, RA8: 0.9}, {Step: 3, GFLOP: 8, RA8: 0.9}}
	o.findCrossings()
	require.Equal(t, crossing{advCL, acl, 0, "ra_8", "gflop", nil, 0, ""}, o.Crossings[3])
	e.out = o
	require.Contains(t, e.crossingTable().Text(), "no part in common")
}

// Curves are compared seed by seed, and as far as both are known if a run was stopped.
func TestCrossingsAreOfASeedAndOfWhatIsKnown(t *testing.T) {
	line := func(ra ...float64) (c []point) {
		for i, v := range ra {
			c = append(c, point{Step: 1000 * (i + 1), GFLOP: 2e6 * float64(i+1), RA8: v})
		}
		return c
	}
	e := &experiment{}
	e.out.Runs = []record{{Method: acl, Seed: 1, Curve: line(.1, .2, .3, .4)}, {Method: advCL, Seed: 2, Curve: line(.2, .2)}}
	e.out.Unfinished = []unfinished{{Method: advCL, Seed: 1, Step: 3000, Steps: 20000, Curve: line(.2, .1, .2)}, {Method: acl, Seed: 2, Curve: line(.1)}}
	e.out.findCrossings()
	require.Len(t, e.out.Crossings, 2*2*2)
	for i, want := range map[int]string{
		2: "crossing 1000–2000 up to 3000: ACL above", 3: "crossing 2000–4000 up to 6000: ACL above",
		6: "no crossing up to 1000: AdvCL above", 7: "no crossing up to 2000: AdvCL above",
		0: "no crossing up to 3000: neither above",
	} {
		unit := []float64{1, 1000}[i%2]
		require.Equal(t, want, e.out.Crossings[i].describe(unit), i)
		require.Contains(t, e.crossingTable().Text(), want)
		require.EqualValues(t, 1+i/4, e.out.Crossings[i].Seed)
	}
	require.Contains(t, e.notes(), "AdvCL, seed 1, is not finished: its curve ends at step 3000 of 20000.")
	require.Equal(t, 4+2, e.curveTable().Len(), "steps of each seed")
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
		c, _, err := e.cost(t.Context())
		require.NoError(t, err)
		return c
	}
	require.InEpsilon(t, float64(e.plan.seeds)*own*29/6, total(advCLPseudo), 1e-9, "6 and 23 passes")
	require.InEpsilon(t, total(advCLPseudo), total(simCLR, advCLPseudo), 1e-9, "the same encoder")
	require.Equal(t, 6., advcl.NewSimCLR(1).Passes())
	require.Zero(t, e.clusterWork(advCL))
	// 20,000 images through the encoder once, and k-means in 128 dimensions.
	small := &experiment{plan: smallPlan}
	require.InDelta(t, 491.19+491.26, small.clusterWork(advCLPseudo), 0.1)

	labelled := &experiment{out: outcome{Scale: "small", Runs: []record{{Method: advCLPseudo, Clusters: 900}}}}
	labelled.out.summarise()
	require.Contains(t, strings.Join(labelled.notes(), " "), "AdvCL+pseudo cost at most 0.9 TFLOP beside")
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
