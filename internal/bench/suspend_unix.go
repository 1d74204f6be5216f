//go:build unix

package main

import (
	"os"
	"syscall"
)

func suspend(p *os.Process) { p.Signal(syscall.SIGSTOP) }
func resume(p *os.Process)  { p.Signal(syscall.SIGCONT) }
