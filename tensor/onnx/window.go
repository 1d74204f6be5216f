package onnx

import (
	"fmt"

	"github.com/redoubt-ml/redoubt/tensor"
)

// maxPad bounds paddings, whose memory the file does not pay for.
const maxPad = 1 << 12

// window is the movement of a filter or pooling window over images: the sizes
// and paddings of height and width.
type window struct {
	size, stride, dilation [2]int
	before, after          [2]int
	out                    [2]int
	// extra is how far the last windows reach beyond the padding, when the
	// number of windows is rounded up.
	extra [2]int
}

// windowOf reads the attributes of Conv and pooling nodes for images v, and
// works out the padding. ceil says whether ceil_mode is understood.
func (k *call) windowOf(v *value, size []int, ceil bool) (window, error) {
	var w window
	if len(v.dims) != 4 || !v.dims[1].isFixed() || !v.dims[2].isFixed() || !v.dims[3].isFixed() {
		return w, fmt.Errorf("input has shape %s, want images [N C H W]", show(v.dims))
	}
	strides, err := k.positive("strides", 2, 1)
	if err != nil {
		return w, err
	}
	dilations, err := k.positive("dilations", 2, 1)
	if err != nil {
		return w, err
	}
	w.size, w.stride, w.dilation = [2]int(size), [2]int(strides), [2]int(dilations)
	up := ceil && k.flag("ceil_mode", false)
	auto := k.text("auto_pad", "NOTSET")
	pads := k.ints("pads")
	if pads == nil {
		pads = make([]int, 4)
	}
	if len(pads) != 4 {
		return w, fmt.Errorf("pads has %d numbers, want 4", len(pads))
	}
	for i := range 2 {
		extent, reach := v.dims[2+i].fixed, w.reach(i)
		switch auto {
		case "NOTSET", "":
			w.before[i], w.after[i] = pads[i], pads[2+i]
		case "SAME_UPPER", "SAME_LOWER":
			windows := (extent + w.stride[i] - 1) / w.stride[i]
			total := max(0, (windows-1)*w.stride[i]+reach-extent)
			w.before[i] = total / 2
			if auto == "SAME_LOWER" {
				w.before[i] = total - total/2
			}
			w.after[i] = total - w.before[i]
		case "VALID":
		default:
			return w, fmt.Errorf("auto_pad is %q, want NOTSET, SAME_UPPER, SAME_LOWER or VALID", auto)
		}
		if min(w.before[i], w.after[i]) < 0 || max(w.before[i], w.after[i]) > maxPad {
			return w, fmt.Errorf("pads %v, want 0 to %d", pads, maxPad)
		}
		padded := extent + w.before[i] + w.after[i]
		room := padded - reach
		if room < 0 {
			return w, fmt.Errorf("window of %d does not fit an extent of %d with padding %d and %d", reach, extent, w.before[i], w.after[i])
		}
		// A longer stride leaves one window too, but gradients take steps for
		// all of it.
		w.stride[i] = min(w.stride[i], padded)
		w.out[i] = room/w.stride[i] + 1
		if up && room%w.stride[i] != 0 && w.out[i]*w.stride[i] < extent+w.before[i] {
			w.out[i]++
			w.extra[i] = w.stride[i] - room%w.stride[i]
		}
	}
	return w, nil
}

// reach is how many pixels of axis i a window spans.
func (w window) reach(i int) int { return (w.size[i]-1)*w.dilation[i] + 1 }

// tensor is the window as package tensor wants it.
func (w window) tensor() tensor.Window {
	return tensor.Window{
		StrideH: w.stride[0], StrideW: w.stride[1],
		Top: w.before[0], Left: w.before[1], Bottom: w.after[0] + w.extra[0], Right: w.after[1] + w.extra[1],
	}
}

// shape is the shape of the result for images v and a number of channels.
func (w window) shape(v *value, channels int) []dim {
	return []dim{v.dims[0], {fixed: channels}, {fixed: w.out[0]}, {fixed: w.out[1]}}
}
