package hub

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestParseName(t *testing.T) {
	for _, c := range []struct{ in, repo, rev string }{
		{"org/name", "org/name", "main"},
		{"Org-1/na.me_2@v1.0", "Org-1/na.me_2", "v1.0"},
		{"org/name@refs/pr/7", "org/name", "refs/pr/7"},
		{"org/name@" + testCommit, "org/name", testCommit},
	} {
		if repo, rev, err := ParseName(c.in); repo != c.repo || rev != c.rev || err != nil {
			t.Errorf("%q: got %q, %q, %v", c.in, repo, rev, err)
		}
	}
	for _, in := range []string{"", "name", "org/", "/name", "org/name/x", "./name", "../name", "org/..", "org/na--me", "org/name.git",
		"org/.name", "org/name@", "org/name@..", "org/name@a..b", "org/name@/x", "org/name@x/", "org/name@a//b", "org/name@a b",
		"org/name@.git", "org/na me", `org\name`, "org/" + strings.Repeat("x", 97), "C:/name"} {
		if repo, rev, err := ParseName(in); err == nil {
			t.Errorf("%q: got %q, %q, want an error", in, repo, rev)
		}
	}
}

func TestChoose(t *testing.T) {
	for _, c := range []struct {
		name        string
		names, glob []string
		want        []string // nil is an error
	}{
		{"shards", []string{"config.json", "model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors", "model.safetensors.index.json",
			"pytorch_model.bin.index.json", "model.fp16.safetensors", "original/model.safetensors", "trainer_state.json"}, nil,
			[]string{"config.json", "model.safetensors.index.json", "model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"}},
		{"other names", []string{"config.json", "weights.safetensors", "adapter_model.safetensors"}, nil, []string{"config.json", "weights.safetensors"}},
		{"no safetensors", []string{"config.json", "pytorch_model.bin"}, nil, nil},
		{"empty", nil, nil, nil},
		{"glob", []string{"a.gguf", "q/b.gguf", "b.bin"}, []string{"*.gguf"}, []string{"a.gguf", "q/b.gguf"}},
		{"globs", []string{"a.gguf", "q/b.gguf", "b.bin", "c.txt"}, []string{"q/", "?.bin"}, []string{"q/b.gguf", "b.bin"}},
		{"class", []string{"a1", "a2", "a]", "a^", "ab"}, []string{"a[!12]"}, []string{"a]", "a^", "ab"}},
		{"class with bracket", []string{"a1", "a]", "a^"}, []string{"a[]^]"}, []string{"a]", "a^"}},
		{"no class", []string{"a[b", "ab"}, []string{"a[b"}, []string{"a[b"}},
		{"points", []string{"a.b", "axb"}, []string{"a.b"}, []string{"a.b"}},
		{"nothing matches", []string{"a", "b"}, []string{"c*"}, nil},
		{"empty glob", []string{"a", "b"}, []string{""}, nil},
	} {
		got, err := choose("org/name", c.names, c.glob)
		if !slices.Equal(got, c.want) || (err != nil) != (c.want == nil) {
			t.Errorf("%s: got %q, %v, want %q", c.name, got, err, c.want)
		}
	}
}

func TestFromEnv(t *testing.T) {
	home := t.TempDir()
	hf := filepath.Join(home, "hf")
	if err := writeFile(filepath.Join(hf, "token"), "hf_file\n"); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(home, "bad"), []byte("two words"), 0o600); err != nil {
		t.Fatal(err)
	}
	cached := filepath.Join(home, ".cache", "huggingface", "hub")
	for _, c := range []struct {
		name string
		env  map[string]string
		want Config
		bad  string
	}{
		{name: "nothing", want: Config{Endpoint: "https://huggingface.co", Cache: cached}},
		{name: "home", env: map[string]string{"HF_HOME": "~/hf"}, want: Config{Endpoint: "https://huggingface.co", Cache: filepath.Join(hf, "hub"), Token: "hf_file"}},
		{name: "xdg", env: map[string]string{"XDG_CACHE_HOME": hf}, want: Config{Endpoint: "https://huggingface.co", Cache: filepath.Join(hf, "huggingface", "hub")}},
		{name: "all", env: map[string]string{"HF_HOME": hf, "HF_HUB_CACHE": "$HOME/c", "HF_TOKEN": " hf_env\n", "HF_ENDPOINT": "http://mirror:8080/hf/", "HF_HUB_OFFLINE": "yes", "HF_HUB_DISABLE_SYMLINKS": "1"},
			want: Config{Endpoint: "http://mirror:8080/hf", Cache: filepath.Join(home, "c"), Token: "hf_env", Offline: true, Copies: true}},
		{name: "false", env: map[string]string{"HF_HUB_OFFLINE": "0"}, want: Config{Endpoint: "https://huggingface.co", Cache: cached}},
		{name: "no implicit token", env: map[string]string{"HF_HOME": hf, "HF_HUB_DISABLE_IMPLICIT_TOKEN": "1"}, want: Config{Endpoint: "https://huggingface.co", Cache: filepath.Join(hf, "hub")}},
		{name: "token elsewhere", env: map[string]string{"HF_TOKEN_PATH": filepath.Join(hf, "token")}, want: Config{Endpoint: "https://huggingface.co", Cache: cached, Token: "hf_file"}},
		{name: "bad token", env: map[string]string{"HF_TOKEN": "a\nb"}, bad: "the token in HF_TOKEN"},
		{name: "bad token file", env: map[string]string{"HF_TOKEN_PATH": filepath.Join(home, "bad")}, bad: "odd characters"},
		{name: "bad endpoint", env: map[string]string{"HF_ENDPOINT": "huggingface.co"}, bad: "HF_ENDPOINT: found huggingface.co, want"},
		{name: "endpoint with password", env: map[string]string{"HF_ENDPOINT": "https://u:p@host"}, bad: "found https://u:xxxxx@host, want"},
		{name: "no home", env: map[string]string{"HOME": ""}, bad: "no home directory"},
	} {
		getenv := func(k string) string {
			if v, ok := c.env[k]; ok || k != "HOME" {
				return v
			}
			return home
		}
		got, err := FromEnv(getenv)
		if c.bad != "" {
			if err == nil || !strings.Contains(err.Error(), c.bad) || strings.Contains(err.Error(), "a\nb") {
				t.Errorf("%s: got %v, want %q", c.name, err, c.bad)
			}
			continue
		}
		if err != nil || got != c.want {
			t.Errorf("%s: got %+v, %v, want %+v", c.name, got, err, c.want)
		}
	}
}
