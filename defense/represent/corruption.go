package represent

import (
	"context"
	"errors"
	"fmt"

	"github.com/redoubt-ml/redoubt/attack"
	"github.com/redoubt-ml/redoubt/tensor/dataset"
	"github.com/redoubt-ml/redoubt/tensor/dataset/corrupt"
)

// CorruptionOptions says which corruptions to measure.
type CorruptionOptions struct {
	Types      []corrupt.Type // nil means all twelve
	Severities []int          // nil means 1 to 5
	Seed       uint64         // of the corruptions
	// OnProgress is called after each corruption, nil for none.
	OnProgress func(done, total int)
}

// CorruptionReport is the accuracy of a classifier on corrupted images.
type CorruptionReport struct {
	Rows []CorruptionRow `json:"rows"`
	// Mean is the mean accuracy over all rows: with all types and severities "CA
	// (regenerated, 12 of 15 types)".
	Mean float64 `json:"ca"`
}

// CorruptionRow is the accuracy under one corruption.
type CorruptionRow struct {
	Type     corrupt.Type    `json:"type"`
	Severity int             `json:"severity"`
	Accuracy attack.Estimate `json:"accuracy"`
}

// CorruptionAccuracy measures a classifier on the images of s under common corruptions.
// On an error, or when ctx is cancelled, the report holds the rows that were finished,
// and no mean. Errors: no model, a set without labels, what corrupt.Corruption and
// attack.Predict refuse, and ctx's.
func CorruptionAccuracy(ctx context.Context, m attack.Model, s *dataset.Set, o CorruptionOptions) (CorruptionReport, error) {
	var rep CorruptionReport
	switch {
	case m == nil:
		return rep, errors.New("represent: CorruptionAccuracy: no model")
	case s == nil || s.Len() == 0 || len(s.Labels) != s.Len():
		return rep, errors.New("represent: CorruptionAccuracy: no images with labels")
	}
	if o.Types == nil {
		o.Types = corrupt.Types()
	}
	if o.Severities == nil {
		for v := 1; v <= corrupt.MaxSeverity; v++ {
			o.Severities = append(o.Severities, v)
		}
	}
	total := len(o.Types) * len(o.Severities)
	if total == 0 {
		return rep, fmt.Errorf("represent: CorruptionAccuracy: %d types and %d severities, want at least one of both", len(o.Types), len(o.Severities))
	}
	sum := 0.0
	for _, typ := range o.Types {
		for _, severity := range o.Severities {
			set, err := corrupt.Corruption{Type: typ, Severity: severity, Seed: o.Seed}.Apply(ctx, s)
			if err != nil {
				return rep, err
			}
			x, y := set.All()
			answers, err := attack.Predict(ctx, m, x)
			if err != nil {
				return rep, fmt.Errorf("represent: %s: %w", set.Name, err)
			}
			row := CorruptionRow{typ, severity, agreement(answers, y)}
			rep.Rows = append(rep.Rows, row)
			sum += row.Accuracy.Value
			if o.OnProgress != nil {
				o.OnProgress(len(rep.Rows), total)
			}
		}
	}
	rep.Mean = sum / float64(total)
	return rep, nil
}

// MCE returns the mean corruption error against that of another classifier: the mean
// over the types of the ratio of both's error, summed over severities; below 1 is
// better than the other. Errors: reports of different corruptions, or a type on which
// the other makes no error.
//
// Hendrycks and Dietterich, ICLR 2019, section 4.1, with AlexNet as the other.
func (r CorruptionReport) MCE(other CorruptionReport) (float64, error) {
	if len(r.Rows) == 0 || len(r.Rows) != len(other.Rows) {
		return 0, fmt.Errorf("represent: MCE: reports of %d and %d corruptions, want the same and at least one", len(r.Rows), len(other.Rows))
	}
	var types []corrupt.Type
	own, base := map[corrupt.Type]float64{}, map[corrupt.Type]float64{}
	for i, row := range r.Rows {
		with := other.Rows[i]
		if row.Type != with.Type || row.Severity != with.Severity {
			return 0, fmt.Errorf("represent: MCE: corruption %d is %v %d and %v %d, want the same", i, row.Type, row.Severity, with.Type, with.Severity)
		}
		if _, ok := own[row.Type]; !ok {
			types = append(types, row.Type)
		}
		own[row.Type] += 1 - row.Accuracy.Value
		base[row.Type] += 1 - with.Accuracy.Value
	}
	sum := 0.0
	for _, typ := range types {
		if base[typ] == 0 {
			return 0, fmt.Errorf("represent: MCE: the other classifier makes no error under %v", typ)
		}
		sum += own[typ] / base[typ]
	}
	return sum / float64(len(types)), nil
}
