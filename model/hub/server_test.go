package hub

import (
	"context"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

const (
	testRepo   = "org/tiny-model"
	testCommit = "0123456789abcdef0123456789abcdef01234567"
)

// fakeHub is a Hub with one repository, and the store of its large files on
// another host.
type fakeHub struct {
	hub, store *httptest.Server
	files      map[string][]byte
	claim      map[string]string // ETags that are told instead of the right ones
	size       map[string]string
	commit     string
	// before, when set, may answer a request to either host.
	before func(w http.ResponseWriter, r *http.Request) (done bool)

	mu  sync.Mutex
	log []string // "METHOD path [range] [token]"
}

func text(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(i*i>>7 + i)
	}
	return b
}

func newFakeHub(t *testing.T) *fakeHub {
	h := &fakeHub{commit: testCommit, claim: map[string]string{}, size: map[string]string{}, files: map[string][]byte{
		"config.json": []byte(`{"model_type":"llama"}`), "tokenizer.json": text(3000), "model.safetensors": text(300_000),
		"additional_chat_templates/tool.jinja": []byte("{{ x }}"), "LICENSE": []byte("free"), "empty.txt": nil,
		"pytorch_model.bin": text(100), "onnx/model.onnx": text(99), "README.md": text(20), "consolidated.safetensors": text(98),
		"q/model-Q4_K_M.gguf": text(5000), ".gitattributes": text(7),
	}}
	h.store = httptest.NewServer(http.HandlerFunc(h.serveStore))
	h.hub = httptest.NewServer(http.HandlerFunc(h.serveHub))
	t.Cleanup(h.hub.Close)
	t.Cleanup(h.store.Close)
	return h
}

// large reports whether a file lies in the store.
func large(name string) bool {
	return slices.Contains([]string{".safetensors", ".bin", ".gguf", ".onnx"}, filepath.Ext(name))
}

func etag(name string, b []byte) string {
	if large(name) {
		return fmt.Sprintf("%x", sha256.Sum256(b))
	}
	return fmt.Sprintf("%x", sha1.Sum([]byte(fmt.Sprintf("blob %d\x00%s", len(b), b))))
}

func (h *fakeHub) note(r *http.Request, host string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	line := r.Method + " " + host + r.URL.EscapedPath()
	for _, k := range []string{"Range", "Authorization"} {
		if v := r.Header.Get(k); v != "" {
			line += " " + v
		}
	}
	h.log = append(h.log, line)
}

// requests are those whose line holds a text.
func (h *fakeHub) requests(with string) []string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return filter(h.log, func(s string) bool { return strings.Contains(s, with) })
}

func (h *fakeHub) serveHub(w http.ResponseWriter, r *http.Request) {
	h.note(r, "hub")
	if h.before != nil && h.before(w, r) {
		return
	}
	for _, rev := range []string{"main", "refs%2Fpr%2F1", h.commit} {
		if r.URL.EscapedPath() == "/api/models/"+testRepo+"/revision/"+rev {
			type sibling struct {
				Name string `json:"rfilename"`
			}
			var list []sibling
			for n := range h.files {
				list = append(list, sibling{n})
			}
			json.NewEncoder(w).Encode(map[string]any{"sha": h.commit, "siblings": list})
			return
		}
	}
	name, ok := strings.CutPrefix(r.URL.Path, "/"+testRepo+"/resolve/"+h.commit+"/")
	b, known := h.files[name]
	if !ok || !known {
		w.Header().Set("X-Error-Code", "RepoNotFound")
		w.WriteHeader(http.StatusNotFound)
		return
	}
	tag, size := etag(name, b), strconv.Itoa(len(b))
	if c := h.claim[name]; c != "" {
		tag = c
	}
	if s := h.size[name]; s != "" {
		size = s
	}
	w.Header().Set("X-Repo-Commit", h.commit)
	if large(name) {
		w.Header().Set("X-Linked-Etag", `"`+tag+`"`)
		w.Header().Set("X-Linked-Size", size)
		w.Header().Set("Etag", `"something-else"`)
		http.Redirect(w, r, h.store.URL+"/signed/"+name, http.StatusFound)
		return
	}
	w.Header().Set("Etag", `"`+tag+`"`)
	if r.Method == http.MethodHead {
		w.Header().Set("Content-Length", size)
		return
	}
	send(w, r, b)
}

func (h *fakeHub) serveStore(w http.ResponseWriter, r *http.Request) {
	h.note(r, "store")
	if h.before != nil && h.before(w, r) {
		return
	}
	send(w, r, h.files[strings.TrimPrefix(r.URL.Path, "/signed/")])
}

// send serves a file, or the rest of it.
func send(w http.ResponseWriter, r *http.Request, b []byte) {
	var from int
	if n, _ := fmt.Sscanf(r.Header.Get("Range"), "bytes=%d-", &from); n == 1 {
		if from >= len(b) {
			w.WriteHeader(http.StatusRequestedRangeNotSatisfiable)
			return
		}
		w.Header().Set("Content-Range", fmt.Sprintf("bytes %d-%d/%d", from, len(b)-1, len(b)))
		w.Header().Set("Content-Length", strconv.Itoa(len(b)-from))
		w.WriteHeader(http.StatusPartialContent)
	}
	w.Write(b[from:])
}

// cut sends the beginning of a file and drops the connection.
func cut(w http.ResponseWriter, b []byte, n int) {
	w.Header().Set("Content-Length", strconv.Itoa(len(b)))
	w.Write(b[:n])
	w.(http.Flusher).Flush()
	panic(http.ErrAbortHandler)
}

func (h *fakeHub) config(t *testing.T) Config {
	return Config{Endpoint: h.hub.URL, Cache: filepath.Join(t.TempDir(), "hub")}
}

// recorder is a Reporter, and a clock that does not wait.
type recorder struct {
	planned []File
	first   map[string]int64 // what was reported of a file at first
	last    map[string]int64
	notes   []string
	pauses  []time.Duration
	give    int // pauses after which to give up; 0 is never
}

func (r *recorder) Plan(files []File) { r.planned = files }
func (r *recorder) Note(s string)     { r.notes = append(r.notes, s) }
func (r *recorder) Progress(f File, have int64) {
	if r.last == nil {
		r.first, r.last = map[string]int64{}, map[string]int64{}
	}
	if _, ok := r.last[f.Name]; !ok {
		r.first[f.Name] = have
	}
	r.last[f.Name] = have
}

func (r *recorder) pause(ctx context.Context, d time.Duration) error {
	if r.pauses = append(r.pauses, d); len(r.pauses) == r.give {
		return io.ErrNoProgress
	}
	return ctx.Err()
}

func (r *recorder) options(include ...string) Options {
	return Options{Include: include, Report: r, pause: r.pause}
}

// tree lists what lies below a directory: directories, links with where they
// lead, files with their length.
func tree(t *testing.T, dir string) []string {
	t.Helper()
	var out []string
	err := filepath.WalkDir(dir, func(path string, e os.DirEntry, err error) error {
		if err != nil || path == dir {
			return err
		}
		name, _ := filepath.Rel(dir, path)
		info, err := os.Lstat(path)
		if err != nil {
			return err
		}
		switch {
		case info.Mode()&os.ModeSymlink != 0:
			to, _ := os.Readlink(path)
			out = append(out, filepath.ToSlash(name+" -> "+to))
		case !e.IsDir():
			out = append(out, fmt.Sprintf("%s %d", filepath.ToSlash(name), info.Size()))
		}
		return nil
	})
	if err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	return out
}
