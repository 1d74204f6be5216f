package attack

// walk is a number of steps of a gradient attack on one input.
type walk[T float] struct {
	aim      aim
	x        []T // iterate
	steps, i int // in all and made
	// all goes on after a success, to end deeper among the wrong answers.
	all bool
	// move makes a step out of the gradient at x.
	move func(x, g []T)
	// vary, unless nil, writes the point whose gradient is to stand for that of
	// x to dst, or says that it is x itself.
	vary func(dst, x []T) bool
	// back turns the gradient at that point into one with respect to x.
	back func(g []T) []T

	varied []T // the point of the question, if it is not x
	aside  bool
	point  []T // the last success
	label  int
}

func (t *walk[T]) ask(x []T) int {
	if t.aside {
		copy(x, t.varied)
	} else {
		copy(x, t.x)
	}
	return t.aim.class()
}

func (t *walk[T]) found() ([]T, int) { return t.point, t.label }

func (t *walk[T]) answer(z []T, _ float64, g []T) bool {
	if t.aside {
		t.aside = false
		g = t.back(g)
	} else {
		if c := argMax(z); t.aim.hit(c) {
			t.point, t.label = append(t.point[:0], t.x...), c
			if !t.all {
				return false
			}
		}
		if t.i == t.steps {
			return false
		}
		if t.vary != nil {
			if t.varied == nil {
				t.varied = make([]T, len(t.x))
			}
			if t.vary(t.varied, t.x) {
				t.aside = true
				return true
			}
		}
	}
	t.i++
	t.move(t.x, g)
	return true
}
