package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"log"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"runtime/pprof"
	"strconv"
	"strings"
	"time"

	"github.com/redoubt-ml/redoubt/internal/cpu"
	"github.com/redoubt-ml/redoubt/internal/par"
)

// peers are the libraries that rows compare with.
type peers struct {
	dir     string // for drivers and their files
	threads []int

	blas, dnn, torch, ort, gorgonia *peer
}

func (p *peers) all() []*peer { return []*peer{p.blas, p.dnn, p.torch, p.ort, p.gorgonia} }

func newPeers(dir, python, node, modules string, threads []int) *peers {
	p := &peers{dir: dir, threads: threads}
	p.blas = &peer{name: "OpenBLAS", install: "apt-get install gcc libopenblas-dev", command: compiled("gemm.c", "-lopenblas")}
	p.dnn = &peer{name: "oneDNN", install: "apt-get install gcc libdnnl-dev", command: compiled("conv.c", "-fopenmp", "-ldnnl")}
	p.torch = &peer{name: "PyTorch", install: "apt-get install python3-torch libopenblas0-openmp, and -python /usr/bin/python3",
		command: func(dir string) (*exec.Cmd, error) {
			path, err := driver(dir, "pytorch.py")
			if err != nil {
				return nil, err
			}
			cmd := exec.Command(python, path)
			// Threads that spin for work suit it best; other settings of the
			// C library's allocator made its steps slower.
			cmd.Env = append(os.Environ(), "OMP_WAIT_POLICY=active")
			if found, _ := filepath.Glob("/usr/lib/*/openblas-openmp"); len(found) > 0 {
				cmd.Env = append(cmd.Env, "LD_LIBRARY_PATH="+found[0])
			}
			return cmd, nil
		}}
	p.ort = &peer{name: "ONNX Runtime", install: "npm install --ignore-scripts onnxruntime-node, and -modules its node_modules; or pip install onnxruntime, and -python its interpreter",
		command: func(dir string) (*exec.Cmd, error) {
			if exec.Command(python, "-c", "import onnxruntime").Run() == nil {
				path, err := driver(dir, "ort.py")
				return exec.Command(python, path), err
			}
			path, err := driver(dir, "ort.js")
			cmd := exec.Command(node, path)
			cmd.Env = append(os.Environ(), "NODE_PATH="+modules)
			return cmd, err
		}}
	p.gorgonia = &peer{name: "Gorgonia", install: "run from a checkout with the Go module proxy in reach",
		command: func(dir string) (*exec.Cmd, error) {
			_, here, _, _ := runtime.Caller(0)
			build := exec.Command("go", "build", "-o", filepath.Join(dir, "gorgonia"), ".")
			build.Dir = filepath.Join(filepath.Dir(here), "gorgonia")
			if out, err := build.CombinedOutput(); err != nil {
				return nil, fmt.Errorf("go build: %w: %s", err, strings.TrimSpace(string(out)))
			}
			return exec.Command(filepath.Join(dir, "gorgonia")), nil
		}}
	for _, q := range p.all() {
		q.dir = dir
	}
	return p
}

func main() {
	log.SetFlags(0)
	log.SetPrefix("bench: ")
	asJSON := flag.Bool("json", false, "print one JSON array and nothing else on standard output")
	only := flag.String("only", "", "measure only rows whose name or peer matches this regular expression")
	rounds := flag.Int("rounds", 7, "rounds of each measurement")
	verbose := flag.Bool("v", false, "print every measurement of a row")
	python := flag.String("python", "python3", "Python interpreter that has the peers")
	node := flag.String("node", "node", "Node.js that runs ONNX Runtime if Python has none")
	modules := flag.String("modules", os.Getenv("NODE_PATH"), "node_modules folder with onnxruntime-node")
	profile := flag.String("profile", "", "write a CPU profile of each network's training step to this folder and stop")
	targets := flag.Bool("targets", false, "compare each ratio with what developers want of it: at the worst, and at best")
	threads := counts{1, 2}
	if runtime.GOMAXPROCS(0) == 1 {
		threads = counts{1}
	}
	flag.Var(&threads, "threads", "numbers of threads to compare at, with commas between them; targets are meant for 1 and 2")
	clock := flag.String("clock", "wall", "wall, or cpu: compare CPU times, of rows on one thread only, when other programs take the processor away")
	flag.Usage = func() {
		fmt.Fprint(flag.CommandLine.Output(), "Usage: go run ./internal/bench [flags]\n\n"+
			"Measures the engine against other libraries on this machine and prints ratios of\n"+
			"times. Libraries that are absent are named with how to install them.\n\n")
		flag.PrintDefaults()
	}
	flag.Parse()
	if *clock != "wall" && *clock != "cpu" {
		log.Fatalf("-clock is %q, want wall or cpu", *clock)
	}
	os.Setenv(clockVariable, *clock)
	pattern, err := regexp.Compile(*only)
	if err != nil {
		log.Fatal(err)
	}
	if *rounds < 1 {
		log.Fatalf("-rounds is %d, want at least 1", *rounds)
	}
	if *profile != "" {
		if err := profiles(*profile); err != nil {
			log.Fatal(err)
		}
		return
	}
	dir, err := os.MkdirTemp("", "bench")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	p := newPeers(dir, *python, *node, *modules, threads)
	defer func() {
		for _, q := range p.all() {
			q.stop()
		}
	}()
	m := &meter{rounds: *rounds, targets: *targets, best: map[int]float64{}, verbose: *verbose}
	all, impossible := rows(p)
	var results []result
	for _, r := range all {
		if !pattern.MatchString(r.name) && !pattern.MatchString(r.peer) || *clock == "cpu" && r.threads > 1 && r.value == nil {
			continue
		}
		res := m.blank(&r)
		if why := impossible[r.name]; why != "" {
			res.Missing = why
		} else {
			res = m.measure(&r)
		}
		results = append(results, res)
		if !*asJSON {
			if len(results) == 1 {
				heading(os.Stdout, *targets)
			}
			res.print(os.Stdout)
		}
	}
	if len(results) == 0 {
		os.RemoveAll(dir)
		log.Fatalf("no row to measure: -only is %q, -clock %s", *only, *clock)
	}
	for _, q := range p.all() {
		if q.err != nil {
			fmt.Fprintf(os.Stderr, "\nPEER MISSING: %v\n", q.err)
		}
	}
	if *asJSON {
		e := json.NewEncoder(os.Stdout)
		e.SetIndent("", " ")
		if err := e.Encode(results); err != nil {
			log.Fatal(err)
		}
	}
}

// counts is a flag of numbers of threads.
type counts []int

func (c *counts) String() string {
	return strings.Trim(strings.ReplaceAll(fmt.Sprint([]int(*c)), " ", ","), "[]")
}

func (c *counts) Set(list string) error {
	*c = nil
	for word := range strings.SplitSeq(list, ",") {
		n, err := strconv.Atoi(word)
		if err != nil || n < 1 || n > runtime.GOMAXPROCS(0) {
			return fmt.Errorf("%q is no number of threads from 1 to the %d of this machine", word, runtime.GOMAXPROCS(0))
		}
		*c = append(*c, n)
	}
	return nil
}

func heading(w io.Writer, targets bool) {
	load, _ := os.ReadFile("/proc/loadavg")
	fmt.Fprintf(w, "%s, %s/%s %v, %d threads, %s clock, load %s\n\n", time.Now().Format("2006-01-02"), runtime.GOOS, runtime.GOARCH,
		cpu.Active(), runtime.GOMAXPROCS(0), os.Getenv(clockVariable), strings.TrimSpace(string(load)))
	fmt.Fprintf(w, "%-52s %-14s %7s %9s %9s %9s  %-6s", "what", "peer", "threads", "ratio", "min", "max", "better")
	if targets {
		fmt.Fprintf(w, " %8s %8s", "must", "aim")
	}
	fmt.Fprintln(w)
}

func (r *result) print(w io.Writer) {
	fmt.Fprintf(w, "%-52s %-14s %7d", r.Name, r.Peer, r.Threads)
	if r.Ratio == nil {
		fmt.Fprintf(w, "   MISSING: %s\n", r.Missing)
		return
	}
	fmt.Fprintf(w, " %9.4g %9.4g %9.4g  %-6s", *r.Ratio, *r.Min, *r.Max, r.Better)
	if r.Must != nil {
		fmt.Fprintf(w, " %8.4g %8.4g  %s", *r.Must, *r.Aim, r.verdict())
	}
	if r.Disturbed > 0 {
		fmt.Fprintf(w, "  UNRELIABLE: %d rounds disturbed by other programs", r.Disturbed)
	}
	fmt.Fprintln(w)
	for _, d := range r.details {
		fmt.Fprintf(w, "    %s\n", d)
	}
}

// verdict compares the ratio with its targets.
func (r *result) verdict() string {
	reaches := func(target float64) bool {
		if r.Better == "higher" {
			return *r.Ratio >= target
		}
		return *r.Ratio <= target
	}
	switch {
	case reaches(*r.Aim):
		return "aim"
	case reaches(*r.Must):
		return "ok"
	}
	return "SHORT"
}

// onThreads is f on a number of threads, with the number set back afterwards.
func onThreads(threads, back int, f func()) func() {
	return func() {
		par.SetThreads(threads)
		f()
		par.SetThreads(back)
	}
}

// profiles writes a CPU profile of about ten seconds of steps of each network.
func profiles(dir string) error {
	for _, f := range []struct {
		name string
		step func()
	}{
		{"train-cnn", cnn.training(128)}, {"train-resnet18", resnet.training(64)}, {"train-mlp", mlp.training(128)},
		{"pgd-cnn", cnn.pgd(128)}, {"match-lenet", lenet.matching(8)}, {"match-cnn", cnn.matching(8)},
	} {
		for range 2 {
			f.step()
		}
		out, err := os.Create(filepath.Join(dir, f.name+".pprof"))
		if err != nil {
			return err
		}
		if err := pprof.StartCPUProfile(out); err != nil {
			return err
		}
		for begin := time.Now(); time.Since(begin) < 10*time.Second; {
			f.step()
		}
		pprof.StopCPUProfile()
		if err := out.Close(); err != nil {
			return err
		}
	}
	return nil
}
