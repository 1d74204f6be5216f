package main

import (
	"fmt"
	"time"

	"github.com/schollz/progressbar/v3"
)

// progress shows how far the files of a data set are: a bar for each on a terminal, else
// a line.
type progress struct {
	*command
	set, file string
	bar       *progressbar.ProgressBar
}

// at is DownloadOptions.OnProgress.
func (p *progress) at(file string, done, size int64) {
	if file != p.file {
		p.end()
		p.file = file
		p.begin(size)
	}
	if p.bar != nil {
		p.bar.Set64(done)
	}
}

func (p *progress) begin(size int64) {
	name := p.set + "/" + p.file
	if p.terminal {
		p.bar = progressbar.NewOptions64(size,
			progressbar.OptionSetWriter(p.stderr),
			progressbar.OptionSetDescription(fmt.Sprintf("%-34s", name)),
			progressbar.OptionShowBytes(true),
			progressbar.OptionSetWidth(24),
			progressbar.OptionThrottle(100*time.Millisecond),
			progressbar.OptionSetPredictTime(true),
		)
		return
	}
	text := "size not known"
	if size >= 0 {
		text = inBytes(size)
	}
	fmt.Fprintf(p.stderr, "%s, %s\n", name, text)
}

// end leaves the line of the last file.
func (p *progress) end() {
	if p.bar != nil {
		p.bar.Exit()
		p.bar = nil
		fmt.Fprintln(p.stderr)
	}
}
