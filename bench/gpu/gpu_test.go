package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"math"
	"os"
	"strings"
	"testing"
	"time"

	"graft/bench/versus"
)

// TestMain is the fake peer when the test starts itself as one.
func TestMain(m *testing.M) {
	switch os.Getenv("GPU_TEST_PEER") {
	case "":
		os.Exit(m.Run())
	case "answers":
		fmt.Println(`{"device": "fake", "versions": {"PyTorch": "0"}}`)
		for in := versus.NewRequests(os.Stdin); ; {
			r, err := in.Next()
			if err != nil {
				os.Exit(0)
			}
			if r.Case.Kind == versus.KindAdamW {
				fmt.Println(`{"error": "no AdamW today"}`)
				continue
			}
			fmt.Println(`{"variants": {"slow": [2, 4, 3], "quick": [1, 1.5, 2]}, "memory": 1073741824, "notes": ["third: broken"]}`)
		}
	case "refuses":
		fmt.Println(`{"error": "sees no device"}`)
	case "dies":
	}
	os.Exit(0)
}

func fakePeer(t *testing.T, kind string) string {
	t.Helper()
	t.Setenv("GPU_TEST_PEER", kind)
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return exe
}

func testOptions(peer string) options {
	return options{Run: versus.Run{Small: true, Rounds: 2, Budget: time.Hour}, device: "cpu:1", peer: peer, peerDevice: "x"}
}

func runChecked(o options, out io.Writer) error {
	if err := o.Check(); err != nil {
		return err
	}
	return run(context.Background(), o, out, io.Discard)
}

// TestSmall runs every small case: each has to give a figure, and a peer one too but
// where it refuses.
func TestSmall(t *testing.T) {
	var out bytes.Buffer
	if err := runChecked(testOptions(fakePeer(t, "answers")), &out); err != nil {
		t.Fatal(err)
	}
	rows := map[string]string{}
	for line := range strings.Lines(out.String()) {
		if cells := strings.Split(line, " | "); len(cells) > 3 {
			rows[strings.TrimPrefix(cells[0], "| ")+" "+cells[1]] = line
		}
	}
	for _, c := range allCases(true) {
		row := rows[c.Name+" "+c.DType]
		unit := "TFLOP/s"
		if c.Bytes > 0 {
			unit = "GB/s"
		}
		if c.Kind == versus.KindStep {
			unit = "tokens/s"
		}
		if !strings.Contains(row, unit) {
			t.Errorf("%s: row %q has no %s", c.Name, row, unit)
		}
		if has := strings.Contains(row, "| quick, slow x2.00 |"); has != (c.Kind != versus.KindAdamW) {
			t.Errorf("%s: row %q: names the peer's variants: %v", c.Name, row, has)
		}
	}
	for _, want := range []string{"PyTorch: no AdamW today", "PyTorch: third: broken", "PyTorch 0 on fake", "Small sizes"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("the table lacks %q:\n%s", want, &out)
		}
	}
}

func TestNoPeer(t *testing.T) {
	for _, tt := range []struct{ kind, want string }{
		{"refuses", "Peer: none (sees no device)"}, {"dies", "Peer: none (the peer ended)"},
	} {
		var out bytes.Buffer
		o := testOptions(fakePeer(t, tt.kind))
		o.Only = "^AdamW"
		if err := runChecked(o, &out); err != nil || !strings.Contains(out.String(), tt.want) {
			t.Errorf("%s: %v, table\n%s\nwant %q", tt.kind, err, &out, tt.want)
		}
	}
}

// TestBudget leaves out what would begin too late, and says so.
func TestBudget(t *testing.T) {
	var out bytes.Buffer
	o := testOptions("")
	o.Budget = -1
	if err := runChecked(o, &out); err != nil {
		t.Fatal(err)
	}
	if got, want := strings.Count(out.String(), "not begun"), len(allCases(true)); got != want {
		t.Errorf("%d cases were left out, want %d:\n%s", got, want, &out)
	}
}

func TestTable(t *testing.T) {
	r := result{versus.Result{
		Case:   versus.Case{Name: "x", DType: "bf16", FLOPs: 1e12},
		Times:  map[string][][]float64{versus.Graft: {{0.02, 0.04, 0.03}, {0.01}}, "a": {{0.01}, {0.02}}, "b": {{1}, {1}}},
		Memory: map[string]int64{ours: 1 << 30},
	}}
	tests := []struct{ name, got, want string }{
		{"rate", r.rate(0.02), "50 TFLOP/s"},
		{"of peak", r.ofPeak(0.02, peakOf("NVIDIA H200")), "5.1 %"},
		{"unknown card", r.ofPeak(0.02, peakOf("llvmpipe")), ""},
		{"best", r.Best(), "a"},
		{"bytes", r.bytes(), "1024 MiB, -"},
		{"ratio", fmt.Sprintf("%.3f", r.Ratio("a")), "1.167"}, // of 0.01/0.03 and 0.02/0.01
		{"none", fmt.Sprint(math.IsNaN(versus.Median(nil))), "true"},
	}
	for _, tt := range tests {
		if tt.got != tt.want {
			t.Errorf("%s: got %q, want %q", tt.name, tt.got, tt.want)
		}
	}
	if pk := peakOf("NVIDIA H100 PCIe"); pk == nil || pk.memory != 2039 {
		t.Errorf("peakOf(H100 PCIe) = %+v: the more exact name has to come first", pk)
	}
}
