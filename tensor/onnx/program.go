package onnx

import "github.com/redoubt-ml/redoubt/tensor"

// program is a compiled graph: steps that fill registers, each once.
type program struct {
	steps []step
	regs  int
}

// program returns the steps compiled so far, with the registers that each is the
// last to read, but for that of the result.
func (c *compiler) program(result int) program {
	for reg, i := range c.lastRead {
		if reg != result {
			c.steps[i].last = append(c.steps[i].last, reg)
		}
	}
	return program{c.steps, c.regs}
}

// run executes the program and returns a register. Registers before those of the
// steps are inputs.
func (p program) run(r *run, result int, inputs ...*tensor.Tensor) *tensor.Tensor {
	r.regs = make([]*tensor.Tensor, p.regs)
	copy(r.regs, inputs)
	for i := range p.steps {
		s := &p.steps[i]
		r.regs[s.out] = s.f(r)
		for _, reg := range s.last {
			r.regs[reg] = nil
		}
	}
	return r.regs[result]
}
