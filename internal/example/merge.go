package example

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/redoubt-ml/redoubt/internal/example/sweep"
	"github.com/redoubt-ml/redoubt/internal/report"
)

// merge sums up the lines of files and folders.
func (p Program) merge(o *options) (Result, error) {
	var lines []sweep.Located
	for _, path := range append([]string{o.merge}, o.more...) {
		files := []string{path}
		info, err := os.Stat(path)
		if err != nil {
			return Result{}, fmt.Errorf("-merge: %w", err)
		}
		if info.IsDir() {
			if files, err = lineFiles(path); err != nil {
				return Result{}, fmt.Errorf("-merge: %w", err)
			}
		}
		for _, f := range files {
			more, err := readLines(f)
			if err != nil {
				return Result{}, fmt.Errorf("-merge: %w", err)
			}
			lines = append(lines, more...)
		}
	}
	first := lines[0]
	want := maps.Clone(first.Settings)
	maps.Copy(want, o.given(p))
	if err := first.Fits(p.Name, want); err != nil {
		return Result{}, fmt.Errorf("-merge: %s: %w", first.Place(), err)
	}
	return p.sumUp(lines)
}

// lineFiles are the files with lines in a folder.
func lineFiles(dir string) ([]string, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	var out []string
	for _, e := range entries {
		if strings.HasSuffix(e.Name(), sweep.Extension) && !strings.HasPrefix(e.Name(), ".") {
			out = append(out, filepath.Join(dir, e.Name()))
		}
	}
	if len(out) == 0 {
		return nil, fmt.Errorf("%s has no files *%s, want those that -shard writes", dir, sweep.Extension)
	}
	return out, nil
}

// sumUp shows the figures of lines. Lines that are missing are an error beside a result.
func (p Program) sumUp(lines []sweep.Located) (Result, error) {
	m, err := sweep.Merge(lines)
	if err != nil {
		return Result{}, err
	}
	tries := false
	if p.Right != "" {
		if tries, err = m.AddWorst(lines, p.Right, p.Tries); err != nil {
			return Result{}, err
		}
	}
	t := report.NewTable(fmt.Sprintf("%s over %s", p.Name, count(m.Seeds, "seed")),
		report.Left("figure"), report.Right("n"), report.Right("mean"), report.Right("from"), report.Right("to"), report.Right("SD"))
	entries := 0
	for _, f := range m.Figures {
		if f.Entry {
			entries++
			continue
		}
		t.AddRow(f.Name, fmt.Sprint(f.N), short(f.Mean), short(f.Lo), short(f.Hi), short(f.SD))
	}
	res := Result{Figures: m, Tables: []*report.Table{t}}
	if m.Seeds > 1 {
		res.Notes = append(res.Notes, "From and to: 95 % intervals of the mean over seeds, by Student's t; of what is true or false, exact ones of the share that is true.")
	} else {
		res.Notes = append(res.Notes, "One seed has no interval of a mean over seeds.")
	}
	if tries {
		res.Notes = append(res.Notes, fmt.Sprintf("%s: the share of images that are right for each of the seeds, which are tries of the attack on one model, with an exact interval of 95 %% over images. Other intervals are the spread of the attack alone.", sweep.WorstName))
	}
	if entries > 0 {
		res.Notes = append(res.Notes, fmt.Sprintf("%s of matrices are in -json only.", count(entries, "figure")))
	}
	var settings []string
	for name, v := range m.Settings {
		if v != "" {
			settings = append(settings, "-"+name+"="+v)
		}
	}
	slices.Sort(settings)
	res.Notes = append(res.Notes, "Settings: "+strings.Join(settings, " "))
	if len(m.Data) > 0 {
		var data []string
		for _, name := range slices.Sorted(maps.Keys(m.Data)) {
			data = append(data, fmt.Sprintf("%s %.12s", name, m.Data[name]))
		}
		res.Notes = append(res.Notes, "Data, by the start of their SHA-256: "+strings.Join(data, ", "))
	}
	if len(m.Revisions) > 1 {
		res.Notes = append(res.Notes, "Built from different revisions: "+strings.Join(m.Revisions, ", "))
	}
	if n := len(m.Missing); n > 0 {
		const most = 20
		var names []string
		for _, u := range m.Missing[:min(n, most)] {
			names = append(names, u.String())
		}
		if n > most {
			names = append(names, fmt.Sprintf("and %d more", n-most))
		}
		err = fmt.Errorf("%s missing, start the shards again: %s", count(n, "unit"), strings.Join(names, ", "))
	}
	page := report.NewPage(t.Title)
	page.Table(t)
	for _, n := range res.Notes {
		page.Text(n)
	}
	if err != nil {
		page.Text(err.Error())
	}
	res.page = page
	return res, err
}

// short writes a number for the table, and a dash for none.
func short(v *float64) string {
	if v == nil {
		return "–"
	}
	return fmt.Sprintf("%.4g", *v)
}

func count(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}
