package hub

import (
	"fmt"
	"path"
	"regexp"
	"slices"
	"strings"
)

// shard is a standard name of weights.
var shard = regexp.MustCompile(`^model(?:-\d+-of-\d+)?\.safetensors$`)

const (
	weightsSuffix = ".safetensors"
	weightsIndex  = "model.safetensors.index.json"
)

// choose picks the files to download: those that a glob matches, or without
// globs what a model directory needs.
func choose(repo string, names, globs []string) ([]string, error) {
	if len(globs) == 0 {
		return needed(repo, names)
	}
	match, err := matcher(globs)
	if err != nil {
		return nil, err
	}
	var out []string
	for _, n := range names {
		if match(n) {
			out = append(out, n)
		}
	}
	if len(out) == 0 {
		return nil, fmt.Errorf("hub: %s: no file matches %s; there are %s", repo, strings.Join(globs, ", "), list(names))
	}
	return out, nil
}

func needed(repo string, names []string) ([]string, error) {
	weights := filter(names, shard.MatchString)
	if len(weights) == 0 {
		weights = filter(names, func(n string) bool {
			return strings.HasSuffix(n, weightsSuffix) && !strings.Contains(n, "/") &&
				!strings.HasPrefix(n, "adapter") && !strings.HasPrefix(n, "consolidated")
		})
	}
	if len(weights) == 0 {
		return nil, fmt.Errorf("hub: %s has no model in safetensors; to fetch other files, name them: there are %s", repo, list(names))
	}
	return append(filter(names, companion), weights...), nil
}

// companion tells what lies beside weights and belongs to the model: configs,
// the tokenizer, chat templates and the licence.
func companion(name string) bool {
	if dir, base := path.Split(name); dir != "" {
		return dir == "additional_chat_templates/" && strings.HasSuffix(base, ".jinja")
	}
	lower := strings.ToLower(name)
	for _, start := range []string{"license", "licence", "notice", "use_policy"} {
		if strings.HasPrefix(lower, start) {
			return true
		}
	}
	switch {
	case name == weightsIndex:
		return true
	case strings.HasSuffix(lower, ".index.json"), strings.HasSuffix(lower, "trainer_state.json"), strings.HasPrefix(name, "."):
		return false // of weights in other formats, and records of training
	}
	return slices.Contains([]string{".json", ".model", ".txt", ".jinja", ".tiktoken"}, path.Ext(lower))
}

func filter(names []string, keep func(string) bool) []string {
	var out []string
	for _, n := range names {
		if keep(n) {
			out = append(out, n)
		}
	}
	return out
}

// list names files for a message.
func list(names []string) string {
	const most = 8
	if len(names) == 0 {
		return "none"
	}
	text := make([]string, 0, most)
	for _, n := range names[:min(most, len(names))] {
		text = append(text, fmt.Sprintf("%q", clip(n)))
	}
	if n := len(names) - most; n > 0 {
		return strings.Join(text, ", ") + fmt.Sprintf(" and %d more", n)
	}
	return strings.Join(text, ", ")
}
