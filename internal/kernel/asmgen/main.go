// Command asmgen writes the vector kernels of package kernel: one assembler
// file per subject and instruction set, and the Go declarations that go with
// them. It needs the standard library only.
//
//	go run . -out ..
package main

import (
	"flag"
	"fmt"
	"log"
	"os"
	"path/filepath"
)

func main() {
	out := flag.String("out", "..", "folder to write the files to")
	flag.Parse()
	log.SetFlags(0)
	for _, f := range files() {
		if err := os.WriteFile(filepath.Join(*out, f.name), f.text(), 0o644); err != nil {
			log.Fatal(fmt.Errorf("asmgen: %w", err))
		}
	}
}

// files generates everything.
func files() []*file {
	var all []*file
	stubs := newStubs()
	for _, v := range []isa{avx512, avx2} {
		all = append(all, tiles(v, stubs), elementwise(v, stubs), updates(v, stubs),
			reductions(v, stubs), rows(v, stubs), pools(v, stubs), winograd(v, stubs))
	}
	all = append(append(all, transposes(stubs)), stubs.files()...)
	return append(all, neon()...)
}
