package bandit

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
)

// Record returns pull with a copy of every batch written to w, one line each: the
// arm and its rewards, separated by commas, in the shortest form that reads back
// to the same numbers.
func Record(w io.Writer, pull Pull) Pull {
	var line []byte
	return func(ctx context.Context, arm int, rewards []float64) error {
		if err := pull(ctx, arm, rewards); err != nil {
			return err
		}
		line = strconv.AppendInt(line[:0], int64(arm), 10)
		for _, x := range rewards {
			line = strconv.AppendFloat(append(line, ','), x, 'g', -1, 64)
		}
		_, err := w.Write(append(line, '\n'))
		return err
	}
}

// Replay runs the search again on what Record wrote, and reports the first line
// that is malformed, is not what the search asks for, does not end in a newline (as
// when the record was cut off within a number) or follows the end of the search. At
// the end of the record the result says how far it came. The search may differ from the recorded one in
// whatever does not change its questions up to there.
func Replay(cfg Config, r io.Reader) (Result, error) {
	s, err := New(cfg)
	if err != nil {
		return Result{}, err
	}
	lines := bufio.NewReader(r)
	for number := 1; ; number++ {
		text, err := lines.ReadString('\n')
		if errors.Is(err, io.EOF) && text == "" {
			return s.Result(), nil
		}
		var arm int
		var rewards []float64
		switch {
		case errors.Is(err, io.EOF):
			err = errors.New("the line has no newline at its end, want a whole line")
		case err != nil:
		case s.Done():
			err = errDone
		default:
			if arm, rewards, err = parseBatch(strings.TrimSpace(text)); err == nil {
				err = s.Observe(arm, rewards)
			}
		}
		if err != nil {
			return s.Result(), fmt.Errorf("bandit: Replay: line %d: %w", number, err)
		}
	}
}

func parseBatch(text string) (arm int, rewards []float64, err error) {
	fields := strings.Split(text, ",")
	if arm, err = strconv.Atoi(fields[0]); err != nil {
		return 0, nil, fmt.Errorf("arm is %.40q, want a whole number", fields[0])
	}
	for k, field := range fields[1:] {
		x, err := strconv.ParseFloat(field, 64)
		if err != nil {
			return 0, nil, fmt.Errorf("reward %d of arm %d is %.40q, want a number", k+1, arm, field)
		}
		rewards = append(rewards, x)
	}
	return arm, rewards, nil
}
