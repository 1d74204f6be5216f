package sweep

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strconv"
)

// A value of JSON is nil, bool, float64, string, object or list. Unlike a map an object
// keeps its keys in order.
type (
	object []member
	member struct {
		key   string
		value any
	}
	list []any
)

// get returns the value of a key; nil if there is none.
func (o object) get(key string) any {
	for _, m := range o {
		if m.key == key {
			return m.value
		}
	}
	return nil
}

// parse reads JSON that is known to be valid.
func parse(text []byte) (any, error) {
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	return parseValue(d)
}

func parseValue(d *json.Decoder) (any, error) {
	token, err := d.Token()
	if err != nil {
		return nil, err
	}
	switch t := token.(type) {
	case json.Number:
		v, err := strconv.ParseFloat(t.String(), 64)
		if err != nil {
			return nil, fmt.Errorf("number %s, want one that float64 holds", t)
		}
		return v, nil
	case json.Delim:
		if t == '[' {
			out := list{}
			for d.More() {
				v, err := parseValue(d)
				if err != nil {
					return nil, err
				}
				out = append(out, v)
			}
			_, err := d.Token()
			return out, err
		}
		out := object{}
		for d.More() {
			key, err := d.Token()
			if err != nil {
				return nil, err
			}
			v, err := parseValue(d)
			if err != nil {
				return nil, err
			}
			out = append(out, member{key.(string), v})
		}
		_, err := d.Token()
		return out, err
	}
	return token, nil // nil, bool or string
}
