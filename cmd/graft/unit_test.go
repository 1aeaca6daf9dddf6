package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"graft/elo"
	"graft/kernels"
)

// TestRecipeKeys holds the flags against the recipe: every key that is one
// value has a flag, and every flag is a key.
func TestRecipeKeys(t *testing.T) {
	var want, got []string
	typ := reflect.TypeFor[elo.Recipe]()
	for i := range typ.NumField() {
		key := typ.Field(i).Tag.Get("yaml")
		switch f := typ.Field(i).Type; f.Kind() {
		case reflect.Slice: // --data, --source-data, --eval
		case reflect.Struct:
			if key == "align" {
				continue // the same keys as pretrain
			}
			if key == "sft" { // and some of its own
				for j := range f.NumField() {
					if own := f.Field(j); own.Type.Kind() != reflect.Slice && !own.Anonymous {
						want = append(want, "sft."+own.Tag.Get("yaml"))
					}
				}
				continue
			}
			for j := range f.NumField() {
				want = append(want, "stage."+f.Field(j).Tag.Get("yaml"))
			}
		default:
			if key != "base_model" && key != "output_dir" { // MODEL and -o
				want = append(want, key)
			}
		}
	}
	for _, k := range recipeKeys {
		got = append(got, k.key)
	}
	slices.Sort(want)
	slices.Sort(got)
	if !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

func TestRecipeFlags(t *testing.T) {
	r := elo.Defaults()
	fs := pflag.NewFlagSet("", pflag.ContinueOnError)
	recipeFlags(fs, &r, "align", "method")
	var text textOptions
	dataFlags(fs, &r, &text)
	err := fs.Parse([]string{"--learning-rate=1e-3", "--gradient-checkpointing", "--max-tokens", "1e6", "--layers", "-1",
		"--data", "a.txt:ko", "--source-data", "b.txt:en", "--data", "c.txt", "--eval", "d.txt:ko", "--field", "ko", "--text=line"})
	if err != nil {
		t.Fatal(err)
	}
	text.apply(&r)
	want := elo.Defaults()
	want.Align.LearningRate, want.GradientCheckpointing, want.MaxTokens, want.Layers = 1e-3, true, 1e6, "-1"
	want.Datasets = []elo.Dataset{
		{Path: "a.txt", Lang: "ko", Field: "ko", Text: "line"}, {Path: "b.txt", Lang: "en", Role: "source", Field: "ko", Text: "line"}, {Path: "c.txt", Field: "ko", Text: "line"}}
	want.Eval = []elo.Dataset{{Path: "d.txt", Lang: "ko", Field: "ko", Text: "line"}}
	if key := r.Differs(&want); key != "" {
		t.Errorf("%s: got\n%+v\nwant\n%+v", key, r, want)
	}
	if fs.Lookup("method") != nil || fs.Lookup("learning-rate").DefValue != "5e-06" {
		t.Errorf("got method %v and default %q, want none and 5e-06", fs.Lookup("method"), fs.Lookup("learning-rate").DefValue)
	}
}

func TestParseCorpus(t *testing.T) {
	for _, c := range []struct{ in, path, lang string }{
		{"a.txt", "a.txt", ""}, {"a.txt:ko", "a.txt", "ko"}, {"dir/x:pt-BR", "dir/x", "pt-BR"}, {"a:b:en_US", "a:b", "en_US"},
		{`C:\texts`, `C:\texts`, ""}, {"a:", "a:", ""}, {"a:k", "a:k", ""}, {"a:x/y", "a:x/y", ""}, {"a:12", "a:12", ""}, {":ko", "", "ko"},
	} {
		if d := parseCorpus(c.in); d.Path != c.path || d.Lang != c.lang {
			t.Errorf("%s: got %q and %q, want %q and %q", c.in, d.Path, d.Lang, c.path, c.lang)
		}
	}
}

func TestUnits(t *testing.T) {
	for _, c := range []struct{ got, want string }{
		{countText(0), "0"}, {countText(7), "7"}, {countText(0.5), "0.50"}, {countText(12.34), "12.3"}, {countText(999), "999"},
		{countText(999.7), "1.00 K"}, {countText(1000), "1.00 K"}, {countText(12345), "12.3 K"}, {countText(999_499), "999 K"},
		{countText(999_999), "1.00 M"}, {countText(8.03e9), "8.03 G"}, {countText(1.5e15), "1.50 P"},
		{sizeText(1023), "1023 B"}, {sizeText(1 << 10), "1.0 KiB"}, {sizeText(3 << 19), "1.5 MiB"}, {sizeText(5 << 30), "5.00 GiB"},
		{timeText(0), "0s"}, {timeText(59600 * time.Millisecond), "1m00s"}, {timeText(185 * time.Second), "3m05s"}, {timeText(3*time.Hour + 125*time.Second), "3h02m"},
	} {
		if c.got != c.want {
			t.Errorf("got %q, want %q", c.got, c.want)
		}
	}
}

func TestNumber(t *testing.T) {
	b, err := json.Marshal([]number{1.5, number(math.NaN()), number(math.Inf(1)), 1e-7, 3})
	if err != nil || string(b) != "[1.5,null,null,1e-07,3]" {
		t.Errorf("got %s, %v, want [1.5,null,null,1e-07,3]", b, err)
	}
}

// testApp is an app whose streams are buffers.
func testApp() (a *app, out, log *bytes.Buffer) {
	out, log = &bytes.Buffer{}, &bytes.Buffer{}
	return &app{in: strings.NewReader(""), out: bufio.NewWriter(out), console: console{w: log}}, out, log
}

func TestFinish(t *testing.T) {
	for _, c := range []struct {
		name string
		err  error
		code int
		log  string
	}{
		{"none", nil, 0, ""},
		{"failure", errors.New("x: broken"), 1, "graft: x: broken\n"},
		{"several lines", errors.Join(errors.New("one"), errors.New("two\n\n three")), 1, "graft: one; two; three\n"},
		{"usage", fmt.Errorf("wrapped: %w", usagef("what?")), 2, "graft: wrapped: what?\n"},
		{"saved", &elo.Interrupted{State: "out.resume"}, 130, "graft: elo: interrupted; the state is saved in out.resume and goes on with --resume\n"},
		{"cancelled", fmt.Errorf("data: %w", context.Canceled), 130, "graft: interrupted\n"},
	} {
		t.Run(c.name, func(t *testing.T) {
			a, _, log := testApp()
			if code := a.finish(c.err); code != c.code || log.String() != c.log {
				t.Errorf("got %d and %q, want %d and %q", code, log, c.code, c.log)
			}
		})
	}
}

// named is a backend that only has a name.
type named struct {
	kernels.Backend
	name string
}

func TestFirstDevice(t *testing.T) {
	none := fmt.Errorf("vulkan: no loader: %w", kernels.ErrNoDevice)
	broken := errors.New("vulkan: the driver is broken")
	for _, c := range []struct {
		name      string
		errs      map[string]error
		want, log string
		err       string
	}{
		{"a card", nil, "card", "", ""},
		{"no card", map[string]error{"card": none}, "cpu", "", ""},
		{"a card that does not open", map[string]error{"card": broken}, "cpu", "warning: card is passed over: vulkan: the driver is broken\n", ""},
		{"nothing", map[string]error{"card": none, "cpu": none}, "", "", "no device opens: "},
	} {
		t.Run(c.name, func(t *testing.T) {
			a, _, log := testApp()
			be, err := firstDevice(a, []string{"card", "cpu"}, func(name string) (kernels.Backend, error) { return named{name: name}, c.errs[name] })
			if c.err != "" {
				if err == nil || !strings.HasPrefix(err.Error(), c.err) || !errors.Is(err, kernels.ErrNoDevice) {
					t.Errorf("got %v, want %q", err, c.err)
				}
				return
			}
			if err != nil || be.(named).name != c.want || log.String() != c.log {
				t.Errorf("got %v, %v, %q, want %s and %q", be, err, log, c.want, c.log)
			}
		})
	}
}

// TestPanic sees to it that a mistake in the program is one line that says
// where.
func TestPanic(t *testing.T) {
	a, _, log := testApp()
	root := &cobra.Command{RunE: func(*cobra.Command, []string) error { panic("lost") }}
	if code := execute(a, root, nil); code != 1 || !strings.HasPrefix(log.String(), "graft: internal error: lost (in graft/cmd/graft.TestPanic") || strings.Count(log.String(), "\n") != 1 {
		t.Errorf("got %d and %q, want 1 and a line that names TestPanic", code, log)
	}
}

// TestBar draws a stage on a terminal: the last state stands, notes are above.
func TestBar(t *testing.T) {
	for _, colour := range []bool{false, true} {
		a, out, log := testApp()
		a.bars, a.colour, a.width = true, colour, 80
		p := &progress{a: a}
		step := elo.StepReport{Stage: "align", Steps: 2, Loss: 1.5, Rate: 1000, FLOPRate: 1e9}
		for i := range 2 {
			step.Step = i + 1
			p.Step(step)
			if i == 0 {
				p.Warn("careful\nthere")
			}
		}
		if a.console.bar != nil {
			t.Error("the bar is still there after the last step")
		}
		text := log.String()
		for _, want := range []string{"(1/2) align loss 1.5000", "(2/2) align loss 1.5000", "careful; there\n"} {
			if !strings.Contains(text, want) {
				t.Errorf("got %q, want %q in it", text, want)
			}
		}
		if got := strings.Contains(text, "\x1b[33m"); got != colour {
			t.Errorf("colour %v: got colours %v", colour, got)
		}
		if !strings.HasSuffix(text, "\n") || out.Len() > 0 {
			t.Errorf("got %q and %q, want a line end and nothing on standard output", text, out)
		}
		for part := range strings.FieldsFuncSeq(text, func(c rune) bool { return c == '\r' || c == '\n' }) {
			if n := len([]rune(strings.NewReplacer("\x1b[0K", "", "\x1b[2K", "", "\x1b[33m", "", "\x1b[0m", "").Replace(part))); n >= a.width {
				t.Errorf("got a line of %d columns, want less than %d: %q", n, a.width, part)
			}
		}
	}
}
