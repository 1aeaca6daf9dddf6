package hub

import (
	"bytes"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"
)

// wantTree is the cache that huggingface_hub makes of these files.
func (h *fakeHub) wantTree(names ...string) []string {
	folder := "models--org--tiny-model/"
	want := []string{"CACHEDIR.TAG 191", fmt.Sprintf("%srefs/main %d", folder, len(h.commit))}
	for _, n := range names {
		tag := etag(n, h.files[n])
		want = append(want, ".locks/"+folder+tag+".lock 0", fmt.Sprintf("%sblobs/%s %d", folder, tag, len(h.files[n])),
			folder+"snapshots/"+h.commit+"/"+n+" -> "+strings.Repeat("../", 2+strings.Count(n, "/"))+"blobs/"+tag)
	}
	slices.Sort(want)
	return want
}

var defaultFiles = []string{"LICENSE", "additional_chat_templates/tool.jinja", "config.json", "empty.txt", "model.safetensors", "tokenizer.json"}

func compareTrees(t *testing.T, got, want []string) {
	t.Helper()
	slices.Sort(got)
	if !slices.Equal(got, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

func TestFetch(t *testing.T) {
	h := newFakeHub(t)
	cfg := h.config(t)
	cfg.Token = "hf_secret"
	var r recorder
	got, err := Fetch(t.Context(), cfg, testRepo, "main", r.options())
	if err != nil {
		t.Fatal(err)
	}
	var total int64
	for _, f := range got.Files {
		total += f.Size
		b, err := os.ReadFile(filepath.Join(got.Dir, filepath.FromSlash(f.Name)))
		if err != nil || !bytes.Equal(b, h.files[f.Name]) {
			t.Errorf("%s: got %d bytes, %v, want %d", f.Name, len(b), err, len(h.files[f.Name]))
		}
		if r.last[f.Name] != f.Size {
			t.Errorf("%s: reported %d bytes at the end, want %d", f.Name, r.last[f.Name], f.Size)
		}
	}
	if got.Commit != h.commit || got.Fetched != total || len(r.planned) != len(defaultFiles) {
		t.Errorf("got commit %s, %d bytes, %d files planned, want %s, %d, %d", got.Commit, got.Fetched, len(r.planned), h.commit, total, len(defaultFiles))
	}
	if runtime.GOOS != "windows" {
		compareTrees(t, tree(t, cfg.Cache), h.wantTree(defaultFiles...))
	}
	for _, rev := range []string{"main", h.commit} {
		if dir, err := cfg.Find(testRepo, rev); err != nil || dir != got.Dir {
			t.Errorf("Find at %s: got %q, %v, want %q", rev, dir, err, got.Dir)
		}
	}

	// The Hub sees the token in every request, the store in none.
	if all, with := len(h.requests(" hub/")), len(h.requests("Bearer hf_secret")); all == 0 || all != with {
		t.Errorf("got %d of %d requests to the Hub with the token", with, all)
	}
	if n := h.requests(" store/"); len(n) != 1 || strings.Contains(n[0], "Bearer") {
		t.Errorf("got requests to the store %q, want one without token", n)
	}

	// Once more: one question, and nothing else.
	h.log = nil
	got, err = Fetch(t.Context(), cfg, testRepo, "main", Options{})
	if err != nil || got.Fetched != 0 || len(got.Files) != len(defaultFiles) || len(h.log) != 1 {
		t.Errorf("again: got %+v, %v, requests %q", got, err, h.log)
	}
}

func TestTokenStaysWithEndpoint(t *testing.T) {
	for _, c := range []struct {
		url  string
		want string
	}{
		{"https://hub.example/api", "Bearer t"},
		{"https://HUB.example/x", "Bearer t"},
		{"https://cdn.hub.example/x", ""},
		{"https://hub.example.evil.example/x", ""},
		{"https://hub.example:444/x", ""},
		{"http://hub.example/x", ""},
	} {
		var got *http.Request
		base := roundTrip(func(r *http.Request) (*http.Response, error) {
			got = r
			return &http.Response{StatusCode: 204, Body: http.NoBody, Request: r}, nil
		})
		cl, err := newClient(Config{Endpoint: "https://hub.example", Token: "t"}, Options{transport: base})
		if err != nil {
			t.Fatal(err)
		}
		// As http.Client leaves it when it follows a redirect.
		if _, err := cl.get(t.Context(), http.MethodGet, c.url, http.Header{"Authorization": {"Bearer t"}, "Referer": {"https://signed"}}); err != nil {
			t.Fatal(err)
		}
		if a := got.Header.Get("Authorization"); a != c.want || got.Header.Get("Referer") != "" {
			t.Errorf("%s: got %q, want %q", c.url, a, c.want)
		}
	}
}

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// TestResume cuts a download, ends the program, and goes on in another one.
func TestResume(t *testing.T) {
	h := newFakeHub(t)
	cfg := h.config(t)
	b := h.files["model.safetensors"]
	h.before = func(w http.ResponseWriter, r *http.Request) bool {
		if strings.HasPrefix(r.URL.Path, "/signed/") {
			cut(w, b, 100_000)
		}
		return false
	}
	r := recorder{give: 1}
	if _, err := Fetch(t.Context(), cfg, testRepo, "main", r.options("model.safetensors")); err == nil {
		t.Fatal("a download that was cut succeeded")
	}
	if _, err := cfg.Find(testRepo, "main"); !errors.Is(err, ErrNotCached) {
		t.Errorf("after a cut: got %v, want ErrNotCached", err)
	}
	left := cfg.blob(testRepo, etag("model.safetensors", b)) + incomplete
	got, err := os.ReadFile(left)
	if err != nil || len(got) == 0 || len(got) > 100_000 || !bytes.Equal(got, b[:len(got)]) {
		t.Fatalf("got %d bytes left, %v, want the first 100000", len(got), err)
	}

	h.before, h.log, r = nil, nil, recorder{}
	s, err := Fetch(t.Context(), cfg, testRepo, "main", r.options("model.safetensors"))
	if err != nil {
		t.Fatal(err)
	}
	if want := int64(len(b) - len(got)); s.Fetched != want || r.first["model.safetensors"] != int64(len(got)) {
		t.Errorf("fetched %d bytes, and told of %d before, want %d and %d", s.Fetched, r.first["model.safetensors"], want, len(got))
	}
	if len(h.requests(fmt.Sprintf("bytes=%d-", len(got)))) == 0 {
		t.Errorf("got requests %q, want one for the rest", h.log)
	}
	if _, err := os.Stat(left); !os.IsNotExist(err) {
		t.Errorf("%s is left: %v", left, err)
	}
	if got, err := os.ReadFile(filepath.Join(s.Dir, "model.safetensors")); err != nil || !bytes.Equal(got, b) {
		t.Errorf("got %d bytes, %v", len(got), err)
	}
}

// TestRetry drops and refuses connections, in every way once, within one run.
func TestRetry(t *testing.T) {
	h := newFakeHub(t)
	b := h.files["model.safetensors"]
	step := 0
	h.before = func(w http.ResponseWriter, r *http.Request) bool {
		if strings.Contains(r.URL.Path, "/api/") && step == 0 {
			step++
			w.WriteHeader(http.StatusBadGateway)
			return true
		}
		if !strings.HasPrefix(r.URL.Path, "/signed/") {
			return false
		}
		step++
		switch step {
		case 2:
			cut(w, b, 1000)
		case 3:
			w.WriteHeader(http.StatusForbidden) // the address was signed too long ago
		case 4:
			w.Header().Set("Retry-After", "7")
			w.WriteHeader(http.StatusTooManyRequests)
		case 5:
			w.WriteHeader(http.StatusRequestedRangeNotSatisfiable)
		case 6:
			cut(w, b, 2000)
		case 7: // the whole file, as from servers that know no ranges
			w.Write(b)
		}
		return true
	}
	var r recorder
	s, err := Fetch(t.Context(), h.config(t), testRepo, "main", r.options("model.safetensors"))
	if err != nil {
		t.Fatal(err)
	}
	if got, err := os.ReadFile(filepath.Join(s.Dir, "model.safetensors")); err != nil || !bytes.Equal(got, b) {
		t.Errorf("got %d bytes, %v", len(got), err)
	}
	want := []time.Duration{1 * time.Second, 1 * time.Second, 2 * time.Second, 7 * time.Second, 8 * time.Second, 1 * time.Second}
	if !slices.Equal(r.pauses, want) {
		t.Errorf("got pauses %v, want %v; %q", r.pauses, want, r.notes)
	}
}

func TestRetriesEnd(t *testing.T) {
	h := newFakeHub(t)
	h.before = func(w http.ResponseWriter, r *http.Request) bool { w.WriteHeader(500); return true }
	var r recorder
	_, err := Fetch(t.Context(), h.config(t), testRepo, "main", r.options())
	if err == nil || !strings.Contains(err.Error(), "500 Internal Server Error") || len(h.log) != tries || len(r.pauses) != tries-1 {
		t.Errorf("got %v after %d requests, want the 500 after %d", err, len(h.log), tries)
	}
}

// TestNothingCame leaves nothing of a file of which nothing came.
func TestNothingCame(t *testing.T) {
	h := newFakeHub(t)
	cfg := h.config(t)
	h.before = func(w http.ResponseWriter, r *http.Request) bool {
		if strings.HasPrefix(r.URL.Path, "/signed/") {
			w.WriteHeader(http.StatusGone)
			return true
		}
		return false
	}
	var r recorder
	_, err := Fetch(t.Context(), cfg, testRepo, "main", r.options("model.safetensors"))
	if err == nil || !strings.Contains(err.Error(), "model.safetensors: 127.0.0.1:") || !strings.Contains(err.Error(), "410 Gone") || len(r.pauses) > 0 {
		t.Errorf("got %v after pauses %v, want the 410 at once", err, r.pauses)
	}
	if left := tree(t, filepath.Join(cfg.Cache, folderName(testRepo))); len(left) > 0 {
		t.Errorf("%q is left", left)
	}
}

func TestStall(t *testing.T) {
	h := newFakeHub(t)
	first := true
	h.before = func(w http.ResponseWriter, r *http.Request) bool {
		if first && strings.HasPrefix(r.URL.Path, "/signed/") {
			first = false
			w.Header().Set("Content-Length", "300000")
			w.Write(h.files["model.safetensors"][:500])
			w.(http.Flusher).Flush()
			<-r.Context().Done() // until the client has had enough
			return true
		}
		return false
	}
	var r recorder
	opt := r.options("model.safetensors")
	opt.stall = 300 * time.Millisecond
	if _, err := Fetch(t.Context(), h.config(t), testRepo, "main", opt); err != nil {
		t.Fatal(err)
	}
	if len(r.notes) != 1 || !strings.Contains(r.notes[0], "no byte for 300ms") {
		t.Errorf("got notes %q", r.notes)
	}
}

// TestChecksum serves other bytes than were promised.
func TestChecksum(t *testing.T) {
	for _, name := range []string{"model.safetensors", "tokenizer.json"} {
		t.Run(name, func(t *testing.T) {
			h := newFakeHub(t)
			cfg := h.config(t)
			bad := bytes.Clone(h.files[name])
			h.claim[name] = etag(name, bad)
			bad[len(bad)-1] ^= 1
			h.files[name] = bad
			var r recorder
			_, err := Fetch(t.Context(), cfg, testRepo, "main", r.options(name))
			if !errors.Is(err, ErrChecksum) || !strings.Contains(err.Error(), name) {
				t.Errorf("got %v, want ErrChecksum", err)
			}
			for _, f := range tree(t, cfg.Cache) {
				if !strings.HasPrefix(f, ".locks/") {
					t.Errorf("%s is left", f)
				}
			}
		})
	}
}

// TestTooLong serves more bytes than were promised.
func TestTooLong(t *testing.T) {
	h := newFakeHub(t)
	cfg := h.config(t)
	h.size["model.safetensors"] = "1000"
	_, err := Fetch(t.Context(), cfg, testRepo, "main", Options{})
	if !errors.Is(err, ErrChecksum) || !strings.Contains(err.Error(), "more than the 1000 bytes") {
		t.Errorf("got %v, want ErrChecksum", err)
	}
	if _, err := os.Stat(cfg.blob(testRepo, etag("model.safetensors", h.files["model.safetensors"])) + incomplete); !os.IsNotExist(err) {
		t.Errorf("the incomplete file is left: %v", err)
	}
}

// TestDamagedRest begins anew when what an earlier download left is no
// beginning of the file.
func TestDamagedRest(t *testing.T) {
	for _, n := range []int{100, 300_000, 300_001} {
		h := newFakeHub(t)
		cfg := h.config(t)
		path := cfg.blob(testRepo, etag("model.safetensors", h.files["model.safetensors"])) + incomplete
		if err := writeFile(path, strings.Repeat("x", n)); err != nil {
			t.Fatal(err)
		}
		s, err := Fetch(t.Context(), cfg, testRepo, "main", Options{Include: []string{"model.safetensors"}})
		if err != nil {
			t.Fatalf("%d bytes: %v", n, err)
		}
		if got, err := os.ReadFile(filepath.Join(s.Dir, "model.safetensors")); err != nil || !bytes.Equal(got, h.files["model.safetensors"]) {
			t.Errorf("%d bytes: got %d bytes, %v", n, len(got), err)
		}
	}
}
