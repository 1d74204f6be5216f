//go:build !unix

package main

import "os"

// Where processes cannot be stopped, idle threads of peers may disturb ours.
func suspend(*os.Process) {}
func resume(*os.Process)  {}
