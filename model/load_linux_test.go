package model

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime/debug"
	"testing"

	"graft/kernels"
	"graft/model/safetensors"
	"graft/tensor"
)

// resident reads one of the sizes of /proc/self/status, in bytes.
func resident(t *testing.T, field string) int64 {
	t.Helper()
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		t.Fatal("this system does not tell a process's memory:", err)
	}
	var kib int64
	_, after, ok := bytes.Cut(status, []byte(field+":"))
	if _, err := fmt.Sscan(string(after), &kib); !ok || err != nil {
		t.Fatalf("/proc/self/status has no %s", field)
	}
	return kib << 10
}

// TestLoadMemory measures what the process holds at most while weights are
// loaded: no more than the buffers that were planned, one tensor and 64 MiB. The
// files are twice what is allowed beside the buffers, so they cannot be held.
func TestLoadMemory(t *testing.T) {
	const config = `{"model_type": "llama", "hidden_size": 1024, "intermediate_size": 4096, "num_hidden_layers": 4, "num_attention_heads": 8,
		"vocab_size": 4096, "rms_norm_eps": 1e-05, "tie_word_embeddings": false}`
	c, err := ParseConfig("large", []byte(config))
	if err != nil {
		t.Fatal(err)
	}
	for _, as := range []kernels.DType{kernels.BF16, kernels.F32} {
		dir := filepath.Join(t.TempDir(), "m")
		block := bytes.Repeat([]byte{0x3f, 0x80}, 1<<15)
		var largest, all int64
		err = Write(dir, WriteOptions{Config: c, DType: func(string) safetensors.DType { return safetensors.BF16 }}, func(s safetensors.Spec, w io.Writer) error {
			left := 2 * int64(Tensor{Shape: s.Shape}.Len())
			largest, all = max(largest, left), all+left
			for ; left > 0; left -= int64(min(len(block), int(left))) {
				if _, err := w.Write(block[:min(len(block), int(left))]); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		allowed := largest + 64<<20
		if all < 2*allowed {
			t.Fatalf("the files have %d bytes, want twice the %d that are allowed", all, allowed)
		}
		planned, used := loadMeasured(t, dir, as)
		t.Logf("%v: planned %d MiB, used %d MiB", as, planned>>20, used>>20)
		if used > planned+allowed {
			t.Errorf("as %v: got %d bytes while loading, want at most the planned %d and %d", as, used, planned, allowed)
		}
		if used < all {
			t.Errorf("as %v: got %d bytes while loading, and weights of %d: the measure does not see them", as, used, all)
		}
	}
}

// loadMeasured loads a model onto the processor and returns the planned bytes and
// the most by which the process grew.
func loadMeasured(t *testing.T, dir string, as kernels.DType) (planned, used int64) {
	t.Helper()
	be, err := kernels.Open("cpu:1")
	if err != nil {
		t.Fatal(err)
	}
	defer be.Close()
	ck, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer ck.Close()
	g := tensor.New("loss")
	in, w := Inputs(g, 1, 2, false), Params(g, func(string) kernels.DType { return as })
	h, err := ck.Config.Hidden(g, w, in, Options{})
	if err != nil {
		t.Fatal(err)
	}
	g.Output("loss", ck.Config.Losses(g, w, h, in.Targets))
	p, err := g.Compile()
	if err != nil {
		t.Fatal(err)
	}
	s := tensor.NewStore(be)
	defer s.Close()
	if err := s.Declare(p); err != nil {
		t.Fatal(err)
	}
	planned = s.Memory().Total()
	debug.FreeOSMemory()
	before := resident(t, "VmRSS")
	if err := os.WriteFile("/proc/self/clear_refs", []byte("5"), 0); err != nil { // the peak begins anew
		t.Fatal("this system does not measure a peak anew:", err)
	}
	if err := s.Alloc(); err != nil {
		t.Fatal(err)
	}
	if err := ck.LoadParams(s, nil); err != nil {
		t.Fatal(err)
	}
	return planned, resident(t, "VmHWM") - before
}
