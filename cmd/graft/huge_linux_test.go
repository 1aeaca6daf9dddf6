package main

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"hash/fnv"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"graft/internal/diskspace"
	"graft/model"
	"graft/model/safetensors"
)

// hugeConfig has the sizes of Llama 3.1 8B: 16 GB in BF16.
const hugeConfig = `{"model_type": "llama", "architectures": ["LlamaForCausalLM"], "hidden_size": 4096, "intermediate_size": 14336,
	"num_hidden_layers": 32, "num_attention_heads": 32, "num_key_value_heads": 8, "vocab_size": 128256, "rms_norm_eps": 1e-05,
	"rope_theta": 500000.0, "tie_word_embeddings": false, "torch_dtype": "bfloat16"}`

const (
	hugeShard  = 5_000_000_000
	hugeMemory = 2_000_000_000 // of a verb, whatever it does with such a model
)

// TestHuge takes a model of 16 GB apart and puts it together again, and holds
// the memory of the program against a bound that is far below the model. All
// bytes of the result are compared.
func TestHuge(t *testing.T) {
	if os.Getenv("GRAFT_HUGE") == "" {
		t.Skip("takes minutes and 22 GB of disk: set GRAFT_HUGE=1")
	}
	dir := t.TempDir()
	if free, ok := diskspace.Free(dir); ok && free < 24<<30 {
		t.Fatalf("%s has %s, want 24 GiB: TMPDIR names another place", dir, sizeText(free))
	}
	program := filepath.Join(dir, "graft")
	if out, err := exec.Command("go", "build", "-o", program, ".").CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	graft := func(code int, args ...string) (out string) {
		t.Helper()
		cmd := exec.Command(program, args...)
		cmd.Dir = dir
		var stdout, stderr bytes.Buffer
		cmd.Stdout, cmd.Stderr = &stdout, &stderr
		cmd.Run() // its code is looked at
		used := cmd.ProcessState.SysUsage().(*syscall.Rusage)
		resident := int64(used.Maxrss) << 10
		t.Logf("graft %s: %s resident at most, %v of the processor", strings.Join(args, " "), sizeText(resident), cmd.ProcessState.UserTime()+cmd.ProcessState.SystemTime())
		if got := cmd.ProcessState.ExitCode(); got != code {
			t.Fatalf("graft %s: got exit code %d, want %d\n%s", strings.Join(args, " "), got, code, &stderr)
		}
		if resident > hugeMemory {
			t.Errorf("graft %s: got %d bytes of resident memory, want at most %d", strings.Join(args, " "), resident, hugeMemory)
		}
		return stdout.String()
	}

	base := filepath.Join(dir, "base")
	total := makeHuge(t, base)
	if total < 16e9 {
		t.Fatalf("made %d bytes of tensors, want 16 GB", total)
	}
	graft(0, "split", "base", "-o", "small")
	const changed = "model.layers.31.mlp.down_proj.weight"
	flip(t, filepath.Join(dir, "small"), "model.layers.1.mlp.down_proj.weight")
	graft(0, "reassemble", "base", "small", "-o", "whole")
	var got struct {
		Equal     bool
		Differing []struct {
			Name      string
			Differing int64
		} `json:"differing_tensors"`
	}
	if err := json.Unmarshal([]byte(graft(1, "diff", "base", "whole", "--json")), &got); err != nil {
		t.Fatal(err)
	}
	if len(got.Differing) != 1 || got.Differing[0].Name != changed || got.Differing[0].Differing != 1 {
		t.Errorf("graft diff: got %+v, want one element of %s", got.Differing, changed)
	}
	if shards, err := filepath.Glob(filepath.Join(dir, "whole", "model-*-of-00004.safetensors")); err != nil || len(shards) != 4 {
		t.Errorf("got shards %v (%v), want 4", shards, err)
	}
	checkHuge(t, filepath.Join(dir, "whole"), changed)
}

// filled tells the layers with values of their own; all else is zero.
func filled(layer int) bool { return layer == 0 || layer == 15 || layer == 31 }

// pattern is what a tensor's bytes are at a place, in a piece: numbers of both
// signs between 1/4 and 2, other ones in every tensor.
func pattern(p []byte, name string, at int64) {
	h := fnv.New32a()
	h.Write([]byte(name))
	seed := h.Sum32()
	for i := 0; i+1 < len(p); i += 2 {
		x := (uint32(at+int64(i)) + seed) * 2654435761
		binary.LittleEndian.PutUint16(p[i:], 0x3e80|uint16(x>>16)&0x81ff)
	}
}

// makeHuge writes the model, holes where it is zero, and returns the bytes of
// its tensors.
func makeHuge(t *testing.T, dir string) (total int64) {
	t.Helper()
	c, err := model.ParseConfig("huge", []byte(hugeConfig))
	check(t, err)
	check(t, os.Mkdir(dir, 0o777))
	check(t, os.WriteFile(filepath.Join(dir, "config.json"), []byte(hugeConfig), 0o666))
	var shards [][]model.Tensor
	room := int64(0)
	for _, w := range c.Tensors(nil) {
		if room -= 2 * int64(w.Len()); room < 0 {
			shards, room = append(shards, nil), hugeShard-2*int64(w.Len())
		}
		shards[len(shards)-1] = append(shards[len(shards)-1], w)
		total += 2 * int64(w.Len())
	}
	where := map[string]string{}
	for i, list := range shards {
		name := fmt.Sprintf("model-%05d-of-%05d.safetensors", i+1, len(shards))
		for _, w := range list {
			where[w.Name] = name
		}
		writeHoles(t, filepath.Join(dir, name), list)
	}
	doc, err := json.Marshal(map[string]any{"weight_map": where})
	check(t, err)
	check(t, os.WriteFile(filepath.Join(dir, "model.safetensors.index.json"), doc, 0o666))
	return total
}

func writeHoles(t *testing.T, path string, list []model.Tensor) {
	t.Helper()
	header := map[string]any{"__metadata__": map[string]string{"format": "pt"}}
	size := int64(0)
	for _, w := range list {
		n := 2 * int64(w.Len())
		header[w.Name] = map[string]any{"dtype": "BF16", "shape": w.Shape, "data_offsets": []int64{size, size + n}}
		size += n
	}
	doc, err := json.Marshal(header)
	check(t, err)
	doc = append(doc, bytes.Repeat([]byte(" "), 7-(len(doc)+7)%8)...)
	f, err := os.Create(path)
	check(t, err)
	defer f.Close()
	_, err = f.Write(append(binary.LittleEndian.AppendUint64(nil, uint64(len(doc))), doc...))
	check(t, err)
	at := int64(8 + len(doc))
	check(t, f.Truncate(at+size))
	buf := make([]byte, 1<<20)
	for _, w := range list {
		n := 2 * int64(w.Len())
		for done := int64(0); done < n && filled(w.Layer); done += int64(len(buf)) {
			p := buf[:min(int64(len(buf)), n-done)]
			pattern(p, w.Name, done)
			_, err := f.WriteAt(p, at+done)
			check(t, err)
		}
		at += n
	}
}

// flip changes the sign of a tensor's first element.
func flip(t *testing.T, dir, tensor string) {
	t.Helper()
	set, err := safetensors.OpenModel(dir)
	check(t, err)
	path := set.PathOf(tensor)
	info, _ := set.Info(tensor)
	check(t, set.Close())
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	check(t, err)
	defer f.Close()
	var b [1]byte
	_, err = f.ReadAt(b[:], info.Offset+1)
	check(t, err)
	b[0] ^= 0x80
	_, err = f.WriteAt(b[:], info.Offset+1)
	check(t, err)
}

// checkHuge holds every byte of a model against what makeHuge wrote; changed has
// its first sign flipped.
func checkHuge(t *testing.T, dir, changed string) {
	t.Helper()
	ck, err := model.Open(dir)
	check(t, err)
	defer ck.Close()
	got, want := make([]byte, 1<<20), make([]byte, 1<<20)
	for _, w := range ck.Config.Tensors(nil) {
		r, err := ck.Reader(w.Name)
		check(t, err)
		clear(want)
		for done, n := int64(0), 2*int64(w.Len()); done < n; done += int64(len(got)) {
			g, e := got[:min(int64(len(got)), n-done)], want[:min(int64(len(got)), n-done)]
			_, err := io.ReadFull(r, g)
			check(t, err)
			if filled(w.Layer) {
				pattern(e, w.Name, done)
				if w.Name == changed && done == 0 {
					e[1] ^= 0x80
				}
			}
			if !slices.Equal(g, e) {
				t.Fatalf("%s: other bytes between %d and %d", w.Name, done, done+int64(len(g)))
			}
		}
	}
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
