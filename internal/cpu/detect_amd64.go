package cpu

import "golang.org/x/sys/cpu"

// detect trusts x/sys/cpu to have asked the operating system (XGETBV) whether
// it saves the wide registers.
func detect() Level {
	x := &cpu.X86
	if !x.HasAVX2 || !x.HasFMA {
		return Generic
	}
	if x.HasAVX512F && x.HasAVX512BW && x.HasAVX512DQ && x.HasAVX512VL {
		return AVX512
	}
	return AVX2
}
