package env

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
)

// Caption is one entry of a New Yorker caption contest with its votes.
type Caption struct {
	ID       int // its number in the contest
	Unfunny  int // votes
	Somewhat int // somewhat funny
	Funny    int // votes
}

// Mean is the mean of the votes as rewards 0, 1/2 and 1.
func (c Caption) Mean() float64 {
	return (float64(c.Somewhat)/2 + float64(c.Funny)) / float64(c.Unfunny+c.Somewhat+c.Funny)
}

const captionHeader = "arm,unfunny,somewhat_funny,funny,count"

// ReadCaptions reads vote counts of a caption contest: the header
// arm,unfunny,somewhat_funny,funny,count and one line for each caption, whose count
// is the sum of the three. Captions keep their order. Votes are at most 1e8 each, and
// numbers of arms at most 1e9.
func ReadCaptions(r io.Reader) ([]Caption, error) { return read("", r, readCaptions) }

func readCaptions(r io.Reader) ([]Caption, error) {
	in := newRows("captions", r)
	header, err := in.next()
	if errors.Is(err, io.EOF) {
		return nil, errors.New("captions: found no header, want " + captionHeader)
	} else if err != nil {
		return nil, err
	}
	if got := strings.Join(header, ","); got != captionHeader {
		return nil, in.errorf("header is %.80q, want %q", got, captionHeader)
	}
	in.width = len(header)
	var captions []Caption
	seen := map[int]int{}
	for {
		fields, err := in.next()
		if errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			return nil, err
		}
		var x [5]int
		for k, field := range fields {
			if x[k], err = strconv.Atoi(field); err != nil {
				return nil, in.errorf("%s is %.40q, want a whole number", header[k], field)
			}
			if limit := []int{1e9, 1e8, 1e8, 1e8, 3e8}[k]; x[k] < 0 || x[k] > limit {
				return nil, in.errorf("%s is %d, want 0 to %d", header[k], x[k], limit)
			}
		}
		c := Caption{x[0], x[1], x[2], x[3]}
		switch votes := c.Unfunny + c.Somewhat + c.Funny; {
		case votes != x[4]:
			return nil, in.errorf("arm %d has %d votes, want %d as its count says", c.ID, votes, x[4])
		case votes == 0:
			return nil, in.errorf("arm %d has no votes, want at least 1", c.ID)
		case seen[c.ID] > 0:
			return nil, in.errorf("arm %d is on line %d already", c.ID, seen[c.ID])
		}
		seen[c.ID] = in.line
		captions = append(captions, c)
	}
	if len(captions) == 0 {
		return nil, errors.New("captions: found no captions, want at least one")
	}
	return captions, nil
}

// LoadCaptions reads the file at path as ReadCaptions does. Errors: those of opening
// it, and of ReadCaptions.
func LoadCaptions(path string) ([]Caption, error) { return load(path, readCaptions) }

// TopCaptions returns the n captions of the highest means, best first.
func TopCaptions(captions []Caption, n int) []Caption {
	sorted := slices.Clone(captions)
	slices.SortStableFunc(sorted, func(a, b Caption) int {
		switch {
		case a.Mean() > b.Mean():
			return -1
		case a.Mean() < b.Mean():
			return 1
		}
		return 0
	})
	return sorted[:min(n, len(sorted))]
}

// CaptionInstance makes each caption an arm whose rewards are votes, drawn with
// replacement: 0 unfunny, 1/2 somewhat funny, 1 funny.
func CaptionInstance(name string, captions []Caption) (Instance, error) {
	in := Instance{Name: name}
	for _, c := range captions {
		t, err := newTable([]float64{0, 0.5, 1}, []int{c.Unfunny, c.Somewhat, c.Funny})
		if err != nil {
			return Instance{}, fmt.Errorf("bandit/env: caption %d: %w", c.ID, err)
		}
		in.Arms = append(in.Arms, t)
	}
	return in, nil
}
