package env

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
)

// PKIS2 is a table of kinase inhibitors: the percentage by which each compound
// inhibits each kinase at 1 µM.
//
// Drewry et al., "Progress towards a public chemogenomic set for protein kinases and
// a call for contributions", PLoS ONE 2017, table S4.
type PKIS2 struct {
	Compounds  []string    // names, in the order of the rows
	Kinases    []string    // names, in the order of the columns
	Inhibition [][]float64 // by compound and kinase, 0 to 100
}

// ReadPKIS2 reads the table as comma-separated values: a header of Compound and the
// kinases, then a line for each compound.
func ReadPKIS2(r io.Reader) (*PKIS2, error) { return read("", r, readPKIS2) }

func readPKIS2(r io.Reader) (*PKIS2, error) {
	in := newRows("pkis2", r)
	header, err := in.next()
	if errors.Is(err, io.EOF) {
		return nil, errors.New("pkis2: found no header, want Compound and the kinases")
	} else if err != nil {
		return nil, err
	}
	if header[0] != "Compound" || len(header) < 2 {
		return nil, in.errorf("header starts with %.40q and has %d fields, want \"Compound\" and at least one kinase", header[0], len(header))
	}
	in.width = len(header)
	t := &PKIS2{Kinases: header[1:]}
	columns := map[string]bool{}
	for _, k := range t.Kinases {
		if k == "" || columns[k] {
			return nil, in.errorf("kinase %.40q is empty or there twice", k)
		}
		columns[k] = true
	}
	seen := map[string]int{}
	for {
		fields, err := in.next()
		if errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			return nil, err
		}
		name := fields[0]
		if name == "" {
			return nil, in.errorf("the compound has no name")
		}
		if seen[name] > 0 {
			return nil, in.errorf("compound %.40q is on line %d already", name, seen[name])
		}
		seen[name] = in.line
		row := make([]float64, len(t.Kinases))
		for k, field := range fields[1:] {
			if row[k], err = strconv.ParseFloat(field, 64); err != nil || !(row[k] >= 0 && row[k] <= 100) {
				return nil, in.errorf("inhibition of %.40s is %.40q, want 0 to 100", t.Kinases[k], field)
			}
		}
		t.Compounds = append(t.Compounds, name)
		t.Inhibition = append(t.Inhibition, row)
	}
	if len(t.Compounds) == 0 {
		return nil, errors.New("pkis2: found no compounds, want at least one")
	}
	return t, nil
}

// LoadPKIS2 reads the file at path as ReadPKIS2 does. Errors: those of opening it,
// and of ReadPKIS2.
func LoadPKIS2(path string) (*PKIS2, error) { return load(path, readPKIS2) }

// Instance makes each compound an arm whose rewards are N(inhibition/100, sigma²)
// for one kinase.
func (t *PKIS2) Instance(kinase string, sigma float64) (Instance, error) {
	k := slices.Index(t.Kinases, kinase)
	if k < 0 {
		return Instance{}, fmt.Errorf("bandit/env: pkis2: no kinase %.40q among the %d", kinase, len(t.Kinases))
	}
	in := Instance{Name: "PKIS2 " + kinase}
	for _, row := range t.Inhibition {
		in.Arms = append(in.Arms, Gaussian{Mu: row[k] / 100, Sigma: sigma})
	}
	return in, nil
}
