package main

import (
	"reflect"
	"testing"
)

func TestVariants(t *testing.T) {
	for _, c := range []struct {
		name, text string
		want       []kernel
		bad        bool
	}{
		{name: "plain", text: "// A kernel.\nvoid main() {}\n", want: []kernel{{name: "k", source: "k.comp", tools: base}}},
		{name: "two types", text: "// A kernel.\n//graft:build k_a T=a\n//graft:build k_b T=b U=1\n",
			want: []kernel{{"k_a", "k.comp", []string{"T=a"}, matrix}, {"k_b", "k.comp", []string{"T=b", "U=1"}, matrix}}},
		{name: "no kernel", text: "//graft:build\n", bad: true},
		{name: "no value", text: "//graft:build k T\n", bad: true},
		{name: "not at the start of the line", text: "// see //graft:build\n", want: []kernel{{name: "k", source: "k.comp", tools: base}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := variants("k.comp", c.text)
			if (err != nil) != c.bad {
				t.Fatalf("got %v", err)
			}
			for i := range got {
				if len(got[i].macros) == 0 {
					got[i].macros = nil
				}
			}
			if !reflect.DeepEqual(got, c.want) {
				t.Errorf("got %+v, want %+v", got, c.want)
			}
		})
	}
}
