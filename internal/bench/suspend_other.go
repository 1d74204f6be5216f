//go:build !unix

package main

import "os"

// Where processes cannot be stopped, idle threads of peers may disturb ours.
func suspend(*os.Process) {}
func resume(*os.Process)  {}

// cpuSeconds is not known here.
func cpuSeconds() float64 { return 0 }
