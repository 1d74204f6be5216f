package weightpert

import (
	"context"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/redoubt-ml/redoubt/tensor"
	"github.com/redoubt-ml/redoubt/tensor/dataset"
	"github.com/redoubt-ml/redoubt/tensor/nn"
)

func TestGoldenCodes(t *testing.T) {
	w := []float64{-1, -.5, -.003, 0, .004, .25, .996}
	s := scaleFor(1, 8)
	require.Equal(t, 1.0/127, s)
	for i, want := range []int8{-127, -64, 0, 0, 1, 32, 126} {
		c := code(w[i], s, 8)
		require.Equal(t, want, c)
		require.LessOrEqual(t, math.Abs(w[i]-float64(c)*s), s/2*(1+1e-12))
	}
	require.Equal(t, 1.0, scaleFor(0, 8))
}

func TestGoldenBits(t *testing.T) {
	for _, c := range []struct {
		bit      int
		from, to int8
	}{{7, 21, -107}, {7, -1, 127}, {7, -41, 87}, {7, -64, 64}, {7, 0, -128}, {7, 127, -1}, {6, 21, 85}, {6, -1, -65}, {0, 21, 20}, {0, -1, -2}} {
		require.Equal(t, c.to, flip(c.from, 1<<c.bit, 8))
		require.Equal(t, c.from, flip(c.to, 1<<c.bit, 8))
	}
	// In 3 bits the sign is worth -4.
	require.Equal(t, int8(-4), flip(0, 4, 3))
	require.Equal(t, int8(-1), flip(3, 4, 3))
}

func small(seed uint64) *nn.Sequential {
	return nn.NewMLP(rand.New(rand.NewPCG(seed, 1)), 28, 28, 1, 20, 12, 10)
}

// trained returns a small network that knows some digits, and test images.
func trained(t testing.TB, loss nn.Loss) (*nn.Sequential, *tensor.Tensor, []int) {
	train, test, err := dataset.MNISTMini()
	require.NoError(t, err)
	net := small(5)
	require.NoError(t, (&nn.Trainer{Net: net, Data: train, Loss: loss, Epochs: 6, BatchSize: 50, Seed: 3}).Run(context.Background()))
	x, y := test.Take(300).All()
	return net, x, y
}

func TestQuantisedNetworksRoundAndFlip(t *testing.T) {
	net := small(1)
	before := snapshot(net)
	for _, q := range []Quantizer{{}, {Bits: 4}, {Bits: 2, PerRow: true}, {PerRow: true}} {
		z, err := q.Quantize(net)
		require.NoError(t, err)
		n, err := FromNN(net, 28, 28, 1)
		require.NoError(t, err)
		box, err := q.Rounding(n)
		require.NoError(t, err)
		rounded := rebuilt(t, z.Network())
		require.True(t, box.Contains(rounded))
		for k := range rounded.layers[0].Weight.Val {
			rounded.layers[0].Weight.Val[k] += z.Layers[0].Scale[0]
		}
		require.False(t, box.Contains(rounded))

		c := z.Clone()
		require.NoError(t, c.Flip(1, 7, 1))
		require.NoError(t, c.Flip(0, 3, 0))
		require.Equal(t, 2, hamming(t, z, c))
		require.NoError(t, c.Flip(1, 7, 1))
		require.NoError(t, c.Flip(0, 3, 0))
		require.Zero(t, hamming(t, z, c))
		require.Equal(t, z.Layers[1].value.Values(), c.Layers[1].value.Values())
		for _, bad := range []error{c.Flip(0, 0, z.Width), c.Flip(0, 0, -1), c.Flip(3, 0, 0), c.Flip(-1, 0, 0), c.Flip(0, 784*20, 0)} {
			require.ErrorContains(t, bad, "Flip")
		}
		require.Equal(t, z.Layers[1].Code, c.Layers[1].Code)
	}
	for _, bad := range []int{1, 9, -1} {
		_, err := Quantizer{Bits: bad}.Quantize(net)
		require.ErrorContains(t, err, "bits, want 2 to 8")
		_, err = Quantizer{Bits: bad}.Rounding(nil)
		require.ErrorContains(t, err, "bits, want 2 to 8")
	}
	require.Equal(t, before, snapshot(net))
}

func hamming(t testing.TB, a, b *Quantized) int {
	n, err := a.Hamming(b)
	require.NoError(t, err)
	return n
}

// rebuilt returns the certifiable form of a network with other values.
func rebuilt(t testing.TB, p Perturbed) *Network {
	n, err := FromNN(twin(p), 28, 28, 1)
	require.NoError(t, err)
	return n
}

// twin returns a network that has the values of p for parameters.
func twin(p Perturbed) *nn.Sequential {
	c := small(1)
	nn.Copy(c, p.Net)
	all := nn.Params(p.Net)
	for i, w := range p.Params {
		for k := range all {
			if all[k] == w {
				nn.Params(c)[k].CopyFrom(p.Values[i])
			}
		}
	}
	return c
}

func snapshot(net nn.Layer) (out [][]float64) {
	for _, w := range nn.Params(net) {
		out = append(out, w.Values())
	}
	return out
}

// A certificate of a network with other values is that of a network that has them.
func TestPerturbedNetworksAreRead(t *testing.T) {
	net := small(1)
	q, err := Quantizer{Bits: 4}.Quantize(net)
	require.NoError(t, err)
	drawn, err := DrawGaussian(q.Network(), .1, 1)
	require.NoError(t, err)
	moved := small(1)
	for i, w := range nn.Params(moved) {
		w.CopyFrom(drawn.Values[i])
	}
	x := slices.Repeat([]float64{.5}, 784)
	original, err := FromNN(net, 28, 28, 1)
	require.NoError(t, err)
	for _, c := range []struct {
		given nn.Layer
		own   *nn.Sequential
	}{{q.Network(), twin(q.Network())}, {nn.NewSequential(q.Network()), twin(q.Network())}, {drawn, moved}} {
		n, err := FromNN(c.given, 28, 28, 1)
		require.NoError(t, err)
		want, err := FromNN(c.own, 28, 28, 1)
		require.NoError(t, err)
		require.True(t, slices.Equal(want.Logits(x), n.Logits(x)))
		require.False(t, slices.Equal(original.Logits(x), n.Logits(x)))
		require.InDeltaSlice(t, nn.Classifier{Net: c.given}.Logits(tensor.Full(tensor.Float32, .5, 1, 28, 28, 1)).Values(), n.Logits(x), 1e-4)
	}
	// What follows a perturbed network has its own values.
	two := nn.NewSequential(nn.Flatten, net.Layers()[1], nn.ReLU)
	head := nn.NewLinear(rand.New(rand.NewPCG(1, 1)), two.Layers()[1].(*nn.Linear).Weight.Dim(1), 3)
	all := nn.NewSequential(Perturbed{Net: two, Params: q.Network().Params[:1], Values: q.Network().Values[:1]}, head)
	n, err := FromNN(all, 28, 28, 1)
	require.NoError(t, err)
	require.InDeltaSlice(t, nn.Classifier{Net: all}.Logits(tensor.Full(tensor.Float32, .5, 1, 28, 28, 1)).Values(), n.Logits(x), 1e-4)
}

// A row of zeros rounds to zeros and costs nothing, whatever the scale of the network, and
// a scale for each row is no looser than one for all.
func TestRoundingLeavesZerosAlone(t *testing.T) {
	x := []float64{1, 1}
	for _, c := range []float64{1, 1e-3, 1e3} {
		n := mlp(t, ReLU, rows([]float64{c, 0}, []float64{0, 0}), rows([]float64{c, -c}, []float64{-c, c}))
		margins := make(map[bool]float64)
		for _, perRow := range []bool{false, true} {
			box, err := Quantizer{PerRow: perRow}.Rounding(n)
			require.NoError(t, err)
			margins[perRow] = margin(t, CROWN{}, n, box, x, 0, 1) / (c * c)
			require.Equal(t, perRow, box.layers[0].lo[2] == 0 && box.layers[0].hi[3] == 0)
		}
		require.GreaterOrEqual(t, margins[true], margins[false])
		require.InDelta(t, (2-1./127)*(1-1./127), margins[true], 1e-5)
		bits, err := SafeBits(context.Background(), CROWN{}, n, true, 1, [][]float64{x}, []int{0})
		require.NoError(t, err)
		require.Equal(t, []int{3, 2}, bits)
	}
}

// A draw moves weights and biases by the same deviation, and another seed draws anew.
func TestGaussianDrawsMoveEveryParameter(t *testing.T) {
	net := small(1)
	before := snapshot(net)
	const sigma = .3
	drawn, err := DrawGaussian(net, sigma, 5)
	require.NoError(t, err)
	other, err := DrawGaussian(net, sigma, 6)
	require.NoError(t, err)
	require.Equal(t, nn.Params(net), drawn.Params)
	learnt, err := FromNN(net, 28, 28, 1)
	require.NoError(t, err)
	moved, err := FromNN(drawn, 28, 28, 1)
	require.NoError(t, err)
	// The divergence of the draw from its centre is half a sum of squares of normal
	// numbers, one for each parameter.
	d, err := GaussianDivergence(moved, learnt, sigma)
	require.NoError(t, err)
	count := float64(nn.CountParams(net))
	require.InDelta(t, count/2, d, 5*math.Sqrt(count/2))
	for i, v := range drawn.Values {
		diff := tensor.Sub(v, drawn.Params[i])
		require.InDelta(t, sigma, deviation(diff), 5*sigma/math.Sqrt(2*float64(v.Len())), "parameter %d", i)
		require.NotEqual(t, v.At(make([]int, v.Rank())...), other.Values[i].At(make([]int, v.Rank())...))
	}
	still, err := DrawGaussian(net, 0, 5)
	require.NoError(t, err)
	require.True(t, slices.Equal(before[0], still.Values[0].Values()))
	for _, bad := range []float64{-1, math.NaN(), math.Inf(1)} {
		_, err := DrawGaussian(net, bad, 1)
		require.ErrorContains(t, err, "sigma")
	}
	_, err = DrawGaussian(nil, 1, 1)
	require.ErrorContains(t, err, "no network")
	_, err = DrawGaussian(nn.Flatten, 1, 1)
	require.ErrorContains(t, err, "no parameters")
}

// What BitFlips says can be reached contains every network that flips can make.
func TestBitFlipBoxHoldsEveryFlip(t *testing.T) {
	net := small(1)
	n, err := FromNN(net, 28, 28, 1)
	require.NoError(t, err)
	for _, q := range []Quantizer{{}, {Bits: 5, PerRow: true}} {
		box, err := q.BitFlips(n, 1)
		require.NoError(t, err)
		two, err := q.BitFlips(n, 2)
		require.NoError(t, err)
		z, err := q.Quantize(net)
		require.NoError(t, err)
		outside := 0
		rng := rand.New(rand.NewPCG(4, 4))
		for range 20 {
			c := z.Clone()
			first := rng.IntN(z.Width)
			for k := range c.Layers[1].Code {
				require.NoError(t, c.Flip(1, k, first))
			}
			require.True(t, box.Contains(rebuilt(t, c.Network())))
			for k := range c.Layers[1].Code {
				require.NoError(t, c.Flip(1, k, (first+1)%z.Width))
			}
			require.True(t, two.Contains(rebuilt(t, c.Network())))
			if !box.Contains(rebuilt(t, c.Network())) {
				outside++
			}
		}
		require.Positive(t, outside)
	}
	_, err = Quantizer{}.BitFlips(n, -1)
	require.Error(t, err)
}

func TestFaultsAreNestedAndDoNotRepeat(t *testing.T) {
	net := small(2)
	before := snapshot(net)
	q, err := Quantizer{}.Quantize(net)
	require.NoError(t, err)
	few, err := q.RandomBitErrors(.01, 7)
	require.NoError(t, err)
	many, err := q.RandomBitErrors(.05, 7)
	require.NoError(t, err)
	again, err := q.RandomBitErrors(.05, 7)
	require.NoError(t, err)
	require.Zero(t, hamming(t, many, again))
	for i := range q.Layers {
		for k, v := range q.Layers[i].Code {
			a, b := uint8(v^few.Layers[i].Code[k]), uint8(v^many.Layers[i].Code[k])
			require.Zero(t, a&^b, "an error of the lower rate is missing at the higher one")
		}
	}
	require.InDelta(t, .05, float64(hamming(t, q, many))/float64(q.Bits()), .003)
	for _, n := range []int{0, 1, 100, q.Bits()} {
		f, err := q.RandomFlips(n, 3)
		require.NoError(t, err)
		require.Equal(t, n, hamming(t, q, f))
	}
	one, err := q.StuckBits(1, true, 1)
	require.NoError(t, err)
	for _, v := range one.Layers[0].Code {
		require.Equal(t, int8(-1), v)
	}
	zero, err := q.StuckBits(1, false, 1)
	require.NoError(t, err)
	for _, v := range zero.Layers[0].Code {
		require.Zero(t, v)
	}

	// Of the bits that are not stuck already, the given share changes.
	for _, high := range []bool{false, true} {
		worn, err := q.StuckBits(.3, high, 5)
		require.NoError(t, err)
		free, changed := 0, 0
		for i := range q.Layers {
			for k, v := range q.Layers[i].Code {
				for bit := range q.Width {
					was, is := uint8(v)>>bit&1 == 1, uint8(worn.Layers[i].Code[k])>>bit&1 == 1
					if was == high {
						require.Equal(t, was, is)
						continue
					}
					free++
					if was != is {
						changed++
					}
				}
			}
		}
		require.InDelta(t, .3, float64(changed)/float64(free), .01)
	}

	noisy, err := GaussianNoise(net, .1, 3)
	require.NoError(t, err)
	w := noisy.Params[0]
	diff := tensor.Sub(noisy.Values[0], w)
	require.InDelta(t, .1*deviation(w), deviation(diff), .002*deviation(w))
	mean := tensor.Mean(diff).Item()
	require.InDelta(t, 0, mean, 5*.1*deviation(w)/math.Sqrt(float64(w.Len())))
	stuck, err := StuckWeights(net, .3, 0, 3)
	require.NoError(t, err)
	zeros := 0
	for _, v := range stuck.Values[0].Values() {
		if v == 0 {
			zeros++
		}
	}
	require.InDelta(t, .3, float64(zeros)/float64(w.Len()), .02)
	dead, err := DeadUnits(net, 1, 3)
	require.NoError(t, err)
	require.Zero(t, tensor.MaxAbs(dead.Values[0]))
	require.NotZero(t, tensor.MaxAbs(dead.Values[2]))
	require.Equal(t, before, snapshot(net))
	for _, l := range net.Layers() {
		if l, ok := l.(*nn.Linear); ok {
			l.Bias.Fill(.5)
		}
	}
	dead, err = DeadUnits(net, 1, 3)
	require.NoError(t, err)
	white := tensor.Full(tensor.Float32, 1, 1, 28, 28, 1)
	require.Equal(t, slices.Repeat([]float64{.5}, 10), nn.Classifier{Net: dead}.Logits(white).Values(), "only the last bias is left")
	some, err := DeadUnits(net, .5, 3)
	require.NoError(t, err)
	for k, v := range tensor.Max(tensor.Abs(some.Values[0]), 0).Values() {
		require.Equal(t, v == 0, some.Values[3].At(k) == 0, "unit %d", k)
	}
	for _, p := range []float64{-.1, 1.1, math.NaN()} {
		_, err := q.RandomBitErrors(p, 1)
		require.ErrorContains(t, err, "probability")
		_, err = q.StuckBits(p, true, 1)
		require.ErrorContains(t, err, "probability")
		_, err = StuckWeights(net, p, 0, 1)
		require.ErrorContains(t, err, "probability")
		_, err = DeadUnits(net, p, 1)
		require.ErrorContains(t, err, "probability")
	}
	_, err = StuckWeights(net, .1, math.Inf(1), 1)
	require.ErrorContains(t, err, "value")
	_, err = GaussianNoise(net, -1, 1)
	require.ErrorContains(t, err, "alpha")
	_, err = q.RandomFlips(q.Bits()+1, 1)
	require.ErrorContains(t, err, "flips")
}

// A few chosen bits cost more than many random ones, and the search is bit exact.
func TestBitSearchBreaksWithFewFlips(t *testing.T) {
	net, x, y := trained(t, nil)
	before := snapshot(net)
	ctx := context.Background()
	q, err := Quantizer{}.Quantize(net)
	require.NoError(t, err)
	clean, err := Accuracy(ctx, q.Network(), x, y)
	require.NoError(t, err)
	require.Greater(t, clean, .75)
	batch := tensor.Slice(x, 0, 0, 100)
	res, err := BitSearch{Flips: 12, TopWeights: 20}.Run(ctx, q, batch)
	require.NoError(t, err)
	require.NotEmpty(t, res.Flips)
	require.LessOrEqual(t, len(res.Flips), 12)
	for i := 1; i < len(res.Loss); i++ {
		require.Greater(t, res.Loss[i], res.Loss[i-1])
	}
	distinct := map[BitFlip]int{}
	for _, f := range res.Flips {
		distinct[f]++
	}
	odd := 0
	for _, n := range distinct {
		odd += n % 2
	}
	require.Equal(t, odd, hamming(t, q, res.Network))
	// Replaying the flips gives the same network.
	replay := q.Clone()
	for _, f := range res.Flips {
		require.NoError(t, replay.Flip(f.Layer, f.Index, f.Bit))
	}
	require.Zero(t, hamming(t, replay, res.Network))
	broken, err := Accuracy(ctx, res.Network.Network(), x, y)
	require.NoError(t, err)
	random, err := q.RandomFlips(12, 1)
	require.NoError(t, err)
	unlucky, err := Accuracy(ctx, random.Network(), x, y)
	require.NoError(t, err)
	require.Less(t, broken, clean-.2)
	require.Greater(t, unlucky, broken+.1)
	require.Equal(t, before, snapshot(net))
	same, err := BitSearch{Flips: 12, TopWeights: 20}.Run(ctx, q, batch)
	require.NoError(t, err)
	require.Equal(t, res.Flips, same.Flips)

	// The labels are the quantised network's own predictions, in 2 bits others than
	// those of the network itself.
	coarse, err := Quantizer{Bits: 2}.Quantize(net)
	require.NoError(t, err)
	own := tensor.ArgMax(coarse.Network().Forward(&nn.Pass{}, batch))
	require.NotEqual(t, tensor.ArgMax(net.Forward(&nn.Pass{}, batch)), own)
	start, err := MeanCrossEntropy(ctx, coarse.Network(), batch, own)
	require.NoError(t, err)
	first, err := BitSearch{Flips: 1}.Run(ctx, coarse, batch)
	require.NoError(t, err)
	require.InDelta(t, start, first.Loss[0], 1e-5)

	_, err = BitSearch{Flips: -1}.Run(ctx, q, batch)
	require.ErrorContains(t, err, "-1 flips")
	_, err = BitSearch{Break: 2}.Run(ctx, q, batch)
	require.ErrorContains(t, err, "break")
	_, err = BitSearch{}.Run(ctx, q, nil)
	require.ErrorContains(t, err, "0 inputs")
	_, err = BitSearch{}.Run(ctx, nil, batch)
	require.Error(t, err)
	stopped, cancel := context.WithCancel(ctx)
	cancel()
	_, err = BitSearch{}.Run(stopped, q, batch)
	require.ErrorIs(t, err, context.Canceled)
}
