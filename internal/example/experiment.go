package example

import (
	"context"
	"errors"

	"github.com/redoubt-ml/redoubt/internal/report"
)

// Experiment is one run of a program.
type Experiment interface {
	// Run does the work. When it returns an error, and when ctx is cancelled, Result
	// still has what was reached.
	Run(ctx context.Context) error
	// Result is what the program shows, all but the page.
	Result() Result
	// Page makes report.html and report.json after a Run without an error, and after any
	// Run of a Partial program that has figures.
	Page(ctx context.Context) (*report.Page, error)
}

// Result is what a program shows.
type Result struct {
	// Figures is printed by -json and holds every figure of the tables; nil if none was
	// reached.
	Figures any
	Tables  []*report.Table
	// Notes are printed below the tables, a line each.
	Notes []string
	// File names the file into which -out writes Figures as -json prints them; empty for
	// none.
	File string

	page *report.Page
}

// once makes one experiment, and its page if there is a folder for it.
func (p Program) once(ctx context.Context, env *Env) (Result, error) {
	e, err := p.New(env)
	if err != nil {
		return Result{}, err
	}
	err = e.Run(ctx)
	env.closeStage()
	res := e.Result()
	if err != nil {
		res.File = ""
		if p.Partial && env.Out != "" && res.Figures != nil {
			page, pageErr := e.Page(context.WithoutCancel(ctx))
			res.page, err = page, errors.Join(err, pageErr)
		}
		return res, err
	}
	if env.Out != "" {
		res.page, err = e.Page(ctx)
	}
	return res, err
}
