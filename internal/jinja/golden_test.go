package jinja

import (
	"encoding/json"
	"os"
	"testing"
)

// TestGoldens renders every template of testdata/cases.txt as Python did.
func TestGoldens(t *testing.T) {
	doc, err := os.ReadFile("testdata/golden.json")
	if err != nil {
		t.Fatal(err)
	}
	var g struct {
		Vars  json.RawMessage
		Cases []struct {
			Template, Text, Why string
			Error               bool
		}
	}
	if err := json.Unmarshal(doc, &g); err != nil {
		t.Fatal(err)
	}
	v, err := FromJSON(g.Vars)
	if err != nil {
		t.Fatal(err)
	}
	vars := map[string]any{}
	for _, kv := range v.(*Dict).items() {
		vars[kv.(tuple)[0].(string)] = kv.(tuple)[1]
	}
	if len(g.Cases) < 250 {
		t.Fatalf("got %d cases, want the whole file", len(g.Cases))
	}
	for _, c := range g.Cases {
		got, err := render(c.Template, vars)
		switch {
		case c.Error && err == nil:
			t.Errorf("%q: got %q, want an error (%s)", c.Template, got, c.Why)
		case !c.Error && err != nil:
			t.Errorf("%q: got error %v, want %q", c.Template, err, c.Text)
		case got != c.Text:
			t.Errorf("%q:\n got %q\nwant %q", c.Template, got, c.Text)
		}
	}
}

func render(source string, vars map[string]any) (string, error) {
	t, err := Parse("test", source)
	if err != nil {
		return "", err
	}
	out, err := t.Render(vars, Options{})
	return out.Text, err
}
