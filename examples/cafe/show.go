package main

import (
	"context"
	"fmt"
	"strconv"

	"github.com/redoubt-ml/redoubt/internal/example"
	"github.com/redoubt-ml/redoubt/internal/plot"
	"github.com/redoubt-ml/redoubt/internal/report"
)

// Result shows what was reached.
func (e *experiment) Result() example.Result {
	tables := e.tables()
	if len(tables) == 0 {
		return example.Result{}
	}
	notes := []string{"Data: " + e.data + ". Everything took " + report.Seconds(e.out.Seconds) + "."}
	notes = append(notes, e.left...)
	if e.out.MeanImage != nil {
		notes = append(notes, fmt.Sprintf("The mean of other images, a guess without any attack, has %.1f dB on the samples behind defences.", *e.out.MeanImage))
	}
	if e.out.CAFE != nil {
		notes = append(notes, "V are the gradients at the first dense layer and H its inputs. The error of V is that of the matrix of all samples, |V - V*|/|V*|, at the worst party; its worst row and the median of rows of H are relative too. Invisible samples have a slice without any gradient.")
	}
	if len(e.out.Defense) > 0 {
		notes = append(notes,
			"Behind defences, CAFE knows nothing of the defence; adaptive takes a ridge and, of fake gradients, a scale by what recovers other images behind the same defence best, solves for what was left out, and attacks one batch by itself where batches are fixed: by matching gradients, and by SPEAR where the first dense layer is twice as wide as the batch. Calibrated learns from other images how the defended answer belongs to the image. What an attack does not recover counts as the mean image. The most that one of them gets is what the defence leaves.",
			"Attacks see the untrained network. Points are the test accuracy less that of true gradients. Rates and the strength of noise are chosen by training images held out: the strongest noise of a series that costs at most 1.5 points there, or the weakest if all cost more. ε counts every round in full, for the parties' uploads alone.")
	}
	return example.Result{Figures: e.out, Tables: tables, Notes: notes}
}

func (e *experiment) tables() []*report.Table {
	var out []*report.Table
	for _, t := range []*report.Table{e.leakTable(), e.sizeTable(), e.publishedTable(), e.defenseTable()} {
		if t.Len() > 0 {
			out = append(out, t)
		}
	}
	return out
}

func db(v float64) string { return fmt.Sprintf("%.1f", v) }

func (e *experiment) leakTable() *report.Table {
	t := report.NewTable("What a server recovers from averaged gradients alone",
		report.Left("data"), report.Right("samples"), report.Right("batch"), report.Right("rounds"), report.Right("error of V"), report.Right("worst row"), report.Right("error of H"),
		report.Right("PSNR, median"), report.Right("above 40 dB"), report.Right("labels"), report.Right("invisible"), report.Right("time"))
	t.ID = "leak"
	if c := e.out.CAFE; c != nil {
		t.AddRow("MNIST", strconv.Itoa(e.samples), strconv.Itoa(e.batch), strconv.Itoa(c.Rounds), fmt.Sprintf("%.1e", c.V), fmt.Sprintf("%.1e", c.VMax), fmt.Sprintf("%.1e", c.H),
			db(c.PSNR)+" dB", report.Percent(c.Above), report.Percent(c.Labels), strconv.Itoa(c.Dead), report.Seconds(c.Seconds))
	}
	if c := e.out.CIFAR; c != nil {
		t.AddRow("CIFAR-10", strconv.Itoa(e.plan.cifar), strconv.Itoa(e.cifarBatch), strconv.Itoa(3*e.plan.cifar/2), "–", "–", "–",
			db(c.PSNR)+" dB", "–", report.Percent(c.Labels), "–", report.Seconds(c.Seconds))
	}
	return t
}

func (e *experiment) sizeTable() *report.Table {
	t := report.NewTable(fmt.Sprintf("One batch by different attacks, median PSNR in dB after %d steps; only CAFE and L2 over all rounds see further rounds", e.steps),
		report.Right("batch"), report.Right("CAFE"), report.Right("DLG"), report.Right("cosine"), report.Right("SAPAG"), report.Right("L2, all rounds"), report.Right("mean image"), report.Right("rounds"), report.Right("time"))
	t.ID = "batches"
	for _, r := range e.out.Batches {
		t.AddRow(strconv.Itoa(r.K), db(r.CAFE), db(r.DLG), db(r.Cosine), db(r.SAPAG), db(r.Many), db(r.Mean), strconv.Itoa(r.Rounds), report.Seconds(r.Seconds))
	}
	return t
}

func (e *experiment) publishedTable() *report.Table {
	t := report.NewTable(fmt.Sprintf("CAFE with the iterations of its paper, by gradient descent and Adam; batches of %d, in Step I alone of %d", e.paperBatch, e.batch),
		report.Left("setting"), report.Right("samples"), report.Right("iterations"), report.Right("error of V"), report.Right("error of H"), report.Right("PSNR"), report.Right("time"))
	t.ID = "published"
	if c := e.out.CAFE; c != nil && c.LawRounds > 0 {
		t.AddRow(fmt.Sprintf("Step I alone, %.3f of what its law says", c.LawRatio), strconv.Itoa(e.samples), strconv.Itoa(c.LawRounds), fmt.Sprintf("%.2g", c.LawError), "–", "–", "–")
	}
	for _, r := range e.out.Published {
		t.AddRow(r.Name, strconv.Itoa(e.paper), strconv.Itoa(r.Rounds), fmt.Sprintf("%.2g", r.V), fmt.Sprintf("%.2g", r.H), db(r.PSNR)+" dB", report.Seconds(r.Seconds))
	}
	return t
}

func (e *experiment) defenseTable() *report.Table {
	t := report.NewTable("Defences: accuracy and leakage, PSNR in dB",
		report.Left("uploads"), report.Right("rate"), report.Right("test %"), report.Right("points"), report.Right("CAFE"), report.Right("adaptive"), report.Right("calibrated"), report.Right("most"), report.Right("ε at 1e-5"))
	t.ID = "defences"
	for _, r := range e.out.Defense {
		eps := "–"
		if r.Epsilon > 0 {
			eps = fmt.Sprintf("%.3g", r.Epsilon)
		}
		points := fmt.Sprintf("%+.1f", r.Points)
		if !r.Within {
			points += ", outside 1.5"
		}
		t.AddRow(r.Name, fmt.Sprintf("%.3g", r.LR), report.InPercent(r.Test), points, db(r.PSNR), db(r.Adaptive), db(r.Calibrated), db(r.Most), eps)
	}
	if t.Len() > 0 {
		guess := db(*e.out.MeanImage)
		t.AddRow("mean image, no attack", "–", "–", "–", guess, guess, guess, guess, "–")
	}
	return t
}

// Page draws pictures and curves.
func (e *experiment) Page(context.Context) (*report.Page, error) {
	p := report.NewPage("Private images out of averaged gradients")
	p.Text("Four parties hold the quadrants of images and upload gradients that are averaged over batches. The server knows the networks and which samples are in a batch, and sees no image, no label and no gradient of a single sample. Data: " + e.data + ".")
	for _, pic := range e.pictures {
		var rows []plot.GridRow
		for _, r := range pic.rows {
			row := plot.GridRow{Label: r.name, Images: plot.Images(r.images)}
			for _, v := range r.psnr {
				row.Captions = append(row.Captions, db(v))
			}
			rows = append(rows, row)
		}
		png, err := plot.Grid(rows)
		if err != nil {
			return nil, err
		}
		p.Heading(pic.title)
		p.Figure(report.Figure{ID: pic.id, PNG: png, Alt: pic.title, Caption: "Below each image the peak signal-to-noise ratio (PSNR) in dB of what was recovered: from about 40 dB on nobody sees a difference, below 15 dB there is hardly an image."})
	}
	chart := plot.LineChart{X: "iterations over rounds", Y: "PSNR in dB"}
	for _, r := range e.out.Published {
		if len(r.curve[0]) > 0 {
			chart.Series = append(chart.Series, plot.Series{Name: r.Name, X: r.curve[0], Y: r.curve[1]})
		}
	}
	if len(chart.Series) > 0 {
		p.Heading("The iterations of the paper")
		err := p.Draw(chart, report.Figure{ID: "iterations", Alt: "PSNR against iterations", Caption: "CAFE as published approaches step by step what linear algebra has at once."})
		if err != nil {
			return nil, err
		}
	}
	res := e.Result()
	p.Figures(res.Tables, res.Notes)
	return p, nil
}
