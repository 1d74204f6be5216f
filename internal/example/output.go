package example

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
)

// checkFolder makes the output folder and tries to write there, so that a
// mistake shows before the work and not after it.
func checkFolder(dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("-out: %w", err)
	}
	f, err := os.CreateTemp(dir, ".probe-*")
	if err != nil {
		return fmt.Errorf("-out: %w", err)
	}
	_, err = f.WriteString("probe")
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if rerr := os.Remove(f.Name()); err == nil {
		err = rerr
	}
	if err != nil {
		return fmt.Errorf("-out: %w", err)
	}
	return nil
}

// writeFiles writes report.html, the same page as data in report.json and the figures
// of a result, and returns their paths.
func writeFiles(dir string, res Result) ([]string, error) {
	files := map[string][]byte{}
	if res.page != nil {
		html, err := res.page.HTML()
		if err != nil {
			return nil, fmt.Errorf("report.html: %w", err)
		}
		data, err := json.Marshal(res.page)
		if err != nil {
			return nil, fmt.Errorf("report.json: %w", err)
		}
		files["report.html"], files["report.json"] = html, data
	}
	if res.File != "" {
		text, err := json.MarshalIndent(res.Figures, "", "  ")
		if err != nil {
			return nil, fmt.Errorf("%s: %w", res.File, err)
		}
		files[res.File] = text
	}
	var written []string
	for _, name := range slices.Sorted(maps.Keys(files)) {
		path := filepath.Join(dir, name)
		if err := WriteWhole(path, files[name]); err != nil {
			return written, err
		}
		written = append(written, path)
	}
	return written, nil
}

// WriteWhole writes a file so that it is either complete or not there.
func WriteWhole(path string, content []byte) error {
	f, err := os.CreateTemp(filepath.Dir(path), ".part-*")
	if err != nil {
		return err
	}
	_, err = f.Write(content)
	if err == nil {
		err = f.Sync() // or a machine that dies leaves an empty file of that name
	}
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err == nil {
		err = os.Chmod(f.Name(), 0o644)
	}
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		os.Remove(f.Name())
		return fmt.Errorf("writing %s: %w", path, err)
	}
	return nil
}
