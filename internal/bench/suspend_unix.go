//go:build unix

package main

import (
	"os"
	"syscall"
)

func suspend(p *os.Process) { p.Signal(syscall.SIGSTOP) }
func resume(p *os.Process)  { p.Signal(syscall.SIGCONT) }

// cpuSeconds is the CPU time of this process.
func cpuSeconds() float64 {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return float64(u.Utime.Nano()+u.Stime.Nano()) / 1e9
}
