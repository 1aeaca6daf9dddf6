package hub

import (
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strings"
)

const defaultEndpoint = "https://huggingface.co"

// Config says where the Hub and the cache are. The zero value is of no use;
// FromEnv makes one.
type Config struct {
	Endpoint string // scheme and host, perhaps a path; no slash at the end
	Cache    string // directory with models--org--name in it
	Token    string // "" is none
	Offline  bool   // use the cache alone
	Copies   bool   // no symbolic links in the cache
}

// FromEnv reads the variables that the Python tools read: HF_ENDPOINT,
// HF_HUB_CACHE (else HF_HOME/hub), HF_TOKEN (else the file HF_TOKEN_PATH, by
// default HF_HOME/token, unless HF_HUB_DISABLE_IMPLICIT_TOKEN), HF_HUB_OFFLINE
// and HF_HUB_DISABLE_SYMLINKS. HF_HOME is ~/.cache/huggingface by default.
func FromEnv(getenv func(string) string) (Config, error) {
	cfg := Config{
		Endpoint: strings.TrimRight(first(getenv, "HF_ENDPOINT"), "/"),
		Offline:  truth(first(getenv, "HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE")),
		Copies:   truth(getenv("HF_HUB_DISABLE_SYMLINKS")),
	}
	if cfg.Endpoint == "" {
		cfg.Endpoint = defaultEndpoint
	}
	u, err := url.Parse(cfg.Endpoint)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		found := "no address" // the text may hold a password
		if err == nil {
			found = u.Redacted()
		}
		return Config{}, fmt.Errorf("hub: HF_ENDPOINT: found %s, want an address as https://host", found)
	}
	home, err := homeDir(getenv)
	if err != nil {
		return Config{}, err
	}
	if cfg.Cache = first(getenv, "HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE"); cfg.Cache == "" {
		cfg.Cache = filepath.Join(home, "hub")
	}
	if cfg.Cache, err = expand(getenv, cfg.Cache); err != nil {
		return Config{}, err
	}
	cfg.Token, err = readToken(getenv, home)
	return cfg, err
}

// homeDir is HF_HOME, or where the Python tools put it.
func homeDir(getenv func(string) string) (string, error) {
	dir := getenv("HF_HOME")
	if dir == "" {
		dir = getenv("XDG_CACHE_HOME")
		if dir == "" {
			dir = filepath.Join("~", ".cache")
		}
		dir = filepath.Join(dir, "huggingface")
	}
	return expand(getenv, dir)
}

// expand replaces ~ and $VARIABLES in a path, and makes it absolute.
func expand(getenv func(string) string, path string) (string, error) {
	path = os.Expand(path, func(name string) string {
		if v := getenv(name); v != "" {
			return v
		}
		return "$" + name // as the Python tools leave it
	})
	if path == "~" || strings.HasPrefix(path, "~/") || strings.HasPrefix(path, `~`+string(filepath.Separator)) {
		home := first(getenv, "HOME", "USERPROFILE")
		if home == "" {
			return "", errors.New("hub: no home directory to keep the cache in: set HF_HOME")
		}
		path = filepath.Join(home, path[1:])
	}
	abs, err := filepath.Abs(path)
	if err != nil {
		return "", fmt.Errorf("hub: %w", err)
	}
	return abs, nil
}

// readToken reads the user's token. It is never part of a message.
func readToken(getenv func(string) string, home string) (string, error) {
	if t := strings.TrimSpace(first(getenv, "HF_TOKEN", "HUGGING_FACE_HUB_TOKEN")); t != "" {
		return checkToken(t, "HF_TOKEN")
	}
	if truth(getenv("HF_HUB_DISABLE_IMPLICIT_TOKEN")) {
		return "", nil
	}
	path := getenv("HF_TOKEN_PATH")
	if path == "" {
		path = filepath.Join(home, "token")
	}
	path, err := expand(getenv, path)
	if err != nil {
		return "", err
	}
	b, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	if err != nil {
		return "", fmt.Errorf("hub: reading the token: %w", err)
	}
	return checkToken(strings.TrimSpace(string(b)), path)
}

func checkToken(token, from string) (string, error) {
	for _, c := range []byte(token) {
		if c <= ' ' || c > '~' {
			return "", fmt.Errorf("hub: the token in %s holds spaces or odd characters", from)
		}
	}
	return token, nil
}

// first is the first variable that is set.
func first(getenv func(string) string, names ...string) string {
	for _, n := range names {
		if v := getenv(n); v != "" {
			return v
		}
	}
	return ""
}

// truth is what the Python tools take for true.
func truth(s string) bool {
	switch strings.ToUpper(s) {
	case "1", "ON", "YES", "TRUE":
		return true
	}
	return false
}
