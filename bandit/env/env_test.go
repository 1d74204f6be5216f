package env

import (
	"context"
	"io/fs"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/redoubt-ml/redoubt/bandit"
	"github.com/redoubt-ml/redoubt/internal/realdata"
)

func laws(t *testing.T) []Law {
	table, err := NewTable([]float64{-1, 0, 2, 5}, []int{3, 0, 5, 2})
	require.NoError(t, err)
	return []Law{Gaussian{1, 2}, TwoPoint{-1, 3, 0.3}, Centered(2, 0.1), Bernoulli{0.7}, table, I4().Arms[0]}
}

// Draws have the law's mean, and their ranks are uniform: the first two moments
// and the share below a few levels.
func TestLawsAgreeWithTheirRanks(t *testing.T) {
	const n = 200000
	for _, l := range laws(t) {
		rng := rand.New(rand.NewPCG(1, 2))
		var sum, squares float64
		var below [9]int
		for range n {
			y := l.Draw(rng)
			sum += y
			squares += y * y
			for k := range below {
				if r := l.Rank(y, rng.Float64()); r < float64(k+1)/10 {
					below[k]++
				}
			}
		}
		sd := math.Sqrt(squares/n - sum/n*sum/n)
		require.InDelta(t, l.Mean(), sum/n, 4*sd/math.Sqrt(n), "%v", l)
		for k, c := range below {
			require.InDelta(t, float64(k+1)/10, float64(c)/n, 4*0.5/math.Sqrt(n), "%v", l)
		}
	}
}

// Every adversary replaces its share, and only a malicious one looks at the clean
// rewards to choose.
func TestContaminationKeepsToItsShare(t *testing.T) {
	const n, eps = 100000, 0.05
	in := Instance{Arms: []Law{Gaussian{1, 1}, Gaussian{0, 1}}}
	for _, c := range []Contamination{
		Shift{Offset: 1e3}, Replace{Best: 1e3, Other: -1e3}, TailShift{Offset: 1e3},
		Oblivious{"far", func(int, int, *rand.Rand) float64 { return 1e3 }},
		Prescient{"next", func(s *Stack) float64 { return 1e3 + s.Clean(1) }},
		Malicious{"middle", func(_ *Stack, rank float64) bool { return math.Abs(rank-0.5) < eps/2 }, func(*Stack) float64 { return 1e3 }},
	} {
		w, err := New(in, c, eps, 7)
		require.NoError(t, err)
		clean, err := New(in, None{}, eps, 7)
		require.NoError(t, err)
		for arm := range in.Arms {
			x, y := make([]float64, n), make([]float64, n)
			require.NoError(t, w.Pull(context.Background(), arm, x))
			require.NoError(t, clean.Pull(context.Background(), arm, y))
			bad, lost := 0, 0.0
			for j := range x {
				if math.Abs(x[j]) > 500 {
					bad++
					lost += y[j] - in.Arms[arm].Mean()
				} else {
					require.Equal(t, y[j], x[j], "%s changed a reward it did not replace", c.Name())
				}
			}
			require.InDelta(t, eps, float64(bad)/n, 4*math.Sqrt(eps/n), c.Name())
			if c.Adversary() != bandit.Malicious {
				require.Less(t, math.Abs(lost/float64(bad)), 4/math.Sqrt(eps*n), "%s chose by the clean reward", c.Name())
			}
			if c.Name() == "A3" {
				sign := 1 - 2*float64(arm)
				require.Greater(t, sign*lost/float64(bad), 1.9, "A3 takes the tail")
			}
		}
	}
}

// The reward of a pull depends on the seed, the arm's stream and its number alone.
func TestRewardsDoNotDependOnTheOrderOfPulls(t *testing.T) {
	in := Instance{Arms: []Law{Gaussian{0, 1}, Gaussian{0, 1}}, Streams: []uint64{4, 9}}
	swapped := Instance{Arms: in.Arms, Streams: []uint64{9, 4}}
	pull := func(in Instance, arm int, batches ...int) []float64 {
		w, err := New(in, Noise{20}, 0.2, 3)
		require.NoError(t, err)
		var all []float64
		for k, n := range batches {
			x := make([]float64, n)
			require.NoError(t, w.Pull(context.Background(), arm, x))
			all = append(all, x...)
			require.NoError(t, w.Pull(context.Background(), 1-arm, make([]float64, k)))
		}
		return all
	}
	require.Equal(t, pull(in, 0, 100), pull(in, 0, 1, 2, 30, 67))
	require.Equal(t, pull(in, 0, 100), pull(swapped, 1, 50, 50))
	require.NotEqual(t, pull(in, 0, 100), pull(in, 1, 100))
}

func TestPrescientMayLookAhead(t *testing.T) {
	in := Instance{Arms: []Law{Gaussian{0, 1}}}
	w, err := New(in, Prescient{"copy", func(s *Stack) float64 {
		_ = s.Flag(3)
		return s.Clean(2)
	}}, 0.3, 5)
	require.NoError(t, err)
	clean, err := New(in, None{}, 0.3, 5)
	require.NoError(t, err)
	x, y := make([]float64, 1000), make([]float64, 1002)
	require.NoError(t, w.Pull(context.Background(), 0, x))
	require.NoError(t, clean.Pull(context.Background(), 0, y))
	copied := 0
	for j := range x {
		if x[j] != y[j] {
			require.Equal(t, y[j+2], x[j])
			copied++
		}
	}
	require.InDelta(t, 300, copied, 60)
}

func TestReadersRejectBadFiles(t *testing.T) {
	for _, c := range []struct{ text, want string }{
		{"", "no header"},
		{"arm,count\n", "line 1: header"},
		{captionHeader + "\n", "no captions"},
		{captionHeader + "\n1,2,3\n", "line 2: 3 fields, want 5"},
		{captionHeader + "\n1,1,1,1,3\n2,x,1,1,2\n", `line 3: unfunny is "x"`},
		{captionHeader + "\n1,-1,1,1,1\n", "line 2: unfunny is -1"},
		{captionHeader + "\n1,1,1,1,4\n", "line 2: arm 1 has 3 votes, want 4"},
		{captionHeader + "\n1,0,0,0,0\n", "line 2: arm 1 has no votes"},
		{captionHeader + "\n\n1,1,0,0,1\n1,1,0,0,1\n", "line 4: arm 1 is on line 3 already"},
		{captionHeader + "\n1,9999999999999999999,0,0,1\n", "line 2: unfunny"},
	} {
		_, err := ReadCaptions(strings.NewReader(c.text))
		require.ErrorContains(t, err, c.want)
		require.Regexp(t, "^bandit/env: captions: ", err)
	}
	for _, c := range []struct{ text, want string }{
		{"", "no header"},
		{"Name,A\n", "line 1: header starts with"},
		{"Compound\n", "line 1: header"},
		{"Compound,A,A\n", "line 1: kinase"},
		{"Compound,A,B\n", "no compounds"},
		{"Compound,A,B\nx,1\n", "line 2: 2 fields, want 3"},
		{"Compound,A,B\nx,1,high\n", `line 2: inhibition of B is "high"`},
		{"Compound,A,B\nx,1,NaN\n", `line 2: inhibition of B is "NaN"`},
		{"Compound,A,B\nx,1,101\n", "line 2: inhibition of B"},
		{"Compound,A,B\nx,1,-1\n", "line 2: inhibition of B"},
		{"Compound,A\nx,1\nx,2\n", `line 3: compound "x" is on line 2 already`},
		{"Compound,A\n,1\n", "line 2: the compound has no name"},
	} {
		_, err := ReadPKIS2(strings.NewReader(c.text))
		require.ErrorContains(t, err, c.want)
		require.Regexp(t, "^bandit/env: pkis2: ", err)
	}
	_, err := NewTable([]float64{0, 1}, []int{1})
	require.Error(t, err)
	_, err = NewTable([]float64{1, 0}, []int{1, 1})
	require.Error(t, err)
	_, err = NewTable([]float64{0}, []int{0})
	require.Error(t, err)
	_, err = NewTable([]float64{0, 1}, []int{2, -1})
	require.Error(t, err)
	_, err = New(I1().Instance, None{}, 0.5, 1)
	require.Error(t, err)
	_, err = New(Instance{}, None{}, 0, 1)
	require.Error(t, err)
}

// The errors of files name the package, the file and the place in it, in this order.
func TestErrorsOfFilesSayWhere(t *testing.T) {
	path := filepath.Join(t.TempDir(), "table.csv")
	_, err := LoadCaptions(path)
	require.ErrorIs(t, err, fs.ErrNotExist)
	require.ErrorContains(t, err, "bandit/env: open "+path)
	require.NoError(t, os.WriteFile(path, []byte("x\n"), 0o600))
	_, err = LoadCaptions(path)
	require.ErrorContains(t, err, "bandit/env: "+path+": captions: line 1: ")
	_, err = LoadPKIS2(path)
	require.ErrorContains(t, err, "bandit/env: "+path+": pkis2: line 1: ")
	_, err = ReadPKIS2(strings.NewReader(""))
	require.ErrorContains(t, err, "bandit/env: pkis2: found no header")
}

// The leaders of the stored tables, as their notes give them.
func TestStoredTables(t *testing.T) {
	for _, c := range []struct {
		file        string
		arms, votes int
		scores      [3]float64
	}{
		{"contest509r2_roundrobin.csv", 27, 8304, [3]float64{1.9773, 1.8860, 1.8360}},
		{"contest559_random.csv", 138, 62743, [3]float64{1.5548, 1.5544, 1.4612}},
		{"contest600_klucb.csv", 6043, 757243, [3]float64{2.9989, 2.0690, 2.0625}},
		{"contest650_klucb.csv", 7591, 1040362, [3]float64{1.8369, 1.6763, 1.6761}},
		{"contest651_klucb.csv", 9250, 2249813, [3]float64{1.7716, 1.7673, 1.7489}},
		{"contest665_klucb.csv", 6315, 1009327, [3]float64{2.5227, 2.2304, 2.1510}},
	} {
		t.Run(c.file, func(t *testing.T) {
			captions, err := LoadCaptions(realdata.File(t, "newyorker", c.file))
			require.NoError(t, err)
			require.Len(t, captions, c.arms)
			votes := 0
			for _, k := range captions {
				votes += k.Unfunny + k.Somewhat + k.Funny
			}
			require.Equal(t, c.votes, votes)
			for i, k := range TopCaptions(captions, 3) {
				require.InDelta(t, c.scores[i], 1+2*k.Mean(), 5e-5)
			}
		})
	}
	table, err := LoadPKIS2(realdata.File(t, "pkis2", "pkis2_percent_inhibition.csv"))
	require.NoError(t, err)
	require.Len(t, table.Compounds, 645)
	require.Len(t, table.Kinases, 406)
	for _, c := range []struct {
		kinase, best string
		first, next  float64
	}{{"WNK1", "UNC10225038A", 100, 74}, {"MKK7", "UNC10224988A", 100, 82}, {"SRPK2", "PFE-PKIS_43", 100, 83}} {
		in, err := table.Instance(c.kinase, 0.2)
		require.NoError(t, err)
		best := in.Best()
		require.Equal(t, c.best, table.Compounds[best])
		mu := in.Means()
		require.Equal(t, c.first/100, mu[best])
		mu[best] = -1
		next := -1.0
		for _, m := range mu {
			next = max(next, m)
		}
		require.Equal(t, c.next/100, next)
		if c.kinase == "WNK1" {
			require.Equal(t, "UNC10225079A", table.Compounds[indexOf(mu, next)])
		}
	}
	_, err = table.Instance("nothing", 0.2)
	require.Error(t, err)
}

func indexOf(x []float64, v float64) int {
	for i := range x {
		if x[i] == v {
			return i
		}
	}
	return -1
}

func FuzzReadCaptions(f *testing.F) {
	f.Add(captionHeader + "\n1,1,1,1,3\n")
	f.Add(captionHeader + "\r\n7,0,0,1,1\r\n")
	f.Add("arm\n1")
	f.Fuzz(func(t *testing.T, text string) {
		captions, err := ReadCaptions(strings.NewReader(text))
		if err != nil {
			return
		}
		if _, err := CaptionInstance("fuzz", captions); err != nil {
			t.Fatalf("reader passed a caption without a law: %v", err)
		}
		for _, c := range captions {
			if m := c.Mean(); !(m >= 0 && m <= 1) {
				t.Fatalf("mean %v", m)
			}
		}
	})
}

func FuzzReadPKIS2(f *testing.F) {
	f.Add("Compound,A,B\nx,1,2\ny,0,100\n")
	f.Add("Compound,A\n")
	f.Fuzz(func(t *testing.T, text string) {
		table, err := ReadPKIS2(strings.NewReader(text))
		if err != nil {
			return
		}
		for _, k := range table.Kinases {
			in, err := table.Instance(k, 1)
			if err != nil {
				t.Fatal(err)
			}
			if m := in.Means()[in.Best()]; !(m >= 0 && m <= 1) {
				t.Fatalf("mean %v", m)
			}
		}
	})
}

func TestBadWorlds(t *testing.T) {
	nan, inf := math.NaN(), math.Inf(1)
	good := Gaussian{0, 1}
	for _, c := range []struct {
		law  Law
		want string
	}{
		{nil, "no law"},
		{Gaussian{0, 0}, "Gaussian has Mu 0 and Sigma 0"},
		{Gaussian{0, -1}, "Sigma -1"},
		{Gaussian{0, nan}, "Sigma NaN"},
		{Gaussian{inf, 1}, "Mu +Inf"},
		{Bernoulli{3}, "Bernoulli has P 3"},
		{Bernoulli{nan}, "Bernoulli has P NaN"},
		{TwoPoint{1, 1, .5}, "TwoPoint has Lo 1, Hi 1"},
		{TwoPoint{0, 1, -1}, "P -1"},
		{Mixture{}, "Mixture has 0 parts"},
		{Mixture{[]float64{1}, []Law{good, good}}, "2 parts and 1 weights"},
		{Mixture{[]float64{.5, .6}, []Law{good, good}}, "add up to 1.1"},
		{Mixture{[]float64{2, -1}, []Law{good, good}}, "weight -1 at place 1"},
		{Mixture{[]float64{.5, .5}, []Law{good, nil}}, "part 1 of Mixture: no law"},
		{Mixture{[]float64{.5, .5}, []Law{Gaussian{}, good}}, "part 0 of Mixture: Gaussian"},
		{(*Table)(nil), "Table is empty"},
		{&Table{}, "Table is empty"},
	} {
		_, err := New(Instance{Name: "bad", Arms: []Law{good, c.law}}, None{}, 0, 1)
		require.ErrorContains(t, err, "bandit/env: arm 1 of instance bad: ")
		require.ErrorContains(t, err, c.want)
	}
	for _, c := range []struct {
		c    Contamination
		want string
	}{
		{nil, "no contamination"}, {Shift{nan}, "Shift has Offset NaN"}, {TailShift{nan}, "TailShift has Offset NaN"},
		{Replace{0, nan}, "Replace has Other NaN"}, {Noise{-1}, "Noise has Sigma -1"}, {Noise{nan}, "Noise has Sigma NaN"},
		{Oblivious{}, "has no Value"}, {Prescient{}, "has no Value"}, {Malicious{Value: func(*Stack) float64 { return 0 }}, "lacks Value or Picks"},
	} {
		_, err := New(Instance{Arms: []Law{good}}, c.c, 0, 1)
		require.ErrorContains(t, err, "bandit/env: ")
		require.ErrorContains(t, err, c.want)
	}
}

// noRank is a law from outside that gives no ranks.
type noRank struct{ Gaussian }

func (noRank) Rank(float64, float64) float64 { return math.NaN() }

// Ranks are those of the distribution function off the atoms as well, so the tails of
// mixtures with atoms are exact, and a malicious adversary keeps to its share.
func TestRanksOffTheAtoms(t *testing.T) {
	table, err := NewTable([]float64{0, 1}, []int{3, 1})
	require.NoError(t, err)
	for _, l := range []Law{TwoPoint{0, 1, .25}, Bernoulli{.25}, table} {
		for y, want := range map[float64]float64{-1: 0, .5: .75, 2: 1} {
			require.Equal(t, want, l.Rank(y, .9), "%v at %v", l, y)
		}
	}
	atoms := Mixture{[]float64{.5, .5}, []Law{TwoPoint{-5, 5, .5}, Gaussian{0, 1}}}
	constant := TwoPoint{0, 1, 1}
	for _, l := range []Law{atoms, constant, noRank{Gaussian{0, 1}}, Mixture{[]float64{.7, .3}, []Law{table, TwoPoint{-1, 4, .01}}}} {
		const eps, n = .1, 20000
		w, err := New(Instance{Arms: []Law{l}}, TailShift{Offset: 1e6}, eps, 4)
		require.NoError(t, err)
		x := make([]float64, n)
		require.NoError(t, w.Pull(context.Background(), 0, x))
		bad := 0
		for _, v := range x {
			if math.Abs(v) > 1e5 {
				bad++
			}
		}
		want := eps
		if _, none := l.(noRank); none {
			want = 0
		}
		require.InDelta(t, want, float64(bad)/n, 4*math.Sqrt(eps/n), "%v", l)
	}
}

func TestCaptionWithoutVotesIsNamedOnce(t *testing.T) {
	_, err := CaptionInstance("none", []Caption{{ID: 7}})
	require.EqualError(t, err, "bandit/env: caption 7: table of 3 values has no counts")
	_, err = NewTable([]float64{1}, []int{0})
	require.EqualError(t, err, "bandit/env: table of 1 values has no counts")
}

// A law is its own: what becomes of the values that it was made from does not matter.
func TestTableKeepsItsValues(t *testing.T) {
	values := []float64{0, .5, 1}
	law, err := NewTable(values, []int{1, 1, 1})
	require.NoError(t, err)
	values[2] = 100
	rng := rand.New(rand.NewPCG(1, 1))
	for range 20 {
		require.LessOrEqual(t, law.Draw(rng), 1.0)
	}
	require.InDelta(t, 2.5/3, law.Rank(1, .5), 1e-12)
}
