// Bench measures the engine against other libraries on the same machine, in
// the same minutes, and prints ratios: times mean little on a shared machine,
// ratios of neighbouring measurements do.
//
//	go run ./internal/bench                  the whole table
//	go run ./internal/bench -only 'CNN'      rows whose name matches
//	go run ./internal/bench -threads 4,16    at other numbers of threads than 1 and 2
//	go run ./internal/bench -clock cpu       on a busy machine, rows on one thread
//	go run ./internal/bench -json            one JSON array for machines
//	go run ./internal/bench -profile DIR     a CPU profile of each network's step
//
// Every row alternates rounds of ours and of the peer's, with the multiply-add
// peak of the processor measured around each; rounds that another program
// disturbed are left out and made up for, as long as patience lasts; a row that
// still has some is marked UNRELIABLE. Peers are found on the machine: gcc
// with OpenBLAS and oneDNN, a Python with PyTorch or ONNX Runtime, a Node.js with
// ONNX Runtime. A peer that is absent is named with what installs it. Peers run
// as processes that are stopped while ours is measured, so that their idle
// threads take no time from it.
package main
