// Package mem reuses the memory of large slices. A fresh page costs more to
// touch for the first time than most kernels need to fill it, so buffers that
// come and go once per training step are kept in size-classed free lists.
package mem
