package main

import (
	"errors"
	"fmt"
	"io/fs"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"

	"github.com/redoubt-ml/redoubt/internal/example"
	"github.com/redoubt-ml/redoubt/tensor/dataset"
)

// pair is a source and a target of one form, in their training and test parts.
type pair struct {
	Name                                   string
	source, sourceTest, target, targetTest *dataset.Set
	// framed is set for the pair whose target stands as the source's digits do: the
	// pair of the headline with less of a gap.
	framed bool
}

// domain is the two parts of one data set.
type domain struct {
	name        string
	train, test *dataset.Set
}

// load returns the pairs of the table, the one of the headline first, and says what
// they are made of. After the three that are always there come SVHN to MNIST, at full
// scale if SVHN is there, and MNIST to framed USPS.
func load(env *example.Env) (pairs []pair, about string, err error) {
	mnist := domain{name: "MNIST"}
	if mnist.train, mnist.test, about, err = env.MNIST(false); err != nil {
		return nil, "", err
	}
	if env.Has("mnist") {
		about += " (" + variant(mnist.train, mnist.test) + ")"
	}
	post := domain{name: "USPS"}
	var extra []pair
	if env.Has("usps") {
		if post.train, post.test, err = env.Both("usps"); err != nil {
			return nil, "", err
		}
		frame := domain{"framed USPS", framed(post.train), framed(post.test)}
		closer := between(mnist, frame)
		closer.framed = true
		extra = append(extra, closer)
		known := variant(post.train, post.test)
		post.train, post.test = post.train.Resize(28, 28), post.test.Resize(28, 28)
		about += fmt.Sprintf("; USPS of %d + %d images (%s), 16x16 enlarged to 28x28, pixels in [0, 1]; framed USPS: enlarged to 20x20 in the middle of 28x28", post.train.Len(), post.test.Len(), known)
	} else {
		env.Lacks([]string{"usps"}, "digits drawn in fonts in place of USPS")
		post.name = "font digits"
		if post.train, err = (dataset.FontDigits{Seed: env.Stream("font digits"), Noise: 0.05}).Make(4000); err != nil {
			return nil, "", err
		}
		if post.test, err = (dataset.FontDigits{Seed: env.Stream("font digits to test"), Noise: 0.05}).Make(2000); err != nil {
			return nil, "", err
		}
		about += "; digits drawn in fonts stand in for USPS, which needs usps/zip.train and usps/zip.test in the folder of -data"
	}
	vivid, note, err := colours(env, mnist)
	if err != nil {
		return nil, "", err
	}
	rgb := domain{"MNIST", mnist.train.Take(vivid.train.Len()).RGB(), mnist.test.Take(vivid.test.Len()).RGB()}
	pairs = []pair{between(mnist, post), between(post, mnist), between(rgb, vivid)}
	if env.Scale == example.Full && env.Has("svhn") {
		street := domain{name: "SVHN"}
		if street.train, street.test, err = env.Both("svhn"); err != nil {
			return nil, "", err
		}
		large := domain{"MNIST", mnist.train.Resize(32, 32).RGB(), mnist.test.Resize(32, 32).RGB()}
		pairs = append(pairs, between(street, large))
	}
	return append(pairs, extra...), about + "; " + note, nil
}

// framed returns digits that fill their images as those of MNIST stand in theirs: of
// 20x20 pixels in the middle of 28x28.
func framed(s *dataset.Set) *dataset.Set {
	const side, inner, margin = 28, 20, 4
	x, _ := s.Resize(inner, inner).All()
	out := &dataset.Set{Name: s.Name, H: side, W: side, C: 1, Classes: s.Classes, ClassNames: s.ClassNames, Labels: s.Labels, Floats: make([]float32, s.Len()*side*side)}
	for i := range s.Len() {
		for y := range inner {
			copy(out.Floats[(i*side+y+margin)*side+margin:], x.Float32s()[(i*inner+y)*inner:(i*inner+y+1)*inner])
		}
	}
	return out
}

// coloured is the number of images that are put on generated textures.
const coloured = 10000

// colours returns MNIST-M, or digits on other backgrounds.
func colours(env *example.Env, mnist domain) (domain, string, error) {
	d := domain{name: "MNIST-M"}
	var err error
	if env.Has("mnist-m") {
		if d.train, d.test, err = env.Both("mnistm"); err != nil {
			return d, "", err
		}
		for _, s := range [][2]*dataset.Set{{mnist.train, d.train}, {mnist.test, d.test}} {
			if err := dataset.Aligned(s[0], s[1]); err != nil {
				return d, "", err
			}
		}
		note := fmt.Sprintf("official MNIST-M of %d + %d images, 32x32 reduced to 28x28, aligned with MNIST, %s", d.train.Len(), d.test.Len(), variant(d.train, d.test))
		d.train, d.test = d.train.Resize(28, 28), d.test.Resize(28, 28)
		return d, note, nil
	}
	if env.Has("bsds-patches") {
		env.Lacks([]string{"mnist-m"}, "MNIST-M made of MNIST and the photographs in bsds-patches")
		d.name = "MNIST-M (generated)"
		patches, err := photos(env, filepath.Join(env.Data, "bsds-patches"))
		if err != nil {
			return d, "", err
		}
		if d.train, err = dataset.Blend(mnist.train.Take(coloured), patches, env.Stream("blend")); err != nil {
			return d, "", err
		}
		d.test, err = dataset.Blend(mnist.test, patches, env.Stream("blend to test"))
		return d, fmt.Sprintf("MNIST-M generated from MNIST and %d windows of BSDS500 photos", patches.Len()), err
	}
	env.Lacks([]string{"mnist-m", "bsds-patches"}, "MNIST on generated textures in place of MNIST-M")
	d.name = "MNIST on textures"
	backgrounds := textures(env.Rand("textures"), 400, 28, 28)
	if d.train, err = dataset.Blend(mnist.train.Take(coloured), backgrounds, env.Stream("blend")); err != nil {
		return d, "", err
	}
	d.test, err = dataset.Blend(mnist.test, backgrounds, env.Stream("blend to test"))
	return d, "MNIST on generated textures stands in for MNIST-M, which needs mnist-m/ in the folder of -data", err
}

// photos reads the windows of photos in a folder, rows of 32x32 pixels in one PNG.
func photos(env *example.Env, dir string) (*dataset.Set, error) {
	sheets, err := filepath.Glob(filepath.Join(dir, "*.png"))
	if err != nil || len(sheets) == 0 {
		return nil, fmt.Errorf("found no PNG in %s, want windows of photos in rows of 32x32 pixels (%w)", dir, errors.Join(err, fs.ErrNotExist))
	}
	f, err := os.Open(slices.Min(sheets))
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if err := env.UsesFile("photos", f.Name()); err != nil {
		return nil, err
	}
	s, err := dataset.ReadRowSheet(f, 32, 32)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", f.Name(), err)
	}
	return s, nil
}

// textures are coloured waves and gradients.
func textures(rng *rand.Rand, n, h, w int) *dataset.Set {
	s := &dataset.Set{Name: "textures", H: h, W: w, C: 3}
	for range n {
		var level, size, kx, ky, phase [3][3]float64
		for c := range 3 {
			for k := range 3 {
				level[c][k], size[c][k] = rng.Float64(), 0.3*rng.Float64()
				kx[c][k], ky[c][k], phase[c][k] = 0.4*rng.NormFloat64(), 0.4*rng.NormFloat64(), 2*math.Pi*rng.Float64()
			}
		}
		for y := range h {
			for x := range w {
				for c := range 3 {
					v := level[c][0]
					for k := range 3 {
						v += size[c][k] * math.Sin(kx[c][k]*float64(x)+ky[c][k]*float64(y)+phase[c][k])
					}
					s.Bytes = append(s.Bytes, byte(255*min(1, max(0, v))))
				}
			}
		}
	}
	return s
}

// variants names the parts of data sets by their fingerprints: accuracies of different
// variants differ by points.
var variants = map[string]string{
	"2e16732b6a884fc1f1a97f6658337599467b653afbeba842f321a45942e41990": "MNIST's original training part",
	"78896fb67a31df2f51cd25bd63ad36196b14f71b4df901d4e33a01c95ec09e95": "test part",
	"97dc74df6b27a888dc6662ef75a4b6b3c8c5d75c492b3aff9f9d7f7f50fb532e": "zip.train",
	"5ddbcd2f7c0db3635f171b6fabe6fac236bf2c270ba9935fe42923af32eeddb9": "zip.test",
	"9f0f0316460e04357afb4823d2cb1369b300145a90904544e2b80d89efd0f1cb": "the first 10,000 training images",
	"d212e25af36f21f5dae03cc5ec47d5b4c31b57e78a683b67b6526c03eb2daacd": "the test images",
}

// variant says which variant of a data set its parts are.
func variant(train, test *dataset.Set) string {
	name := func(s *dataset.Set) string {
		f := s.Fingerprint()
		if known, ok := variants[f]; ok {
			return known
		}
		return "an unknown variant with the fingerprint " + f[:12]
	}
	return name(train) + " and " + name(test)
}

func between(s, t domain) pair {
	return pair{Name: s.name + " to " + t.name, source: s.train, sourceTest: s.test, target: t.train, targetTest: t.test}
}

// draw returns the pair with random parts of its training images.
func (p pair) draw(seed uint64, source, target int) pair {
	some := func(s *dataset.Set, stream uint64, n int) *dataset.Set {
		if n <= 0 || n >= s.Len() {
			return s
		}
		return s.Subset(rand.New(rand.NewPCG(seed, stream)).Perm(s.Len())[:n])
	}
	p.source, p.target = some(p.source, 0x50, source), some(p.target, 0x7a, target)
	return p
}

// only returns the images of two classes as a set with the labels 0 and 1.
func only(s *dataset.Set, zero, one int) *dataset.Set {
	var idx []int
	for i, y := range s.Labels {
		if y == zero || y == one {
			idx = append(idx, i)
		}
	}
	out := s.Subset(idx)
	out.Classes, out.ClassNames = 2, nil
	for i, y := range out.Labels {
		out.Labels[i] = 0
		if y == one {
			out.Labels[i] = 1
		}
	}
	return out
}
