package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"strings"
	"testing"
	"time"

	"graft/bench/versus"
)

// TestMain is Graft's side, or a Python interpreter with fake peers, when the test
// starts itself as one.
func TestMain(m *testing.M) {
	switch {
	case len(os.Args) == 3 && os.Args[1] == "-serve":
		if err := versus.Serve(context.Background(), os.Args[2], os.Stdin, os.Stdout); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	case len(os.Args) == 4 && os.Args[1] == "-B":
		fakePeer(os.Args[2])
	default:
		os.Exit(m.Run())
	}
}

// fakePeer has PyTorch without a compiler, and OpenBLAS without oneDNN.
func fakePeer(script string) {
	variants := `{"PyTorch": [0.5], "SDPA": [1e-9]}`
	if strings.HasSuffix(script, "blas.py") {
		fmt.Println(`{"versions": {"OpenBLAS": "9.9"}, "missing": ["oneDNN: found no libdnnl"]}`)
		variants = `{"OpenBLAS": [1e-9]}`
	} else {
		fmt.Println(`{"versions": {"PyTorch": "8.8"}, "resident": 1048576}`)
	}
	for in := versus.NewRequests(os.Stdin); ; {
		r, err := in.Next()
		if err != nil {
			return
		}
		switch r.Only {
		case "eager":
			fmt.Println(`{"variants": {"eager": [1e9]}, "peak": 1073741824}`)
		case "compile":
			fmt.Println(`{"variants": {}, "notes": ["compile: no compiler"]}`)
		default:
			fmt.Printf("{\"variants\": %s}\n", variants)
		}
	}
}

func small(t *testing.T, python, only string) string {
	t.Helper()
	var out bytes.Buffer
	o := options{Run: versus.Run{Small: true, Only: only, Rounds: 2, Budget: time.Hour}, python: python, scripts: "scripts", threads: "1,2"}
	if err := o.Check(); err != nil {
		t.Fatal(err)
	}
	if err := run(context.Background(), o, &out, io.Discard); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

// TestPeers runs every small case beside the fake peers.
func TestPeers(t *testing.T) {
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	got := small(t, exe, "")
	for _, want := range []string{
		"- OpenBLAS: 9.9\n", "- PyTorch: 8.8\n", "- missing: oneDNN: found no libdnnl\n",
		"| 96x96x96 NN | 1 | ", ") OpenBLAS |", "Geometric mean of the 6 ratios to the best peer: 0.000. Below 1: 96x96x96 NN with 1 thread (0.00)",
		"torch.compile: compile: no compiler", "1.28e-07 |  |", "| AttentionBwd 2x64, 4/2 heads of 16 | 2 | ",
		"## GEMM, weights in bf16", "| swiglu backward | 2 | ", "1 MiB in PyTorch",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("the tables lack %q", want)
		}
	}
	if t.Failed() {
		t.Log(got)
	}
}

// TestNoPython says what is missing and gives Graft's figures.
func TestNoPython(t *testing.T) {
	got := small(t, "", "NN|bf16 to f32, 1|full step")
	for _, want := range []string{"- missing: PyTorch: no Python", "- missing: PyTorch eager: no Python", "- missing: libraries: no Python",
		"No peer to compare with.", "| bf16 to f32 | 1 | ", "| full step, tiny, 2x64 | 2 | "} {
		if !strings.Contains(got, want) {
			t.Errorf("the tables lack %q:\n%s", want, got)
		}
	}
	if strings.Contains(got, "NaN") {
		t.Errorf("the tables have a NaN:\n%s", got)
	}
}

// TestSections holds the cases to what the figures are promised for.
func TestSections(t *testing.T) {
	list, err := sections(false)
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]int{"GEMM, f32": 9, "Training step, f32": 2, "Attention, f32": 4, "GEMM, weights in bf16": 3, "Element-wise": len(versus.Elementwises())}
	for _, s := range list {
		if len(s.cases) != want[s.title] {
			t.Errorf("%s: got %d cases, want %d", s.title, len(s.cases), want[s.title])
		}
	}
	if got, want := smollm.Params(), int64(134515008); got != want {
		t.Errorf("%s: got %d weights, want %d", smollm.Name, got, want)
	}
}

func TestNumbers(t *testing.T) {
	for _, bad := range []string{"", "0", "1,", "two"} {
		if ns, err := numbers(bad); err == nil {
			t.Errorf("numbers(%q) = %v, want an error", bad, ns)
		}
	}
}
