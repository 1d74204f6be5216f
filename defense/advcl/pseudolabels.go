package advcl

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/redoubt-ml/redoubt/defense/advcl/cluster"
	"github.com/redoubt-ml/redoubt/tensor"
	"github.com/redoubt-ml/redoubt/tensor/dataset"
	"github.com/redoubt-ml/redoubt/tensor/nn"
)

// PseudoLabels are labels without meaning for the images of one data set: cluster
// numbers, for several numbers of clusters. They belong to positions in the set, so
// that every augmented copy of an image has the labels of the image.
type PseudoLabels struct {
	// Data is the checksum of the images that they were made for; see Checksum.
	Data  string      `json:"data"`
	Heads []Labelling `json:"heads"`
}

// Labelling is one label for each image.
type Labelling struct {
	K  int   `json:"k"`  // number of labels
	ID []int `json:"id"` // 0 to K-1, or -1 for none
	// Inertia and Sizes are those of the clusters; 0 and nil if unknown.
	Inertia float64 `json:"inertia,omitempty"`
	Sizes   []int   `json:"sizes,omitempty"`
}

// Checksum is a SHA-256, in hexadecimal, of the images of a set and their order,
// whatever their labels.
func Checksum(data *dataset.Set) string {
	images := *data
	images.Labels, images.Classes = nil, 0
	return images.Fingerprint()
}

// DefaultClusters are the paper's numbers of clusters.
var DefaultClusters = []int{2, 10, 50, 100, 500}

// Cluster labels the images of a set by k-means on their features [N, D], scaled to
// length 1, once for each number of clusters; none means DefaultClusters. k gives the
// other settings. Errors: features that are not one row for each image, or have no
// direction, and those of cluster.KMeans.
//
// ClusterFit (Yan et al., CVPR 2020), as used by Fan et al., NeurIPS 2021, section 4.
func Cluster(ctx context.Context, data *dataset.Set, features *tensor.Tensor, k cluster.KMeans, clusters ...int) (*PseudoLabels, error) {
	if len(clusters) == 0 {
		clusters = DefaultClusters
	}
	if data == nil || data.Len() == 0 {
		return nil, errors.New("advcl: pseudo-labels: no images")
	}
	if features == nil {
		return nil, errors.New("advcl: pseudo-labels: no features")
	}
	if features.Rank() != 2 || features.Dim(0) != data.Len() {
		return nil, fmt.Errorf("advcl: pseudo-labels: features %v for %d images, want [%d D]", features.Shape(), data.Len(), data.Len())
	}
	if !tensor.AllFinite(features) {
		return nil, errors.New("advcl: pseudo-labels: features are not finite")
	}
	if n := short(features); n > 0 {
		return nil, fmt.Errorf("advcl: pseudo-labels: %d of %d features are 0 and have no direction", n, data.Len())
	}
	unit := unit(features.Detach().To(tensor.Float64))
	out := &PseudoLabels{Data: Checksum(data)}
	for _, n := range clusters {
		k.K = n
		c, err := k.Run(ctx, unit)
		if err != nil {
			return nil, fmt.Errorf("advcl: pseudo-labels: %w", err)
		}
		out.Heads = append(out.Heads, Labelling{K: n, ID: c.ID, Inertia: c.Inertia, Sizes: c.Sizes})
	}
	return out, nil
}

// Clusters returns the numbers of labels: the outputs that the heads of a network need.
func (l *PseudoLabels) Clusters() []int {
	out := make([]int, len(l.Heads))
	for i, h := range l.Heads {
		out[i] = h.K
	}
	return out
}

// String names the labels by a checksum.
func (l *PseudoLabels) String() string {
	if l == nil {
		return "none"
	}
	h := sha256.New()
	for _, head := range l.Heads {
		fmt.Fprintln(h, head.K, head.ID)
	}
	return fmt.Sprintf("%v of %.12s for images %.12s", l.Clusters(), hex.EncodeToString(h.Sum(nil)), l.Data)
}

// Fits returns an error unless the labels were made for these images and are in range.
func (l *PseudoLabels) Fits(data *dataset.Set) error {
	if err := l.validate(data.Len()); err != nil {
		return fmt.Errorf("advcl: pseudo-labels: %w", err)
	}
	if found := Checksum(data); found != l.Data {
		return fmt.Errorf("advcl: pseudo-labels: made for images with checksum %.12s..., found images with %.12s...; the labels belong to another set or order", l.Data, found)
	}
	return nil
}

// validate checks the labels of n images.
func (l *PseudoLabels) validate(n int) error {
	if len(l.Heads) == 0 {
		return errors.New("no labellings, want at least one")
	}
	for i, h := range l.Heads {
		switch {
		case h.K < 2:
			return fmt.Errorf("labelling %d has %d labels, want at least 2", i, h.K)
		case len(h.ID) != n:
			return fmt.Errorf("labelling %d has %d labels for %d images", i, len(h.ID), n)
		case h.K > n:
			return fmt.Errorf("labelling %d has %d different labels, want at most the %d images", i, h.K, n)
		}
		for k, id := range h.ID {
			if id < -1 || id >= h.K {
				return fmt.Errorf("labelling %d: label of image %d is %d, want -1 to %d", i, k, id, h.K-1)
			}
		}
	}
	return nil
}

// maxLabelBytes is the most that ReadPseudoLabels reads.
const maxLabelBytes = 1 << 28

// ReadPseudoLabels reads labels that Save has written. Errors: text that is no such
// table, unknown fields, labels out of their range.
func ReadPseudoLabels(r io.Reader) (*PseudoLabels, error) {
	l, err := readPseudoLabels(r)
	if err != nil {
		return nil, fmt.Errorf("advcl: pseudo-labels: %w", err)
	}
	return l, nil
}

func readPseudoLabels(r io.Reader) (*PseudoLabels, error) {
	text, err := io.ReadAll(io.LimitReader(r, maxLabelBytes+1))
	if err != nil {
		return nil, err
	}
	if len(text) > maxLabelBytes {
		return nil, fmt.Errorf("more than %d bytes", maxLabelBytes)
	}
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	l := new(PseudoLabels)
	if err := d.Decode(l); err != nil {
		return nil, err
	}
	if d.More() {
		return nil, errors.New("found more text after the table, want its end")
	}
	if sum, err := hex.DecodeString(l.Data); err != nil || len(sum) != sha256.Size {
		return nil, fmt.Errorf("checksum of the images is %q, want %d hexadecimal digits", l.Data, 2*sha256.Size)
	}
	n := 0
	if len(l.Heads) > 0 {
		n = len(l.Heads[0].ID)
	}
	return l, l.validate(n)
}

// LoadPseudoLabels reads a file of labels.
func LoadPseudoLabels(path string) (*PseudoLabels, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("advcl: pseudo-labels: %w", err)
	}
	defer f.Close()
	l, err := readPseudoLabels(f)
	if err != nil {
		return nil, fmt.Errorf("advcl: pseudo-labels: %s: %w", path, err)
	}
	return l, nil
}

// Save writes the labels to a file, whole or not at all.
func (l *PseudoLabels) Save(path string) error {
	text, err := json.Marshal(l)
	if err != nil {
		return fmt.Errorf("advcl: pseudo-labels: %w", err)
	}
	f, err := os.CreateTemp(filepath.Dir(path), ".labels-*")
	if err != nil {
		return fmt.Errorf("advcl: pseudo-labels: %w", err)
	}
	_, err = f.Write(text)
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		os.Remove(f.Name())
		return fmt.Errorf("advcl: pseudo-labels: %w", err)
	}
	return nil
}

// Encode returns the features [N, D] of all images of a set by an encoder in evaluation
// mode, that of a *Network without its projector, with the named set of normalisation
// statistics; "" is the first. Errors: no images, images that do not fit, an unknown set
// or one that Encoder.Ready refuses, the context's.
func Encode(ctx context.Context, encoder nn.Layer, stats string, data *dataset.Set) (features *tensor.Tensor, err error) {
	const size = 256
	if data == nil || data.Len() == 0 {
		return nil, errors.New("advcl: no images to encode")
	}
	if net, ok := encoder.(*Network); ok {
		encoder = net.Encoder
	}
	if e, ok := encoder.(*Encoder); ok {
		if err := e.Ready(stats); err != nil {
			return nil, err
		}
		if err := checkImages(data); err != nil {
			return nil, err
		}
	}
	// Other layers say what does not fit by a panic.
	defer func() {
		if v := recover(); v != nil {
			features, err = nil, fmt.Errorf("advcl: encoding of %s: %v", data.Name, v)
		}
	}()
	tape := tensor.NewTape()
	var parts []*tensor.Tensor
	for lo := 0; lo < data.Len(); lo += size {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		tape.Reset()
		idx := make([]int, min(size, data.Len()-lo))
		for i := range idx {
			idx[i] = lo + i
		}
		x, _ := data.Batch(idx)
		parts = append(parts, encoder.Forward(&nn.Pass{Stats: stats}, tape.Const(x)).Clone())
	}
	return tensor.Concat(0, parts...), nil
}
