package main

import (
	"bytes"
	"context"
	"encoding/json"
	"encoding/xml"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/redoubt-ml/redoubt/internal/example"
	"github.com/redoubt-ml/redoubt/internal/plot"
	"github.com/redoubt-ml/redoubt/internal/report"
)

// Environment variables by which the test's own binary is told to be another program.
const (
	beExample = "GALLERY_TEST_EXAMPLE"
	beGallery = "GALLERY_TEST_GALLERY"
)

func TestMain(m *testing.M) {
	switch {
	case os.Getenv(beGallery) != "":
		os.Unsetenv(beGallery)
		program(fakes, fakeBuild{}).Main()
	case os.Getenv(beExample) != "":
		fake().Main()
	}
	os.Setenv(beExample, "yes") // for the programs that tests start
	os.Unsetenv("REDOUBT_DATA")
	os.Exit(m.Run())
}

// fake is an example that takes no time, unless its flags say otherwise.
func fake() example.Program {
	var e fakeExperiment
	return example.Program{
		Name: "fake",
		Flags: func(set *flag.FlagSet) {
			set.BoolVar(&e.fails, "fails", false, "fail half-way")
			set.BoolVar(&e.hangs, "hangs", false, "run until interrupted")
			set.BoolVar(&e.mute, "mute", false, "have no page")
		},
		New: func(env *example.Env) (example.Experiment, error) {
			e.env = env
			return &e, nil
		},
	}
}

type fakeExperiment struct {
	env                *example.Env
	fails, hangs, mute bool
}

func (e *fakeExperiment) Run(ctx context.Context) error {
	if e.fails {
		return errors.New("out of luck")
	}
	if e.hangs {
		<-ctx.Done()
		return ctx.Err()
	}
	return nil
}

func (e *fakeExperiment) Result() example.Result {
	return example.Result{Figures: map[string]any{"seed": e.env.Seed, "data": e.env.Data}}
}

func (e *fakeExperiment) Page(context.Context) (*report.Page, error) {
	if e.mute {
		return nil, nil
	}
	tab := report.NewTable("Some figures", report.Left("name"), report.Right("value"))
	tab.ID = "figures"
	tab.AddRow("seed <&>", fmt.Sprint(e.env.Seed))
	p := report.NewPage("A page")
	p.Table(report.NewTable("Not for the gallery", report.Left("name")))
	p.Table(tab)
	chart := plot.LineChart{X: "x", Y: "y", Series: []plot.Series{{Name: "s", X: []float64{0, 1}, Y: []float64{1, 2}}}}
	return p, p.Draw(chart, report.Figure{ID: "curve", Alt: "y against x", Caption: "A curve."})
}

var fakes = []entry{
	{name: "one", title: "The first", about: "First things first.", full: "go run ./examples/one -long", blocks: []string{"curve", "figures"}, withData: []string{"colours"}, picture: "curve"},
	{name: "broken", title: "The broken", about: "It breaks.", quick: []string{"-fails"}, full: "go run ./examples/broken -long", blocks: []string{"curve"}, picture: "curve"},
	{name: "two", title: "The second", about: "Second things second.", full: "go run ./examples/two -long", blocks: []string{"figures"}, reading: "This is how to read it."},
	{name: "slow", title: "The slow", about: "It takes long.", quick: []string{"-hangs"}, full: "go run ./examples/slow -long"},
}

// fakeBuild offers the test's own binary.
type fakeBuild struct{}

func (fakeBuild) ready(context.Context) error { return nil }

func (fakeBuild) build(_ context.Context, name, _ string) (string, error) {
	if name == "unbuilt" {
		return "", errors.New("go build: no such example")
	}
	return os.Executable()
}

func execute(ctx context.Context, all []entry, args ...string) (code int, stdout, stderr string) {
	var out, errs bytes.Buffer
	code = program(all, fakeBuild{}).Execute(ctx, args, &out, &errs)
	return code, out.String(), errs.String()
}

// read returns the gallery's page after it has checked that it is well-formed and
// stands alone.
func read(t *testing.T, dir string) string {
	html, err := os.ReadFile(filepath.Join(dir, "report.html"))
	require.NoError(t, err)
	d := xml.NewDecoder(bytes.NewReader(html))
	for {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			return string(html)
		}
		require.NoError(t, err)
		if e, ok := token.(xml.StartElement); ok {
			require.NotContains(t, []string{"script", "link"}, e.Name.Local)
			for _, a := range e.Attr {
				if a.Name.Local == "src" {
					require.True(t, strings.HasPrefix(a.Value, "data:image/"), "%.60q", a.Value)
				}
				if a.Name.Local == "href" {
					require.True(t, strings.HasPrefix(a.Value, "#"), "%q", a.Value)
				}
			}
		}
	}
}

// inOrder fails unless the text has the parts in this order.
func inOrder(t *testing.T, text string, parts ...string) {
	for _, want := range parts {
		_, after, found := strings.Cut(text, want)
		require.True(t, found, "%q is missing, or out of order", want)
		text = after
	}
}

func TestPageHasThePartsOfEveryExampleInOrder(t *testing.T) {
	dir := t.TempDir()
	code, stdout, stderr := execute(context.Background(), fakes, "-examples", "two,one", "-seed", "5", "-out", dir)
	require.Zero(t, code, stderr)
	page := read(t, dir)
	inOrder(t, page,
		`<a href="#the-first">The first</a>`, `<a href="#the-second">The second</a>`,
		"go run ./examples/one", "Seed 5",
		`<h2 id="the-first">The first</h2>`, "First things first.", "data:image/svg", "A curve.", "Some figures", "seed &lt;&amp;&gt;", ">5<",
		"go run ./examples/one -seed 5 -out DIR", "go run ./examples/one -long",
		`<h2 id="the-second">`, "Second things second.", "Some figures", "This is how to read it.", "go run ./examples/two -long")
	require.NotContains(t, page, "Not for the gallery")
	require.NotContains(t, page, "stopped")
	inOrder(t, stdout, "The first", "The second", "seed <&>  ", "Everything took", "wrote")
	require.Contains(t, stderr, "2 of 2: go run ./examples/two")
}

func TestDataAndFiguresArePassedOn(t *testing.T) {
	data := t.TempDir()
	code, stdout, stderr := execute(context.Background(), fakes, "-examples", "one", "-data", data, "-json")
	require.Zero(t, code, stderr)
	var got struct {
		Seed     uint64
		Examples []struct {
			Name, Command, Error string
			Figures              struct{ Data string }
		}
	}
	require.NoError(t, json.Unmarshal([]byte(stdout), &got))
	require.EqualValues(t, 1, got.Seed)
	require.Len(t, got.Examples, 1)
	require.Equal(t, data, got.Examples[0].Figures.Data)
	require.Equal(t, "go run ./examples/one -data "+data, got.Examples[0].Command)
	require.Empty(t, got.Examples[0].Error)
}

func TestAnExampleThatFailsIsNamedAndTheOthersShow(t *testing.T) {
	all := append([]entry{}, fakes[:3]...)
	all = append(all,
		entry{name: "unbuilt", title: "The unbuilt"},
		entry{name: "mute", title: "The mute", quick: []string{"-mute"}},
		entry{name: "moved", title: "The moved", blocks: []string{"curve", "gone"}})
	dir := t.TempDir()
	code, stdout, stderr := execute(context.Background(), all, "-out", dir)
	require.Equal(t, 1, code)
	for _, want := range []string{"broken: exit status 1: fake: out of luck", "unbuilt: go build: no such example", "mute: open", `moved: its page has no table and no figure "gone"`} {
		require.Contains(t, stderr, want)
	}
	inOrder(t, read(t, dir), `<h2 id="the-first">`, "A curve.", `<h2 id="the-broken">`, "This example failed: exit status 1: fake: out of luck", `<h2 id="the-second">`, "This is how to read it.", "The unbuilt", "This example failed: go build", "The mute", "The moved", "no figure")
	require.Equal(t, 4, strings.Count(stdout, "failed"))
}

func TestPicturesAreWritten(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "a", "b")
	code, _, stderr := execute(context.Background(), fakes, "-examples", "one,two,broken", "-pictures", dir)
	require.Equal(t, 1, code, stderr)
	files, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Len(t, files, 1)
	png, err := os.ReadFile(filepath.Join(dir, "one.png"))
	require.NoError(t, err)
	require.True(t, bytes.HasPrefix(png, []byte("\x89PNG")))
}

func TestAnInterruptedGalleryKeepsWhatIsFinished(t *testing.T) {
	temporary, dir := t.TempDir(), t.TempDir()
	cmd := exec.Command(os.Args[0], "-examples", "one,slow,two", "-out", dir)
	cmd.Env = append(os.Environ(), beGallery+"=yes", "TMPDIR="+temporary)
	stderr, err := cmd.StderrPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	seen, text := "", make([]byte, 4096)
	for !strings.Contains(seen, "examples/slow -hangs") && err == nil { // its turn has come
		var n int
		n, err = stderr.Read(text)
		seen += string(text[:n])
	}
	time.Sleep(100 * time.Millisecond)
	require.NoError(t, cmd.Process.Signal(os.Interrupt))
	rest, _ := io.ReadAll(stderr)
	var exit *exec.ExitError
	require.ErrorAs(t, cmd.Wait(), &exit, seen)
	require.Equal(t, 130, exit.ExitCode(), seen+string(rest))
	page := read(t, dir)
	inOrder(t, page, "not run", "The gallery was stopped: 1 of 3 examples are missing", `<h2 id="the-first">`, "A curve.")
	files, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Len(t, files, 2, "report.html and report.json and nothing half-written")
	left, err := os.ReadDir(temporary)
	require.NoError(t, err)
	require.Empty(t, left, "working files stay behind")
}

func TestAnExampleIsInterruptedAndNotKilled(t *testing.T) {
	ctx, cancel := context.WithTimeout(context.Background(), 200*time.Millisecond)
	defer cancel()
	binary, err := os.Executable()
	require.NoError(t, err)
	_, err = runExample(ctx, binary, []string{"-hangs"}, t.TempDir())
	var exit *exec.ExitError
	require.ErrorAs(t, err, &exit)
	require.False(t, exit.Sys().(syscall.WaitStatus).Signaled(), "%v", err)
}

func TestMistakesInArgumentsAreNamed(t *testing.T) {
	for want, args := range map[string][]string{
		`-examples has "three"`: {"-examples", "three"},
		"not defined: -scale":   {"-scale", "full"},
		"not defined: -seeds":   {"-seeds", "2"},
		"no such file":          {"-data", "nowhere"},
	} {
		code, _, stderr := execute(context.Background(), fakes, args...)
		require.Equal(t, 2, code)
		require.Contains(t, stderr, want)
	}
}

// One line, before any example is tried.
func TestOutsideTheModuleItIsSaidWhatToDo(t *testing.T) {
	t.Chdir(t.TempDir())
	var out, errs bytes.Buffer
	require.Equal(t, 1, program(fakes, goCommand{}).Execute(context.Background(), []string{"-json"}, &out, &errs))
	require.Empty(t, out.String())
	require.Equal(t, 1, strings.Count(errs.String(), "\n"), errs.String())
	require.Contains(t, errs.String(), "run the gallery in a folder of the module "+module)
}

func TestEveryExampleHasAnEntry(t *testing.T) {
	dirs, err := os.ReadDir("..")
	require.NoError(t, err)
	have := map[string]bool{"gallery": true, "fetch": true} // these show nothing themselves
	for _, e := range entries {
		require.False(t, have[e.name], "two entries for %s", e.name)
		have[e.name] = true
		require.NotEmpty(t, e.title)
		require.NotEmpty(t, e.about)
		require.Contains(t, e.full, "go run ./examples/"+e.name)
		require.NotEmpty(t, e.blocks)
		require.NotEmpty(t, e.picture)
	}
	for _, d := range dirs {
		if _, err := os.Stat(filepath.Join("..", d.Name(), "main.go")); err == nil {
			require.True(t, have[d.Name()], "%s is not shown", d.Name())
		}
	}
}

func TestARealExampleIsShown(t *testing.T) {
	if testing.Short() {
		t.Skip("builds and runs a program")
	}
	real := []entry{{name: "cafe", title: "Private images", about: "About.", quick: []string{"-mini", "-parts", "cafe"}, full: "-", blocks: []string{"digits", "leak"}, picture: "digits"}}
	dir := t.TempDir()
	var out, errs bytes.Buffer
	code := program(real, goCommand{}).Execute(context.Background(), []string{"-out", dir, "-pictures", dir}, &out, &errs)
	require.Zero(t, code, errs.String())
	page := read(t, dir)
	inOrder(t, page, "Private images", "data:image/png", "What a server recovers")
	require.FileExists(t, filepath.Join(dir, "cafe.png"))
}
